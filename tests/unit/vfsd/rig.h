/* SPDX-License-Identifier: Apache-2.0 */
/* vfsd as a process of its own, without its wall, serving one mount of 4 MiB in memory on /w. */
#ifndef GONDOLIN_TESTS_UNIT_VFSD_RIG_H
#define GONDOLIN_TESTS_UNIT_VFSD_RIG_H

#include <stdint.h>
#include <sys/types.h>

#include "vfsd/vfsd.h"

struct rig {
	pid_t pid;
	int supervisor, port;
	uint8_t *reply; /* VFS_FRAME_MAX */
};

/* Starts it for a first boot.  device: where the machine's end of the mount's device goes, or NULL:
 * the guest relays. */
void rig_start(struct rig *r, int *device);

/* Ends as the supervisor's end makes it end: quietly. */
void rig_stop(struct rig *r);

/* A message of the supervisor's; fd -1 = none. */
void rig_tell(struct rig *r, Gondolin__SupToVfsd__BodyCase kind, void *body, int fd);

/* A frame of the guest's. */
void rig_put_frame(struct rig *r, uint32_t mount, const void *bytes, size_t n);
void rig_put_owner(struct rig *r);

/* The next frame of vfsd's, in r->reply: its length, or -1 where the port was closed. */
long rig_take_frame(struct rig *r, uint32_t *mount);

#endif
