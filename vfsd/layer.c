/* SPDX-License-Identifier: Apache-2.0 */
/* What layers pass on unchanged: see the header. */
#include "vfsd/layer.h"

static struct vfs_provider *
owner(struct vfs_provider *p, const struct vfs_node *node)
{
	struct vfs_layer *l = (struct vfs_layer *)p;

	return l->route != NULL ? l->route(l, node) : l->lower;
}

/* The same for what the layer may refuse: sets *p and returns 0, or -errno. */
static int
pass(struct vfs_provider **p, struct vfs_node *node)
{
	struct vfs_layer *l = (struct vfs_layer *)*p;

	*p = owner(*p, node);
	return l->refuse != NULL ? l->refuse(l, node) : 0;
}

struct vfs_node *
vfs_pass_root(struct vfs_provider *p)
{
	struct vfs_provider *lower = ((struct vfs_layer *)p)->lower;

	return lower->ops->root(lower);
}

int
vfs_pass_lookup(
    struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out)
{
	int error = pass(&p, dir);

	return error != 0 ? error : p->ops->lookup(p, dir, name, out);
}

int
vfs_pass_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h, struct vfs_attr *out)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->getattr(p, node, h, out);
}

int
vfs_pass_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *change, struct vfs_attr *out)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->setattr(p, node, h, change, out);
}

ssize_t
vfs_pass_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->readlink(p, node, buffer, size);
}

int
vfs_pass_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	int error = pass(&p, dir);

	return error != 0 ? error : p->ops->make(p, dir, name, make, out);
}

int
vfs_pass_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **h)
{
	int error = pass(&p, dir);

	return error != 0 ? error : p->ops->create(p, dir, name, make, flags, out, h);
}

int
vfs_pass_tmpfile(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make,
    int flags, struct vfs_entry *out, struct vfs_handle **h)
{
	int error = pass(&p, dir);

	return error != 0 ? error : p->ops->tmpfile(p, dir, make, flags, out, h);
}

int
vfs_pass_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir, const char *name,
    struct vfs_entry *out)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->link(p, node, dir, name, out);
}

int
vfs_pass_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory)
{
	int error = pass(&p, dir);

	return error != 0 ? error : p->ops->unlink(p, dir, name, directory);
}

int
vfs_pass_rename(struct vfs_provider *p, struct vfs_node *from, const char *old, struct vfs_node *to,
    const char *new, unsigned flags)
{
	int error = pass(&p, from);

	return error != 0 ? error : p->ops->rename(p, from, old, to, new, flags);
}

int
vfs_pass_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **h,
    bool *unchanged)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->open(p, node, flags, h, unchanged);
}

void
vfs_pass_close(struct vfs_provider *p, struct vfs_handle *h)
{
	p = owner(p, h->node);
	p->ops->close(p, h);
}

ssize_t
vfs_pass_read(
    struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size, uint64_t offset)
{
	p = owner(p, h->node);
	return p->ops->read(p, h, buffer, size, offset);
}

ssize_t
vfs_pass_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags)
{
	p = owner(p, h->node);
	return p->ops->write(p, h, bytes, size, offset, flags);
}

ssize_t
vfs_pass_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size)
{
	p = owner(p, in->node);
	return p->ops->copy(p, in, in_offset, out, out_offset, size);
}

int
vfs_pass_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length)
{
	p = owner(p, h->node);
	return p->ops->allocate(p, h, mode, offset, length);
}

int64_t
vfs_pass_seek(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence)
{
	p = owner(p, h->node);
	return p->ops->seek(p, h, offset, whence);
}

int
vfs_pass_flock(struct vfs_provider *p, struct vfs_handle *h, int operation)
{
	p = owner(p, h->node);
	return p->ops->flock(p, h, operation);
}

int
vfs_pass_sync(struct vfs_provider *p, struct vfs_handle *h, bool data_only)
{
	p = owner(p, h->node);
	return p->ops->sync(p, h, data_only);
}

int
vfs_pass_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **h)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->opendir(p, node, h);
}

int
vfs_pass_readdir(struct vfs_provider *p, struct vfs_handle *h, uint64_t cookie, bool with_entries,
    vfs_emit emit, void *ctx)
{
	p = owner(p, h->node);
	return p->ops->readdir(p, h, cookie, with_entries, emit, ctx);
}

int
vfs_pass_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out)
{
	p = owner(p, node);
	return p->ops->statfs(p, node, out);
}

ssize_t
vfs_pass_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->getxattr(p, node, name, buffer, size);
}

ssize_t
vfs_pass_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->listxattr(p, node, buffer, size);
}

int
vfs_pass_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name,
    const void *value, size_t size, int flags)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->setxattr(p, node, name, value, size, flags);
}

int
vfs_pass_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name)
{
	int error = pass(&p, node);

	return error != 0 ? error : p->ops->removexattr(p, node, name);
}

struct vfs_node *
vfs_pass_where(struct vfs_provider *p, struct vfs_node *node, const char **name)
{
	p = owner(p, node);
	return p->ops->where(p, node, name);
}

const void *
vfs_pass_identity(struct vfs_provider *p, const struct vfs_node *node)
{
	p = owner(p, node);
	return p->ops->identity(p, node);
}
