/* SPDX-License-Identifier: Apache-2.0 */
/* c-ares on libev, and a small cache. */
#include "egress/resolver.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/hosts_file.h"
#include "egress/policy.h"

#define CACHE_SLOTS 1024u
#define TIMEOUT_MS  2500
#define TRIES       3
#define SOCKETS_MAX 64u
#define CLASS_IN    1

struct cached {
	char name[POLICY_HOST_MAX + 1];
	struct resolver_answer answer;
	ev_tstamp until;
};

/* What c-ares was asked and has not answered; all who ask it, which may be nobody any more. */
struct question {
	struct resolver *resolver;
	struct question *next;
	char name[POLICY_HOST_MAX + 1];
	unsigned type; /* 0: addresses */
	bool asking;   /* c-ares has not returned yet: an answer is kept for it */
	bool answered;
	struct resolver_answer answer;
	struct resolver_query *queries;
};

struct resolver_query {
	struct question *question;
	struct resolver_query *next;
	void (*done)(void *ctx, const struct resolver_answer *a);
	void (*done_raw)(void *ctx, int error, const uint8_t *packet, size_t length);
	void *ctx;
};

struct watched {
	struct resolver *resolver;
	ev_io w;
	int fd; /* -1: free */
};

struct resolver {
	ares_channel channel;
	struct hosts_file hosts;
	struct ev_loop *loop;
	ev_timer timer;
	struct watched watched[SOCKETS_MAX];
	struct cached *cache[CACHE_SLOTS]; /* by hash; the later name takes the slot */
	struct question *questions;
	size_t n_questions;
};

/* ---- c-ares and libev ---- */

static void
arm(struct resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	ev_timer_stop(r->loop, &r->timer);
	if (next == NULL)
		return;
	ev_timer_set(&r->timer, (double)next->tv_sec + (double)next->tv_usec * 1e-6, 0.);
	ev_timer_start(r->loop, &r->timer);
}

static void
on_socket(struct ev_loop *loop, ev_io *w, int events)
{
	struct watched *s = w->data;
	struct resolver *r = s->resolver;

	(void)loop;
	ares_process_fd(r->channel, (events & EV_READ) != 0 ? s->fd : ARES_SOCKET_BAD,
	    (events & EV_WRITE) != 0 ? s->fd : ARES_SOCKET_BAD);
	arm(r);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct resolver *r = w->data;

	(void)loop;
	(void)events;
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(r);
}

/* More sockets than are watched wait for the timer, which tries again. */
static void
on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = ctx;
	struct watched *s = NULL;
	size_t i;

	for (i = 0; i < SOCKETS_MAX; i++) {
		if (r->watched[i].fd == fd) {
			s = &r->watched[i];
			break;
		}
		if (s == NULL && r->watched[i].fd < 0)
			s = &r->watched[i];
	}
	if (s == NULL || r->loop == NULL)
		return;
	ev_io_stop(r->loop, &s->w);
	s->fd = readable != 0 || writable != 0 ? fd : -1;
	if (s->fd < 0)
		return;
	ev_io_init(
	    &s->w, on_socket, fd, (readable != 0 ? EV_READ : 0) | (writable != 0 ? EV_WRITE : 0));
	s->w.data = s;
	ev_io_start(r->loop, &s->w);
}

/* ---- Opening ---- */

static int
set_servers(struct resolver *r, const struct resolver_options *o)
{
	char list[RESOLVER_SERVERS_MAX * 64] = "";
	size_t i, used = 0;
	int n;

	if (o->n_servers > RESOLVER_SERVERS_MAX)
		return -EINVAL;
	for (i = 0; i < o->n_servers; i++) {
		n = snprintf(
		    list + used, sizeof(list) - used, "%s%s", i > 0 ? "," : "", o->servers[i]);
		if (n < 0 || (size_t)n >= sizeof(list) - used)
			return -EINVAL;
		used += (size_t)n;
	}
	if (o->n_servers == 0)
		return 0;
	return ares_set_servers_ports_csv(r->channel, list) == ARES_SUCCESS ? 0 : -EINVAL;
}

