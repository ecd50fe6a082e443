/* SPDX-License-Identifier: Apache-2.0 */
/* Layers: providers that stand on another one.  What a layer does not change it passes on. */
#ifndef GONDOLIN_VFSD_LAYER_H
#define GONDOLIN_VFSD_LAYER_H

#include "vfsd/provider.h"

/*
 * The head of every layer.  Nodes and handles of what is below are handed through as they are; a
 * layer over several providers says with `route` whose a node is.
 */
struct vfs_layer {
	struct vfs_provider base;
	struct vfs_provider *lower; /* ended with the layer */
	struct vfs_provider *(*route)(struct vfs_layer *l, const struct vfs_node *node); /* NULL:
											  * lower */
	/* -errno where nothing is to be done with a (first) node, 0 else; NULL: never.  Open files
	 * and directories are not asked about. */
	int (*refuse)(struct vfs_layer *l, struct vfs_node *node);
};

/* Each function of the provider's contract, passed on to where its (first) node belongs. */
struct vfs_node *vfs_pass_root(struct vfs_provider *p);
int vfs_pass_lookup(
    struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out);
int vfs_pass_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h, struct vfs_attr *out);
int vfs_pass_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *change, struct vfs_attr *out);
ssize_t vfs_pass_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int vfs_pass_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out);
int vfs_pass_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **h);
int vfs_pass_tmpfile(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make,
    int flags, struct vfs_entry *out, struct vfs_handle **h);
int vfs_pass_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir,
    const char *name, struct vfs_entry *out);
int vfs_pass_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory);
int vfs_pass_rename(struct vfs_provider *p, struct vfs_node *from, const char *old,
    struct vfs_node *to, const char *new, unsigned flags);
int vfs_pass_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **h,
    bool *unchanged);
void vfs_pass_close(struct vfs_provider *p, struct vfs_handle *h);
ssize_t vfs_pass_read(
    struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size, uint64_t offset);
ssize_t vfs_pass_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags);
ssize_t vfs_pass_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size);
int vfs_pass_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length);
int64_t vfs_pass_seek(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence);
int vfs_pass_flock(struct vfs_provider *p, struct vfs_handle *h, int operation);
int vfs_pass_sync(struct vfs_provider *p, struct vfs_handle *h, bool data_only);
int vfs_pass_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **h);
int vfs_pass_readdir(struct vfs_provider *p, struct vfs_handle *h, uint64_t cookie,
    bool with_entries, vfs_emit emit, void *ctx);
int vfs_pass_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out);
ssize_t vfs_pass_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size);
ssize_t
vfs_pass_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int vfs_pass_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name,
    const void *value, size_t size, int flags);
int vfs_pass_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name);
struct vfs_node *vfs_pass_where(struct vfs_provider *p, struct vfs_node *node, const char **name);
const void *vfs_pass_identity(struct vfs_provider *p, const struct vfs_node *node);

#endif
