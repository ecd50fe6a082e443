/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a file from the lower tree to the upper one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfsd/cow_internal.h"

#define COPY_BUFFER (256u * 1024u)

/* The stretch of data from `at` on: its start and end.  Holes stay holes. */
static void
stretch(struct vfs_provider *p, struct vfs_handle *h, uint64_t size, uint64_t *at, uint64_t *end)
{
	int64_t data = p->ops->seek(p, h, *at, SEEK_DATA), hole;

	*end = size;
	if (data < 0) {
		/* ENXIO: only a hole is left.  Anything else: there is no telling, copy all. */
		if (data == -ENXIO)
			*at = size;
		return;
	}
	*at = (uint64_t)data;
	hole = p->ops->seek(p, h, *at, SEEK_HOLE);
	if (hole > data)
		*end = (uint64_t)hole;
}

static int
copy_stretch(struct cow *c, struct vfs_handle *from, struct vfs_handle *to, uint64_t at,
    uint64_t end, char *buffer)
{
	ssize_t n, written;
	size_t part;

	while (at < end) {
		part = end - at < COPY_BUFFER ? (size_t)(end - at) : COPY_BUFFER;
		n = c->lower->ops->read(c->lower, from, buffer, part, at);
		if (n <= 0)
			return (int)n;
		written = c->upper->ops->write(c->upper, to, buffer, (size_t)n, at, 0);
		if (written <= 0)
			return written < 0 ? (int)written : -ENOSPC;
		at += (uint64_t)written;
	}
	return 0;
}

static int
copy_content(struct cow *c, struct vfs_node *lower, struct vfs_handle *to, uint64_t size)
{
	struct vfs_handle *from = NULL;
	char *buffer = malloc(COPY_BUFFER);
	uint64_t at = 0, end;
	bool unchanged;
	int error = -ENOMEM;

	if (buffer != NULL)
		error = c->lower->ops->open(c->lower, lower, O_RDONLY, &from, &unchanged);
	while (error == 0 && at < size) {
		stretch(c->lower, from, size, &at, &end);
		error = copy_stretch(c, from, to, at, end, buffer);
		at = end;
	}
	if (from != NULL)
		c->lower->ops->close(c->lower, from);
	free(buffer);
	return error;
}

/* User attributes come along as far as the upper tree takes them. */
static void
copy_xattrs(struct cow *c, struct vfs_node *lower, struct vfs_node *upper)
{
	char *names = malloc(VFS_XATTR_MAX), *value = malloc(VFS_XATTR_MAX);
	ssize_t length, at, n;

	length = names != NULL && value != NULL
		     ? c->lower->ops->listxattr(c->lower, lower, names, VFS_XATTR_MAX)
		     : 0;
	for (at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
		n = c->lower->ops->getxattr(c->lower, lower, names + at, value, VFS_XATTR_MAX);
		if (n >= 0)
			(void)c->upper->ops->setxattr(
			    c->upper, upper, names + at, value, (size_t)n, 0);
	}
	free(names);
	free(value);
}

/* Size, owner, mode and times, in the order in which they survive each other. */
static int
copy_attributes(struct cow *c, struct vfs_node *upper, struct vfs_handle *h,
    const struct vfs_attr *a, bool empty)
{
	struct vfs_change change = {
	    .set = VFS_SET_UID | VFS_SET_GID | VFS_SET_ATIME | VFS_SET_MTIME,
	    .uid = a->uid,
	    .gid = a->gid,
	    .mode = a->mode & 07777,
	    .size = empty ? 0 : a->size,
	    .atime = a->atime,
	    .mtime = a->mtime,
	};
	struct vfs_attr out;

	if (!S_ISLNK(a->mode))
		change.set |= VFS_SET_MODE;
	if (S_ISREG(a->mode))
		change.set |= VFS_SET_SIZE;
	return c->upper->ops->setattr(c->upper, upper, h, &change, &out);
}

