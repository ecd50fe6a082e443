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
	static escape_reader *const readers[] = {read_nothing, read_percent};
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
