/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl on libev.
 *
 * libcurl never looks a name up: each transfer brings the addresses that were checked (a name that
 * it did not find there would need a thread, which the jail does not have).  It never follows,
 * never authenticates, keeps no cookie, reads no environment and no file.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "egress/trust.h"
#include "egress/upstream_internal.h"

#define IDLE_CONNECTIONS_MAX 64L
#define RECEIVE_BUFFER       (64L * 1024)
#define UPLOAD_BUFFER        (64L * 1024)

struct socket_watch {
	struct upstream *u;
	ev_io w;
};

/* ---- The multi handle ---- */

static void
reap(struct upstream *u)
{
	struct exchange *x;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(u->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		exchange_curl_done(x, m->data.result);
	}
}

static void
on_socket(struct ev_loop *loop, ev_io *w, int events)
{
	struct socket_watch *s = w->data;
	struct upstream *u = s->u;
	int running;

	(void)loop;
	(void)curl_multi_socket_action(u->multi, w->fd,
	    ((events & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
		((events & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0),
	    &running);
	reap(u);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct upstream *u = w->data;
	int running;

	(void)loop;
	(void)events;
	(void)curl_multi_socket_action(u->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(u);
}

static int
on_timeout_wanted(CURLM *multi, long ms, void *ctx)
{
	struct upstream *u = ctx;

	(void)multi;
	if (u->loop == NULL)
		return 0;
	ev_timer_stop(u->loop, &u->timer);
	if (ms >= 0) {
		ev_timer_set(&u->timer, (double)ms / 1000, 0.);
		ev_timer_start(u->loop, &u->timer);
	}
	return 0;
}

static int
on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
	struct upstream *u = ctx;
	struct socket_watch *s = known;
	int events = ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
		     ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s != NULL)
			ev_io_stop(u->loop, &s->w);
		free(s);
		(void)curl_multi_assign(u->multi, fd, NULL);
		return 0;
	}
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			abort();
		s->u = u;
		ev_io_init(&s->w, on_socket, fd, events);
		s->w.data = s;
		(void)curl_multi_assign(u->multi, fd, s);
	} else {
		ev_io_stop(u->loop, &s->w);
		ev_io_modify(&s->w, events); /* the same descriptor: the kernel need not be told */
	}
	ev_io_start(u->loop, &s->w);
	return 0;
}

/* ---- Connections ---- */

static void
remember_socket(struct upstream *u, int fd, struct budget_host *h)
{
	size_t n = (size_t)fd + 1;

	if (n > u->n_sockets) {
		u->sockets = reallocarray(u->sockets, n, sizeof(struct budget_host *));
		if (u->sockets == NULL)
			abort();
		u->n_sockets = n;
	}
	u->sockets[fd] = h;
	u->counters.connections++;
}

static curl_socket_t
on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct exchange *x = ctx;
	struct upstream *u = x->ask.u;
	struct address a;
	const char *why;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || !address_of_sockaddr(&to->addr, &a))
		return CURL_SOCKET_BAD;
	/* It was checked when it was resolved; networks may have changed since. */
	why = u->config->proxy == NULL ? address_refusal(&u->locals->addresses, &a, x->internal)
				       : NULL;
	if (why != NULL) {
		refuse(&x->unopened, CAUSE_DENIED, "internal-address", "%s is at %s (%s)", x->host,
		    address_text(&a, x->address), why);
		return CURL_SOCKET_BAD;
	}
	why = budget_connection(&u->budget, x->budget);
	if (why != NULL) {
		refuse(&x->unopened, CAUSE_BUDGET, "budget", "used up: %s", why);
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);
	if (fd < 0)
		budget_connection_closed(&u->budget, x->budget);
	else
		remember_socket(u, fd, x->budget);
	return fd;
}

static int
on_close(void *ctx, curl_socket_t fd)
{
	struct upstream *u = ctx;

	budget_connection_closed(&u->budget, u->sockets[fd]);
	u->counters.connections--;
	return close(fd);
}

/* Right before the request is written, on whatever connection: is this the address that was meant?
 */
static int
on_ready(void *ctx, char *peer, char *own, int peer_port, int own_port)
{
	struct exchange *x = ctx;
	struct upstream *u = x->ask.u;
	struct address a;
	const char *why;

	(void)own;
	(void)own_port;
	/* What was refused meanwhile goes nowhere, also not where there is a connection now. */
	if (x->refusal.cause != CAUSE_NONE)
		return CURL_PREREQFUNC_ABORT;
	if (u->config->proxy != NULL)
		return CURL_PREREQFUNC_OK;
	why = address_parse(peer, &a) ? address_refusal(&u->locals->addresses, &a, x->internal)
				      : "no address";
	if (why == NULL && peer_port != x->port)
		why = "another port";
	snprintf(x->address, sizeof(x->address), "%s", peer);
	if (why == NULL)
		return CURL_PREREQFUNC_OK;
	refuse(&x->refusal, CAUSE_DENIED, "internal-address", "%s is at %s (%s)", x->host,
	    x->address, why);
	return CURL_PREREQFUNC_ABORT;
}

