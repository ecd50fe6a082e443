/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of HTTP/1.x requests on their way from the guest to egress. */
#include <errno.h>
#include <string.h>

#include "netproxy/http1_server.h"
#include "netproxy/netproxy.h"

static int
fail(struct http1_refusal *refusal, const char *reason)
{
	refusal->status = 400;
	refusal->reason = reason;
	return -EPROTO;
}

/* Hands n bytes over.  Returns how many were taken. */
static size_t
push(struct http1 *h, const uint8_t *bytes, size_t n)
{
	struct iovec iov;
	ssize_t wrote;

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	iov.iov_len = n;
	wrote = exchange_write(&h->exchange, &iov, 1);
	/* Nobody reads any more: the answer, which says why, is on its way. */
	return wrote < 0 ? 0 : (size_t)wrote;
}

static void
end_body(struct http1 *h)
{
	h->body_read = true;
	exchange_end_request(&h->exchange, h->chunked.fields, h->chunked.n_fields);
}

/* One step of a chunked body.  Returns whether there may be another. */
static int
step_chunked(struct http1 *h, const uint8_t *bytes, size_t n, struct http1_refusal *refusal)
{
	size_t taken, data, wrote;
	int event = http1_chunked_next(&h->chunked, bytes, n, &taken, &data, refusal);

	if (event < 0)
		return event;
	stream_consume(&h->c->stream, taken);
	if (event == HTTP1_CHUNKED_END)
		end_body(h);
	if (event != HTTP1_CHUNKED_DATA)
		return event == HTTP1_CHUNKED_MORE;
	if (!h->exchange.wanted)
		return 0;
	wrote = push(h, bytes + taken, data);
	if (wrote == 0)
		return 0;
	http1_chunked_data(&h->chunked, wrote);
	stream_consume(&h->c->stream, wrote);
	return 1;
}

static int
step_length(struct http1 *h, const uint8_t *bytes, size_t n)
{
	size_t wrote = push(h, bytes, n < h->left ? n : (size_t)h->left);

	if (wrote == 0)
		return 0;
	stream_consume(&h->c->stream, wrote);
	h->left -= wrote;
	if (h->left == 0)
		end_body(h);
	return 1;
}

int
http1_pump_body(struct http1 *h, struct http1_refusal *refusal)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const uint8_t *bytes;
	size_t n;
	int rc = 1;

	/* An answer that goes on may be one to what the guest still sends. */
	if (!h->exchange.wanted || h->exchange.final)
		return 0;
	if (h->body == HTTP1_BODY_LENGTH && h->left == 0)
		end_body(h);
	while (rc > 0 && !h->body_read) {
		n = stream_peek(&h->c->stream, &bytes);
		if (n == 0) {
			if (stream_ended(&h->c->stream))
				return fail(refusal, "the body is shorter than was said");
			if (h->expect_continue && !h->head_sent)
				http1_send(h, go_on, sizeof(go_on) - 1);
			h->expect_continue = false;
			return 0;
		}
		h->expect_continue = false;
		rc = h->body == HTTP1_BODY_CHUNKED ? step_chunked(h, bytes, n, refusal)
						   : step_length(h, bytes, n);
	}
	return rc < 0 ? rc : 0;
}
