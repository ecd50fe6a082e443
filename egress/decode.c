/* SPDX-License-Identifier: Apache-2.0 */
/* zlib and brotli. */
#include "egress/decode.h"

#include <brotli/decode.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define GZIP_WINDOW (16 + MAX_WBITS)

struct decoder {
	enum coding coding;
	z_stream z;
	BrotliDecoderState *brotli;
	uint8_t head[2]; /* of deflate, until its form is known */
	size_t n_head;
	bool started, done;
};

enum coding
coding_of(const char *value, size_t length)
{
	static const struct {
		const char *name;
		enum coding coding;
	} names[] = {{"gzip", CODING_GZIP}, {"x-gzip", CODING_GZIP}, {"deflate", CODING_DEFLATE},
	    {"br", CODING_BROTLI}, {"identity", CODING_IDENTITY}, {"", CODING_IDENTITY}};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == length &&
		    strncasecmp(names[i].name, value, length) == 0)
			return names[i].coding;
	return CODING_UNKNOWN;
}

/* The size stands before what brotli gets. */
#define SIZE_ROOM _Alignof(max_align_t)

static void *
brotli_allocate(void *held, size_t size)
{
	size_t *total = held;
	uint8_t *block;

	if (size > DECODERS_HELD_MAX || *total > DECODERS_HELD_MAX - size)
		return NULL;
	block = malloc(SIZE_ROOM + size);
	if (block == NULL)
		abort();
	memcpy(block, &size, sizeof(size));
	*total += size;
	return block + SIZE_ROOM;
}

static void
brotli_give_back(void *held, void *bytes)
{
	size_t *total = held, size;
	uint8_t *block = bytes;

	if (block == NULL)
		return;
	block -= SIZE_ROOM;
	memcpy(&size, block, sizeof(size));
	*total -= size;
	free(block);
}

struct decoder *
decoder_new(enum coding coding, size_t *held)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (d == NULL)
		abort();
	d->coding = coding;
	if (coding == CODING_GZIP && inflateInit2(&d->z, GZIP_WINDOW) != Z_OK)
		abort();
	if (coding == CODING_BROTLI)
		d->brotli = BrotliDecoderCreateInstance(brotli_allocate, brotli_give_back, held);
	d->started = coding != CODING_DEFLATE;
	return d;
}

void
decoder_free(struct decoder *d)
{
	if (d == NULL)
		return;
	if (d->coding != CODING_BROTLI && d->started)
		(void)inflateEnd(&d->z);
	if (d->brotli != NULL)
		BrotliDecoderDestroyInstance(d->brotli);
	free(d);
}

static long
run_zlib(struct decoder *d, const uint8_t **in, size_t *n, uint8_t *out, size_t size)
{
	size_t given = *n < UINT_MAX ? *n : UINT_MAX, room = size < UINT_MAX ? size : UINT_MAX;
	int rc;

	if (d->done && *n > 0) {
		/* A gzip file may have several members (RFC 1952 2.2); zlib has one. */
		if (d->coding != CODING_GZIP || inflateReset(&d->z) != Z_OK)
			return -EPROTO;
		d->done = false;
	}
	memcpy(&d->z.next_in, in, sizeof(d->z.next_in)); /* zlib only reads there */
	d->z.avail_in = (uInt)given;
	d->z.next_out = out;
	d->z.avail_out = (uInt)room;
	rc = inflate(&d->z, Z_NO_FLUSH);
	*in += given - d->z.avail_in;
	*n -= given - d->z.avail_in;
	if (rc == Z_STREAM_END)
		d->done = true;
	else if (rc != Z_OK && rc != Z_BUF_ERROR)
		return -EPROTO;
	return (long)(room - d->z.avail_out);
}

/* Two bytes tell a zlib header (RFC 1950 2.2) from a bare deflate stream. */
static long
start_deflate(struct decoder *d, const uint8_t **in, size_t *n, uint8_t *out, size_t size)
{
	const uint8_t *head = d->head;
	bool zlib;
	size_t two = 2;

	while (d->n_head < 2 && *n > 0) {
		d->head[d->n_head++] = *(*in)++;
		(*n)--;
	}
	if (d->n_head < 2)
		return 0;
	zlib = (d->head[0] & 15) == Z_DEFLATED && (d->head[0] << 8 | d->head[1]) % 31 == 0;
	if (inflateInit2(&d->z, zlib ? MAX_WBITS : -MAX_WBITS) != Z_OK)
		abort();
	d->started = true;
	return run_zlib(d, &head, &two, out, size);
}

static bool
is_out_of_room(const BrotliDecoderState *s)
{
	BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(s);

	return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
	       code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static long
run_brotli(struct decoder *d, const uint8_t **in, size_t *n, uint8_t *out, size_t size)
{
	size_t room = size;
	BrotliDecoderResult rc;

	if (d->brotli == NULL)
		return -ENOBUFS;
	if (d->done)
		return *n > 0 ? -EPROTO : 0;
	rc = BrotliDecoderDecompressStream(d->brotli, n, in, &room, &out, NULL);
	if (rc == BROTLI_DECODER_RESULT_ERROR)
		return is_out_of_room(d->brotli) ? -ENOBUFS : -EPROTO;
	d->done = rc == BROTLI_DECODER_RESULT_SUCCESS;
	return (long)(size - room);
}

long
decoder_run(struct decoder *d, const uint8_t **in, size_t *n, uint8_t *out, size_t size)
{
	long made = 0;
	size_t before;

	if (d->coding == CODING_BROTLI)
		return run_brotli(d, in, n, out, size);
	if (!d->started)
		made = start_deflate(d, in, n, out, size);
	/* A member of no bytes makes no output, and is no reason to stop. */
	for (before = *n + 1; made == 0 && d->started && *n != before;) {
		before = *n;
		made = run_zlib(d, in, n, out, size);
	}
	return made;
}

bool
decoder_is_done(const struct decoder *d)
{
	return d->done;
}
