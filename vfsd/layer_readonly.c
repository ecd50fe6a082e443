/* SPDX-License-Identifier: Apache-2.0 */
/* A layer that lets nothing be changed. */
#include "vfsd/layer_readonly.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "vfsd/layer.h"

static int
refuse_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *change, struct vfs_attr *out)
{
	(void)p;
	(void)node;
	(void)h;
	(void)change;
	(void)out;
	return -EROFS;
}

static int
refuse_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	(void)p;
	(void)dir;
	(void)name;
	(void)make;
	(void)out;
	return -EROFS;
}

static int
refuse_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **h)
{
	(void)p;
	(void)dir;
	(void)name;
	(void)make;
	(void)flags;
	(void)out;
	(void)h;
	return -EROFS;
}

static int
refuse_tmpfile(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make, int flags,
    struct vfs_entry *out, struct vfs_handle **h)
{
	(void)p;
	(void)dir;
	(void)make;
	(void)flags;
	(void)out;
	(void)h;
	return -EROFS;
}

static int
refuse_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir, const char *name,
    struct vfs_entry *out)
{
	(void)p;
	(void)node;
	(void)dir;
	(void)name;
	(void)out;
	return -EROFS;
}

static int
refuse_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory)
{
	(void)p;
	(void)dir;
	(void)name;
	(void)directory;
	return -EROFS;
}

static int
refuse_rename(struct vfs_provider *p, struct vfs_node *from, const char *old, struct vfs_node *to,
    const char *new, unsigned flags)
{
	(void)p;
	(void)from;
	(void)old;
	(void)to;
	(void)new;
	(void)flags;
	return -EROFS;
}

static ssize_t
refuse_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags)
{
	(void)p;
	(void)h;
	(void)bytes;
	(void)size;
	(void)offset;
	(void)flags;
	return -EROFS;
}

static ssize_t
refuse_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size)
{
	(void)p;
	(void)in;
	(void)in_offset;
	(void)out;
	(void)out_offset;
	(void)size;
	return -EROFS;
}

static int
refuse_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length)
{
	(void)p;
	(void)h;
	(void)mode;
	(void)offset;
	(void)length;
	return -EROFS;
}

static int
refuse_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name, const void *value,
    size_t size, int flags)
{
	(void)p;
	(void)node;
	(void)name;
	(void)value;
	(void)size;
	(void)flags;
	return -EROFS;
}

static int
refuse_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name)
{
	(void)p;
	(void)node;
	(void)name;
	return -EROFS;
}

static int
readonly_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **h,
    bool *unchanged)
{
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
		return -EROFS;
	return vfs_pass_open(p, node, flags, h, unchanged);
}

static void
readonly_free(struct vfs_provider *p)
{
	struct vfs_layer *l = (struct vfs_layer *)p;

	l->lower->ops->free(l->lower);
	free(l);
}

/* Nodes are the lower provider's. */
static void
readonly_node_free(struct vfs_provider *p, struct vfs_node *node)
{
	(void)p;
	(void)node;
	abort();
}

static const struct vfs_provider_ops readonly_ops = {
    .name = "read-only",
    .free = readonly_free,
    .root = vfs_pass_root,
    .node_free = readonly_node_free,
    .lookup = vfs_pass_lookup,
    .getattr = vfs_pass_getattr,
    .setattr = refuse_setattr,
    .readlink = vfs_pass_readlink,
    .make = refuse_make,
    .create = refuse_create,
    .tmpfile = refuse_tmpfile,
    .link = refuse_link,
    .unlink = refuse_unlink,
    .rename = refuse_rename,
    .open = readonly_open,
    .close = vfs_pass_close,
    .read = vfs_pass_read,
    .write = refuse_write,
    .copy = refuse_copy,
    .allocate = refuse_allocate,
    .seek = vfs_pass_seek,
    .flock = vfs_pass_flock,
    .sync = vfs_pass_sync,
    .opendir = vfs_pass_opendir,
    .readdir = vfs_pass_readdir,
    .statfs = vfs_pass_statfs,
    .getxattr = vfs_pass_getxattr,
    .listxattr = vfs_pass_listxattr,
    .setxattr = refuse_setxattr,
    .removexattr = refuse_removexattr,
    .where = vfs_pass_where,
    .identity = vfs_pass_identity,
};

int
vfs_readonly_new(struct vfs_provider *lower, struct vfs_provider **out)
{
	struct vfs_layer *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->base.ops = &readonly_ops;
	l->base.exclusive = lower->exclusive;
	l->base.shares_locks = lower->shares_locks;
	l->lower = lower;
	*out = &l->base;
	return 0;
}
