/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between the FUSE server and what carries its messages: one of these two, or a virtio-fs
 * device (virtiofs.h).
 *
 * Inwards a transport hands over one whole request at a time (vfs_server_request); outwards the
 * server hands over one whole reply or notification.  The server never waits for a transport: what
 * cannot leave at once is the transport's to keep or, past its bound, to refuse.
 *
 * /dev/fuse itself frames: one read(2) is one request, one writev(2) is one reply.  A byte stream
 * (the virtio-serial port that the guest relays to /dev/fuse, several mounts on one port) carries
 * frames, in both directions:
 *
 *	offset 0  le32  length of the payload: 16 to FUSE_REQUEST_MAX (= FUSE_REPLY_MAX)
 *	offset 4  le32  mount id: place of the mount in the configuration, from 0
 *	offset 8        payload: one FUSE message, whose own len field is the same length
 *
 * The relay copies payloads without looking inside.
 */
#ifndef GONDOLIN_VFSD_TRANSPORT_H
#define GONDOLIN_VFSD_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vfsd/fuse_wire.h"

struct vfs_transport {
	/*
	 * Sends one message (header and payload, in order) and returns 0; the bytes are the
	 * caller's again.  -ENOENT: the guest no longer waits for it (it was interrupted), which
	 * is no failure.  Another -errno: the transport is broken.
	 */
	int (*send)(struct vfs_transport *t, const struct iovec *parts, int n_parts);
};

/* ---- /dev/fuse ---- */

struct vfs_device {
	struct vfs_transport transport;
	int fd; /* the caller's */
};

void vfs_device_init(struct vfs_device *d, int fd);

/*
 * Reads one request into buffer (at least FUSE_REQUEST_MAX bytes, as the kernel demands room for
 * the largest).  Returns its length; 0 where the file system was unmounted; -EAGAIN, -EINTR; or
 * another -errno.
 */
ssize_t vfs_device_receive(struct vfs_device *d, void *buffer, size_t size);

/* ---- A byte stream ---- */

#define VFS_FRAME_HEADER 8u
#define VFS_FRAME_MAX    (VFS_FRAME_HEADER + FUSE_REQUEST_MAX)

void vfs_frame_encode(uint8_t out[VFS_FRAME_HEADER], uint32_t length, uint32_t mount);

/*
 * Cuts what the guest sends into frames.  Owns one buffer of VFS_FRAME_MAX bytes, whose pages are
 * used only as far as frames are long.
 */
struct vfs_frames {
	uint8_t *buffer;
	size_t start, end; /* bytes that are not handed out yet */
};

/* Returns 0 or -ENOMEM. */
int vfs_frames_init(struct vfs_frames *f);
void vfs_frames_clear(struct vfs_frames *f);

/* Where the next read(2) puts bytes; *room is at least 1. */
uint8_t *vfs_frames_space(struct vfs_frames *f, size_t *room);
void vfs_frames_filled(struct vfs_frames *f, size_t n);

/*
 * The next whole frame: returns 1 and sets the payload (valid until the next _space) and the mount
 * id; 0 where more bytes are needed; -EPROTO where the length is out of range (for good).
 */
int vfs_frames_next(struct vfs_frames *f, uint32_t *mount, const uint8_t **payload, size_t *length);

#endif
