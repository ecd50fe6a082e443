/* SPDX-License-Identifier: Apache-2.0 */
/* The copy-on-write provider: attributes, open files and directories. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/cow_internal.h"

/* The side that counts, and its node. */
static struct vfs_provider *
side_of(const struct cow *c, const struct cow_node *n, struct vfs_node **inner)
{
	*inner = n->upper != NULL ? n->upper : n->lower;
	return n->upper != NULL ? c->upper : c->lower;
}

int
cow_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h, struct vfs_attr *out)
{
	struct cow_node *n = NODE(node);
	struct vfs_node *inner;
	int error;

	p = side_of(COW(p), n, &inner);
	error = p->ops->getattr(p, inner, h != NULL ? HANDLE(h)->inner : NULL, out);
	if (error == 0)
		cow_attr(n, out);
	return error;
}

int
cow_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *change, struct vfs_attr *out)
{
	struct cow *c = COW(p);
	struct cow_node *n = NODE(node);
	bool empty = (change->set & VFS_SET_SIZE) && change->size == 0;
	int error = cow_copy_up(c, n, empty);

	if (error != 0)
		return error;
	error = c->upper->ops->setattr(
	    c->upper, n->upper, h != NULL ? HANDLE(h)->inner : NULL, change, out);
	if (error == 0)
		cow_attr(n, out);
	return error;
}

ssize_t
cow_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	struct vfs_node *inner;

	p = side_of(COW(p), NODE(node), &inner);
	return p->ops->readlink(p, inner, buffer, size);
}

int
cow_handle_new(struct cow *c, struct cow_node *n, struct vfs_provider *side,
    struct vfs_handle *inner, struct vfs_handle **out)
{
	struct cow_handle *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		side->ops->close(side, inner);
		return -ENOMEM;
	}
	h->base = (struct vfs_handle){
	    .provider = &c->base, .node = &n->base, .writable = inner->writable};
	h->side = side;
	h->inner = inner;
	h->next = n->handles;
	n->handles = h;
	vfs_node_ref(&n->base);
	*out = &h->base;
	return 0;
}

int
cow_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **out,
    bool *unchanged)
{
	struct cow *c = COW(p);
	struct cow_node *n = NODE(node);
	struct vfs_handle *handle;
	struct vfs_node *inner;
	int error = 0;

	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -EINVAL;
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
		error = cow_copy_up(c, n, flags & O_TRUNC);
	if (error != 0)
		return error;
	p = side_of(c, n, &inner);
	error = p->ops->open(p, inner, flags, &handle, unchanged);
	return error != 0 ? error : cow_handle_new(c, n, p, handle, out);
}

void
cow_close(struct vfs_provider *p, struct vfs_handle *handle)
{
	struct cow_handle *h = HANDLE(handle), **at = &NODE(handle->node)->handles;

	(void)p;
	if (handle->directory) {
		vfs_merge_close(&h->merge);
	} else {
		while (*at != h)
			at = &(*at)->next;
		*at = h->next;
		h->side->ops->close(h->side, h->inner);
	}
	vfs_node_put(handle->node);
	free(h);
}

ssize_t
cow_read(struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size, uint64_t offset)
{
	p = HANDLE(h)->side;
	return p->ops->read(p, HANDLE(h)->inner, buffer, size, offset);
}

ssize_t
cow_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags)
{
	p = HANDLE(h)->side;
	return p->ops->write(p, HANDLE(h)->inner, bytes, size, offset, flags);
}

ssize_t
cow_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset, struct vfs_handle *out,
    uint64_t out_offset, size_t size)
{
	p = HANDLE(out)->side;
	if (HANDLE(in)->side != p)
		return -EXDEV;
	return p->ops->copy(p, HANDLE(in)->inner, in_offset, HANDLE(out)->inner, out_offset, size);
}

int
cow_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length)
{
	p = HANDLE(h)->side;
	return p->ops->allocate(p, HANDLE(h)->inner, mode, offset, length);
}

int64_t
cow_seek(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence)
{
	p = HANDLE(h)->side;
	return p->ops->seek(p, HANDLE(h)->inner, offset, whence);
}

