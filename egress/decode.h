/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content codings (RFC 9110 8.4.1), undone piece by piece: a small input that stands for a huge
 * output costs a buffer, never more.
 */
#ifndef GONDOLIN_EGRESS_DECODE_H
#define GONDOLIN_EGRESS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_BROTLI, CODING_UNKNOWN };

struct decoder;

/* A server chooses how much brotli looks back, up to 16 MiB: so much for all decoders together. */
#define DECODERS_HELD_MAX (256u << 20)

/* What a Content-Encoding says; more than one coding is CODING_UNKNOWN. */
enum coding coding_of(const char *value, size_t length);

/*
 * For gzip, deflate and brotli; deflate may come without its zlib header, as some servers send it.
 * *held counts what the brotli of all decoders holds, and outlives them.
 */
struct decoder *decoder_new(enum coding coding, size_t *held);
void decoder_free(struct decoder *d);

/*
 * Decodes from *in (moves *in and *n on) into out.  Returns the number of bytes written, 0 where
 * more input is needed (then *n is 0) or all is done, -EPROTO where the input is not that coding or
 * goes on after its end, -ENOBUFS where DECODERS_HELD_MAX is reached.
 */
long decoder_run(struct decoder *d, const uint8_t **in, size_t *n, uint8_t *out, size_t size);

/* True where what came is a whole: it may end here. */
bool decoder_is_done(const struct decoder *d);

#endif
