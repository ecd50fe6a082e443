/* SPDX-License-Identifier: Apache-2.0 */
/* Escapes, each read from its own few bytes: no state. */
#include "egress/unescape.h"

#include <string.h>

#include "ipc/utf8.h"

#define CODE_MAX        0x10ffffu
#define HTML_DIGITS_MAX 8u /* with leading zeros: "&#x00000026;" */

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t
number(const uint8_t *b, size_t n, unsigned base)
{
	uint32_t value = 0;
	size_t i;

	for (i = 0; i < n; i++)
		value = value * base + (uint32_t)hex(b[i]);
	return value;
}

static enum unescaped
whole_byte(uint8_t byte, uint8_t out[4], size_t *out_n)
{
	out[0] = byte;
	*out_n = 1;
	return UNESCAPED_WHOLE;
}

static enum unescaped
whole_code(uint32_t code, uint8_t out[4], size_t *out_n)
{
	char text[4];

	if (code > CODE_MAX || (code >= 0xd800 && code <= 0xdfff))
		return UNESCAPED_NONE;
	*out_n = utf8_encode(code, text);
	memcpy(out, text, *out_n);
	return UNESCAPED_WHOLE;
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
	return whole_byte((uint8_t)number(b + 1, 2, 16), out, out_n);
}

/* The second half of a surrogate pair, after the six bytes of the first. */
static enum unescaped
low_surrogate(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	uint32_t low;

	if (n <= 8)
		return b[n - 1] == (n == 7 ? '\\' : 'u') ? UNESCAPED_MORE : UNESCAPED_NONE;
	if (hex(b[n - 1]) < 0)
		return UNESCAPED_NONE;
	if (n < 12)
		return UNESCAPED_MORE;
	low = number(b + 8, 4, 16);
	if (low < 0xdc00 || low > 0xdfff)
		return UNESCAPED_NONE;
	return whole_code(
	    0x10000u + ((number(b + 2, 4, 16) - 0xd800u) << 10) + (low - 0xdc00u), out, out_n);
}

static enum unescaped
string(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	static const char letters[] = "\"\\/'bfnrt", meant[] = "\"\\/'\b\f\n\r\t";
	const char *letter;
	size_t digits;
	uint32_t code;

	if (n == 1)
		return b[0] == '\\' ? UNESCAPED_MORE : UNESCAPED_NONE;
	if (n == 2) {
		letter = memchr(letters, b[1], sizeof(letters) - 1);
		if (letter != NULL)
			return whole_byte((uint8_t)meant[letter - letters], out, out_n);
		return b[1] == 'u' || b[1] == 'x' ? UNESCAPED_MORE : UNESCAPED_NONE;
	}
	digits = b[1] == 'u' ? 4 : 2;
	if (n > 2 + digits)
		return low_surrogate(b, n, out, out_n);
	if (hex(b[n - 1]) < 0)
		return UNESCAPED_NONE;
	if (n < 2 + digits)
		return UNESCAPED_MORE;
	code = number(b + 2, digits, 16);
	if (digits == 2)
		return whole_byte((uint8_t)code, out, out_n);
	return code >= 0xd800 && code <= 0xdbff ? UNESCAPED_MORE : whole_code(code, out, out_n);
}

/* "&#38;" and "&#x26;". */
static enum unescaped
character_number(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	bool x = n > 2 && (b[2] | 0x20) == 'x';
	size_t first = x ? 3 : 2;
	int digit;

	if (n <= first)
		return UNESCAPED_MORE;
	if (b[n - 1] == ';' && n - 1 > first)
		return whole_code(number(b + first, n - 1 - first, x ? 16 : 10), out, out_n);
	digit = hex(b[n - 1]);
	if (digit < 0 || (!x && digit > 9) || n - first > HTML_DIGITS_MAX)
		return UNESCAPED_NONE;
	return UNESCAPED_MORE;
}

static enum unescaped
character(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	static const struct {
		const char *name;
		char meant;
	} names[] = {
	    {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	size_t i;

	if (n > 1 && b[1] == '#')
		return character_number(b, n, out, out_n);
	if (n == 1)
		return b[0] == '&' ? UNESCAPED_MORE : UNESCAPED_NONE;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (b[1] != (uint8_t)names[i].name[1] || n > strlen(names[i].name) ||
		    memcmp(b, names[i].name, n) != 0)
			continue;
		if (names[i].name[n] != '\0')
			return UNESCAPED_MORE;
		return whole_byte((uint8_t)names[i].meant, out, out_n);
	}
	return UNESCAPED_NONE;
}

static const struct {
	uint8_t begins;
	enum unescaped (*read)(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n);
} notations[NOTATIONS] = {
    [NOTATION_PERCENT] = {'%', percent},
    [NOTATION_STRING] = {'\\', string},
    [NOTATION_HTML] = {'&', character},
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
