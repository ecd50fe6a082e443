/* SPDX-License-Identifier: Apache-2.0 */
/* Byte rings from a pool with a budget. */
#include "netproxy/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A free ring holds the link to the next. */
struct ring_block {
	struct ring_block *next;
};

void
ring_pool_init(struct ring_pool *p, size_t budget, size_t kept_max)
{
	memset(p, 0, sizeof(*p));
	p->budget = budget;
	p->kept_max = kept_max;
}

void
ring_pool_clear(struct ring_pool *p)
{
	struct ring_block *b;
	unsigned i;

	for (i = 0; i <= RING_CLASS_MAX; i++)
		while ((b = p->free[i]) != NULL) {
			p->free[i] = b->next;
			free(b);
		}
	p->kept = 0;
}

uint32_t
ring_pool_share(const struct ring_pool *p, uint32_t least, uint32_t most)
{
	size_t share = p->used < p->budget ? (p->budget - p->used) / 4 : 0;

	if (share < least)
		return least;
	return share > most ? most : (uint32_t)share;
}

static unsigned
class_of(size_t size)
{
	unsigned c = RING_CLASS_MIN;

	while (((size_t)1 << c) < size)
		c++;
	return c;
}

static uint8_t *
block_get(struct ring_pool *p, unsigned c)
{
	struct ring_block *b = p->free[c];
	size_t size = (size_t)1 << c;

	if (b == NULL)
		return malloc(size);
	p->free[c] = b->next;
	p->kept -= size;
	return (uint8_t *)b;
}

static void
block_put(struct ring_pool *p, uint8_t *bytes, size_t size)
{
	unsigned c = class_of(size);
	struct ring_block *b = (struct ring_block *)(void *)bytes;

	if (p->kept + size > p->kept_max) {
		free(bytes);
		return;
	}
	b->next = p->free[c];
	p->free[c] = b;
	p->kept += size;
}

int
ring_reserve(struct ring_pool *p, struct ring *r, size_t need, size_t held)
{
	struct iovec iov[2];
	unsigned c, i, n;
	size_t size, at = 0;
	uint8_t *bytes;

	if (need <= r->size)
		return 0;
	assert(need <= (size_t)1 << RING_CLASS_MAX && held <= r->size);
	c = class_of(need);
	size = (size_t)1 << c;
	if (c > RING_CLASS_MIN && p->used - r->size + size > p->budget)
		return -ENOBUFS;
	bytes = block_get(p, c);
	if (bytes == NULL)
		return -ENOBUFS;
	n = ring_iov(r, 0, held, iov);
	for (i = 0; i < n; i++) {
		memcpy(bytes + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	ring_release(p, r);
	p->used += size;
	r->bytes = bytes;
	r->size = (uint32_t)size;
	return 0;
}

void
ring_release(struct ring_pool *p, struct ring *r)
{
	if (r->bytes != NULL) {
		p->used -= r->size;
		block_put(p, r->bytes, r->size);
	}
	r->bytes = NULL;
	r->size = r->head = 0;
}

unsigned
ring_iov(const struct ring *r, uint32_t offset, size_t n, struct iovec iov[2])
{
	uint32_t at;
	size_t first;

	if (n == 0)
		return 0;
	assert(offset + n <= r->size);
	at = (r->head + offset) & (r->size - 1);
	first = r->size - at;
	if (first >= n) {
		iov[0] = (struct iovec){r->bytes + at, n};
		return 1;
	}
	iov[0] = (struct iovec){r->bytes + at, first};
	iov[1] = (struct iovec){r->bytes, n - first};
	return 2;
}

void
ring_write(struct ring *r, uint32_t offset, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	struct iovec iov[2];
	unsigned i, pieces = ring_iov(r, offset, n, iov);

	for (i = 0; i < pieces; i++) {
		memcpy(iov[i].iov_base, p, iov[i].iov_len);
		p += iov[i].iov_len;
	}
}

void
ring_drop(struct ring *r, uint32_t n)
{
	if (r->size > 0)
		r->head = (r->head + n) & (r->size - 1);
}
