/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes the whole text in each notation, looks for each needle at each place, then replaces. */
#include "scrub_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span_of {
	size_t start, end;
	const struct scrub_needle *needle;
};

struct spans {
	struct span_of *v;
	size_t n;
};

struct letter {
	uint8_t byte;
	size_t start, end;
};

/* The number of bytes of the escape at b, of which n are there; 0: none. */
typedef size_t escape_reader(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n);

static long
digits(const uint8_t *b, size_t n, size_t from, size_t count)
{
	char text[16] = "";
	size_t i;

	if (from + count > n || count >= sizeof(text))
		return -1;
	for (i = 0; i < count; i++) {
		text[i] = (char)b[from + i];
		if (strchr("0123456789abcdefABCDEF", text[i]) == NULL || text[i] == '\0')
			return -1;
	}
	return strtol(text, NULL, 16);
}

static size_t
read_percent(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	long code = b[0] == '%' ? digits(b, n, 1, 2) : -1;

	out[0] = (uint8_t)code;
	*out_n = 1;
	return code >= 0 ? 3 : 0;
}

static size_t
encode(long code, uint8_t out[4])
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xc0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xe0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (code & 0x3f));
	return 4;
}

static size_t
read_string(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	static const char pairs[] = "\"\"\\\\//''b\bf\fn\nr\rt\t";
	long code, low;
	size_t i;

	*out_n = 1;
	if (n < 2 || b[0] != '\\')
		return 0;
	for (i = 0; i + 1 < sizeof(pairs); i += 2)
		if (b[1] == (uint8_t)pairs[i]) {
			out[0] = (uint8_t)pairs[i + 1];
			return 2;
		}
	if (b[1] == 'x') {
		code = digits(b, n, 2, 2);
		out[0] = (uint8_t)code;
		return code >= 0 ? 4 : 0;
	}
	code = b[1] == 'u' ? digits(b, n, 2, 4) : -1;
	if (code < 0 || (code >= 0xdc00 && code < 0xe000))
		return 0;
	if (code < 0xd800 || code >= 0xe000) {
		*out_n = encode(code, out);
		return 6;
	}
	low = n >= 12 && b[6] == '\\' && b[7] == 'u' ? digits(b, n, 8, 4) : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*out_n = encode(0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00), out);
	return 12;
}

static size_t
read_number(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	char text[16] = "", *end;
	size_t from = n > 2 && (b[2] == 'x' || b[2] == 'X') ? 3 : 2, i;
	long code;

	for (i = from; i < n && b[i] != ';'; i++) {
		if (i - from == 8 || b[i] == '\0' ||
		    strchr(from == 3 ? "0123456789abcdefABCDEF" : "0123456789", b[i]) == NULL)
			return 0;
		text[i - from] = (char)b[i];
	}
	if (i == n || i == from)
		return 0;
	code = strtol(text, &end, from == 3 ? 16 : 10);
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*out_n = encode(code, out);
	return i + 1;
}

static size_t
read_html(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	static const char *const names[] = {"&&amp;", "<&lt;", ">&gt;", "\"&quot;", "'&apos;"};
	size_t i, length;

	if (n > 1 && b[0] == '&' && b[1] == '#')
		return read_number(b, n, out, out_n);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		length = strlen(names[i] + 1);
		if (n < length || memcmp(b, names[i] + 1, length) != 0)
			continue;
		out[0] = (uint8_t)names[i][0];
		*out_n = 1;
		return length;
	}
	return 0;
}

static size_t
read_nothing(const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n)
{
	(void)b;
	(void)n;
	(void)out;
	(void)out_n;
	return 0;
}

static void
find(const struct letter *text, size_t n, const struct scrub_needle *needle, struct spans *s)
{
	size_t length = strlen(needle->bytes), i, k;

	for (i = 0; i + length <= n; i++) {
		for (k = 0; k < length && text[i + k].byte == (uint8_t)needle->bytes[k]; k++)
			;
		if (k < length)
			continue;
		s->v = reallocarray(s->v, s->n + 1, sizeof(*s->v));
		if (s->v == NULL)
			abort();
		s->v[s->n++] = (struct span_of){text[i].start, text[i + length - 1].end, needle};
	}
}

static void
find_all(const struct scrub_needle *v, size_t n, const uint8_t *text, size_t length,
    escape_reader *reader, struct spans *s)
{
	struct letter *letters = calloc(4 * length + 1, sizeof(*letters));
	size_t at = 0, made = 0, escape, out_n = 0, i;
	uint8_t out[4];

	if (letters == NULL)
		abort();
	while (at < length) {
		escape = reader(text + at, length - at, out, &out_n);
		if (escape == 0) {
			escape = out_n = 1;
			out[0] = text[at];
		}
		for (i = 0; i < out_n; i++)
			letters[made++] = (struct letter){out[i], at, at + escape};
		at += escape;
	}
	for (i = 0; i < n; i++)
		find(letters, made, &v[i], s);
	free(letters);
}

/* By start, the longest first. */
static int
compare(const void *a, const void *b)
{
	const struct span_of *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end == y->end ? 0 : x->end > y->end ? -1 : 1;
}

void
scrub_oracle(const struct scrub_needle *v, size_t n, const uint8_t *text, size_t length,
    struct buffer *out, uint64_t *tags)
{
	static escape_reader *const readers[] = {
	    read_nothing, read_percent, read_string, read_html};
	struct spans s = {NULL, 0};
	uint64_t run = 0, tag;
	size_t i, done = 0;

	for (i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		find_all(v, n, text, length, readers[i], &s);
	if (s.n > 0)
		qsort(s.v, s.n, sizeof(*s.v), compare);
	*tags = 0;
	for (i = 0; i < s.n; i++) {
		if (s.v[i].end <= done)
			continue;
		if (s.v[i].start >= done) {
			buffer_add(out, text + done, s.v[i].start - done);
			run = 0;
		}
		tag = UINT64_C(1) << s.v[i].needle->tag;
		if ((run & tag) == 0)
			buffer_add(out, s.v[i].needle->with, strlen(s.v[i].needle->with));
		run |= tag;
		*tags |= tag;
		done = s.v[i].end;
	}
	buffer_add(out, text + done, length - done);
	free(s.v);
}
