/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x towards the guest.  One request at a time: the next head is not read before the answer
 * to the one before is complete, so that pipelined requests wait in the flow's window.
 */
#include "netproxy/http1_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/netproxy.h"

static void
http1_free(struct conn *c)
{
	struct http1 *h = c->state;

	exchange_clear(&h->exchange);
	http1_chunked_clear(&h->chunked);
	free(h->head);
	free(h->trailers);
	free(h->out);
	free(h);
}

/* ---- Heads ---- */

/* The request is not one that egress should see. */
static void
on_bad_request(struct http1 *h, const struct http1_refusal *refusal)
{
	conn_record_bad(h->c, refusal->status, refusal->reason);
	h->keep_alive = false;
	http1_refuse(h, refusal->status, "bad-request", refusal->reason);
}

static void
fill_request(struct http1 *h, const struct http1_request *r, struct exchange_request *out)
{
	struct conn *c = h->c;

	*out = (struct exchange_request){
	    .https = c->stream.ssl != NULL,
	    .host = r->authority.host,
	    .port = r->authority.port,
	    .sni = c->sni,
	    .destination = c->destination,
	    .to = &c->addresses.destination,
	    .method = r->method,
	    .path = r->target,
	    .fields = r->fields,
	    .n_fields = r->n_fields,
	    .websocket = r->websocket,
	    .has_body = r->body != HTTP1_BODY_NONE,
	    .has_length = r->body == HTTP1_BODY_LENGTH,
	    .length = r->body == HTTP1_BODY_LENGTH ? r->length : 0,
	    .end = r->body == HTTP1_BODY_NONE,
	};
	if (out->port == 0)
		out->port = out->https ? 443 : 80;
}

/* A short body that is there already travels with its request. */
static void
take_body(struct http1 *h, struct exchange_request *out)
{
	const uint8_t *bytes = NULL;
	size_t n;

	if (h->body != HTTP1_BODY_LENGTH || h->left > OUTBOUND_INLINE_MAX)
		return;
	n = h->left > 0 ? stream_peek(&h->c->stream, &bytes) : 0;
	if (n < h->left)
		return;
	out->body = bytes;
	out->body_n = (size_t)h->left;
	out->end = true;
}

static void
start_request(struct http1 *h, struct http1_request *r)
{
	struct exchange_request out;
	int rc;

	h->busy = true;
	h->c->deadline = UINT64_MAX;
	h->minor = r->minor;
	h->is_head = http_text_is(r->method, "HEAD");
	h->websocket = r->websocket;
	h->keep_alive = r->keep_alive && !r->websocket;
	h->expect_continue = r->expect_continue;
	h->body = r->body;
	h->left = r->body == HTTP1_BODY_LENGTH ? r->length : 0;
	h->body_read = r->body == HTTP1_BODY_NONE;
	h->head_sent = h->answer_chunked = h->answer_has_body = h->answer_done = false;
	http1_chunked_init(&h->chunked);
	fill_request(h, r, &out);
	if (r->absolute && r->absolute_https != out.https) {
		on_bad_request(h, &(struct http1_refusal){
				      400, "the target's scheme is not that of the connection"});
		return;
	}
	take_body(h, &out);
	rc = exchange_start(&h->exchange, &h->c->np->outbound, &out, &http1_events);
	if (out.end && out.body_n > 0)
		stream_consume(&h->c->stream, out.body_n);
	if (out.end)
		h->body_read = true;
	if (rc < 0)
		http1_refuse(h, rc == -EMSGSIZE ? 431 : 503, NULL,
		    rc == -EMSGSIZE ? "the request's head is too long"
				    : "too many requests are under way");
}

/*
 * Reads the next head.  Returns it, its length in *n, or NULL where it is not complete.  Valid
 * until the next call for any connection.
 */
