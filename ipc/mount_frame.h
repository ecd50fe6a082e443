/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vfsd and the guest's relay say to each other on the port org.gondolin.vfs before file
 * systems are served.  The port carries the frames of vfsd/transport.h; these two are those of the
 * mount id MOUNT_CONTROL, and each is sent once.  Numbers are little-endian.
 *
 * Plan (vfsd to guest): what to mount, parents before what is nested in them.
 *
 *	offset 0   le32  MOUNT_MAGIC
 *	offset 4   le32  number of mounts, 1 to MOUNT_MAX
 *	offset 8   le32  1: each mount is a virtio-fs device of its own (MOUNT_TAG); 0: relayed
 *	offset 12  4 bytes, zero
 *	offset 16  the user whom commands run as, and a NUL
 *	then for each mount, whose id is its place: its path in the guest, and a NUL
 *
 * Owner (guest to vfsd): who that user is in the guest's own tables; what is mounted is shown as
 * its property.  The guest may say anything: only the guest sees it.
 *
 *	offset 0   le32  MOUNT_MAGIC
 *	offset 4   le32  uid
 *	offset 8   le32  gid
 *	offset 12  4 bytes, zero
 */
#ifndef GONDOLIN_IPC_MOUNT_FRAME_H
#define GONDOLIN_IPC_MOUNT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOUNT_PORT_NAME   "org.gondolin.vfs"
#define MOUNT_CONTROL     UINT32_MAX
#define MOUNT_MAGIC       0x31465647u /* "GVF1" */
#define MOUNT_MAX         64u
#define MOUNT_USER_MAX    256u  /* bytes, NUL included */
#define MOUNT_PATH_MAX    4096u /* bytes, NUL included */
#define MOUNT_PLAN_MAX    (16u + MOUNT_USER_MAX + MOUNT_MAX * MOUNT_PATH_MAX)
#define MOUNT_OWNER_SIZE  16u

#define MOUNT_TAG         "gondolin%u" /* of a virtio-fs device; the mount's id */
#define MOUNT_DEVICES_MAX 16u          /* a microvm has room for 24, and others need some */

/* A plan; the strings belong to whoever filled it, or point into the decoded bytes. */
struct mount_plan {
	const char *user;
	const char *paths[MOUNT_MAX];
	uint32_t n;
	bool by_devices;
};

/*
 * Writes a plan whose strings are within their bounds to out (MOUNT_PLAN_MAX bytes); returns its
 * length.
 */
size_t mount_plan_encode(const struct mount_plan *plan, uint8_t *out);

/* Reads one.  Returns 0, or -EPROTO for bytes that are no plan to the last one. */
int mount_plan_decode(const uint8_t *in, size_t length, struct mount_plan *plan);

void mount_owner_encode(uint32_t uid, uint32_t gid, uint8_t out[MOUNT_OWNER_SIZE]);

/* Returns 0, or -EPROTO for bytes that are no owner (UINT32_MAX is nobody's number). */
int mount_owner_decode(const uint8_t *in, size_t length, uint32_t *uid, uint32_t *gid);

#endif
