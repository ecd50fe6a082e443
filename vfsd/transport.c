/* SPDX-License-Identifier: Apache-2.0 */
/* What carries FUSE messages: see the header. */
#include "vfsd/transport.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
device_send(struct vfs_transport *t, const struct iovec *parts, int n_parts)
{
	struct vfs_device *d = (struct vfs_device *)t;
	ssize_t n;

	do
		n = writev(d->fd, parts, n_parts);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void
vfs_device_init(struct vfs_device *d, int fd)
{
	d->transport.send = device_send;
	d->fd = fd;
}

ssize_t
vfs_device_receive(struct vfs_device *d, void *buffer, size_t size)
{
	ssize_t n = read(d->fd, buffer, size);

	if (n >= 0)
		return n;
	/* ENOENT: the request was taken back between its wake-up and this read. */
	if (errno == ENOENT)
		return -EAGAIN;
	return errno == ENODEV ? 0 : -errno;
}

void
vfs_frame_encode(uint8_t out[VFS_FRAME_HEADER], uint32_t length, uint32_t mount)
{
	uint32_t words[2] = {htole32(length), htole32(mount)};

	memcpy(out, words, sizeof(words));
}

int
vfs_frames_init(struct vfs_frames *f)
{
	f->start = f->end = 0;
	f->buffer = malloc(VFS_FRAME_MAX);
	return f->buffer != NULL ? 0 : -ENOMEM;
}

void
vfs_frames_clear(struct vfs_frames *f)
{
	free(f->buffer);
	f->buffer = NULL;
	f->start = f->end = 0;
}

uint8_t *
vfs_frames_space(struct vfs_frames *f, size_t *room)
{
	if (f->start > 0) {
		memmove(f->buffer, f->buffer + f->start, f->end - f->start);
		f->end -= f->start;
		f->start = 0;
	}
	*room = VFS_FRAME_MAX - f->end;
	return f->buffer + f->end;
}

void
vfs_frames_filled(struct vfs_frames *f, size_t n)
{
	f->end += n;
}

int
vfs_frames_next(struct vfs_frames *f, uint32_t *mount, const uint8_t **payload, size_t *length)
{
	size_t have = f->end - f->start;
	uint32_t words[2];

	if (have < VFS_FRAME_HEADER)
		return 0;
	memcpy(words, f->buffer + f->start, sizeof(words));
	*length = le32toh(words[0]);
	if (*length < sizeof(struct fuse_out_header) || *length > FUSE_REQUEST_MAX)
		return -EPROTO;
	if (have < VFS_FRAME_HEADER + *length)
		return 0;
	*mount = le32toh(words[1]);
	*payload = f->buffer + f->start + VFS_FRAME_HEADER;
	f->start += VFS_FRAME_HEADER + *length;
	return 1;
}
