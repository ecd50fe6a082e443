/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life, from judgment to its final message. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/upstream_internal.h"
#include "ipc/log.h"
#include "ipc/outbound.h"

/* ---- Ends ---- */

static void
count(struct exchange *x, const struct upstream_record *r)
{
	struct upstream_counters *c = &x->ask.u->counters;

	c->bytes_in += r->bytes_in;
	c->bytes_out += r->bytes_out;
	c->secrets_used += (uint64_t)__builtin_popcountll(r->used);
	c->secrets_scrubbed += (uint64_t)__builtin_popcountll(r->scrubbed);
	c->active--;
}

static void
record(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	struct upstream_record r = {
	    .event = UPSTREAM_REQUEST,
	    .id = x->ask.id,
	    .is_http = true,
	    .method = {x->method, strlen(x->method)},
	    .host = {x->host, strlen(x->host)},
	    .path = {x->path, x->path_length},
	    .cut = x->path_cut,
	    .https = x->https,
	    .port = x->port,
	    .status = x->status,
	    .address = x->address,
	    .rule = x->pattern->text,
	    .used = x->use.used,
	    .scrubbed = x->scrubbed,
	    .bytes_in = x->bytes_in,
	    .bytes_out = x->bytes_out,
	    .duration = (unsigned)((ev_now(u->loop) - x->began) * 1000),
	};

	count(x, &r);
	if (x->refusal.cause == CAUSE_NONE)
		u->events->record(u->ctx, &r);
	else
		ask_record_refused(u, &r, &x->refusal);
}

void
exchange_free(struct exchange *x)
{
	struct upstream *u = x->ask.u;

	if (x->query != NULL)
		resolver_cancel(x->query);
	websocket_free(x);
	if (x->in_multi)
		(void)curl_multi_remove_handle(u->multi, x->easy);
	if (x->easy != NULL)
		transport_give_back(u, x->easy);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->pins);
	answer_clear(x);
	upload_clear(x);
	secret_use_clear(&x->use);
	ev_io_stop(u->loop, &x->readable);
	ev_io_stop(u->loop, &x->writable);
	ask_remove(&x->ask);
	if (x->previous != NULL)
		x->previous->next = x->next;
	else
		u->exchanges = x->next;
	if (x->next != NULL)
		x->next->previous = x->previous;
	free(x);
}

void
exchange_fail(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	struct upstream_end e = {
	    .id = x->ask.id,
	    .length = x->written,
	    .trailers = &x->trailers,
	    .cause = x->refusal.cause,
	};

	record(x);
	fields_reset(&x->trailers);
	if (x->answered)
		u->events->answer_end(u->ctx, &e);
	else
		u->events->refused(u->ctx, x->ask.id, &x->refusal);
	exchange_free(x);
}

void
exchange_end_answered(struct exchange *x)
{
	record(x);
	exchange_free(x);
}

/* The rest, after its head went out. */
static void
send_end(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	const struct upstream_end e = {
	    .id = x->ask.id,
	    .length = x->written,
	    .body = x->out.bytes,
	    .body_length = x->out.length,
	    .trailers = &x->trailers,
	};

	u->events->answer_end(u->ctx, &e);
}

/* All was given out, or fits the last message. */
static void
end_well(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	struct upstream_answer a;

	answer_take_trailers(x);
	record(x);
	a = answer_of(x);
	/* Head and trailers have one cap together in a message: else there are two messages. */
	a.end = fields_size(&x->head) + fields_size(&x->trailers) <= OUTBOUND_HEAD_MAX;
	if (!x->answered) {
		u->events->answer(u->ctx, &a, -1);
		x->out.length = 0;
	}
	if (x->answered || !a.end)
		send_end(x);
	exchange_free(x);
}

void
exchange_finish(struct exchange *x)
{
	bool complete = answer_flush(x);

	if (x->refusal.cause != CAUSE_NONE)
		exchange_fail(x);
	else if (complete)
		end_well(x);
}

