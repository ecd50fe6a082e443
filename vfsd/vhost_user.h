/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end's side of vhost-user (QEMU docs/interop/vhost-user.rst) for a virtio-fs device
 * (virtio 1.2, 5.11): the machine says over a stream socket where the guest's memory and the
 * device's queues are; requests then come and go in that memory, past the machine.
 *
 * A machine that was taken over writes every byte.  It is told what is offered here and nothing
 * else, and what it says is checked in vhost_user_message(), which does no input or output: the
 * socket is the caller's.
 */
#ifndef GONDOLIN_VFSD_VHOST_USER_H
#define GONDOLIN_VFSD_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfsd/guest_memory.h"
#include "vfsd/virtqueue.h"

#define VHOST_USER_QUEUES      2u /* hiprio, which carries FORGET; and one of requests */
#define VHOST_USER_FDS_MAX     GUEST_REGIONS_MAX
#define VHOST_USER_PAYLOAD_MAX (8u + GUEST_REGIONS_MAX * 32u)

/* As it stands in front of each message, in the host's byte order. */
struct vhost_user_header {
	uint32_t request, flags, size;
};

struct vhost_user_queue {
	struct virtqueue ring;
	struct virtqueue_place place;
	int kick, call; /* eventfds, non-blocking; -1: none */
	bool placed;    /* SET_VRING_ADDR came */
	bool enabled;
};

struct vhost_user {
	uint64_t features, protocol_features;
	struct guest_memory memory;
	struct vhost_user_queue queues[VHOST_USER_QUEUES];
};

void vhost_user_init(struct vhost_user *v);

/* Unmaps the memory and closes the queues' descriptors. */
void vhost_user_clear(struct vhost_user *v);

/*
 * One whole message: payload has header->size bytes.  Takes what it keeps of fds (and sets it to
 * -1); the rest stays the caller's.  Fills reply (VHOST_USER_PAYLOAD_MAX bytes) and returns its
 * length, 0 where none is to be sent; or -EPROTO, or -errno of a mapping.
 */
int vhost_user_message(struct vhost_user *v, const struct vhost_user_header *header,
    const uint8_t *payload, int *fds, size_t n_fds, uint8_t *reply);

/* What a reply's header says. */
struct vhost_user_header vhost_user_reply(uint32_t request, uint32_t size);

/* Whether requests of that queue may be looked at. */
bool vhost_user_running(const struct vhost_user_queue *q);

#endif
