/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, by the ranges of RFC 3629 section 4. */
#include "ipc/utf8.h"

#include <stdbool.h>

static bool
between(char c, uint8_t low, uint8_t high)
{
	return (uint8_t)c >= low && (uint8_t)c <= high;
}

size_t
utf8_sequence(const char *s, size_t n)
{
	/* First byte's range, its sequence's length, and the range of the second byte. */
	static const struct {
		uint8_t first_low, first_high, length, second_low, second_high;
	} forms[] = {
	    {0x00, 0x7f, 1, 0, 0},
	    {0xc2, 0xdf, 2, 0x80, 0xbf},
	    {0xe0, 0xe0, 3, 0xa0, 0xbf},
	    {0xe1, 0xec, 3, 0x80, 0xbf},
	    {0xed, 0xed, 3, 0x80, 0x9f},
	    {0xee, 0xef, 3, 0x80, 0xbf},
	    {0xf0, 0xf0, 4, 0x90, 0xbf},
	    {0xf1, 0xf3, 4, 0x80, 0xbf},
	    {0xf4, 0xf4, 4, 0x80, 0x8f},
	};
	size_t f, i;

	if (n == 0)
		return 0;
	for (f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		if (!between(s[0], forms[f].first_low, forms[f].first_high))
			continue;
		if (forms[f].length > n)
			return 0;
		if (forms[f].length > 1 &&
		    !between(s[1], forms[f].second_low, forms[f].second_high))
			return 0;
		for (i = 2; i < forms[f].length; i++)
			if (!between(s[i], 0x80, 0xbf))
				return 0;
		return forms[f].length;
	}
	return 0;
}

bool
utf8_is_valid(const char *s, size_t n)
{
	size_t i, used;

	for (i = 0; i < n; i += used) {
		used = utf8_sequence(s + i, n - i);
		if (used == 0)
			return false;
	}
	return true;
}

size_t
utf8_encode(uint32_t code, char out[4])
{
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	size_t i;

	for (i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(lead[n] | code);
	return n;
}
