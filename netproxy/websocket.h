/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket framing (RFC 6455 5) of one direction, watched as the bytes go by: nothing is buffered
 * or changed.  It keeps a connection that was allowed as a WebSocket from carrying something else.
 */
#ifndef GONDOLIN_NETPROXY_WEBSOCKET_H
#define GONDOLIN_NETPROXY_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct websocket_watch {
	bool masked;     /* of a client: each frame is; of a server: none is */
	bool extensions; /* negotiated: reserved bits may be set on data frames */
	bool fragmented; /* a message is under way */
	bool closed;     /* a close frame went by: nothing may follow it */
	unsigned have;   /* bytes of the header */
	uint8_t header[14];
	uint64_t left; /* bytes of the payload */
};

void websocket_watch_init(struct websocket_watch *w, bool masked, bool extensions);

/* Looks at n more bytes.  Returns 0, or -EPROTO where they break the framing. */
int websocket_watch(struct websocket_watch *w, const uint8_t *bytes, size_t n);

#endif
