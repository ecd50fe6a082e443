/* SPDX-License-Identifier: Apache-2.0 */
/* TCP options: RFC 9293 3.1, RFC 7323, RFC 2018. */
#include <errno.h>
#include <string.h>

#include "netproxy/stack_internal.h"

enum tcp_option {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_SCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMP = 8,
};

static void
sack_take(struct tcp_options *o, const uint8_t *p, size_t n)
{
	for (; n >= 8 && o->n_sack < 4; p += 8, n -= 8)
		o->sack[o->n_sack++] = (struct tcp_range){wire_get32(p), wire_get32(p + 4)};
}

/* One option of n bytes with its head.  False where its length is wrong for its kind. */
static bool
option_take(struct tcp_options *o, const uint8_t *p, size_t n, bool syn)
{
	switch (p[0]) {
	case OPTION_MSS:
		if (n != 4)
			return false;
		o->has_mss = syn;
		o->mss = wire_get16(p + 2);
		return true;
	case OPTION_SCALE:
		if (n != 3)
			return false;
		o->has_scale = syn;
		o->scale = p[2];
		return true;
	case OPTION_SACK_PERMITTED:
		if (n != 2)
			return false;
		o->sack_ok = syn;
		return true;
	case OPTION_SACK:
		if (n < 10 || (n - 2) % 8 != 0)
			return false;
		sack_take(o, p + 2, n - 2);
		return true;
	case OPTION_TIMESTAMP:
		if (n != 10)
			return false;
		o->has_timestamp = true;
		o->ts_value = wire_get32(p + 2);
		o->ts_echo = wire_get32(p + 6);
		return true;
	default:
		return true;
	}
}

int
tcp_options_parse(struct tcp_options *o, const uint8_t *p, size_t n, bool syn)
{
	size_t size;

	memset(o, 0, sizeof(*o));
	while (n > 0 && p[0] != OPTION_END) {
		if (p[0] == OPTION_NOP) {
			p++;
			n--;
			continue;
		}
		if (n < 2)
			return -EPROTO;
		size = p[1];
		if (size < 2 || size > n || !option_take(o, p, size, syn))
			return -EPROTO;
		p += size;
		n -= size;
	}
	return 0;
}