static const struct {
	CURLcode code;
	enum cause cause;
	const char *rule;
} failures[] = {
    {CURLE_COULDNT_CONNECT, CAUSE_UNREACHED, "unreached"},
    {CURLE_COULDNT_RESOLVE_PROXY, CAUSE_NO_NAME, "no-name"},
    {CURLE_OPERATION_TIMEDOUT, CAUSE_TIMEOUT, "timeout"},
    {CURLE_SSL_CONNECT_ERROR, CAUSE_TLS, "tls"},
    {CURLE_PEER_FAILED_VERIFICATION, CAUSE_TLS, "tls"},
    {CURLE_SSL_CERTPROBLEM, CAUSE_TLS, "tls"},
    {CURLE_SSL_CIPHER, CAUSE_TLS, "tls"},
    {CURLE_SSL_ISSUER_ERROR, CAUSE_TLS, "tls"},
};

/* libcurl's message may have the origin's words in it, and they a secret. */
static void
refuse_failure(struct exchange *x, CURLcode code)
{
	const char *said = x->curl_error[0] != '\0' ? x->curl_error : curl_easy_strerror(code);
	size_t i, n = sizeof(failures) / sizeof(failures[0]);
	struct buffer words = {0};
	char text[300];

	for (i = 0; i < n && failures[i].code != code; i++)
		;
	if (x->set != NULL && x->set->scrub != 0)
		x->scrubbed |= secrets_scrub_value(x->set, said, strlen(said), &words);
	else
		buffer_add(&words, said, strlen(said));
	log_escape(text, sizeof(text), words.bytes, words.length);
	buffer_wipe(&words);
	refuse(&x->refusal, i < n ? failures[i].cause : CAUSE_BROKEN,
	    i < n ? failures[i].rule : "broken", "%s: %s", x->host, text);
}

void
exchange_curl_done(struct exchange *x, CURLcode result)
{
	const char *address = NULL;

	if (x->address[0] == '\0' &&
	    curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK &&
	    address != NULL)
		snprintf(x->address, sizeof(x->address), "%s", address);
	x->result = result;
	if (result == CURLE_OK && x->upgrade && x->refusal.cause == CAUSE_NONE) {
		websocket_connected(x);
		return;
	}
	x->state = EXCHANGE_DONE;
	(void)curl_multi_remove_handle(x->ask.u->multi, x->easy);
	x->in_multi = false;
	transport_give_back(x->ask.u, x->easy);
	x->easy = NULL;
	if (x->refusal.cause == CAUSE_NONE && result == CURLE_COULDNT_CONNECT)
		x->refusal = x->unopened;
	if (x->refusal.cause == CAUSE_NONE && result != CURLE_OK)
		refuse_failure(x, result);
	else if (x->refusal.cause == CAUSE_NONE && !x->head_done)
		refuse(&x->refusal, CAUSE_BROKEN, "broken", "%s: no answer came", x->host);
	exchange_finish(x);
}

/* ---- Names and addresses ---- */

void
refuse_unresolved(struct refusal *r, const char *host, int error)
{
	if (error == -EBUSY)
		refuse(r, CAUSE_BUDGET, "budget", "%s: too many names are being looked up", host);
	else if (error == -ETIMEDOUT)
		refuse(r, CAUSE_TIMEOUT, "no-name", "%s: no resolver answers", host);
	else
		refuse(r, CAUSE_NO_NAME, "no-name", "%s: %s", host,
		    error == -ENOENT    ? "there is no such name"
		    : error == -ENODATA ? "the name has no address"
					: "the resolver failed");
}

bool
addresses_check(struct upstream *u, const char *host, bool internal, struct resolver_answer *a,
    struct refusal *r)
{
	const char *why = NULL, *last = "no address";
	char text[ADDRESS_TEXT_SIZE] = "";
	size_t i, kept = 0;

	for (i = 0; i < a->n; i++) {
		why = address_refusal(&u->locals->addresses, &a->v[i], internal);
		if (why == NULL) {
			a->v[kept++] = a->v[i];
			continue;
		}
		last = why;
		address_text(&a->v[i], text);
	}
	a->n = kept;
	if (kept == 0)
		refuse(r, CAUSE_DENIED, "internal-address",
		    "%s is at %s (%s), and allow-internal does not name it", host, text, last);
	return kept > 0;
}

