/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket after its handshake: bytes both ways, their framing watched. */
#include <errno.h>
#include <string.h>

#include "netproxy/http1_server.h"
#include "netproxy/netproxy.h"

static int
watch(struct websocket_watch *w, const struct iovec *iov, unsigned pieces, size_t n)
{
	for (unsigned i = 0; i < pieces && n > 0; i++) {
		size_t m = iov[i].iov_len < n ? iov[i].iov_len : n;

		if (websocket_watch(w, iov[i].iov_base, m) < 0)
			return -EPROTO;
		n -= m;
	}
	return 0;
}

static int
from_guest(struct http1 *h)
{
	struct websocket_watch before;
	struct iovec iov;
	const uint8_t *bytes;
	ssize_t wrote = 1;
	size_t n;

	while (!h->guest_done && wrote > 0) {
		n = stream_peek(&h->c->stream, &bytes);
		if (n == 0) {
			if (stream_ended(&h->c->stream)) {
				h->guest_done = true;
				exchange_shutdown(&h->exchange);
			}
			return 0;
		}
		memcpy(&iov.iov_base, &bytes, sizeof(bytes));
		iov.iov_len = n;
		/* All of it is checked before any of it goes; what did not go is looked at again.
		 */
		before = h->from_guest;
		if (watch(&h->from_guest, &iov, 1, n) < 0)
			return -EPROTO;
		wrote = exchange_write(&h->exchange, &iov, 1);
		if (wrote < 0)
			return -EPROTO;
		if ((size_t)wrote < n) {
			h->from_guest = before;
			(void)watch(&h->from_guest, &iov, 1, (size_t)wrote);
		}
		stream_consume(&h->c->stream, (size_t)wrote);
	}
	return 0;
}

static int
from_world(struct http1 *h)
{
	struct iovec iov[2];
	unsigned pieces;
	ssize_t n = 1;

	while (!h->world_done && n > 0) {
		if (exchange_is_complete(&h->exchange)) {
			h->world_done = true;
			return 0;
		}
		if (stream_reserve(&h->c->stream, NETPROXY_SCRATCH, iov, &pieces) == 0)
			return 0;
		n = exchange_read(&h->exchange, iov, pieces);
		if (n < 0 || (n > 0 && watch(&h->from_world, iov, pieces, (size_t)n) < 0))
			return -EPROTO;
		if (n > 0)
			stream_commit(&h->c->stream, (size_t)n);
	}
	if (exchange_is_complete(&h->exchange))
		h->world_done = true;
	return 0;
}

int
http1_pump_tunnel(struct http1 *h)
{
	if (from_world(h) < 0 || from_guest(h) < 0)
		return -EPROTO;
	return h->world_done;
}
