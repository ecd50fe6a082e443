/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to HTTP/1.x requests on their way to the guest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http1_server.h"
#include "netproxy/netproxy.h"
#include "netproxy/page.h"

#define CHUNK_MAX  0xffffu
#define CHUNK_HEAD 6u
#define CHUNK_TAIL 2u

/* ---- Bytes that found no room ---- */

bool
http1_flush(struct http1 *h)
{
	struct iovec iov[2];
	unsigned pieces;
	size_t n;

	while (h->out_at < h->out_n) {
		n = stream_reserve(&h->c->stream, h->out_n - h->out_at, iov, &pieces);
		if (n == 0)
			return h->c->stream.broken;
		for (unsigned i = 0; i < pieces; i++) {
			memcpy(iov[i].iov_base, h->out + h->out_at, iov[i].iov_len);
			h->out_at += iov[i].iov_len;
		}
		stream_commit(&h->c->stream, n);
	}
	free(h->out);
	h->out = NULL;
	h->out_n = h->out_at = 0;
	return true;
}

void
http1_send(struct http1 *h, const void *bytes, size_t n)
{
	size_t left = h->out_n - h->out_at;
	uint8_t *all;

	if (left == 0 && stream_write(&h->c->stream, bytes, n))
		return;
	all = malloc(left + n);
	if (all == NULL)
		abort();
	if (left > 0)
		memcpy(all, h->out + h->out_at, left);
	memcpy(all + left, bytes, n);
	free(h->out);
	h->out = all;
	h->out_n = left + n;
	h->out_at = 0;
}

/* ---- Heads ---- */

struct text {
	char *p;
	size_t n, size;
};

/* Status line, our own fields and the framing of a body that is in the same message. */
#define ADDED_MOST 1024u
_Static_assert(OUTBOUND_HEAD_MAX + OUTBOUND_INLINE_MAX + ADDED_MOST <= NETPROXY_SCRATCH,
    "an answer's message fits the buffer");

static void
put(struct text *t, const void *bytes, size_t n)
{
	/* outbound.c let nothing through that is larger, each field with more than ": " and CRLF.
	 */
	if (n > t->size - t->n)
		abort();
	if (n > 0)
		memcpy(t->p + t->n, bytes, n);
	t->n += n;
}

static void
put_string(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void
put_fields(struct text *t, const struct http_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put(t, fields[i].name.s, fields[i].name.n);
		put(t, ": ", 2);
		put(t, fields[i].value.s, fields[i].value.n);
		put(t, "\r\n", 2);
	}
}

static bool
has_body(const struct http1 *h, unsigned status)
{
	return !h->is_head && status != 204 && status != 304 && status != 101;
}

/* How the body is framed, and whether the connection goes on (RFC 9112 6.3). */
static void
put_framing(struct http1 *h, struct text *t, const struct exchange_answer *a)
{
	char line[64];

	h->answer_has_body = has_body(h, a->status);
	if (a->has_length && a->status != 204) {
		(void)snprintf(
		    line, sizeof(line), "content-length: %llu\r\n", (unsigned long long)a->length);
		put_string(t, line);
	} else if (h->answer_has_body && h->minor == 1) {
		h->answer_chunked = true;
		put_string(t, "transfer-encoding: chunked\r\n");
	} else if (h->answer_has_body) {
		h->keep_alive = false;
	}
	/* A body that nobody wants: where it ends cannot be waited for. */
	if (!h->body_read)
		h->keep_alive = false;
	if (!h->keep_alive)
		put_string(t, "connection: close\r\n");
	else if (h->minor == 0)
		put_string(t, "connection: keep-alive\r\n");
	put_string(t, "\r\n");
}

/* Always four digits, so that they can be written after the chunk was read behind them. */
static void
chunk_head(char out[CHUNK_HEAD], size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 4; i++)
		out[i] = digits[n >> (12 - 4 * i) & 0xf];
	out[4] = '\r';
	out[5] = '\n';
}

