/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets (RFC 6455): the handshake is judged like any request and written here, on a connection
 * that libcurl made and keeps; after 101 the bytes go both ways as they are.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/upstream_internal.h"
#include "ipc/outbound.h"
#include "ipc/packet.h"

#define HEAD_MAX 32768u

struct websocket {
	ev_io origin; /* libcurl's socket, which libcurl closes */
	struct buffer outward, inward;
	bool open;          /* 101 was answered */
	bool outward_ended; /* the guest ended its half */
	bool inward_ended;
};

static void pump(struct exchange *x);

static void
on_origin(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	pump(w->data);
}

/* ---- The handshake ---- */

static void
add_line(struct buffer *b, const char *name, size_t n, const char *value, size_t m)
{
	buffer_add(b, name, n);
	buffer_add(b, ": ", 2);
	buffer_add(b, value, m);
	buffer_add(b, "\r\n", 2);
}

static void
write_handshake(struct exchange *x, struct buffer *b)
{
	bool v6 = strchr(x->host, ':') != NULL;
	char host[POLICY_HOST_MAX + 16], port[8] = "";
	struct field f;
	size_t i;

	if (x->port != (x->https ? 443 : 80))
		snprintf(port, sizeof(port), ":%u", x->port);
	snprintf(host, sizeof(host), "%s%s%s%s", v6 ? "[" : "", x->host, v6 ? "]" : "", port);
	buffer_add(b, "GET ", 4);
	buffer_add(b, x->use.path.bytes, x->use.path.length - 1); /* transport_send ended it */
	buffer_add(b, " HTTP/1.1\r\n", 11);
	add_line(b, "Host", 4, host, strlen(host));
	add_line(b, "Connection", 10, "Upgrade", 7);
	add_line(b, "Upgrade", 7, "websocket", 9);
	for (i = 0; i < x->use.headers.n; i++) {
		f = fields_get(&x->use.headers, i);
		add_line(b, f.name, f.name_length, f.value, f.value_length);
	}
	buffer_add(b, "\r\n", 2);
}

/* Sec-WebSocket-Accept of our key (RFC 6455 4.2.2). */
static bool
accept_is_right(const struct exchange *x)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buffer text = {0}, encoded = {0};
	unsigned n = 0;
	struct field key, said;
	bool right;

	if (!fields_find(&x->use.headers, "sec-websocket-key", &key) ||
	    !fields_find(&x->head, "sec-websocket-accept", &said))
		return false;
	buffer_add(&text, key.value, key.value_length);
	buffer_add(&text, guid, sizeof(guid) - 1);
	right = EVP_Digest(text.bytes, text.length, digest, &n, EVP_sha1(), NULL) == 1;
	base64_encode(digest, n, &encoded);
	right = right && encoded.length == said.value_length &&
		memcmp(encoded.bytes, said.value, said.value_length) == 0;
	buffer_clear(&text);
	buffer_clear(&encoded);
	return right;
}

static void
fail(struct exchange *x, const char *text)
{
	if (x->refusal.cause == CAUSE_NONE)
		refuse(&x->refusal, CAUSE_BROKEN, "bad-answer", "%s: %s", x->host, text);
}

/* The head is there: 101 opens the stream; another status is an answer without its body. */
static void
answer_handshake(struct exchange *x)
{
	struct upstream *u = x->ask.u;
	struct upstream_answer a = {
	    .id = x->ask.id, .status = x->status, .headers = &x->head, .trailers = &x->trailers};
	int peer;

	if (x->status != 101) {
		a.end = true;
		u->events->answer(u->ctx, &a, -1);
		x->answered = true;
		x->websocket->inward_ended = x->websocket->outward_ended = true;
		return;
	}
	if (!accept_is_right(x)) {
		fail(x, "the handshake's answer is not to its key");
		return;
	}
	if (!stream_open(x, &peer)) {
		refuse(&x->refusal, CAUSE_BUDGET, "budget", "too many descriptors are open");
		return;
	}
	a.streamed = x->answered = x->websocket->open = true;
	u->events->answer(u->ctx, &a, peer);
	close(peer);
}

static void
take_head(struct exchange *x)
{
	struct websocket *w = x->websocket;
	const char *line, *end;
	size_t left, n;

	while (!x->head_done && x->refusal.cause == CAUSE_NONE) {
		line = (const char *)w->inward.bytes;
		left = w->inward.length;
		end = left > 0 ? memchr(line, '\n', left) : NULL;
		if (end == NULL) {
			if (left > HEAD_MAX)
				fail(x, "the answer's head is too long");
			return;
		}
		n = (size_t)(end - line);
		if (n == 0 || line[n - 1] != '\r')
			fail(x, "a line of the answer's head is no field");
		else if (answer_take_line(x, line, n - 1))
			buffer_drop(&w->inward, n + 1);
		if (x->head_done)
			answer_handshake(x);
	}
}

/* ---- Both ways ---- */

/* Each returns true where something moved. */

