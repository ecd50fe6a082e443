/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings and descriptors of any shape: what is taken from a queue lies in the guest's memory and
 * within its bounds.
 *
 * The bytes are laid over the start of a small memory, where the second queue's ring is; what they
 * do not reach is zero.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vfsd/machine.h"

#define RING     16u /* entries: most of the bytes are then descriptors and tables */
#define MEMORY   16384u
#define BYTES    65536u
#define REQUESTS 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static bool
is_inside(const struct guest_memory *m, const struct iovec *part)
{
	const uint8_t *at = part->iov_base;
	uint32_t i;

	for (i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->regions[i];

		if (at >= r->bytes && part->iov_len <= r->size &&
		    (size_t)(at - r->bytes) <= r->size - part->iov_len)
			return true;
	}
	return false;
}

static size_t
check(const struct guest_memory *m, const struct iovec *parts, uint32_t n)
{
	size_t bytes = 0;
	uint32_t i;

	assert(n <= VIRTQUEUE_SIZE_MAX);
	for (i = 0; i < n; i++) {
		assert(is_inside(m, &parts[i]));
		bytes += parts[i].iov_len;
	}
	assert(bytes <= BYTES);
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	/* Descriptors, then what is available, then what is used (2.7). */
	static const struct virtqueue_place place = {.descriptors = MACHINE_USER_A,
	    .available = MACHINE_USER_A + RING * 16,
	    .used = MACHINE_USER_A + RING * 16 + 64,
	    .size = RING};
	static struct virtqueue_chain chain;
	static struct machine machine;
	static struct guest_memory memory;
	struct virtqueue q = {.event_index = length % 2 == 1};
	int i;

	if (machine.bytes == NULL) {
		machine_open(&machine);
		/* Two regions, so that a buffer can cross from one to the other. */
		if (guest_memory_add(&memory, 0, MACHINE_USER_A, MEMORY / 2, machine.memory, 0) !=
			0 ||
		    guest_memory_add(&memory, MEMORY / 2, MACHINE_USER_B, MEMORY / 2,
			machine.memory, MACHINE_BORDER) != 0)
			abort();
	}
	memset(machine.bytes, 0, MEMORY / 2);
	memcpy(machine.bytes, bytes, length < MEMORY / 2 ? length : MEMORY / 2);
	assert(virtqueue_map(&q, &memory, &place) == 0);
	for (i = 0; i < REQUESTS && virtqueue_pop(&q, &memory, BYTES, &chain) > 0; i++) {
		assert(chain.head < RING);
		assert(check(&memory, chain.readable, chain.n_readable) == chain.readable_bytes);
		assert(check(&memory, chain.writable, chain.n_writable) == chain.writable_bytes);
		(void)virtqueue_push(&q, chain.head, (uint32_t)chain.writable_bytes);
	}
	return 0;
}