static void
put_chunk(struct text *t, const uint8_t *bytes, size_t n)
{
	char line[CHUNK_HEAD];

	if (n == 0)
		return;
	chunk_head(line, n);
	put(t, line, CHUNK_HEAD);
	put(t, bytes, n);
	put(t, "\r\n", CHUNK_TAIL);
}

static void
send_head(struct http1 *h, const struct exchange_answer *a)
{
	struct text t = {(char *)h->c->np->out, 0, sizeof(h->c->np->out)};
	char line[32];

	h->head_sent = true;
	(void)snprintf(line, sizeof(line), "HTTP/1.1 %03u ", a->status % 1000u);
	put_string(&t, line);
	put_string(&t, page_phrase(a->status));
	put(&t, "\r\n", 2);
	put_fields(&t, a->fields, a->n_fields);
	if (h->tunnel)
		put_string(&t, "connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
	else
		put_framing(h, &t, a);
	if (h->answer_chunked)
		put_chunk(&t, a->body, a->body_n);
	else if (h->answer_has_body)
		put(&t, a->body, a->body_n);
	if (a->end && h->answer_chunked) {
		put_string(&t, "0\r\n");
		put_fields(&t, a->trailers, a->n_trailers);
		put_string(&t, "\r\n");
	}
	h->answer_done = a->end;
	http1_send(h, t.p, t.n);
}

/* ---- What egress says ---- */

static struct http1 *
http1_of(struct exchange *e)
{
	return (struct http1 *)((char *)e - offsetof(struct http1, exchange));
}

static bool
has_extensions(const struct exchange_answer *a)
{
	for (size_t i = 0; i < a->n_fields; i++)
		if (http_text_is(a->fields[i].name, "sec-websocket-extensions"))
			return true;
	return false;
}

static void
on_answered(struct exchange *e, const struct exchange_answer *a)
{
	struct http1 *h = http1_of(e);
	struct conn *c = h->c;
	const uint8_t *bytes;

	if (a->status == 101) {
		/* Bytes before our answer are no frames of the connection that it opens. */
		if (!h->websocket || a->end || stream_peek(&c->stream, &bytes) > 0) {
			conn_record(c, "early-data-after-upgrade");
			conn_abort(c);
			return;
		}
		h->tunnel = true;
		websocket_watch_init(&h->from_guest, true, has_extensions(a));
		websocket_watch_init(&h->from_world, false, has_extensions(a));
	}
	send_head(h, a);
	conn_pump(c);
}

static void
send_page(struct http1 *h, const struct exchange_refusal *r)
{
	struct page p;

	page_make(&p, r);
	send_head(h, &p.answer);
}

static void
on_refused(struct exchange *e, const struct exchange_refusal *r)
{
	struct http1 *h = http1_of(e);

	send_page(h, r);
	conn_pump(h->c);
}

static void
on_rest(struct exchange *e, const uint8_t *bytes, size_t n, const struct http_field *trailers,
    size_t n_trailers)
{
	struct http1 *h = http1_of(e);
	struct text t = {(char *)h->c->np->out, 0, sizeof(h->c->np->out)};

	/* The body's last bytes may still be in the stream: the trailers wait for them. */
	if (h->answer_chunked && n_trailers > 0) {
		put_fields(&t, trailers, n_trailers);
		free(h->trailers);
		h->trailers = malloc(t.n);
		if (h->trailers == NULL)
			abort();
		memcpy(h->trailers, t.p, t.n);
		h->trailers_n = t.n;
		t.n = 0;
	}
	if (h->answer_chunked)
		put_chunk(&t, bytes, n);
	else if (h->answer_has_body)
		put(&t, bytes, n);
	if (t.n > 0)
		http1_send(h, t.p, t.n);
}

static void
on_moved(struct exchange *e)
{
	struct http1 *h = http1_of(e);

	h->c->active = netproxy_now(h->c->np);
	conn_pump(h->c);
}

const struct exchange_events http1_events = {
    .answered = on_answered,
    .refused = on_refused,
    .moved = on_moved,
    .rest = on_rest,
};

void
http1_refuse(struct http1 *h, unsigned status, const char *rule, const char *text)
{
	struct exchange_refusal r;

	/* What was under way is over; the page is the answer.  A head that is out cannot be
	 * answered twice. */
	exchange_clear(&h->exchange);
	if (h->head_sent) {
		conn_abort(h->c);
		return;
	}
	page_refusal(&r, status, rule, text);
	send_page(h, &r);
}

/* ---- Bodies ---- */

/* Leaves room for a chunk's head and tail around what is read.  Returns the room between. */
static size_t
cut_chunk(struct iovec iov[2], unsigned pieces, struct iovec body[2], size_t total)
{
	size_t skip = CHUNK_HEAD, left = total - CHUNK_HEAD - CHUNK_TAIL;

	for (unsigned i = 0; i < pieces; i++) {
		size_t s = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t m = iov[i].iov_len - s < left ? iov[i].iov_len - s : left;

		body[i].iov_base = (uint8_t *)iov[i].iov_base + s;
		body[i].iov_len = m;
		skip -= s;
		left -= m;
	}
	return total - CHUNK_HEAD - CHUNK_TAIL;
}

static void
write_at(struct iovec iov[2], size_t at, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++, at++) {
		if (at < iov[0].iov_len)
			((uint8_t *)iov[0].iov_base)[at] = (uint8_t)bytes[i];
		else
			((uint8_t *)iov[1].iov_base)[at - iov[0].iov_len] = (uint8_t)bytes[i];
	}
}

