/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4. */
#include "netproxy/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void
rounds(struct sip *s, unsigned n)
{
	while (n-- > 0) {
		s->a += s->b;
		s->b = rotate(s->b, 13) ^ s->a;
		s->a = rotate(s->a, 32);
		s->c += s->d;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a += s->d;
		s->d = rotate(s->d, 21) ^ s->a;
		s->c += s->b;
		s->b = rotate(s->b, 17) ^ s->c;
		s->c = rotate(s->c, 32);
	}
}

static inline uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

uint64_t
siphash(const uint8_t key[SIPHASH_KEY_SIZE], const void *bytes, size_t n)
{
	const uint64_t k0 = get64(key), k1 = get64(key + 8);
	struct sip s = {
	    k0 ^ 0x736f6d6570736575u,
	    k1 ^ 0x646f72616e646f6du,
	    k0 ^ 0x6c7967656e657261u,
	    k1 ^ 0x7465646279746573u,
	};
	const uint8_t *p = bytes;
	uint8_t tail[8] = {0};
	uint64_t m;
	size_t left;

	for (left = n; left >= 8; left -= 8, p += 8) {
		m = get64(p);
		s.d ^= m;
		rounds(&s, 2);
		s.a ^= m;
	}
	memcpy(tail, p, left);
	tail[7] = (uint8_t)n;
	m = get64(tail);
	s.d ^= m;
	rounds(&s, 2);
	s.a ^= m;
	s.c ^= 0xff;
	rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}
