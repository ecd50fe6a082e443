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

size_t
utf8_decode(const char *s, size_t n, uint32_t *code)
{
	/* What a sequence's first byte carries, by its length. */
	static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t i, length = utf8_sequence(s, n);

	if (length == 0)
		return 0;
	*code = (uint8_t)s[0] & first[length];
	for (i = 1; i < length; i++)
		*code = *code << 6 | ((uint8_t)s[i] & 0x3f);
	return length;
}

bool
utf8_is_control(uint32_t code)
{
	static const struct {
		uint32_t low, high;
	} controls[] = {
	    {0x00, 0x1f},
	    {0x7f, 0x9f},
	    {0x061c, 0x061c},
	    {0x200e, 0x200f},
	    {0x202a, 0x202e},
	    {0x2066, 0x2069},
	};
	size_t i;

	for (i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (code >= controls[i].low && code <= controls[i].high)
			return true;
	return false;
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
