/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629). */
#ifndef GONDOLIN_IPC_UTF8_H
#define GONDOLIN_IPC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The length (1 to 4) of the well-formed sequence at s, of which n bytes may be read; 0 where there
 * is none (truncated, overlong, surrogate, past U+10FFFF, or n is 0).
 */
size_t utf8_sequence(const char *s, size_t n);

/* The same, and the code point where there is one. */
size_t utf8_decode(const char *s, size_t n, uint32_t *code);

/*
 * Whether a code point does something to a terminal or to the order of what is read, instead of
 * being something to read: the controls C0 (tab and newline too), DEL and C1 (U+009B begins what
 * ESC [ begins), and the bidirectional ones (Unicode Standard Annex 9, section 2).
 */
bool utf8_is_control(uint32_t code);

/* Whether the n bytes are well-formed sequences and nothing else. */
bool utf8_is_valid(const char *s, size_t n);

/* Encodes a code point up to U+10FFFF that is no surrogate; returns the bytes written, 1 to 4. */
size_t utf8_encode(uint32_t code, char out[4]);

#endif
