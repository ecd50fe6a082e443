/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the copy-on-write provider share. */
#ifndef GONDOLIN_VFSD_COW_INTERNAL_H
#define GONDOLIN_VFSD_COW_INTERNAL_H

#include "vfsd/buckets.h"
#include "vfsd/merge.h"
#include "vfsd/provider_cow.h"

struct cow_handle {
	struct vfs_handle base;
	struct vfs_provider *side; /* of inner */
	struct vfs_handle *inner;  /* files */
	struct cow_handle *next;   /* of the same node */
	struct vfs_merge merge;    /* directories */
	bool with_entries;
};

/* One file: upper, lower, or a directory on both sides.  Known by the upper node if there is one.
 */
struct cow_node {
	struct vfs_node base;
	struct cow_node *dir; /* where it was seen last, with a reference; NULL: the root */
	struct vfs_link link; /* in the table */
	char *name;
	struct vfs_node *upper, *lower; /* with a reference each */
	uint64_t ino;
	uint32_t type;
	bool opaque;
	struct cow_handle *handles; /* open files */
};

struct cow {
	struct vfs_provider base;
	struct vfs_provider *lower, *upper;
	struct cow_node *root;
	struct vfs_buckets nodes; /* by the side that stands for them */
};

#define COW(p)    ((struct cow *)(p))
#define NODE(n)   ((struct cow_node *)(n))
#define HANDLE(h) ((struct cow_handle *)(h))

/* ---- cow_node.c ---- */

void cow_nodes_init(struct cow *c);

/* The node of these two sides (takes both references), noted at dir and name. */
int cow_node_get(struct cow *c, struct cow_node *dir, const char *name, struct vfs_node *upper,
    struct vfs_node *lower, const struct vfs_attr *attr, struct vfs_entry *out);
int cow_node_move(struct cow_node *n, struct cow_node *dir, const char *name);
void cow_node_free(struct vfs_provider *p, struct vfs_node *node);

/* Gives a node its upper side (takes the reference). */
void cow_node_raise(struct cow *c, struct cow_node *n, struct vfs_node *upper);

/* The attributes of a side, as this provider shows them. */
void cow_attr(const struct cow_node *n, struct vfs_attr *a);

/* True where an entry of the upper tree is a mark. */
bool cow_is_mark(struct cow *c, const struct vfs_entry *e);

/* True where the upper directory has the opaque mark. */
bool cow_is_opaque(struct cow *c, struct vfs_node *upper);

/* Makes a mark in an upper directory. */
int cow_mark(struct cow *c, struct vfs_node *upper_dir, const char *name);

/* True where the lower tree would show that name through. */
bool cow_lower_has(struct cow *c, const struct cow_node *dir, const char *name);

int
cow_lookup(struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out);

/* ---- cow_copy.c ---- */

/* Makes sure that the node has an upper side.  empty: content is about to be thrown away. */
int cow_copy_up(struct cow *c, struct cow_node *n, bool empty);

/* ---- cow_file.c ---- */
int cow_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h, struct vfs_attr *out);
int cow_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *change, struct vfs_attr *out);
ssize_t cow_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int cow_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **out,
    bool *unchanged);
void cow_close(struct vfs_provider *p, struct vfs_handle *h);
ssize_t
cow_read(struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size, uint64_t offset);
ssize_t cow_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags);
ssize_t cow_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size);
int cow_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length);
int64_t cow_seek(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence);
int cow_sync(struct vfs_provider *p, struct vfs_handle *h, bool data_only);
int cow_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **out);
int cow_readdir(struct vfs_provider *p, struct vfs_handle *h, uint64_t cookie, bool with_entries,
    vfs_emit emit, void *ctx);
int cow_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out);
ssize_t cow_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size);
ssize_t cow_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int cow_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name, const void *value,
    size_t size, int flags);
int cow_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name);

/* A handle around one of the upper tree (takes inner). */
int cow_handle_new(struct cow *c, struct cow_node *n, struct vfs_provider *side,
    struct vfs_handle *inner, struct vfs_handle **out);

#endif
