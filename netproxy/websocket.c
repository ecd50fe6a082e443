/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket framing of one direction, watched as the bytes go by. */
#include "netproxy/websocket.h"

#include <errno.h>
#include <string.h>

#define FIN          0x80u
#define RESERVED     0x70u
#define OPCODE       0x0fu
#define MASKED       0x80u
#define LENGTH       0x7fu
#define CONTINUATION 0x0u
#define BINARY       0x2u
#define CONTROL      0x8u
#define CLOSE        0x8u
#define PONG         0xau

void
websocket_watch_init(struct websocket_watch *w, bool masked, bool extensions)
{
	memset(w, 0, sizeof(*w));
	w->masked = masked;
	w->extensions = extensions;
}

static unsigned
header_length(const struct websocket_watch *w)
{
	unsigned n = 2 + (w->masked ? 4 : 0);

	if (w->have < 2)
		return 2;
	if ((w->header[1] & LENGTH) == 126)
		n += 2;
	else if ((w->header[1] & LENGTH) == 127)
		n += 8;
	return n;
}

/* RFC 6455 5.2: minimal, and the highest bit is 0. */
static int
payload_length(const struct websocket_watch *w, uint64_t *length)
{
	unsigned code = w->header[1] & LENGTH, bytes = code == 126 ? 2 : code == 127 ? 8 : 0;

	*length = bytes == 0 ? code : 0;
	for (unsigned i = 0; i < bytes; i++)
		*length = *length << 8 | w->header[2 + i];
	if ((bytes == 2 && *length < 126) || (bytes == 8 && *length <= UINT16_MAX) ||
	    *length > INT64_MAX)
		return -EPROTO;
	return 0;
}

static int
check_header(struct websocket_watch *w)
{
	unsigned opcode = w->header[0] & OPCODE, reserved = w->header[0] & RESERVED;
	bool fin = (w->header[0] & FIN) != 0;

	if (((w->header[1] & MASKED) != 0) != w->masked || w->closed)
		return -EPROTO;
	if ((opcode > BINARY && opcode < CONTROL) || opcode > PONG)
		return -EPROTO;
	if (reserved != 0 && (!w->extensions || opcode >= CONTROL))
		return -EPROTO;
	if (opcode >= CONTROL) {
		w->closed = opcode == CLOSE;
		return fin && (w->header[1] & LENGTH) < 126 ? 0 : -EPROTO;
	}
	if ((opcode == CONTINUATION) != w->fragmented)
		return -EPROTO;
	w->fragmented = !fin;
	return 0;
}

int
websocket_watch(struct websocket_watch *w, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		if (w->left > 0) {
			size_t skip = n < w->left ? n : (size_t)w->left;

			w->left -= skip;
			bytes += skip;
			n -= skip;
			continue;
		}
		w->header[w->have++] = *bytes++;
		n--;
		if (w->have == 2 && check_header(w) < 0)
			return -EPROTO;
		if (w->have < header_length(w))
			continue;
		if (payload_length(w, &w->left) < 0)
			return -EPROTO;
		w->have = 0;
	}
	return 0;
}
