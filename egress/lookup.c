/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked beside requests: DNS for the guest, and mapped TCP connections. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/upstream_internal.h"

#define TYPE_A    1u
#define TYPE_AAAA 28u

struct lookup {
	struct ask ask;
	struct resolver_query *query;
	char name[POLICY_HOST_MAX + 1];
	unsigned type;
	ev_tstamp began;
};

struct connection {
	struct ask ask;
	struct resolver_query *query;
	const struct upstream_map *map;
	struct resolver_answer addresses;
	size_t next; /* address to try */
	int fd;
	ev_io writable;
	ev_timer deadline;
	ev_tstamp began;
};

/* ---- Lookups ---- */

static void
lookup_record(struct lookup *l, struct upstream_record *r)
{
	*r = (struct upstream_record){
	    .event = UPSTREAM_LOOKUP,
	    .id = l->ask.id,
	    .host = {l->name, strlen(l->name)},
	    .duration = (unsigned)((ev_now(l->ask.u->loop) - l->began) * 1000),
	};
}

static void
lookup_free(struct lookup *l)
{
	if (l->query != NULL)
		resolver_cancel(l->query);
	ask_remove(&l->ask);
	free(l);
}

static void
lookup_refuse(struct lookup *l, const struct refusal *why)
{
	struct upstream *u = l->ask.u;
	struct upstream_record r;

	lookup_record(l, &r);
	ask_record_refused(u, &r, why);
	u->events->refused(u->ctx, l->ask.id, why);
	lookup_free(l);
}

static void
lookup_end(struct lookup *l, const struct resolver_answer *a, const uint8_t *packet, size_t n)
{
	struct upstream *u = l->ask.u;
	struct upstream_record r;

	lookup_record(l, &r);
	u->events->record(u->ctx, &r);
	u->events->resolved(u->ctx, l->ask.id, a, packet, n);
	lookup_free(l);
}

static void
lookup_resolved(struct lookup *l, const struct resolver_answer *answer)
{
	int family = l->type == TYPE_A ? AF_INET : AF_INET6;
	bool internal = policy_names(&l->ask.u->config->internal, l->name) != NULL;
	struct resolver_answer a = *answer;
	struct refusal why = {0};
	size_t i, kept = 0;

	l->query = NULL;
	if (a.error == -ETIMEDOUT || a.error == -EIO || a.error == -EBUSY) {
		refuse_unresolved(&why, l->name, a.error);
		lookup_refuse(l, &why);
		return;
	}
	if (a.n > 0 && !addresses_check(l->ask.u, l->name, internal, &a, &why)) {
		lookup_refuse(l, &why);
		return;
	}
	for (i = 0; i < a.n; i++)
		if (a.v[i].family == family)
			a.v[kept++] = a.v[i];
	a.n = kept;
	lookup_end(l, &a, NULL, 0);
}

static void
on_lookup_resolved(void *ctx, const struct resolver_answer *a)
{
	lookup_resolved(ctx, a);
}

static void
on_lookup_packet(void *ctx, int error, const uint8_t *packet, size_t length)
{
	static const struct resolver_answer none = {.error = 0};
	struct lookup *l = ctx;
	struct refusal why = {0};

	l->query = NULL;
	if (packet != NULL && length <= RESOLVER_PACKET_MAX) {
		lookup_end(l, &none, packet, length);
		return;
	}
	refuse_unresolved(&why, l->name, error != 0 ? error : -EIO);
	lookup_refuse(l, &why);
}

static void
lookup_ask(struct lookup *l)
{
	struct upstream *u = l->ask.u;
	struct resolver_answer a = {0};
	uint64_t id = l->ask.id;
	struct resolver_query *q;

	if (l->type == TYPE_A || l->type == TYPE_AAAA) {
		l->query = resolver_ask(u->resolver, l->name, &a, on_lookup_resolved, l);
		if (l->query == NULL)
			lookup_resolved(l, &a);
		return;
	}
	/* Its end may come, and free it, before this returns. */
	q = resolver_ask_raw(u->resolver, l->name, l->type, on_lookup_packet, l);
	if (ask_find(u, id) != NULL)
		l->query = q;
}