static int
open_channel(struct resolver *r, const struct resolver_options *o, char *error, size_t error_size)
{
	static char lookups[] = "b"; /* DNS only: the hosts file is ours to read */
	struct ares_options options = {
	    .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
	    .timeout = TIMEOUT_MS,
	    .tries = TRIES,
	    .ndots = 0,
	    .lookups = lookups,
	    .sock_state_cb = on_state,
	    .sock_state_cb_data = r,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
		   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
	int rc;

	if (o->resolv_conf != NULL) {
		options.resolvconf_path = strdup(o->resolv_conf);
		mask |= ARES_OPT_RESOLVCONF;
	}
	rc = ares_library_init(ARES_LIB_INIT_ALL);
	if (rc == ARES_SUCCESS)
		rc = ares_init_options(&r->channel, &options, mask);
	free(options.resolvconf_path);
	if (rc != ARES_SUCCESS) {
		snprintf(error, error_size, "the resolver cannot start: %s", ares_strerror(rc));
		return -EIO;
	}
	if (set_servers(r, o) < 0) {
		snprintf(error, error_size, "dns-trusted-server: not an address that c-ares takes");
		return -EINVAL;
	}
	return 0;
}

int
resolver_open(
    struct resolver **out, const struct resolver_options *o, char *error, size_t error_size)
{
	struct resolver *r = calloc(1, sizeof(*r));
	const char *path = o->hosts != NULL ? o->hosts : "/etc/hosts";
	size_t i;
	int rc;

	if (r == NULL)
		abort();
	for (i = 0; i < SOCKETS_MAX; i++) {
		r->watched[i].fd = -1;
		r->watched[i].resolver = r;
	}
	rc = hosts_file_read(&r->hosts, path, RESOLVER_HOSTS_MAX);
	if (rc < 0)
		snprintf(error, error_size, "%s: %s", path, strerror(-rc));
	else
		rc = open_channel(r, o, error, error_size);
	if (rc < 0) {
		resolver_close(r);
		r = NULL;
	}
	*out = r;
	return rc;
}

void
resolver_start(struct resolver *r, struct ev_loop *loop)
{
	r->loop = loop;
	ev_timer_init(&r->timer, on_timer, 0., 0.);
	r->timer.data = r;
}

void
resolver_close(struct resolver *r)
{
	size_t i;

	if (r == NULL)
		return;
	if (r->channel != NULL)
		ares_destroy(r->channel); /* ends every query */
	if (r->loop != NULL)
		ev_timer_stop(r->loop, &r->timer);
	ares_library_cleanup();
	hosts_file_clear(&r->hosts);
	for (i = 0; i < CACHE_SLOTS; i++)
		free(r->cache[i]);
	free(r);
}

/* ---- Questions ---- */

static struct cached **
slot_of(struct resolver *r, const char *name)
{
	uint32_t h = 2166136261u;

	while (*name != '\0')
		h = (h ^ (uint8_t)*name++) * 16777619u;
	return &r->cache[h % CACHE_SLOTS];
}

static void
remember(struct resolver *r, const char *name, const struct resolver_answer *a)
{
	struct cached **slot = slot_of(r, name);

	if (a->error != 0 || a->ttl == 0)
		return;
	if (*slot == NULL)
		*slot = malloc(sizeof(**slot));
	if (*slot == NULL)
		abort();
	snprintf((*slot)->name, sizeof((*slot)->name), "%s", name);
	(*slot)->answer = *a;
	(*slot)->until = ev_now(r->loop) + a->ttl;
}

static bool
known(struct resolver *r, const char *name, struct resolver_answer *a)
{
	const struct cached *c = *slot_of(r, name);

	memset(a, 0, sizeof(*a));
	a->n = hosts_file_find(&r->hosts, name, a->v, RESOLVER_ADDRESSES_MAX);
	if (a->n > 0)
		return true;
	if (c == NULL || strcmp(c->name, name) != 0 || c->until <= ev_now(r->loop))
		return false;
	*a = c->answer;
	return true;
}

static int
error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return -ENOENT;
	case ARES_ENODATA:
		return -ENODATA;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	default:
		return -EIO;
	}
}

/* NULL where there are too many. */
static struct question *
question_new(struct resolver *r, const char *name, unsigned type)
{
	struct question *q;

	if (r->n_questions >= RESOLVER_PENDING_MAX)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		abort();
	q->resolver = r;
	q->type = type;
	snprintf(q->name, sizeof(q->name), "%s", name);
	q->next = r->questions;
	r->questions = q;
	r->n_questions++;
	return q;
}

