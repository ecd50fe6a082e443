/* SPDX-License-Identifier: Apache-2.0 */
/* Escapes, each read from its own few bytes: no state. */
#include "egress/unescape.h"

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum unescaped
percent(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	if (n == 1)
		return b[0] == '%' ? UNESCAPED_MORE : UNESCAPED_NONE;
	if (hex(b[n - 1]) < 0)
		return UNESCAPED_NONE;
	if (n < 3)
		return UNESCAPED_MORE;
	out[0] = (uint8_t)(hex(b[1]) * 16 + hex(b[2]));
	*out_n = 1;
	return UNESCAPED_WHOLE;
}

static const struct {
	uint8_t begins;
	enum unescaped (*read)(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n);
} notations[NOTATIONS] = {
    [NOTATION_PERCENT] = {'%', percent},
};

enum unescaped
unescape(enum notation notation, const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	return notations[notation].read(b, n, out, out_n);
}

unsigned
unescape_begins(uint8_t byte)
{
	unsigned i, bits = 0;

	for (i = 0; i < NOTATIONS; i++)
		if (notations[i].begins == byte)
			bits |= 1u << i;
	return bits;
}
