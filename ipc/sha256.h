/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), for processes that have no other use for libcrypto: that library takes half
 * a megabyte of memory that no other process shares, and six times as much where nobody else has
 * it mapped.  What is hashed here is no secret.
 */
#ifndef GONDOLIN_IPC_SHA256_H
#define GONDOLIN_IPC_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE     32u
#define SHA256_HEX_SIZE 65u /* in hexadecimal, with its NUL */

/* A digest in the making, of bytes that come in parts. */
struct sha256_state {
	uint32_t words[8];
	uint64_t length; /* bytes so far */
	uint8_t block[64];
};

void sha256_begin(struct sha256_state *s);
void sha256_add(struct sha256_state *s, const void *bytes, size_t n);
void sha256_end(struct sha256_state *s, uint8_t digest[SHA256_SIZE]);

/* The digest of n bytes. */
void sha256(const void *bytes, size_t n, uint8_t digest[SHA256_SIZE]);

/* In lower-case hexadecimal. */
void sha256_hex(const uint8_t digest[SHA256_SIZE], char hex[SHA256_HEX_SIZE]);

#endif
