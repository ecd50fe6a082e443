/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte rings of the flows, made on first use, grown by doubling, given back when empty.
 *
 * All rings of a stack come from one pool with one budget, so that no number of flows and no peer
 * can make the process hold more than the budget and one smallest ring a user (which is always
 * given, so that nobody starves).  A ring's share is a part of what is left (ring_pool_share): few
 * busy flows get much, many get little, and there is always something for one more.
 */
#ifndef GONDOLIN_NETPROXY_RING_H
#define GONDOLIN_NETPROXY_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RING_CLASS_MIN 12 /* 4 KiB */
#define RING_CLASS_MAX 24 /* 16 MiB */

struct ring_block;

struct ring_pool {
	size_t budget;   /* bytes of all rings in use */
	size_t used;     /* of these */
	size_t kept_max; /* bytes of free rings kept for reuse */
	size_t kept;
	struct ring_block *free[RING_CLASS_MAX + 1];
};

/* Offsets count from the first byte that is held. */
struct ring {
	uint8_t *bytes;
	uint32_t size; /* a power of two, or 0 */
	uint32_t head;
};

void ring_pool_init(struct ring_pool *p, size_t budget, size_t kept_max);
void ring_pool_clear(struct ring_pool *p);

/* The most that one ring should hold now, between least and most. */
uint32_t ring_pool_share(const struct ring_pool *p, uint32_t least, uint32_t most);

/*
 * Makes the ring at least `need` bytes large; the first `held` bytes stay.  Returns 0, or -ENOBUFS
 * where the budget or memory is at its end (the ring is as it was).
 */
int ring_reserve(struct ring_pool *p, struct ring *r, size_t need, size_t held);

/* Gives the memory back.  Nothing is held after it. */
void ring_release(struct ring_pool *p, struct ring *r);

/* Copies n bytes to an offset; offset + n is within the size. */
void ring_write(struct ring *r, uint32_t offset, const void *bytes, size_t n);

/* The pieces, at most two, of n bytes at an offset.  Returns their number. */
unsigned ring_iov(const struct ring *r, uint32_t offset, size_t n, struct iovec iov[2]);

/* Lets go of the first n bytes. */
void ring_drop(struct ring *r, uint32_t n);

#endif
