/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scrubber on an upstream's bytes: the first byte says how they are cut, the second how they
 * are encoded.  However they are cut the output is the same, and no secret is in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "egress/decode.h"
#include "egress/needles.h"

static const char secret[] = "aab%61aa", other[] = "baaab";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
feed(const struct needles *set, const uint8_t *data, size_t size, size_t piece, struct buffer *out)
{
	struct replacer r;
	size_t at, n;

	replacer_init(&r, set);
	for (at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		replacer_feed(&r, data + at, n, false, out);
	}
	replacer_feed(&r, NULL, 0, true, out);
	replacer_clear(&r);
}

static void
check(const uint8_t *data, size_t size, size_t piece)
{
	struct buffer whole = {0}, cut = {0};
	struct needles set;

	needles_init(&set);
	needles_add(&set, secret, sizeof(secret) - 1, 0, "[1]", 3);
	needles_add(&set, other, sizeof(other) - 1, 1, "[2]", 3);
	needles_build(&set);
	feed(&set, data, size, size + 1, &whole);
	feed(&set, data, size, piece, &cut);
	if (whole.length != cut.length ||
	    (whole.length > 0 && memcmp(whole.bytes, cut.bytes, whole.length) != 0))
		abort();
	if (whole.length > 0 &&
	    (memmem(whole.bytes, whole.length, secret, sizeof(secret) - 1) != NULL ||
		memmem(whole.bytes, whole.length, other, sizeof(other) - 1) != NULL))
		abort();
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
	uint8_t out[4096];
	size_t piece, left, total = 0;
	long made;

	if (size < 2)
		return 0;
	piece = data[0] % 64u + 1;
	coding = (enum coding)(data[1] % CODING_UNKNOWN);
	data += 2;
	size -= 2;
	if (coding == CODING_IDENTITY) {
		check(data, size, piece);
		return 0;
	}
	d = decoder_new(coding);
	in = data;
	left = size;
	do {
		made = decoder_run(d, &in, &left, out, sizeof(out));
		if (made > 0)
			check(out, (size_t)made, piece);
		total += made > 0 ? (size_t)made : 0;
	} while ((made > 0 || (made == 0 && left > 0)) && total < 65536);
	decoder_free(d);
	return 0;
}
