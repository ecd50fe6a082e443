/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount's virtio-fs device (virtio 1.2, 5.11): FUSE requests that lie in the guest's memory.
 *
 * The machine says over a vhost-user socket where; from then on the guest rings an eventfd,
 * requests are copied out of its memory before anything looks at them, and replies are written
 * where they are waited for.  A hostile guest can write to that memory at any time, and may hold
 * the machine: the first thing that does not fit ends the boot, as on the port.
 *
 * One request is served at a time and answered at once.  There is no message for an interrupt on
 * this way, so the server is not asked to wait for locks (vfs_server_config.local_locks).
 */
#ifndef GONDOLIN_VFSD_VIRTIOFS_H
#define GONDOLIN_VFSD_VIRTIOFS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfsd/transport.h"
#include "vfsd/vhost_user.h"

struct vfsd;

struct virtiofs {
	struct vfs_transport transport;
	struct vfsd *vfsd;
	uint32_t mount;
	int fd; /* the machine's socket */
	ev_io socket, kicks[VHOST_USER_QUEUES];
	struct vhost_user device;
	bool pending[VHOST_USER_QUEUES]; /* requests may wait */
	uint32_t written;                /* of the reply to the request that is being served */
	/* A message of the machine, as far as it has come. */
	uint8_t in[sizeof(struct vhost_user_header) + VHOST_USER_PAYLOAD_MAX];
	size_t n_in;
	int fds[VHOST_USER_FDS_MAX];
	size_t n_fds;
};

/* What all devices share: one request is served at a time. */
struct virtiofs_scratch {
	uint32_t turn; /* the mount that is served first in the next round */
	struct virtqueue_chain chain;
	uint8_t request[FUSE_REQUEST_MAX] __attribute__((aligned(8)));
};

/*
 * Takes the machine's socket for a mount, for this boot; closes it where the boot is over already.
 * Returns 0, or -EPROTO where it has one or there is no such mount (fd is closed).
 */
int virtiofs_open(struct vfsd *v, uint32_t mount, int fd);

/* Ends the mount's device; NULL is allowed. */
void virtiofs_close(struct virtiofs *f);

/* Serves what waits, a bounded number of requests.  Once in a round of the event loop, which must
 * not wait where it returns true. */
bool virtiofs_serve(struct vfsd *v);

#endif