/* The empty copy: under the name, or without one where the file has none left. */
static int
make_copy(struct cow *c, struct cow_node *n, const struct vfs_attr *a, struct vfs_entry *out,
    struct vfs_handle **to)
{
	struct vfs_make make = {.mode = S_IFREG | 0600, .uid = a->uid, .gid = a->gid};
	struct vfs_provider *p = c->upper;

	if (n->dir == NULL)
		return p->ops->tmpfile(p, c->root->upper, &make, O_RDWR | O_EXCL, out, to);
	return p->ops->create(p, n->dir->upper, n->name, &make, O_RDWR | O_EXCL, out, to);
}

static int
copy_file(
    struct cow *c, struct cow_node *n, const struct vfs_attr *a, bool empty, struct vfs_entry *out)
{
	struct vfs_handle *to;
	int error;

	error = make_copy(c, n, a, out, &to);
	if (error != 0)
		return error;
	if (!empty)
		error = copy_content(c, n->lower, to, a->size);
	if (error == 0) {
		copy_xattrs(c, n->lower, out->node);
		error = copy_attributes(c, out->node, to, a, empty);
	}
	c->upper->ops->close(c->upper, to);
	if (error != 0) {
		if (n->dir != NULL)
			(void)c->upper->ops->unlink(c->upper, n->dir->upper, n->name, false);
		vfs_node_put(out->node);
	}
	return error;
}

static int
copy_other(struct cow *c, struct cow_node *n, const struct vfs_attr *a, struct vfs_entry *out)
{
	struct vfs_make make = {.mode = a->mode, .uid = a->uid, .gid = a->gid};
	char target[VFS_TARGET_MAX + 1];
	ssize_t length;
	int error;

	if (S_ISLNK(a->mode)) {
		length = c->lower->ops->readlink(c->lower, n->lower, target, VFS_TARGET_MAX);
		if (length < 0)
			return (int)length;
		target[length] = '\0';
		/* In the upper tree it would be a mark. */
		if (strcmp(target, COW_MARK) == 0)
			return -EPERM;
		make.target = target;
	}
	error = c->upper->ops->make(c->upper, n->dir->upper, n->name, &make, out);
	if (error != 0)
		return error;
	if (S_ISDIR(a->mode))
		copy_xattrs(c, n->lower, out->node);
	error = copy_attributes(c, out->node, NULL, a, false);
	if (error != 0) {
		(void)c->upper->ops->unlink(
		    c->upper, n->dir->upper, n->name, S_ISDIR(a->mode) != 0);
		vfs_node_put(out->node);
	}
	return error;
}

/* Files that are open for reading go on with the copy, so that they see what is written to it. */
static void
reopen(struct cow *c, struct cow_node *n, struct vfs_node *upper)
{
	struct vfs_handle *inner;
	struct cow_handle *h;
	bool unchanged;

	for (h = n->handles; h != NULL; h = h->next) {
		if (h->side == c->upper ||
		    c->upper->ops->open(c->upper, upper, O_RDONLY, &inner, &unchanged) != 0)
			continue;
		h->side->ops->close(h->side, h->inner);
		h->side = c->upper;
		h->inner = inner;
	}
}

/* One node whose directory has an upper side already. */
static int
copy_one(struct cow *c, struct cow_node *n, bool empty)
{
	struct vfs_entry e;
	struct vfs_attr a;
	int error;

	error = c->lower->ops->getattr(c->lower, n->lower, NULL, &a);
	if (error != 0)
		return error;
	error = S_ISREG(a.mode) ? copy_file(c, n, &a, empty, &e) : copy_other(c, n, &a, &e);
	if (error != 0)
		return error;
	reopen(c, n, e.node);
	cow_node_raise(c, n, e.node);
	return 0;
}

int
cow_copy_up(struct cow *c, struct cow_node *n, bool empty)
{
	struct cow_node *top;
	int error = 0;

	while (n->upper == NULL && error == 0) {
		for (top = n; top->dir != NULL && top->dir->upper == NULL; top = top->dir)
			;
		/* Only a file that was removed while it is open needs no place. */
		error = top->dir != NULL || top->type == S_IFREG
			    ? copy_one(c, top, empty && top == n)
			    : -ESTALE;
	}
	return error;
}