static CURLcode
on_tls(CURL *easy, void *ctx, void *data)
{
	struct upstream *u = data;

	(void)easy;
	/* OpenSSL's own three; the first costs both ends a quarter less than what it would put
	 * there. */
	if (SSL_CTX_set_ciphersuites(ctx,
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1)
		return CURLE_SSL_CIPHER;
	SSL_CTX_set1_cert_store(ctx, u->store);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return CURLE_OK;
}

/* ---- Easy handles ---- */

/* What is the same for all transfers.  Returns false where this libcurl cannot do it. */
static bool
set_up(struct upstream *u, CURL *easy)
{
	const struct upstream_timeouts *t = &u->config->timeouts;
	const char *proxy = u->config->proxy != NULL ? u->config->proxy : "";
	bool ok = true;

#define SET(option, value) (ok = ok && curl_easy_setopt(easy, (option), (value)) == CURLE_OK)
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, proxy);
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
	SET(CURLOPT_SSL_CTX_DATA, u);
	SET(CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->connect + (long)t->handshake);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, -1L);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(CURLOPT_CLOSESOCKETDATA, u);
	SET(CURLOPT_PREREQFUNCTION, on_ready);
	SET(CURLOPT_HEADERFUNCTION, answer_on_header);
	SET(CURLOPT_WRITEFUNCTION, answer_on_body);
	SET(CURLOPT_READFUNCTION, upload_on_read);
	SET(CURLOPT_SEEKFUNCTION, upload_on_seek);
	return ok;
}

CURL *
transport_take(struct upstream *u)
{
	CURL *easy;

	if (u->n_pool > 0)
		return u->pool[--u->n_pool];
	easy = curl_easy_init();
	if (easy == NULL || !set_up(u, easy))
		abort();
	return easy;
}

void
transport_give_back(struct upstream *u, CURL *easy)
{
	if (u->n_pool < POOL_MAX)
		u->pool[u->n_pool++] = easy;
	else
		curl_easy_cleanup(easy);
}

/* ---- One transfer ---- */

static void
add_header(struct exchange *x, const char *line)
{
	struct curl_slist *longer = curl_slist_append(x->headers, line);

	if (longer == NULL)
		abort();
	x->headers = longer;
}

/* Fields that only mean what the other end may send us, where its answer is to be searched. */
static bool
is_left_out(const struct exchange *x, const struct field *f)
{
	return x->set != NULL && x->set->scrub != 0 &&
	       (field_is(f, "range") || field_is(f, "if-range") || field_is(f, "accept-encoding"));
}

/* libcurl adds these by itself unless it is told not to. */
static void
add_headers(struct exchange *x)
{
	struct buffer line = {0};
	struct field f;
	size_t i;

	for (i = 0; i < x->use.headers.n; i++) {
		f = fields_get(&x->use.headers, i);
		if (is_left_out(x, &f))
			continue;
		line.length = 0;
		buffer_add(&line, f.name, f.name_length);
		buffer_add(&line, f.value_length > 0 ? ": " : ";", f.value_length > 0 ? 2 : 1);
		buffer_add(&line, f.value, f.value_length);
		buffer_add(&line, "", 1);
		add_header(x, (const char *)line.bytes);
	}
	if (!fields_find(&x->use.headers, "accept", &f))
		add_header(x, "Accept:");
	if (x->set != NULL && x->set->scrub != 0)
		add_header(x, "accept-encoding: gzip, br");
	if (x->has_body && !fields_find(&x->use.headers, "content-type", &f))
		add_header(x, "Content-Type:");
	add_header(x, "Expect:");
	buffer_wipe(&line);
}

/*
 * HOST:PORT:ADDRESS,ADDRESS for libcurl's table of names.  An address needs no entry, and an IPv6
 * one has no spelling there: libcurl connects to it as it stands.
 */
static void
pin(struct exchange *x, const struct resolver_answer *a)
{
	const char *proxy = x->ask.u->config->proxy;
	struct buffer line = {0};
	char host[POLICY_HOST_MAX + 1], text[ADDRESS_TEXT_SIZE], port[16];
	const char *name = x->host, *colon;
	struct address literal;
	size_t i;

	exchange_peer_host(x, host, sizeof(host));
	if (address_parse(host, &literal))
		return;
	snprintf(port, sizeof(port), ":%u:", x->port);
	if (proxy != NULL) {
		name = strstr(proxy, "://") != NULL ? strstr(proxy, "://") + 3 : proxy;
		colon = strrchr(name, ':');
		snprintf(port, sizeof(port), ":%.5s:", colon != NULL ? colon + 1 : "1080");
		buffer_add(&line, name, colon != NULL ? (size_t)(colon - name) : strlen(name));
	} else {
		buffer_add(&line, name, strlen(name));
	}
	buffer_add(&line, port, strlen(port));
	for (i = 0; i < a->n; i++) {
		address_text(&a->v[i], text);
		buffer_add(&line, ",", i > 0 ? 1 : 0);
		buffer_add(&line, "[", a->v[i].family == AF_INET6 ? 1 : 0);
		buffer_add(&line, text, strlen(text));
		buffer_add(&line, "]", a->v[i].family == AF_INET6 ? 1 : 0);
	}
	buffer_add(&line, "", 1);
	x->pins = curl_slist_append(NULL, (const char *)line.bytes);
	if (x->pins == NULL)
		abort();
	buffer_clear(&line);
}

