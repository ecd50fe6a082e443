/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum, 32 or more bytes a step. */
#include "netproxy/checksum.h"

#include <string.h>

#define LANES 4

/*
 * Four 64-bit sums of 32-bit halves: no carry is lost below 2^32 words, and the compiler turns the
 * loop into vector code for whatever the target attribute allows.
 */
#define SUM_BODY                                                        \
	typedef uint64_t lanes __attribute__((vector_size(8 * LANES))); \
	lanes low = {0}, high = {0}, word;                              \
	size_t i, whole = n & ~(sizeof(word) - 1);                      \
	uint64_t sum = 0;                                               \
                                                                        \
	for (i = 0; i < whole; i += sizeof(word)) {                     \
		memcpy(&word, p + i, sizeof(word));                     \
		low += word & 0xffffffffu;                              \
		high += word >> 32;                                     \
	}                                                               \
	low += high;                                                    \
	for (i = 0; i < LANES; i++)                                     \
		sum += low[i];                                          \
	return sum;

static uint64_t
sum_baseline(const uint8_t *p, size_t n)
{
	SUM_BODY
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t
sum_avx2(const uint8_t *p, size_t n)
{
	SUM_BODY
}
#endif

/* The sum of whole 32-byte blocks. */
static uint64_t
sum_blocks(const uint8_t *p, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2(p, n);
#endif
	return sum_baseline(p, n);
}

/* Adds with the carry brought round, so that a chain of any length stays right. */
static uint64_t
add_carry(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum + (sum < a);
}

uint64_t
checksum_add(uint64_t sum, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t blocks = n & ~(size_t)(8 * LANES - 1);
	uint64_t word;

	if (blocks > 0) {
		sum = add_carry(sum, sum_blocks(p, blocks));
		p += blocks;
		n -= blocks;
	}
	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = add_carry(sum, word);
	}
	word = 0;
	memcpy(&word, p, n);
	return add_carry(sum, word);
}

static uint16_t
fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t
checksum_add_odd(uint64_t sum, const void *bytes, size_t n)
{
	uint16_t piece = fold(checksum_add(0, bytes, n));

	return add_carry(sum, __builtin_bswap16(piece));
}

uint16_t
checksum_fold(uint64_t sum)
{
	return (uint16_t)~fold(sum);
}
