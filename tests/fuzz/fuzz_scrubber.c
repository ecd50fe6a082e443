/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scrubber on an upstream's bytes: the first byte says how they are cut, the second how they
 * are encoded, the next two which secrets there are.  However they are cut the output is what the
 * oracle makes of them, and no secret is in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "egress/decode.h"
#include "egress/needles.h"
#include "scrub_oracle.h"

#define TEXT_MAX 2048u /* the oracle is slow */

/* Prefixes, suffixes and inner parts of each other; some overlap themselves. */
static const struct scrub_needle needles[] = {
    {"aab%61aa", 0, "[p]"},
    {"baaab", 1, "[q]"},
    {"aab", 2, "[r]"},
    {"abababab", 3, "[s]"},
    {"bab", 4, "[t]"},
    {"6aa", 5, "[u]"},
    {"aab%61aabaaabababababab", 6, "[v]"},
    {"%61%62", 7, "[w]"},
    {"a\"/b&", 8, "(a)"},
    {"\"/b", 9, "(b)"},
    {"b&amp;\\\\", 10, "(c)"},
    {"\\u0061&", 11, "(d)"},
    {"<\xc3\xa9\xf0\x9f\x98\x80>", 12, "(e)"},
    {"\xf0\x9f\x98\x80", 13, "(f)"},
    {"&&&&&&&&", 14, "(g)"},
    {"'\n\t'&#38;", 15, "(h)"},
};

#define N_NEEDLES (sizeof(needles) / sizeof(needles[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
feed(const struct needles *set, const uint8_t *data, size_t size, size_t piece, struct buffer *out,
    uint64_t *tags)
{
	struct replacer r;
	size_t at, n;

	replacer_init(&r, set);
	for (at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		replacer_feed(&r, data + at, n, false, out);
	}
	replacer_feed(&r, NULL, 0, true, out);
	*tags = r.tags;
	replacer_clear(&r);
}

static void
compare(const struct buffer *want, const struct buffer *got)
{
	if (want->length != got->length ||
	    (want->length > 0 && memcmp(want->bytes, got->bytes, want->length) != 0))
		abort();
}

static void
check(const uint8_t *data, size_t size, size_t piece, unsigned which)
{
	struct buffer want = {0}, whole = {0}, cut = {0};
	struct scrub_needle used[N_NEEDLES];
	uint64_t tags, whole_tags, cut_tags;
	struct needles set;
	size_t i, n = 0;

	needles_init(&set);
	for (i = 0; i < N_NEEDLES; i++) {
		if ((which >> i & 1) == 0)
			continue;
		used[n++] = needles[i];
		needles_add(&set, needles[i].bytes, strlen(needles[i].bytes), needles[i].tag,
		    needles[i].with, strlen(needles[i].with));
	}
	needles_build(&set);
	scrub_oracle(used, n, data, size, &want, &tags);
	feed(&set, data, size, size + 1, &whole, &whole_tags);
	feed(&set, data, size, piece, &cut, &cut_tags);
	compare(&want, &whole);
	compare(&want, &cut);
	if (tags != whole_tags || tags != cut_tags)
		abort();
	for (i = 0; i < n && whole.length > 0; i++)
		if (memmem(whole.bytes, whole.length, used[i].bytes, strlen(used[i].bytes)) != NULL)
			abort();
	buffer_clear(&want);
	buffer_clear(&whole);
	buffer_clear(&cut);
	needles_clear(&set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum coding coding;
	struct decoder *d;
	const uint8_t *in;
	uint8_t out[TEXT_MAX];
	size_t piece, left, total = 0, held = 0;
	unsigned which;
	long made;

	if (size < 4)
		return 0;
	piece = data[0] % 64u + 1;
	coding = (enum coding)(data[1] % CODING_UNKNOWN);
	which = data[2] | (unsigned)data[3] << 8;
	data += 4;
	size -= 4;
	if (coding == CODING_IDENTITY) {
		check(data, size < TEXT_MAX ? size : TEXT_MAX, piece, which);
		return 0;
	}
	d = decoder_new(coding, &held);
	in = data;
	left = size;
	do {
		made = decoder_run(d, &in, &left, out, sizeof(out));
		if (made > 0)
			check(out, (size_t)made, piece, which);
		total += made > 0 ? (size_t)made : 0;
	} while ((made > 0 || (made == 0 && left > 0)) && total < 32768);
	decoder_free(d);
	if (held != 0)
		abort();
	return 0;
}
