/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with one virtio-fs device, as QEMU and a guest's driver would make it: memory, two
 * queues, and what is said over vhost-user.
 *
 * The memory is one memfd in two regions, next to each other for the guest and not for the
 * machine, so that a buffer can lie across the border.
 */
#ifndef GONDOLIN_TESTS_UNIT_VFSD_MACHINE_H
#define GONDOLIN_TESTS_UNIT_VFSD_MACHINE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfsd/vhost_user.h"

#define MACHINE_MEMORY  (8u << 20)
#define MACHINE_BORDER  (4u << 20) /* where the second region begins */
#define MACHINE_QUEUE   512u
#define MACHINE_BUFFERS (1u << 20) /* guest-physical address of what a test writes to */
#define MACHINE_USER_A  UINT64_C(0x7f0000000000)
#define MACHINE_USER_B  UINT64_C(0x7e0000000000)

/* Numbers of vhost-user requests. */
enum {
	M_GET_FEATURES = 1,
	M_SET_FEATURES,
	M_SET_OWNER,
	M_SET_MEM_TABLE = 5,
	M_SET_VRING_NUM = 8,
	M_SET_VRING_ADDR,
	M_SET_VRING_BASE,
	M_GET_VRING_BASE,
	M_SET_VRING_KICK,
	M_SET_VRING_CALL,
	M_SET_VRING_ERR,
	M_GET_PROTOCOL_FEATURES,
	M_SET_PROTOCOL_FEATURES,
	M_GET_QUEUE_NUM,
	M_SET_VRING_ENABLE,
};

struct machine_message {
	struct vhost_user_header header;
	uint8_t payload[VHOST_USER_PAYLOAD_MAX];
	int fds[VHOST_USER_FDS_MAX]; /* the machine's */
	size_t n_fds;
};

struct machine {
	int memory, kick[VHOST_USER_QUEUES], call[VHOST_USER_QUEUES];
	uint8_t *bytes; /* all of the memory */
	uint16_t available[VHOST_USER_QUEUES], seen[VHOST_USER_QUEUES];
};

void machine_open(struct machine *m);
void machine_close(struct machine *m);

/* The i-th message of a start, in QEMU's order; false past the last. */
bool machine_start_message(const struct machine *m, unsigned i, struct machine_message *out);

/* A message of a request, with a payload. */
struct machine_message machine_message(uint32_t request, const void *payload, size_t size, int fd);

/* Where a queue is. */
struct vring machine_ring(const struct machine *m, unsigned queue);

/* Makes the chain that starts with descriptor `head` available. */
void machine_offer(struct machine *m, unsigned queue, uint16_t head);

#endif
