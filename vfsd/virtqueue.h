/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7) in memory that a hostile guest writes
 * to at any time.
 *
 * Each number of the rings and of a descriptor is read once, checked, and used from the copy.  A
 * chain is bounded in descriptors and bytes, so that a table which leads in circles ends.  What a
 * driver must not do is -EPROTO, after which the queue is not looked at again.
 */
#ifndef GONDOLIN_VFSD_VIRTQUEUE_H
#define GONDOLIN_VFSD_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vfsd/guest_memory.h"

#define VIRTQUEUE_SIZE_MAX 1024u /* entries of a ring, and descriptors of a chain */

/* Where a ring is, in the machine's address space, and how long. */
struct virtqueue_place {
	uint64_t descriptors, available, used;
	uint16_t size; /* a power of two */
};

struct virtqueue {
	uint16_t size;
	const struct vring_desc *descriptors;
	const struct vring_avail *available;
	struct vring_used *used;
	uint16_t next;    /* index of the next available entry, modulo 2^16 */
	uint16_t done;    /* and of the next used one */
	bool event_index; /* VIRTIO_F_EVENT_IDX */
};

/* One request: buffers that the device reads, then buffers that it writes. */
struct virtqueue_chain {
	uint16_t head;
	uint32_t n_readable, n_writable;
	size_t readable_bytes, writable_bytes;
	struct iovec readable[VIRTQUEUE_SIZE_MAX];
	struct iovec writable[VIRTQUEUE_SIZE_MAX];
};

/*
 * Finds the ring's parts in the memory.  Leaves next and event_index alone, takes done from the
 * ring.  Returns 0, or -EPROTO where a part is not aligned or not wholly in the memory, or the size
 * is none.
 */
int virtqueue_map(
    struct virtqueue *q, const struct guest_memory *m, const struct virtqueue_place *place);

/*
 * Takes the next request.  max_bytes bounds either direction.  Returns 1 and the chain; 0 where
 * there is none (the driver then notifies of the next one); or -EPROTO.
 */
int virtqueue_pop(
    struct virtqueue *q, const struct guest_memory *m, size_t max_bytes, struct virtqueue_chain *c);

/*
 * Gives a request back, of whose writable buffers `written` bytes were written.  Returns true where
 * the driver asks to be interrupted.
 */
bool virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written);

#endif
