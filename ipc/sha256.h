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

/* The digest of n bytes. */
void sha256(const void *bytes, size_t n, uint8_t digest[SHA256_SIZE]);

/* In lower-case hexadecimal. */
void sha256_hex(const uint8_t digest[SHA256_SIZE], char hex[SHA256_HEX_SIZE]);

#endif
