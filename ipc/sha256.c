/* SPDX-License-Identifier: Apache-2.0 */
/* FIPS 180-4, sections 4.1.2 to 6.2; names as there. */
#include "ipc/sha256.h"

#include <endian.h>
#include <string.h>

#define BLOCK 64u

static const uint32_t K[64] = {
    0x428a2f98,
    0x71374491,
    0xb5c0fbcf,
    0xe9b5dba5,
    0x3956c25b,
    0x59f111f1,
    0x923f82a4,
    0xab1c5ed5,
    0xd807aa98,
    0x12835b01,
    0x243185be,
    0x550c7dc3,
    0x72be5d74,
    0x80deb1fe,
    0x9bdc06a7,
    0xc19bf174,
    0xe49b69c1,
    0xefbe4786,
    0x0fc19dc6,
    0x240ca1cc,
    0x2de92c6f,
    0x4a7484aa,
    0x5cb0a9dc,
    0x76f988da,
    0x983e5152,
    0xa831c66d,
    0xb00327c8,
    0xbf597fc7,
    0xc6e00bf3,
    0xd5a79147,
    0x06ca6351,
    0x14292967,
    0x27b70a85,
    0x2e1b2138,
    0x4d2c6dfc,
    0x53380d13,
    0x650a7354,
    0x766a0abb,
    0x81c2c92e,
    0x92722c85,
    0xa2bfe8a1,
    0xa81a664b,
    0xc24b8b70,
    0xc76c51a3,
    0xd192e819,
    0xd6990624,
    0xf40e3585,
    0x106aa070,
    0x19a4c116,
    0x1e376c08,
    0x2748774c,
    0x34b0bcb5,
    0x391c0cb3,
    0x4ed8aa4a,
    0x5b9cca4f,
    0x682e6ff3,
    0x748f82ee,
    0x78a5636f,
    0x84c87814,
    0x8cc70208,
    0x90befffa,
    0xa4506ceb,
    0xbef9a3f7,
    0xc67178f2,
};

static uint32_t
rotr(uint32_t x, unsigned n)
{
	return (x >> n) | (x << (32 - n));
}

static void
schedule(const uint8_t *block, uint32_t W[64])
{
	uint32_t s0, s1;
	unsigned t;

	memcpy(W, block, BLOCK);
	for (t = 0; t < 16; t++)
		W[t] = be32toh(W[t]);
	for (; t < 64; t++) {
		s0 = rotr(W[t - 15], 7) ^ rotr(W[t - 15], 18) ^ (W[t - 15] >> 3);
		s1 = rotr(W[t - 2], 17) ^ rotr(W[t - 2], 19) ^ (W[t - 2] >> 10);
		W[t] = s1 + W[t - 7] + s0 + W[t - 16];
	}
}

static void
compress(uint32_t H[8], const uint8_t *block)
{
	uint32_t W[64], v[8], T1, T2; /* v: a to h */
	unsigned t, i;

	schedule(block, W);
	memcpy(v, H, sizeof(v));
	for (t = 0; t < 64; t++) {
		T1 = v[7] + (rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25)) +
		     ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[t] + W[t];
		T2 = (rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22)) +
		     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += T1;
		v[0] = T1 + T2;
	}
	for (i = 0; i < 8; i++)
		H[i] += v[i];
}

void
sha256_begin(struct sha256_state *s)
{
	*s = (struct sha256_state){.words = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void
sha256_add(struct sha256_state *s, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t used = s->length % BLOCK, part;

	s->length += n;
	if (used > 0) {
		part = n < BLOCK - used ? n : BLOCK - used;
		memcpy(s->block + used, p, part);
		if (used + part < BLOCK)
			return;
		compress(s->words, s->block);
		p += part;
		n -= part;
	}
	for (; n >= BLOCK; p += BLOCK, n -= BLOCK)
		compress(s->words, p);
	if (n > 0)
		memcpy(s->block, p, n);
}

void
sha256_end(struct sha256_state *s, uint8_t digest[SHA256_SIZE])
{
	static const uint8_t padding[BLOCK] = {0x80};
	const uint64_t bits = htobe64(s->length * 8);
	size_t used = s->length % BLOCK, i;

	sha256_add(s, padding, used < BLOCK - 8 ? BLOCK - 8 - used : 2 * BLOCK - 8 - used);
	sha256_add(s, &bits, sizeof(bits));
	for (i = 0; i < 8; i++)
		s->words[i] = htobe32(s->words[i]);
	memcpy(digest, s->words, sizeof(s->words));
}

void
sha256(const void *bytes, size_t n, uint8_t digest[SHA256_SIZE])
{
	struct sha256_state s;

	sha256_begin(&s);
	sha256_add(&s, bytes, n);
	sha256_end(&s, digest);
}

void
sha256_hex(const uint8_t digest[SHA256_SIZE], char hex[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < SHA256_SIZE; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * i] = '\0';
}
