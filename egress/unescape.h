/* SPDX-License-Identifier: Apache-2.0 */
/* Notations in which a text's bytes are written as escapes. */
#ifndef GONDOLIN_EGRESS_UNESCAPE_H
#define GONDOLIN_EGRESS_UNESCAPE_H

#include <stddef.h>
#include <stdint.h>

enum notation {
	NOTATION_PERCENT, /* RFC 3986 2.1 */
	NOTATIONS,
};

#define UNESCAPE_MAX 3u /* bytes of an escape */

enum unescaped {
	UNESCAPED_NONE, /* the first byte begins no escape: it stands for itself */
	UNESCAPED_MORE, /* the bytes begin one */
	UNESCAPED_WHOLE,
};

/*
 * Reads the n bytes (at least one) at b, all but the last of which were UNESCAPED_MORE.  For
 * UNESCAPED_WHOLE fills out with the bytes that they stand for and sets *out_n to how many.
 */
enum unescaped
unescape(enum notation notation, const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n);

/* The notations that have an escape that begins with this byte: bit for each. */
unsigned unescape_begins(uint8_t byte);

#endif
