/* SPDX-License-Identifier: Apache-2.0 */
/* The device's side of a virtqueue: see the header.  Numbers are little-endian, as this host is. */
#include "vfsd/virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#if __BYTE_ORDER != __LITTLE_ENDIAN
#error "a virtqueue is read as it lies in memory: little-endian"
#endif

/* The driver writes these at any time. */
#define READ(lvalue)    __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#define ACQUIRE(lvalue) __atomic_load_n(&(lvalue), __ATOMIC_ACQUIRE)

/* ---- Where it is ---- */

static bool
is_power_of_two(uint16_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

int
virtqueue_map(
    struct virtqueue *q, const struct guest_memory *m, const struct virtqueue_place *place)
{
	const uint16_t n = place->size;

	/* Alignments and sizes: virtio 1.2, 2.7; two bytes more are the event indices. */
	if (!is_power_of_two(n) || n > VIRTQUEUE_SIZE_MAX || place->descriptors % 16 != 0 ||
	    place->available % 2 != 0 || place->used % 4 != 0)
		return -EPROTO;
	q->descriptors = (const struct vring_desc *)(const void *)guest_memory_at_user(
	    m, place->descriptors, n * sizeof(struct vring_desc));
	q->available = (const struct vring_avail *)(const void *)guest_memory_at_user(
	    m, place->available, sizeof(struct vring_avail) + (n + 1u) * sizeof(uint16_t));
	q->used = (struct vring_used *)(void *)guest_memory_at_user(m, place->used,
	    sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) + sizeof(uint16_t));
	if (q->descriptors == NULL || q->available == NULL || q->used == NULL)
		return -EPROTO;
	q->size = n;
	q->done = READ(q->used->idx);
	return 0;
}

/* ---- A request ---- */

/* Adds one descriptor's buffer, in as many pieces as the memory has. */
static int
add_buffer(const struct guest_memory *m, struct iovec *parts, uint32_t *n, size_t *bytes,
    size_t max_bytes, const struct vring_desc *d)
{
	uint64_t at = d->addr, left = d->len, run;
	uint8_t *piece;

	if (left > max_bytes - *bytes)
		return -EPROTO;
	*bytes += left;
	for (; left > 0; left -= run, at += run) {
		piece = guest_memory_at(m, at, left, &run);
		if (piece == NULL || *n == VIRTQUEUE_SIZE_MAX)
			return -EPROTO;
		parts[(*n)++] = (struct iovec){piece, run};
	}
	return 0;
}

/* The copy of a table's entry is what counts from here on. */
static struct vring_desc
read_descriptor(const struct vring_desc *at)
{
	return (struct vring_desc){.addr = READ(at->addr),
	    .len = READ(at->len),
	    .flags = READ(at->flags),
	    .next = READ(at->next)};
}

/* Follows the chain in a table of n entries from `index` on. */
static int
walk(const struct guest_memory *m, const struct vring_desc *table, uint32_t n, uint16_t index,
    size_t max_bytes, struct virtqueue_chain *c)
{
	uint32_t steps = 0;
	struct vring_desc d;
	int rc;

	do {
		if (index >= n || steps++ == VIRTQUEUE_SIZE_MAX)
			return -EPROTO;
		d = read_descriptor(&table[index]);
		if ((d.flags & (unsigned)~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)) != 0)
			return -EPROTO;
		if (d.flags & VRING_DESC_F_WRITE)
			rc = add_buffer(
			    m, c->writable, &c->n_writable, &c->writable_bytes, max_bytes, &d);
		/* What is read comes before what is written (2.7.4.2). */
		else if (c->n_writable > 0)
			rc = -EPROTO;
		else
			rc = add_buffer(
			    m, c->readable, &c->n_readable, &c->readable_bytes, max_bytes, &d);
		if (rc < 0)
			return rc;
		index = d.next;
	} while (d.flags & VRING_DESC_F_NEXT);
	return 0;
}

static int
walk_indirect(const struct guest_memory *m, const struct vring_desc *d, size_t max_bytes,
    struct virtqueue_chain *c)
{
	const uint32_t n = d->len / sizeof(*d);
	uint64_t run = 0;
	uint8_t *table;

	/* Alone, not for the device to write, whole entries, and not within itself (2.7.5.3). */
	if (d->flags != VRING_DESC_F_INDIRECT || n == 0 || n > VIRTQUEUE_SIZE_MAX ||
	    d->len % sizeof(*d) != 0)
		return -EPROTO;
	table = guest_memory_at(m, d->addr, d->len, &run);
	if (table == NULL || run != d->len || (uintptr_t)table % 8 != 0)
		return -EPROTO;
	return walk(m, (const struct vring_desc *)(const void *)table, n, 0, max_bytes, c);
}

/* The driver's index; where none is new, it is asked to notify of the next, and looked at again. */
static uint16_t
available_index(struct virtqueue *q)
{
	uint16_t index = ACQUIRE(q->available->idx);
	uint16_t *event;

	if (index != q->next || !q->event_index)
		return index;
	event = (uint16_t *)(void *)&q->used->ring[q->size];
	__atomic_store_n(event, q->next, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ACQUIRE(q->available->idx);
}

int
virtqueue_pop(
    struct virtqueue *q, const struct guest_memory *m, size_t max_bytes, struct virtqueue_chain *c)
{
	const uint16_t waiting = (uint16_t)(available_index(q) - q->next);
	struct vring_desc first;
	int rc;

	if (waiting == 0)
		return 0;
	if (waiting > q->size)
		return -EPROTO;
	c->head = READ(q->available->ring[q->next & (q->size - 1u)]);
	c->n_readable = c->n_writable = 0;
	c->readable_bytes = c->writable_bytes = 0;
	if (c->head >= q->size)
		return -EPROTO;
	first = read_descriptor(&q->descriptors[c->head]);
	rc = first.flags & VRING_DESC_F_INDIRECT
		 ? walk_indirect(m, &first, max_bytes, c)
		 : walk(m, q->descriptors, q->size, c->head, max_bytes, c);
	if (rc < 0)
		return rc;
	q->next++;
	return 1;
}

bool
virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e = &q->used->ring[q->done & (q->size - 1u)];
	uint16_t event;

	e->id = head;
	e->len = written;
	q->done++;
	__atomic_store_n(&q->used->idx, q->done, __ATOMIC_RELEASE);
	/* The driver may have asked just now. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_index)
		return (READ(q->available->flags) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
	event = READ(q->available->ring[q->size]);
	return vring_need_event(event, q->done, (uint16_t)(q->done - 1)) != 0;
}