static void
resolved(struct exchange *x, const struct resolver_answer *answer)
{
	struct resolver_answer a = *answer;

	x->query = NULL;
	/* With a proxy it is the proxy's address: the user named it. */
	if (a.error != 0)
		refuse_unresolved(&x->refusal, x->host, a.error);
	else if (x->ask.u->config->proxy == NULL)
		(void)addresses_check(x->ask.u, x->host, x->internal, &a, &x->refusal);
	if (x->refusal.cause == CAUSE_NONE)
		transport_send(x, &a);
	if (x->refusal.cause != CAUSE_NONE)
		exchange_fail(x);
}

static void
on_resolved(void *ctx, const struct resolver_answer *a)
{
	resolved(ctx, a);
}

/* http://HOST:PORT: the host. */
static void
proxy_host(const char *proxy, char *host, size_t size)
{
	const char *at = strstr(proxy, "://");
	size_t n;

	at = at != NULL ? at + 3 : proxy;
	n = *at == '[' ? strcspn(++at, "]") : strcspn(at, ":/");
	snprintf(host, size, "%.*s", (int)n, at);
}

void
exchange_peer_host(const struct exchange *x, char *host, size_t size)
{
	const char *proxy = x->ask.u->config->proxy;

	if (proxy != NULL)
		proxy_host(proxy, host, size);
	else
		snprintf(host, size, "%s", x->host);
}

static void
resolve(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	struct resolver_answer a = {0}, own = {.n = 1};
	char host[POLICY_HOST_MAX + 1];

	/* A proxy looks names up and connects; an address says by itself where that would be. */
	if (u->config->proxy != NULL && address_parse(x->host, &own.v[0]) &&
	    !addresses_check(u, x->host, x->internal, &own, &x->refusal)) {
		exchange_fail(x);
		return;
	}
	exchange_peer_host(x, host, sizeof(host));
	if (address_parse(host, &a.v[0]))
		a.n = 1;
	else
		x->query = resolver_ask(u->resolver, host, &a, on_resolved, x);
	if (x->query == NULL)
		resolved(x, &a);
}

/* ---- The beginning ---- */

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct exchange *x = w->data;

	(void)loop;
	(void)events;
	if (x->websocket != NULL)
		websocket_flush(x);
	else
		upload_on_stream(x);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct exchange *x = w->data;

	(void)loop;
	(void)events;
	if (x->websocket != NULL) {
		websocket_flush(x);
		return;
	}
	if (x->state == EXCHANGE_DONE) {
		exchange_finish(x);
		return;
	}
	(void)answer_flush(x);
	if (x->refusal.cause != CAUSE_NONE) {
		exchange_fail(x);
		return;
	}
	answer_resume(x);
}

static struct exchange *
new_exchange(struct upstream *u, const struct request *q)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		abort();
	if (ask_add(u, &x->ask, q->id, ASK_EXCHANGE) < 0) {
		free(x);
		return NULL;
	}
	x->stream = -1;
	ev_io_init(&x->readable, on_readable, -1, EV_READ);
	ev_io_init(&x->writable, on_writable, -1, EV_WRITE);
	x->readable.data = x->writable.data = x;
	x->next = u->exchanges;
	if (x->next != NULL)
		x->next->previous = x;
	u->exchanges = x;
	x->began = x->progress = ev_now(u->loop);
	u->counters.requests++;
	u->counters.active++;
	if (!ev_is_active(&u->sweep))
		ev_timer_again(u->loop, &u->sweep);
	return x;
}

/* Of a request whose form is good. */
static void
describe(struct exchange *x, const struct request *q)
{
	memcpy(x->host, q->host.bytes, q->host.length);
	memcpy(x->method, q->method.bytes, q->method.length);
	x->path_cut = q->path.length > sizeof(x->path);
	x->path_length = x->path_cut ? sizeof(x->path) : q->path.length;
	memcpy(x->path, q->path.bytes, x->path_length);
	x->https = q->https;
	x->port = (uint16_t)q->port;
	x->upgrade = q->upgrade;
}

