/* SPDX-License-Identifier: Apache-2.0 */
/* Notations in which a text's bytes are written as escapes. */
#ifndef GONDOLIN_EGRESS_UNESCAPE_H
#define GONDOLIN_EGRESS_UNESCAPE_H

#include <stddef.h>
#include <stdint.h>

enum notation {
	NOTATION_PERCENT, /* %2B, RFC 3986 2.1 */
	NOTATION_STRING,  /* \/ \n \u002B (RFC 8259 7, surrogate pairs too); JavaScript's \' \x2B */
	NOTATION_HTML,    /* &amp; &lt; &gt; &quot; &apos; &#43; &#x2b;, all with the semicolon */
	NOTATIONS,
};

#define UNESCAPE_MAX 12u /* bytes of an escape: a surrogate pair, eight digits in HTML */

enum unescaped {
	UNESCAPED_NONE, /* the first byte begins no escape: it stands for itself */
	UNESCAPED_MORE, /* the bytes begin one */
	UNESCAPED_WHOLE,
};

/*
 * Reads the n bytes (at least one) at b, all but the last of which were UNESCAPED_MORE.  For
 * UNESCAPED_WHOLE fills out with the bytes that they stand for and sets *out_n to how many: of a
 * character its UTF-8, of %HH and \xHH that byte.
 */
enum unescaped
unescape(enum notation notation, const uint8_t *b, size_t n, uint8_t out[4], size_t *out_n);

/* The notations that have an escape that begins with this byte: bit for each. */
unsigned unescape_begins(uint8_t byte);

#endif