/* Policy before lookup. */
static bool
lookup_is_allowed(struct lookup *l, const struct span *name, struct refusal *why)
{
	const struct upstream_config *c = l->ask.u->config;

	if (policy_host_kind(name->bytes, name->length) != POLICY_HOST_NAME) {
		refuse(why, CAUSE_BAD, "bad-host", "the name is not canonical");
		return false;
	}
	memcpy(l->name, name->bytes, name->length);
	if (c->dns == UPSTREAM_DNS_OPEN)
		return true;
	if (c->dns == UPSTREAM_DNS_TRUSTED && (l->type == TYPE_A || l->type == TYPE_AAAA) &&
	    policy_could_match(&c->allow, l->name, 0) != NULL)
		return true;
	refuse(why, CAUSE_DENIED, "not-allowed", "%s: no such lookup is allowed", l->name);
	return false;
}

int
upstream_resolve(struct upstream *u, uint64_t id, const struct span *name, unsigned type)
{
	struct lookup *l = calloc(1, sizeof(*l));
	struct refusal why = {0};

	if (l == NULL)
		abort();
	if (ask_add(u, &l->ask, id, ASK_LOOKUP) < 0) {
		free(l);
		return -EPROTO;
	}
	l->type = type;
	l->began = ev_now(u->loop);
	u->counters.lookups++;
	if (type == 0 || type > UINT16_MAX || !lookup_is_allowed(l, name, &why)) {
		if (why.cause == CAUSE_NONE)
			refuse(&why, CAUSE_BAD, "bad-type", "no such record type");
		lookup_refuse(l, &why);
		return 0;
	}
	lookup_ask(l);
	return 0;
}

/* ---- Mapped TCP ---- */

static void
connection_free(struct connection *c)
{
	struct upstream *u = c->ask.u;

	if (c->query != NULL)
		resolver_cancel(c->query);
	ev_io_stop(u->loop, &c->writable);
	ev_timer_stop(u->loop, &c->deadline);
	if (c->fd >= 0)
		close(c->fd);
	ask_remove(&c->ask);
	free(c);
}

static struct upstream_record
connection_record(const struct connection *c)
{
	return (struct upstream_record){
	    .event = UPSTREAM_CONNECT,
	    .id = c->ask.id,
	    .host = {c->map->from, strlen(c->map->from)},
	    .port = c->map->from_port,
	    .duration = (unsigned)((ev_now(c->ask.u->loop) - c->began) * 1000),
	};
}

static void
connection_refuse(struct connection *c, const struct refusal *why)
{
	struct upstream_record r = connection_record(c);
	struct upstream *u = c->ask.u;

	ask_record_refused(u, &r, why);
	u->events->refused(u->ctx, c->ask.id, why);
	connection_free(c);
}

static void
connection_made(struct connection *c)
{
	struct upstream_record r = connection_record(c);
	struct upstream *u = c->ask.u;
	char address[ADDRESS_TEXT_SIZE];

	r.address = address_text(&c->addresses.v[c->next - 1], address);
	r.rule = c->map->to;
	u->events->record(u->ctx, &r);
	u->events->connected(u->ctx, c->ask.id, c->fd);
	connection_free(c);
}

static void
connection_try(struct connection *c)
{
	struct upstream *u = c->ask.u;
	struct sockaddr_storage storage;
	struct refusal why = {0};
	socklen_t n;

	ev_io_stop(u->loop, &c->writable);
	while (c->next < c->addresses.n) {
		if (c->fd >= 0)
			close(c->fd);
		n = address_to_sockaddr(&c->addresses.v[c->next++], c->map->to_port, &storage);
		c->fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (c->fd < 0)
			continue;
		if (connect(c->fd, (const struct sockaddr *)&storage, n) == 0 ||
		    errno == EINPROGRESS) {
			ev_io_set(&c->writable, c->fd, EV_WRITE);
			ev_io_start(u->loop, &c->writable);
			return;
		}
	}
	refuse(&why, CAUSE_UNREACHED, "unreached", "%s: %s cannot be connected to", c->map->from,
	    c->map->to);
	connection_refuse(c, &why);
}

/*
 * How it ended.  The second connect(2) says so, and it alone tells the kernel: a socket that is
 * "connecting" when its peer resets it can be sent elsewhere with MSG_FASTOPEN, by netproxy.
 */