static struct question *
question_find(struct resolver *r, const char *name, unsigned type)
{
	struct question *q = r->questions;

	while (q != NULL && (q->type != type || strcmp(q->name, name) != 0))
		q = q->next;
	return q;
}

/* Nobody finds it any more. */
static void
question_remove(struct question *q)
{
	struct question **at = &q->resolver->questions;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	q->resolver->n_questions--;
}

static struct resolver_query *
query_new(struct question *question, void *ctx)
{
	struct resolver_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		abort();
	q->question = question;
	q->next = question->queries;
	question->queries = q;
	q->ctx = ctx;
	return q;
}

void
resolver_cancel(struct resolver_query *q)
{
	struct resolver_query **at = &q->question->queries;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

/* Who is told may ask again, and cancel others of the same question. */
static void
tell(struct question *question, const struct resolver_answer *a, const uint8_t *packet, size_t n)
{
	struct resolver_query *q;

	while ((q = question->queries) != NULL) {
		question->queries = q->next;
		if (question->type == 0)
			q->done(q->ctx, a);
		else
			q->done_raw(q->ctx, packet != NULL ? 0 : -EIO, packet, n);
		free(q);
	}
}

static void
on_addresses(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question *q = ctx;
	struct resolver_answer *a = &q->answer;
	const struct ares_addrinfo_node *node;

	(void)timeouts;
	*a = (struct resolver_answer){.error = error_of(status), .ttl = RESOLVER_TTL_MAX};
	for (node = info != NULL ? info->nodes : NULL; node != NULL; node = node->ai_next) {
		if (a->n < RESOLVER_ADDRESSES_MAX &&
		    address_of_sockaddr(node->ai_addr, &a->v[a->n]))
			a->n++;
		if (node->ai_ttl >= 0 && (unsigned)node->ai_ttl < a->ttl)
			a->ttl = (unsigned)node->ai_ttl;
	}
	if (a->error == 0 && a->n == 0)
		a->error = -ENODATA;
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (status != ARES_EDESTRUCTION)
		remember(q->resolver, q->name, a);
	question_remove(q);
	tell(q, a, NULL, 0);
	q->answered = true;
	if (!q->asking)
		free(q);
}

struct resolver_query *
resolver_ask(struct resolver *r, const char *name, struct resolver_answer *a,
    void (*done)(void *ctx, const struct resolver_answer *a), void *ctx)
{
	/* The order of the answer stays: sorting it would connect sockets to all of them. */
	static const struct ares_addrinfo_hints hints = {
	    .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolver_query *query;
	struct question *q;

	if (known(r, name, a))
		return NULL;
	q = question_find(r, name, 0);
	if (q == NULL) {
		q = question_new(r, name, 0);
		if (q == NULL) {
			a->error = -EBUSY;
			return NULL;
		}
		q->asking = true;
		ares_getaddrinfo(r->channel, name, NULL, &hints, on_addresses, q);
		q->asking = false;
		arm(r);
		if (q->answered) {
			*a = q->answer;
			free(q);
			return NULL;
		}
	}
	query = query_new(q, ctx);
	query->done = done;
	return query;
}

static void
on_packet(void *ctx, int status, int timeouts, unsigned char *packet, int length)
{
	struct question *q = ctx;

	(void)status;
	(void)timeouts;
	question_remove(q);
	tell(q, NULL, packet, packet != NULL && length > 0 ? (size_t)length : 0);
	q->answered = true;
	if (!q->asking)
		free(q);
}

struct resolver_query *
resolver_ask_raw(struct resolver *r, const char *name, unsigned type,
    void (*done)(void *ctx, int error, const uint8_t *packet, size_t length), void *ctx)
{
	struct question *q = question_find(r, name, type);
	struct resolver_query *query;

	if (q != NULL) {
		query = query_new(q, ctx);
		query->done_raw = done;
		return query;
	}
	q = question_new(r, name, type);
	if (q == NULL) {
		done(ctx, -EBUSY, NULL, 0);
		return NULL;
	}
	query = query_new(q, ctx);
	query->done_raw = done;
	q->asking = true;
	ares_query(r->channel, name, CLASS_IN, (int)type, on_packet, q);
	q->asking = false;
	arm(r);
	if (!q->answered)
		return query;
	free(q);
	return NULL;
}