/* Reads once from egress into the guest's room.  Returns bytes, 0 where none moved, or -EPIPE. */
static ssize_t
move_chunk(struct http1 *h)
{
	struct iovec iov[2], body[2];
	char line[CHUNK_HEAD];
	unsigned pieces;
	size_t room =
	    stream_reserve(&h->c->stream, CHUNK_MAX + CHUNK_HEAD + CHUNK_TAIL, iov, &pieces);
	ssize_t n;

	if (room <= CHUNK_HEAD + CHUNK_TAIL)
		return 0;
	cut_chunk(iov, pieces, body, room);
	n = exchange_read(&h->exchange, body, pieces);
	if (n <= 0)
		return n;
	chunk_head(line, (size_t)n);
	write_at(iov, 0, line, CHUNK_HEAD);
	write_at(iov, CHUNK_HEAD + (size_t)n, "\r\n", CHUNK_TAIL);
	stream_commit(&h->c->stream, (size_t)n + CHUNK_HEAD + CHUNK_TAIL);
	return n;
}

static ssize_t
move_plain(struct http1 *h)
{
	struct iovec iov[2];
	unsigned pieces;
	ssize_t n;

	if (stream_reserve(&h->c->stream, NETPROXY_SCRATCH * 4, iov, &pieces) == 0)
		return 0;
	n = exchange_read(&h->exchange, iov, pieces);
	if (n > 0)
		stream_commit(&h->c->stream, (size_t)n);
	return n;
}

int
http1_pump_answer(struct http1 *h)
{
	ssize_t n;

	do {
		if (exchange_is_complete(&h->exchange)) {
			struct text t = {(char *)h->c->np->out, 0, sizeof(h->c->np->out)};

			if (h->answer_chunked) {
				put_string(&t, "0\r\n");
				put(&t, h->trailers, h->trailers_n);
				put_string(&t, "\r\n");
				http1_send(h, t.p, t.n);
			}
			h->answer_done = true;
			return 0;
		}
		if (h->exchange.broken)
			return -EPIPE;
		n = h->answer_chunked ? move_chunk(h) : move_plain(h);
		if (n < 0)
			return -EPIPE;
	} while (n > 0 || exchange_is_complete(&h->exchange));
	return 0;
}
