/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums, the keyed hash, deadlines, rings. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/checksum.h"
#include "netproxy/ring.h"
#include "netproxy/siphash.h"
#include "netproxy/timer.h"
#include "suites.h"

/* RFC 1071, word by word. */
static uint16_t
plain_checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;
	size_t i;
	uint8_t out[2];
	uint16_t v;

	for (i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 == 0 ? 8 : 0);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	out[0] = (uint8_t)(sum >> 8);
	out[1] = (uint8_t)sum;
	memcpy(&v, out, 2);
	return v;
}

static void
test_checksum(void)
{
	static uint8_t bytes[4096];
	size_t n, split;

	for (n = 0; n < sizeof(bytes); n++)
		bytes[n] = (uint8_t)(n * 167 + (n >> 5));
	memset(bytes + 1024, 0xff, 1024); /* carries all the way */
	for (n = 0; n < 300; n++)
		CU_ASSERT(
		    checksum_fold(checksum_add(0, bytes + 3, n)) == plain_checksum(bytes + 3, n));
	CU_ASSERT(checksum_fold(checksum_add(0, bytes, 4095)) == plain_checksum(bytes, 4095));
	for (split = 0; split < 100; split++) {
		uint64_t sum = checksum_add(0, bytes, split);

		sum = split % 2 != 0 ? checksum_add_odd(sum, bytes + split, 2000 - split)
				     : checksum_add(sum, bytes + split, 2000 - split);
		CU_ASSERT(checksum_fold(sum) == plain_checksum(bytes, 2000));
	}
}

static void
test_checksum_large(void)
{
	uint8_t *ones = malloc(65536);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ones);
	memset(ones, 0xff, 65536);
	CU_ASSERT(checksum_fold(checksum_add(~0ull, ones, 65536)) == 0);
	free(ones);
}

/* The vectors of the paper's appendix: key and message are 00 01 02 ... */
static void
test_siphash(void)
{
	uint8_t key[16], message[15];
	unsigned i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	CU_ASSERT(siphash(key, message, 15) == 0xa129ca6149be45e5u);
	CU_ASSERT(siphash(key, message, 0) == 0x726fdb47dd0e0e31u);
}

static void
test_timer_order(void)
{
	struct timer_heap h;
	struct timer t[64] = {{0}};
	uint64_t last = 0;
	unsigned i;

	CU_ASSERT_FATAL(timer_heap_init(&h, 64) == 0);
	CU_ASSERT(timer_first(&h) == NULL);
	for (i = 0; i < 64; i++)
		timer_set(&h, &t[i], (i * 37) % 64 + 1);
	for (i = 0; i < 64; i += 3)
		timer_cancel(&h, &t[i]);
	timer_cancel(&h, &t[0]);
	for (i = 1; i < 64; i += 3)
		timer_set(&h, &t[i], 200 - i);
	for (i = 0; timer_first(&h) != NULL; i++) {
		CU_ASSERT(timer_first(&h)->deadline >= last);
		last = timer_first(&h)->deadline;
		timer_cancel(&h, timer_first(&h));
	}
	CU_ASSERT(i == 42);
	timer_heap_clear(&h);
}

static void
test_ring_wrap_and_growth(void)
{
	struct ring_pool p;
	struct ring r = {0};
	uint8_t in[6000], out[6000];
	struct iovec iov[2];
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	ring_pool_init(&p, 1 << 20, 1 << 20);
	CU_ASSERT(ring_reserve(&p, &r, 100, 0) == 0 && r.size == 4096);
	ring_write(&r, 0, in, 4000);
	ring_drop(&r, 3000);
	ring_write(&r, 1000, in + 4000, 2000);
	CU_ASSERT(ring_iov(&r, 0, 3000, iov) == 2);
	CU_ASSERT(ring_reserve(&p, &r, 5000, 3000) == 0 && r.size == 8192);
	CU_ASSERT(ring_iov(&r, 0, 3000, iov) == 1);
	memcpy(out, iov[0].iov_base, 3000);
	CU_ASSERT(memcmp(out, in + 3000, 3000) == 0);
	CU_ASSERT(p.used == 8192 && p.kept == 4096);
	ring_release(&p, &r);
	CU_ASSERT(p.used == 0 && r.size == 0);
	CU_ASSERT(ring_iov(&r, 0, 0, iov) == 0);
	ring_pool_clear(&p);
}

static void
test_ring_budget(void)
{
	struct ring_pool p;
	struct ring a = {0}, b = {0}, c = {0};

	ring_pool_init(&p, 64 * 1024, 4096);
	CU_ASSERT(ring_pool_share(&p, 4096, 1 << 20) == 16 * 1024);
	CU_ASSERT(ring_reserve(&p, &a, 40000, 0) == 0);
	CU_ASSERT(ring_reserve(&p, &b, 8192, 0) == -ENOBUFS && b.bytes == NULL);
	/* The smallest is always given. */
	CU_ASSERT(ring_reserve(&p, &b, 4096, 0) == 0);
	CU_ASSERT(ring_reserve(&p, &c, 1, 0) == 0);
	CU_ASSERT(ring_pool_share(&p, 4096, 1 << 20) == 4096);
	ring_release(&p, &a);
	ring_release(&p, &b);
	ring_release(&p, &c);
	CU_ASSERT(p.kept == 4096);
	ring_pool_clear(&p);
}

CU_TestInfo base_tests[] = {
    {"checksum", test_checksum},
    {"checksum of 64 KiB of ones", test_checksum_large},
    {"siphash vectors", test_siphash},
    {"deadlines in order", test_timer_order},
    {"ring wraps and grows", test_ring_wrap_and_growth},
    {"ring budget", test_ring_budget},
    CU_TEST_INFO_NULL,
};