static char *
next_head(struct http1 *h, size_t *n)
{
	char *scratch = (char *)h->c->np->head;
	const uint8_t *bytes;
	size_t have, take, before;

	for (;;) {
		have = stream_peek(&h->c->stream, &bytes);
		if (have == 0)
			return NULL;
		if (h->head_n == 0) {
			*n = http1_head_length((const char *)bytes, have, 0);
			if (*n > 0 && *n <= HTTP1_HEAD_MAX) {
				memcpy(scratch, bytes, *n);
				stream_consume(&h->c->stream, *n);
				return scratch;
			}
		}
		if (h->head == NULL)
			h->head = malloc(HTTP1_HEAD_MAX);
		if (h->head == NULL)
			abort();
		take = have < HTTP1_HEAD_MAX - h->head_n ? have : HTTP1_HEAD_MAX - h->head_n;
		memcpy(h->head + h->head_n, bytes, take);
		before = h->head_n;
		h->head_n += take;
		*n = http1_head_length(h->head, h->head_n, before);
		if (*n == 0 && h->head_n == HTTP1_HEAD_MAX)
			*n = h->head_n; /* too long, as the parser will say */
		stream_consume(&h->c->stream, *n > 0 ? *n - before : take);
		if (*n == 0)
			continue;
		memcpy(scratch, h->head, *n);
		free(h->head);
		h->head = NULL;
		h->head_n = 0;
		return scratch;
	}
}

/* Returns whether a request was begun. */
static bool
read_head(struct http1 *h)
{
	struct http1_request *r = &h->c->np->request;
	struct http1_refusal refusal;
	size_t n;
	char *head = next_head(h, &n);

	if (head == NULL) {
		if (h->head_n > 0 && h->c->deadline == UINT64_MAX)
			h->c->deadline = netproxy_now(h->c->np) + h->c->np->request_ms * 1000ull;
		if (stream_ended(&h->c->stream))
			conn_close(h->c);
		return false;
	}
	if (n == HTTP1_HEAD_MAX && memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
		refusal = (struct http1_refusal){431, "a head over 32768 bytes"};
	} else if (http1_request_parse(r, head, n, &refusal) == 0) {
		start_request(h, r);
		return true;
	}
	h->busy = true;
	h->minor = 1;
	h->head_sent = h->answer_done = h->is_head = h->websocket = false;
	h->body_read = false;
	on_bad_request(h, &refusal);
	return true;
}

/* ---- The pump ---- */

/* The answer is complete and sent: the next request, or the end. */
static void
next_request(struct http1 *h)
{
	exchange_clear(&h->exchange);
	http1_chunked_clear(&h->chunked);
	free(h->trailers);
	h->trailers = NULL;
	h->trailers_n = 0;
	h->busy = false;
	if (!h->keep_alive || !h->body_read)
		conn_linger(h->c);
}

static void
http1_pump(struct conn *c)
{
	struct http1 *h = c->state;
	struct http1_refusal refusal;

	for (;;) {
		if (!http1_flush(h))
			return;
		if (!h->busy && !read_head(h))
			return;
		if (h->tunnel) {
			int rc = http1_pump_tunnel(h);

			if (rc < 0)
				conn_abort(c);
			else if (rc > 0)
				conn_linger(c);
			return;
		}
		if (!h->body_read && http1_pump_body(h, &refusal) < 0)
			on_bad_request(h, &refusal);
		if (c->dead)
			return;
		if (!http1_flush(h))
			return;
		if (h->head_sent && !h->answer_done && http1_pump_answer(h) < 0) {
			conn_abort(c);
			return;
		}
		if (!h->answer_done || !http1_flush(h))
			break;
		next_request(h);
		if (c->dead || c->state != h)
			return;
	}
	/* Who asked and went away entirely cannot be told from who just ended its half. */
	if (c->stream.broken)
		conn_abort(c);
}

static void
http1_late(struct conn *c)
{
	struct http1 *h = c->state;

	h->busy = true;
	h->minor = 1;
	h->keep_alive = h->body_read = false;
	http1_refuse(h, 408, NULL, "the request's head did not come in time");
	conn_pump(c);
}

static const struct conn_protocol http1_protocol = {
    .pump = http1_pump,
    .late = http1_late,
    .free = http1_free,
};

void
http1_start(struct conn *c)
{
	struct http1 *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	h->c = c;
	conn_set_protocol(c, &http1_protocol, h);
	c->deadline = netproxy_now(c->np) + c->np->request_ms * 1000ull;
	http1_pump(c);
}
