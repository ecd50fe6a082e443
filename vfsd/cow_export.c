/* SPDX-License-Identifier: Apache-2.0 */
/* The upper tree as an archive: what `gondolin diff` and `gondolin apply` look at. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/tar.h"
#include "vfsd/cow_internal.h"

#define PART (256u * 1024u)

struct export
{
	struct cow *c;
	int fd;
	uint64_t at;    /* end of what was written */
	uint64_t holes; /* that all files may still have */
	struct tar_entry entry;
	uint8_t head[TAR_ENTRY_MAX];
	uint8_t part[PART];
};

static int
put(struct export *x, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	ssize_t done;

	for (; n > 0; p += done, n -= (size_t)done, x->at += (uint64_t)done) {
		done =
		    pwritev2(x->fd, &(struct iovec){(void *)(uintptr_t)p, n}, 1, (off_t)x->at, 0);
		if (done < 0)
			return -errno;
	}
	return 0;
}

static int
put_header(struct export *x, enum tar_type type, const struct vfs_attr *a)
{
	x->entry.type = type;
	x->entry.size = type == TAR_FILE ? a->size : 0;
	x->entry.mode = a->mode & 07777;
	x->entry.uid = a->uid;
	x->entry.gid = a->gid;
	x->entry.mtime = a->mtime.tv_sec;
	return put(x, x->head, tar_header_encode(&x->entry, x->head));
}

static int
put_stretch(struct export *x, struct vfs_handle *h, uint64_t from, uint64_t to, uint64_t start)
{
	struct vfs_provider *p = x->c->upper;
	ssize_t n;
	int error = 0;

	x->at = start + from;
	for (; error == 0 && from < to; from += (uint64_t)n) {
		n = p->ops->read(
		    p, h, x->part, to - from < PART ? (size_t)(to - from) : PART, from);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		error = put(x, x->part, (size_t)n);
	}
	return error;
}

static int
put_file(struct export *x, const struct vfs_entry *e)
{
	struct vfs_provider *p = x->c->upper;
	struct vfs_handle *h;
	uint64_t start, from = 0, to, holes = e->attr.size;
	int64_t found;
	bool unchanged;
	int error;

	error = put_header(x, TAR_FILE, &e->attr);
	if (error == 0)
		error = p->ops->open(p, e->node, O_RDONLY, &h, &unchanged);
	if (error != 0)
		return error;
	start = x->at;
	while (error == 0 && from < e->attr.size) {
		found = p->ops->seek(p, h, from, SEEK_DATA);
		if (found < 0) {
			error = found == -ENXIO ? 0 : (int)found;
			break;
		}
		from = (uint64_t)found;
		found = p->ops->seek(p, h, from, SEEK_HOLE);
		to = found > 0 ? (uint64_t)found : e->attr.size;
		error = put_stretch(x, h, from, to, start);
		holes -= to - from;
		from = to;
	}
	p->ops->close(p, h);
	if (error == 0 && holes > x->holes)
		error = -EFBIG;
	x->holes -= error == 0 ? holes : 0;
	x->at = start + e->attr.size + tar_padding(e->attr.size);
	return error;
}

static int
put_link(struct export *x, const struct vfs_entry *e)
{
	struct vfs_provider *p = x->c->upper;
	ssize_t n = p->ops->readlink(p, e->node, x->entry.target, TAR_NAME_MAX);

	if (n < 0)
		return (int)n;
	x->entry.target[n] = '\0';
	return put_header(x, TAR_SYMLINK, &e->attr);
}

static int
put_entry(void *ctx, const char *path, const struct vfs_entry *e)
{
	struct export *x = ctx;
	size_t n = strlen(path);

	if (n > TAR_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(x->entry.name, path, n + 1);
	x->entry.target[0] = '\0';
	switch (e->attr.mode & S_IFMT) {
	case S_IFREG:
		return put_file(x, e);
	case S_IFLNK:
		return put_link(x, e);
	case S_IFDIR:
		return put_header(x, TAR_DIRECTORY, &e->attr);
	default:
		return 0; /* a socket or a fifo has no content that anybody could apply */
	}
}

int
vfs_cow_export(struct vfs_provider *p, int fd)
{
	static const uint8_t end[2 * TAR_BLOCK];
	struct export *x = calloc(1, sizeof(*x));
	int error;

	if (x == NULL)
		return -ENOMEM;
	x->c = COW(p);
	x->fd = fd;
	x->holes = COW_EXPORT_HOLES_MAX;
	error = vfs_cow_walk(p, TAR_DEPTH_MAX - 1, put_entry, x);
	if (error == 0)
		error = put(x, end, sizeof(end));
	free(x);
	return error;
}