static bool
within_budget(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	const char *which = ask_spend(u, x->host, &x->budget);

	if (which == NULL && u->counters.active > UPSTREAM_ACTIVE_MAX)
		which = "the number of requests at once";
	if (which != NULL)
		refuse(&x->refusal, CAUSE_BUDGET, "budget", "used up: %s", which);
	return which == NULL;
}

/*
 * Head and first part of the body count before they are sent: many small requests carry as much as
 * a large one.  What libcurl adds to the head is ours.
 */
static void
count_request(struct exchange *x, const struct request *q)
{
	const struct secret_use *use = &x->use;
	const char *which;

	x->bytes_out = strlen(x->method) + strlen(x->host) + use->path.length +
		       use->headers.bytes.length + 4 * use->headers.n + q->body.length;
	which = budget_bytes(&x->ask.u->budget, x->budget, 0, x->bytes_out);
	if (which != NULL)
		refuse(&x->refusal, CAUSE_BUDGET, "budget", "used up: %s", which);
}

static void
refused_at_once(struct upstream *u, const struct request *q, const struct refusal *why)
{
	struct upstream_record r = {
	    .id = q->id,
	    .is_http = true,
	    .method = {q->method.bytes, q->method.length < 32 ? q->method.length : 32},
	    .host = {q->host.bytes,
		q->host.length < POLICY_HOST_MAX ? q->host.length : POLICY_HOST_MAX},
	    .path = {q->path.bytes,
		q->path.length < UPSTREAM_PATH_MAX ? q->path.length : UPSTREAM_PATH_MAX},
	    .cut = q->path.length > UPSTREAM_PATH_MAX,
	    .https = q->https,
	    .port = q->port <= UINT16_MAX ? q->port : 0,
	};

	u->counters.requests++;
	ask_record_refused(u, &r, why);
	u->events->refused(u->ctx, q->id, why);
}

int
upstream_request(struct upstream *u, const struct request *q)
{
	const struct request_rules rules = {
	    .allow = &u->config->allow,
	    .websockets = u->config->websockets,
	    .synthetic = u->config->dns == UPSTREAM_DNS_SYNTHETIC,
	};
	const struct policy_pattern *pattern;
	struct refusal r = {0};
	struct exchange *x;

	if (q->id <= u->last_id || u->n_asks >= OUTBOUND_REQUESTS_MAX)
		return -EPROTO;
	pattern = request_judge(&rules, q, &r);
	if (pattern == NULL) {
		u->last_id = q->id;
		refused_at_once(u, q, &r);
		return 0;
	}
	x = new_exchange(u, q);
	if (x == NULL)
		return -EPROTO;
	x->pattern = pattern;
	describe(x, q);
	x->internal = policy_names(&u->config->internal, x->host) != NULL;
	x->set = secrets_for(&u->config->secrets, x->https, x->host, x->port);
	/* Frames would have to be searched, and written anew. */
	if (x->upgrade && x->set != NULL && x->set->scrub != 0)
		refuse(&x->refusal, CAUSE_DENIED, "secret-websocket",
		    "%s has secrets: no WebSocket is opened there", x->host);
	else if (within_budget(x) &&
		 secrets_put_in(&u->config->secrets, x->set, q, &x->use, &x->refusal))
		upload_init(x, q);
	if (x->refusal.cause == CAUSE_NONE)
		count_request(x, q);
	if (x->refusal.cause != CAUSE_NONE)
		exchange_fail(x);
	else
		resolve(x);
	return 0;
}

int
upstream_request_end(struct upstream *u, uint64_t id, uint64_t length)
{
	struct ask *a = ask_find(u, id);
	struct exchange *x;

	if (a == NULL)
		return id <= u->last_id ? 0 : -EPROTO;
	if (a->kind != ASK_EXCHANGE)
		return -EPROTO;
	x = (struct exchange *)(void *)a;
	if (x->upload_last || !x->has_body)
		return -EPROTO;
	if (upload_end(x, length))
		upload_on_stream(x);
	else
		exchange_fail(x);
	return 0;
}
