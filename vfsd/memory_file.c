/* SPDX-License-Identifier: Apache-2.0 */
/* Files in memory: attributes and content. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vfsd/memory_internal.h"

struct timespec
memory_now(void)
{
	struct timespec t;

	/* As kernels take it: the guest's sets the times of what it holds back, and these go on. */
	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t;
}

static bool
is_regular(const struct memory_node *n)
{
	return S_ISREG(n->mode);
}

void
memory_attr(const struct memory_node *n, struct vfs_attr *a)
{
	*a = (struct vfs_attr){
	    .ino = n->ino,
	    .size = S_ISDIR(n->mode) ? n->u.dir.n_entries * 32 : n->size,
	    .blocks = is_regular(n) ? n->u.data.pages * (MEMORY_PAGE / 512) : 0,
	    .atime = n->atime,
	    .mtime = n->mtime,
	    .ctime = n->ctime,
	    .mode = n->mode,
	    .nlink = n->nlink,
	    .uid = n->uid,
	    .gid = n->gid,
	    .blksize = MEMORY_PAGE,
	};
}

int
memory_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h, struct vfs_attr *out)
{
	(void)p;
	(void)h;
	memory_attr(NODE(node), out);
	return 0;
}

static void
kill_privilege(struct memory_node *n)
{
	if (S_ISDIR(n->mode))
		return;
	n->mode &= ~(uint32_t)S_ISUID;
	if (n->mode & S_IXGRP)
		n->mode &= ~(uint32_t)S_ISGID;
}

/* What was allocated beyond the end goes as well, unless the file grows. */
static void
resize(struct memory *m, struct memory_node *n, uint64_t size)
{
	const uint64_t pages = (size + MEMORY_PAGE - 1) / MEMORY_PAGE;

	if (size <= n->size) {
		memory_zero(&n->u.data, &m->budget, size, pages * MEMORY_PAGE);
		memory_pages_free(&n->u.data, &m->budget, pages, UINT64_MAX);
	}
	n->size = size;
	n->mtime = n->ctime = memory_now();
}

static struct timespec
time_or_now(struct timespec t)
{
	return t.tv_nsec == UTIME_NOW ? memory_now() : t;
}

int
memory_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *c, struct vfs_attr *out)
{
	struct memory_node *n = NODE(node);

	(void)h;
	if ((c->set & VFS_SET_SIZE) && !is_regular(n))
		return S_ISDIR(n->mode) ? -EISDIR : -EINVAL;
	if (c->set & VFS_SET_UID)
		n->uid = c->uid;
	if (c->set & VFS_SET_GID)
		n->gid = c->gid;
	if (c->set & VFS_SET_KILL_PRIVILEGE)
		kill_privilege(n);
	if (c->set & VFS_SET_MODE)
		n->mode = (n->mode & S_IFMT) | (c->mode & 07777);
	if (c->set & VFS_SET_SIZE)
		resize(MEMORY(p), n, c->size);
	if (c->set & VFS_SET_ATIME)
		n->atime = time_or_now(c->atime);
	if (c->set & VFS_SET_MTIME)
		n->mtime = time_or_now(c->mtime);
	if (c->set != 0)
		n->ctime = memory_now();
	memory_attr(n, out);
	return 0;
}

struct vfs_handle *
memory_handle(struct memory *m, struct memory_node *n, int flags, bool directory)
{
	struct vfs_handle *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->provider = &m->base;
	h->node = &n->base;
	h->directory = directory;
	h->writable = !directory && (flags & O_ACCMODE) != O_RDONLY;
	vfs_node_ref(&n->base);
	return h;
}

int
memory_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **out,
    bool *unchanged)
{
	struct memory_node *n = NODE(node);

	if (!is_regular(n))
		return S_ISDIR(n->mode) ? -EISDIR : -EINVAL;
	*out = memory_handle(MEMORY(p), n, flags, false);
	if (*out == NULL)
		return -ENOMEM;
	if (flags & O_TRUNC)
		resize(MEMORY(p), n, 0);
	*unchanged = true;
	return 0;
}

void
memory_close(struct vfs_provider *p, struct vfs_handle *h)
{
	(void)p;
	vfs_node_put(h->node);
	free(h);
}

ssize_t
memory_read(
    struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size, uint64_t offset)
{
	struct memory_node *n = NODE(h->node);
	const uint8_t *page;
	size_t done = 0, part, at;

	(void)p;
	if (offset >= n->size)
		return 0;
	if (size > n->size - offset)
		size = (size_t)(n->size - offset);
	while (done < size) {
		at = (size_t)((offset + done) % MEMORY_PAGE);
		part = MEMORY_PAGE - at < size - done ? MEMORY_PAGE - at : size - done;
		page = memory_page(&n->u.data, (offset + done) / MEMORY_PAGE);
		if (page != NULL)
			memcpy((uint8_t *)buffer + done, page + at, part);
		else
			memset((uint8_t *)buffer + done, 0, part);
		done += part;
	}
	return (ssize_t)size;
}

ssize_t
memory_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags)
{
	struct memory *m = MEMORY(p);
	struct memory_node *n = NODE(h->node);
	size_t done = 0, part, at;
	uint8_t *page;
	int error = 0;

	if (flags & VFS_WRITE_APPEND)
		offset = n->size;
	if (size > INT64_MAX - offset)
		return -EFBIG;
	while (done < size) {
		at = (size_t)((offset + done) % MEMORY_PAGE);
		part = MEMORY_PAGE - at < size - done ? MEMORY_PAGE - at : size - done;
		page =
		    memory_page_make(&n->u.data, &m->budget, (offset + done) / MEMORY_PAGE, &error);
		if (page == NULL)
			break;
		memcpy(page + at, (const uint8_t *)bytes + done, part);
		done += part;
	}
	if (done == 0)
		return size > 0 ? error : 0;
	if (offset + done > n->size)
		n->size = offset + done;
	if (flags & VFS_WRITE_KILL_PRIVILEGE)
		kill_privilege(n);
	n->mtime = n->ctime = memory_now();
	return (ssize_t)done;
}