static bool
set_request(struct exchange *x, CURL *easy, const char *url)
{
	bool head = strcmp(x->method, "HEAD") == 0, ok = true;

	SET(CURLOPT_URL, url);
	SET(CURLOPT_REQUEST_TARGET, x->use.path.bytes);
	SET(CURLOPT_UPLOAD, x->has_body ? 1L : 0L);
	SET(CURLOPT_NOBODY, head ? 1L : 0L);
	if (!x->has_body && !head)
		SET(CURLOPT_HTTPGET, 1L);
	SET(CURLOPT_CUSTOMREQUEST, x->method);
	SET(CURLOPT_INFILESIZE_LARGE, x->has_length ? (curl_off_t)x->body_length : (curl_off_t)-1);
	SET(CURLOPT_HTTPHEADER, x->headers);
	SET(CURLOPT_RESOLVE, x->pins);
	SET(CURLOPT_CONNECT_ONLY, x->upgrade ? 1L : 0L);
	SET(CURLOPT_FRESH_CONNECT, x->upgrade ? 1L : 0L);
	SET(CURLOPT_FORBID_REUSE, 0L); /* unless its answer finds connections scarce */
	SET(CURLOPT_HTTP_VERSION,
	    (long)(x->https && !x->upgrade ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_PIPEWAIT, x->https && !x->upgrade ? 1L : 0L);
	SET(CURLOPT_PRIVATE, x);
	SET(CURLOPT_ERRORBUFFER, x->curl_error);
	SET(CURLOPT_OPENSOCKETDATA, x);
	SET(CURLOPT_PREREQDATA, x);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_READDATA, x);
	SET(CURLOPT_SEEKDATA, x);
#undef SET
	return ok;
}

void
transport_send(struct exchange *x, const struct resolver_answer *a)
{
	bool v6 = strchr(x->host, ':') != NULL;
	struct upstream *u = x->ask.u;
	char url[POLICY_HOST_MAX + 32];

	x->easy = transport_take(u);
	buffer_add(&x->use.path, "", 1);
	snprintf(url, sizeof(url), "%s://%s%s%s:%u/", x->https ? "https" : "http", v6 ? "[" : "",
	    x->host, v6 ? "]" : "", x->port);
	if (!x->upgrade)
		add_headers(x);
	pin(x, a);
	if (!set_request(x, x->easy, url) || curl_multi_add_handle(u->multi, x->easy) != CURLM_OK) {
		refuse(&x->refusal, CAUSE_BROKEN, "broken", "libcurl does not take the request");
		return;
	}
	x->in_multi = true;
	x->state = EXCHANGE_ACTIVE;
}

/* ---- Start and end ---- */

int
transport_init(struct upstream *u, const char *ca_bundle, char *error, size_t error_size)
{
	CURL *easy;
	SSL_CTX *tls;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		snprintf(error, error_size, "libcurl does not start");
		return -EIO;
	}
	u->store = trust_read(ca_bundle, error, error_size);
	if (u->store == NULL)
		return -ENOENT;
	/* OpenSSL reads its configuration and finds its random numbers now; libc its time zone. */
	(void)setenv("TZ", "UTC0", 1);
	tzset();
	tls = SSL_CTX_new(TLS_client_method());
	easy = curl_easy_init();
	u->multi = curl_multi_init();
	if (tls == NULL || easy == NULL || u->multi == NULL || !set_up(u, easy)) {
		snprintf(error, error_size, "libcurl %s lacks what is needed", curl_version());
		return -EIO;
	}
	SSL_CTX_free(tls);
	transport_give_back(u, easy);
	return 0;
}

void
transport_start(struct upstream *u)
{
	ev_timer_init(&u->timer, on_timer, 0., 0.);
	u->timer.data = u;
	(void)curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
	(void)curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u);
	(void)curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
	(void)curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
	(void)curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
	(void)curl_multi_setopt(u->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
}

void
transport_clear(struct upstream *u)
{
	if (u->multi != NULL)
		(void)curl_multi_cleanup(u->multi);
	while (u->n_pool > 0)
		curl_easy_cleanup(u->pool[--u->n_pool]);
	X509_STORE_free(u->store);
	free(u->sockets);
	curl_global_cleanup();
}