static bool
connection_is_made(const struct connection *c)
{
	struct sockaddr_storage storage;
	socklen_t n = address_to_sockaddr(&c->addresses.v[c->next - 1], c->map->to_port, &storage);

	return connect(c->fd, (const struct sockaddr *)&storage, n) == 0 || errno == EISCONN;
}

static void
on_connection_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct connection *c = w->data;

	(void)loop;
	(void)events;
	if (connection_is_made(c))
		connection_made(c);
	else
		connection_try(c);
}

static void
on_connection_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct connection *c = w->data;
	struct refusal why = {0};

	(void)loop;
	(void)events;
	refuse(&why, CAUSE_TIMEOUT, "timeout", "%s: %s does not answer", c->map->from, c->map->to);
	connection_refuse(c, &why);
}

static void
connection_resolved(struct connection *c, const struct resolver_answer *a)
{
	struct refusal why = {0};

	c->query = NULL;
	c->addresses = *a;
	if (a->error == 0) {
		/* The user named where it goes: any unicast address will do. */
		if (addresses_check(c->ask.u, c->map->to, true, &c->addresses, &why)) {
			connection_try(c);
			return;
		}
	} else {
		refuse_unresolved(&why, c->map->to, a->error);
	}
	connection_refuse(c, &why);
}

static void
on_connection_resolved(void *ctx, const struct resolver_answer *a)
{
	connection_resolved(ctx, a);
}

static const struct upstream_map *
find_map(const struct upstream *u, const struct span *host, unsigned port)
{
	const struct upstream_map *m;
	size_t i;

	for (i = 0; i < u->config->n_maps; i++) {
		m = &u->config->maps[i];
		if (m->from_port == port && strlen(m->from) == host->length &&
		    memcmp(m->from, host->bytes, host->length) == 0)
			return m;
	}
	return NULL;
}

static void
connection_begin(struct connection *c)
{
	struct upstream *u = c->ask.u;
	struct resolver_answer a = {0};
	struct refusal why = {0};
	struct budget_host *of;
	const char *which = ask_spend(u, c->map->from, &of);

	if (which != NULL) {
		refuse(&why, CAUSE_BUDGET, "budget", "used up: %s", which);
		connection_refuse(c, &why);
		return;
	}
	ev_timer_start(u->loop, &c->deadline);
	if (address_parse(c->map->to, &a.v[0]))
		a.n = 1;
	else
		c->query = resolver_ask(u->resolver, c->map->to, &a, on_connection_resolved, c);
	if (c->query == NULL)
		connection_resolved(c, &a);
}

int
upstream_connect(struct upstream *u, uint64_t id, const struct span *host, unsigned port)
{
	static char nothing[] = "?";
	static const struct upstream_map unknown = {.from = nothing, .to = nothing};
	struct connection *c = calloc(1, sizeof(*c));
	struct refusal why = {0};

	if (c == NULL)
		abort();
	if (ask_add(u, &c->ask, id, ASK_CONNECT) < 0) {
		free(c);
		return -EPROTO;
	}
	c->fd = -1;
	c->began = ev_now(u->loop);
	ev_io_init(&c->writable, on_connection_writable, -1, EV_WRITE);
	ev_timer_init(
	    &c->deadline, on_connection_deadline, u->config->timeouts.connect / 1000.0, 0.);
	c->writable.data = c->deadline.data = c;
	c->map = find_map(u, host, port);
	if (c->map == NULL) {
		c->map = &unknown;
		refuse(&why, CAUSE_DENIED, "not-mapped", "no tcp section maps this name and port");
		connection_refuse(c, &why);
		return 0;
	}
	connection_begin(c);
	return 0;
}

/* ---- Going away ---- */

int
upstream_cancel(struct upstream *u, uint64_t id)
{
	struct ask *a = ask_find(u, id);
	struct refusal why = {0};
	struct exchange *x;

	if (a == NULL)
		return id <= u->last_id ? 0 : -EPROTO;
	refuse(&why, CAUSE_CANCELLED, "cancelled", "the guest went away");
	switch (a->kind) {
	case ASK_LOOKUP:
		lookup_refuse((struct lookup *)(void *)a, &why);
		break;
	case ASK_CONNECT:
		connection_refuse((struct connection *)(void *)a, &why);
		break;
	case ASK_EXCHANGE:
		x = (struct exchange *)(void *)a;
		x->refusal = why;
		exchange_fail(x);
		break;
	}
	return 0;
}