ssize_t
memory_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size)
{
	uint8_t buffer[MEMORY_PAGE];
	size_t done = 0, part;
	ssize_t n, written = 0;

	if (in->provider != p || out->provider != p)
		return -EXDEV;
	if (in->node == out->node && in_offset < out_offset + size && out_offset < in_offset + size)
		return -EINVAL;
	while (done < size) {
		part = sizeof(buffer) < size - done ? sizeof(buffer) : size - done;
		n = memory_read(p, in, buffer, part, in_offset + done);
		if (n > 0)
			written = memory_write(p, out, buffer, (size_t)n, out_offset + done, 0);
		if (n <= 0 || written <= 0)
			break;
		done += (size_t)written;
	}
	return done > 0 || written >= 0 ? (ssize_t)done : written;
}

int
memory_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length)
{
	struct memory *m = MEMORY(p);
	struct memory_node *n = NODE(h->node);
	uint64_t end = offset + length, i;
	int error = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		memory_zero(&n->u.data, &m->budget, offset, end);
	} else {
		/* Pages that are there already are counted twice here: rather refused than half
		 * done. */
		if (length > m->budget.bytes_max - m->budget.bytes)
			return -ENOSPC;
		for (i = offset / MEMORY_PAGE; i <= (end - 1) / MEMORY_PAGE && error == 0; i++)
			memory_page_make(&n->u.data, &m->budget, i, &error);
		if (error != 0)
			return error;
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > n->size)
		n->size = end;
	n->mtime = n->ctime = memory_now();
	return 0;
}

int64_t
memory_seek(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence)
{
	struct memory_node *n = NODE(h->node);
	uint64_t index = offset / MEMORY_PAGE, found;

	(void)p;
	if (offset >= n->size)
		return -ENXIO;
	if (whence == SEEK_DATA) {
		if (!memory_page_next(&n->u.data, index, &found) || found * MEMORY_PAGE >= n->size)
			return -ENXIO;
		return (int64_t)(found == index ? offset : found * MEMORY_PAGE);
	}
	while (memory_page(&n->u.data, index) != NULL)
		index++;
	if (index * MEMORY_PAGE >= n->size)
		return (int64_t)n->size;
	return (int64_t)(index * MEMORY_PAGE > offset ? index * MEMORY_PAGE : offset);
}

static struct memory_xattr **
find_xattr(struct memory_node *n, const char *name)
{
	struct memory_xattr **at = &n->xattrs;

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static uint64_t
xattr_cost(const struct memory_xattr *x)
{
	return sizeof(*x) + strlen(x->name) + 1 + x->size;
}

static void
drop_xattr(struct memory *m, struct memory_xattr **at)
{
	struct memory_xattr *x = *at;

	*at = x->next;
	memory_credit(&m->budget, xattr_cost(x));
	free(x->value);
	free(x);
}

void
memory_xattrs_free(struct memory *m, struct memory_node *n)
{
	while (n->xattrs != NULL)
		drop_xattr(m, &n->xattrs);
}

ssize_t
memory_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size)
{
	const struct memory_xattr *x = *find_xattr(NODE(node), name);

	(void)p;
	if (x == NULL)
		return -ENODATA;
	if (size > 0 && x->size > size)
		return -ERANGE;
	if (size > 0 && x->size > 0)
		memcpy(buffer, x->value, x->size);
	return (ssize_t)x->size;
}

ssize_t
memory_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	const struct memory_xattr *x;
	size_t used = 0, length;

	(void)p;
	for (x = NODE(node)->xattrs; x != NULL; x = x->next) {
		length = strlen(x->name) + 1;
		if (size > 0) {
			if (used + length > size)
				return -ERANGE;
			memcpy(buffer + used, x->name, length);
		}
		used += length;
	}
	return used <= VFS_XATTR_MAX ? (ssize_t)used : -E2BIG;
}

int
memory_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name, const void *value,
    size_t size, int flags)
{
	struct memory *m = MEMORY(p);
	struct memory_node *n = NODE(node);
	struct memory_xattr **at = find_xattr(n, name), *x;
	int error;

	if (!is_regular(n) && !S_ISDIR(n->mode))
		return -EPERM;
	if (*at != NULL && (flags & XATTR_CREATE))
		return -EEXIST;
	if (*at == NULL && (flags & XATTR_REPLACE))
		return -ENODATA;
	x = calloc(1, sizeof(*x) + strlen(name) + 1);
	if (x == NULL)
		return -ENOMEM;
	memcpy(x->name, name, strlen(name) + 1);
	x->size = size;
	x->value = malloc(size > 0 ? size : 1);
	error = x->value != NULL ? memory_charge(&m->budget, xattr_cost(x)) : -ENOMEM;
	if (error != 0) {
		free(x->value);
		free(x);
		return error;
	}
	if (size > 0)
		memcpy(x->value, value, size);
	if (*at != NULL)
		drop_xattr(m, at);
	x->next = n->xattrs;
	n->xattrs = x;
	n->ctime = memory_now();
	return 0;
}

int
memory_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name)
{
	struct memory_xattr **at = find_xattr(NODE(node), name);

	if (*at == NULL)
		return -ENODATA;
	drop_xattr(MEMORY(p), at);
	NODE(node)->ctime = memory_now();
	return 0;
}
