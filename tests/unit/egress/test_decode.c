/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings, in pieces of any size. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "egress/decode.h"
#include "egress/fields.h"
#include "suites.h"

/* brotli of "hello hello hello" (RFC 7932), one meta-block of stored bytes. */
static const uint8_t brotli[] = {0x0b, 0x08, 0x80, 'h', 'e', 'l', 'l', 'o', ' ', 'h', 'e', 'l', 'l',
    'o', ' ', 'h', 'e', 'l', 'l', 'o', 0x03};

static size_t
compress_to(int window, uint8_t *out, size_t room)
{
	static uint8_t text[100000];
	z_stream z = {0};

	memset(text, 'x', sizeof(text));
	CU_ASSERT_EQUAL_FATAL(deflateInit2(&z, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = text;
	z.avail_in = sizeof(text);
	z.next_out = out;
	z.avail_out = (uInt)room;
	CU_ASSERT_EQUAL_FATAL(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t held; /* by the decoders' brotli */

/* Returns the bytes decoded, or -1. */
static long
decode(enum coding coding, const uint8_t *in, size_t n, size_t piece, bool *done)
{
	struct decoder *d = decoder_new(coding, &held);
	uint8_t out[1000];
	long total = 0, made = 0;
	size_t left, at;

	for (at = 0; at < n && made >= 0; at += piece) {
		const uint8_t *from = in + at;

		left = n - at < piece ? n - at : piece;
		do {
			made = decoder_run(d, &from, &left, out, sizeof(out));
			total += made > 0 ? made : 0;
		} while (made > 0 || (made == 0 && left > 0));
	}
	*done = decoder_is_done(d);
	decoder_free(d);
	return made < 0 ? -1 : total;
}

static void
test_zlib(void)
{
	static const struct {
		int window;
		enum coding coding;
	} rows[] = {{31, CODING_GZIP}, {15, CODING_DEFLATE}, {-15, CODING_DEFLATE}};
	uint8_t packed[4096];
	size_t i, piece, n;
	bool done;

	for (i = 0; i < 3; i++)
		for (piece = 1; piece < 200; piece += 7) {
			n = compress_to(rows[i].window, packed, sizeof(packed));
			CU_ASSERT_EQUAL(decode(rows[i].coding, packed, n, piece, &done), 100000);
			CU_ASSERT(done);
			(void)decode(rows[i].coding, packed, n - 1, piece, &done);
			CU_ASSERT(!done || rows[i].window < 0 || rows[i].window == 15);
		}
	n = compress_to(31, packed, 2000);
	memcpy(packed + n, packed, n);
	CU_ASSERT_EQUAL(decode(CODING_GZIP, packed, 2 * n, 13, &done), 200000);
	packed[n] = 'x';
	CU_ASSERT_EQUAL(decode(CODING_GZIP, packed, 2 * n, 13, &done), -1);
}

static void
test_brotli(void)
{
	uint8_t longer[sizeof(brotli) + 1] = {0};
	size_t piece;
	bool done;

	for (piece = 1; piece <= sizeof(brotli); piece++) {
		CU_ASSERT_EQUAL(decode(CODING_BROTLI, brotli, sizeof(brotli), piece, &done), 17);
		CU_ASSERT(done);
	}
	memcpy(longer, brotli, sizeof(brotli));
	CU_ASSERT_EQUAL(decode(CODING_BROTLI, longer, sizeof(longer), 100, &done), -1);
	CU_ASSERT_EQUAL(held, 0);
}

/* The head of one that looks back 16 MiB: the first that finds no room fails, alone. */
static void
test_brotli_bound(void)
{
	static const uint8_t wide[] = {0xcf, 0xff, 0xff, 0xff, 'x'};
	struct decoder *d[32];
	uint8_t out[100];
	unsigned i, n = 0;

	for (i = 0; i < 32; i++) {
		const uint8_t *in = wide;
		size_t left = sizeof(wide);
		long made;

		d[i] = decoder_new(CODING_BROTLI, &held);
		made = decoder_run(d[i], &in, &left, out, sizeof(out));
		CU_ASSERT(made == -ENOBUFS || (made >= 0 && left == 0));
		n += made >= 0;
		CU_ASSERT(held <= DECODERS_HELD_MAX);
	}
	CU_ASSERT(n > 8 && n < 32);
	while (i > 0)
		decoder_free(d[--i]);
	CU_ASSERT_EQUAL(held, 0);
	held = DECODERS_HELD_MAX - 100;
	d[0] = decoder_new(CODING_BROTLI, &held);
	CU_ASSERT_EQUAL(
	    decoder_run(d[0], &(const uint8_t *){wide}, &(size_t){5}, out, 100), -ENOBUFS);
	decoder_free(d[0]);
	CU_ASSERT_EQUAL(held, DECODERS_HELD_MAX - 100);
	held = 0;
}

static void
test_names(void)
{
	CU_ASSERT_EQUAL(coding_of("GZip", 4), CODING_GZIP);
	CU_ASSERT_EQUAL(coding_of("br", 2), CODING_BROTLI);
	CU_ASSERT_EQUAL(coding_of("identity", 8), CODING_IDENTITY);
	CU_ASSERT_EQUAL(coding_of("zstd", 4), CODING_UNKNOWN);
	CU_ASSERT_EQUAL(coding_of("gzip, br", 8), CODING_UNKNOWN);
}

CU_TestInfo decode_tests[] = {
    {"gzip and deflate", test_zlib},
    {"brotli", test_brotli},
    {"brotli that holds much", test_brotli_bound},
    {"names", test_names},
    CU_TEST_INFO_NULL,
};