int
cow_sync(struct vfs_provider *p, struct vfs_handle *handle, bool data_only)
{
	struct cow_handle *h = HANDLE(handle);

	if (!handle->directory)
		return h->side->ops->sync(h->side, h->inner, data_only);
	p = h->merge.part[0];
	return h->merge.handle[0] != NULL ? p->ops->sync(p, h->merge.handle[0], data_only) : 0;
}

int
cow_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **out)
{
	struct cow *c = COW(p);
	struct cow_node *n = NODE(node);
	struct cow_handle *h;
	int error = 0;

	if (n->type != S_IFDIR)
		return -ENOTDIR;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->base = (struct vfs_handle){.provider = p, .node = node, .directory = true};
	h->merge.part[0] = c->upper;
	h->merge.part[1] = c->lower;
	if (n->upper != NULL)
		error = c->upper->ops->opendir(c->upper, n->upper, &h->merge.handle[0]);
	if (error == 0 && n->lower != NULL && !n->opaque)
		error = c->lower->ops->opendir(c->lower, n->lower, &h->merge.handle[1]);
	if (error != 0) {
		vfs_merge_close(&h->merge);
		free(h);
		return error;
	}
	/* Without an upper side the lower one gives "." and "..". */
	if (h->merge.handle[0] == NULL) {
		h->merge.part[0] = c->lower;
		h->merge.handle[0] = h->merge.handle[1];
		h->merge.handle[1] = NULL;
	}
	vfs_node_ref(node);
	*out = &h->base;
	return 0;
}

/* A lower name that the upper directory has as well was given already, or is gone. */
static bool
upper_has(struct cow *c, const struct cow_node *dir, const char *name)
{
	struct vfs_entry e;

	if (dir->upper == NULL || c->upper->ops->lookup(c->upper, dir->upper, name, &e) != 0)
		return false;
	vfs_node_put(e.node);
	return true;
}

static bool
keep_name(void *ctx, int phase, struct vfs_dirent *d)
{
	struct cow_handle *h = ctx;
	struct cow_node *dir = NODE(h->base.node);
	struct cow *c = COW(h->base.provider);
	bool upper = h->merge.part[phase] == c->upper;
	char name[VFS_NAME_MAX + 1];

	if (d->length > VFS_NAME_MAX)
		return false;
	memcpy(name, d->name, d->length);
	name[d->length] = '\0';
	if (!upper && phase == 1 && upper_has(c, dir, name))
		return false;
	/* Only a link can be a mark; the rest needs no look where no entry is wanted. */
	if (!h->with_entries && (!upper || (d->type != 0 && d->type != S_IFLNK)))
		return true;
	if (cow_lookup(&c->base, &dir->base, name, &d->entry) != 0) {
		d->entry.node = NULL;
		return false;
	}
	d->ino = d->entry.attr.ino;
	d->type = d->entry.attr.mode & S_IFMT;
	if (!h->with_entries) {
		vfs_node_put(d->entry.node);
		d->entry.node = NULL;
	}
	return true;
}

int
cow_readdir(struct vfs_provider *p, struct vfs_handle *handle, uint64_t cookie, bool with_entries,
    vfs_emit emit, void *ctx)
{
	struct cow_handle *h = HANDLE(handle);

	(void)p;
	h->with_entries = with_entries;
	return vfs_merge_read(&h->merge, cookie, keep_name, h, emit, ctx);
}

int
cow_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out)
{
	struct cow *c = COW(p);

	(void)node;
	return c->upper->ops->statfs(c->upper, c->root->upper, out);
}

ssize_t
cow_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size)
{
	struct vfs_node *inner;

	p = side_of(COW(p), NODE(node), &inner);
	return p->ops->getxattr(p, inner, name, buffer, size);
}

ssize_t
cow_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	struct vfs_node *inner;

	p = side_of(COW(p), NODE(node), &inner);
	return p->ops->listxattr(p, inner, buffer, size);
}

int
cow_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name, const void *value,
    size_t size, int flags)
{
	struct cow *c = COW(p);
	int error = cow_copy_up(c, NODE(node), false);

	return error != 0
		   ? error
		   : c->upper->ops->setxattr(c->upper, NODE(node)->upper, name, value, size, flags);
}

int
cow_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name)
{
	struct cow *c = COW(p);
	int error = cow_copy_up(c, NODE(node), false);

	return error != 0 ? error : c->upper->ops->removexattr(c->upper, NODE(node)->upper, name);
}