static bool
from_origin(struct exchange *x)
{
	struct websocket *w = x->websocket;
	IPC_SCRATCH char chunk[16384];
	size_t n = 0;
	CURLcode rc;

	if (w->inward_ended || w->inward.length >= UPSTREAM_HELD)
		return false;
	rc = curl_easy_recv(x->easy, chunk, sizeof(chunk), &n);
	if (rc == CURLE_AGAIN)
		return false;
	if (rc != CURLE_OK || n == 0) {
		w->inward_ended = true;
		return true;
	}
	x->bytes_in += n;
	if (budget_bytes(&x->ask.u->budget, x->budget, n, 0) != NULL)
		refuse(&x->refusal, CAUSE_BUDGET, "budget", "bytes-in is used up");
	buffer_add(&w->inward, chunk, n);
	if (!x->head_done)
		take_head(x);
	return true;
}

static bool
to_origin(struct exchange *x)
{
	struct websocket *w = x->websocket;
	size_t n = 0;
	CURLcode rc;

	if (w->outward.length == 0)
		return false;
	rc = curl_easy_send(x->easy, w->outward.bytes, w->outward.length, &n);
	if (rc == CURLE_AGAIN)
		return false;
	if (rc != CURLE_OK)
		fail(x, "the connection broke off");
	buffer_drop(&w->outward, n);
	return rc == CURLE_OK && n > 0;
}

static bool
from_guest(struct exchange *x)
{
	struct websocket *w = x->websocket;
	IPC_SCRATCH char chunk[16384];
	ssize_t n;

	if (!w->open || w->outward_ended || w->outward.length >= UPSTREAM_HELD)
		return false;
	n = read(x->stream, chunk, sizeof(chunk));
	if (n < 0)
		return false;
	if (n == 0) {
		w->outward_ended = true;
		return true;
	}
	x->bytes_out += (uint64_t)n;
	if (budget_bytes(&x->ask.u->budget, x->budget, 0, (uint64_t)n) != NULL)
		refuse(&x->refusal, CAUSE_BUDGET, "budget", "bytes-out is used up");
	buffer_add(&w->outward, chunk, (size_t)n);
	return true;
}

static bool
to_guest(struct exchange *x)
{
	struct websocket *w = x->websocket;
	ssize_t n;

	if (!w->open || w->inward.length == 0)
		return false;
	n = send(x->stream, w->inward.bytes, w->inward.length, MSG_NOSIGNAL);
	if (n < 0)
		return false;
	x->written += (uint64_t)n;
	buffer_drop(&w->inward, (size_t)n);
	return true;
}

static void
watch(struct ev_loop *loop, ev_io *w, int fd, int events)
{
	ev_io_stop(loop, w);
	if (events == 0)
		return;
	ev_io_set(w, fd, events);
	ev_io_start(loop, w);
}

/* WebSockets close by frames; a half that ends without is the end of both. */
static bool
is_over(const struct websocket *w)
{
	return (w->inward_ended && w->inward.length == 0) ||
	       (w->outward_ended && w->outward.length == 0);
}

static void
end(struct exchange *x)
{
	if (x->refusal.cause == CAUSE_NONE && !x->answered)
		fail(x, "no answer came");
	if (x->refusal.cause == CAUSE_NONE && !x->websocket->open) {
		exchange_end_answered(x);
		return;
	}
	exchange_fail(x);
}

static void
pump(struct exchange *x)
{
	struct websocket *w = x->websocket;
	struct ev_loop *loop = x->ask.u->loop;
	unsigned turns = 0;
	bool moved;

	do {
		moved = to_origin(x);
		moved = from_origin(x) || moved;
		moved = to_guest(x) || moved;
		moved = from_guest(x) || moved;
		if (moved)
			x->progress = ev_now(loop);
		if (x->refusal.cause != CAUSE_NONE || is_over(w)) {
			end(x);
			return;
		}
	} while (moved && ++turns < 16);
	watch(loop, &w->origin, w->origin.fd,
	    (w->inward.length < UPSTREAM_HELD ? EV_READ : 0) |
		(w->outward.length > 0 ? EV_WRITE : 0));
	if (!w->open)
		return;
	watch(loop, &x->readable, x->stream, w->outward.length < UPSTREAM_HELD ? EV_READ : 0);
	watch(loop, &x->writable, x->stream, w->inward.length > 0 ? EV_WRITE : 0);
	/* What TLS holds already makes no socket readable. */
	if (turns == 16)
		ev_feed_event(loop, &w->origin, EV_READ);
}

void
websocket_connected(struct exchange *x)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	x->websocket = calloc(1, sizeof(*x->websocket));
	if (x->websocket == NULL)
		abort();
	if (curl_easy_getinfo(x->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD) {
		fail(x, "the connection broke off");
		exchange_fail(x);
		return;
	}
	ev_io_init(&x->websocket->origin, on_origin, fd, EV_READ);
	x->websocket->origin.data = x;
	write_handshake(x, &x->websocket->outward);
	pump(x);
}

void
websocket_flush(struct exchange *x)
{
	pump(x);
}

void
websocket_free(struct exchange *x)
{
	struct websocket *w = x->websocket;

	if (w == NULL)
		return;
	ev_io_stop(x->ask.u->loop, &w->origin);
	ev_clear_pending(x->ask.u->loop, &w->origin);
	buffer_wipe(&w->outward);
	buffer_clear(&w->inward);
	free(w);
	x->websocket = NULL;
}
