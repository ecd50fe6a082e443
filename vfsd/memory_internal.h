/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the memory provider share. */
#ifndef GONDOLIN_VFSD_MEMORY_INTERNAL_H
#define GONDOLIN_VFSD_MEMORY_INTERNAL_H

#include "vfsd/buckets.h"
#include "vfsd/provider_memory.h"

#define MEMORY_PAGE 4096u

/* What is in use of the provider's caps. */
struct memory_budget {
	uint64_t bytes, bytes_max;
	uint64_t inodes, inodes_max;
};

/* Returns 0, or -ENOSPC where n bytes more are too many. */
int memory_charge(struct memory_budget *b, uint64_t n);
void memory_credit(struct memory_budget *b, uint64_t n);

/*
 * A file's content: a radix tree of pages, 512 to a level.  Height 0 is one page; what is missing
 * reads as zero.
 */
struct memory_data {
	void *root; /* a page at height 0, else a table of 512 */
	unsigned height;
	uint64_t pages; /* present */
};

/* The page with that index, or NULL. */
uint8_t *memory_page(const struct memory_data *d, uint64_t index);

/* The same, made (zeroed) where it is missing.  NULL with *error = -ENOSPC or -ENOMEM. */
uint8_t *
memory_page_make(struct memory_data *d, struct memory_budget *b, uint64_t index, int *error);

/* Frees the pages from index to last, both included. */
void
memory_pages_free(struct memory_data *d, struct memory_budget *b, uint64_t index, uint64_t last);

/* The first page at or behind index that is there (*found), or false. */
bool memory_page_next(const struct memory_data *d, uint64_t index, uint64_t *found);

/* Makes bytes from `from` to `to` (not included) zero: whole pages go. */
void memory_zero(struct memory_data *d, struct memory_budget *b, uint64_t from, uint64_t to);

struct memory_node;

/* A name in a directory; holds a reference to both nodes. */
struct memory_entry {
	struct vfs_link link; /* in the table of names */
	struct memory_node *dir;
	struct memory_node *node;
	uint64_t cookie; /* its place in the directory: names in order of their making */
	char name[];
};

/* A place in a directory's order; entry is NULL where the name is gone. */
struct memory_place {
	uint64_t cookie;
	struct memory_entry *entry;
};

struct memory_xattr {
	struct memory_xattr *next;
	size_t size;
	uint8_t *value;
	char name[];
};

struct memory_node {
	struct vfs_node base;
	uint64_t ino;
	uint64_t size;
	bool linkable; /* made without a name, and may get one */
	uint32_t mode, uid, gid, nlink;
	struct timespec atime, mtime, ctime;
	struct memory_entry *seen; /* the name by which it was made or found last, or NULL */
	struct memory_xattr *xattrs;
	union {
		struct memory_data data;            /* regular files */
		char *target;                       /* symbolic links */
		struct {                            /* directories */
			struct memory_node *parent; /* NULL: the root, or removed */
			struct memory_place *places;
			uint64_t n_places, capacity, n_entries, last_cookie;
		} dir;
	} u;
};

struct memory {
	struct vfs_provider base;
	struct memory_budget budget;
	struct memory_node *root;
	struct vfs_buckets names; /* of all directories */
	uint64_t last_ino;
};

#define MEMORY(p) ((struct memory *)(p))
#define NODE(n)   ((struct memory_node *)(n))

struct timespec memory_now(void);
void memory_attr(const struct memory_node *n, struct vfs_attr *a);
void memory_xattrs_free(struct memory *m, struct memory_node *n);
struct vfs_handle *
memory_handle(struct memory *m, struct memory_node *n, int flags, bool directory);

/* memory_file.c */
int memory_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h, struct vfs_attr *out);
int memory_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
    const struct vfs_change *c, struct vfs_attr *out);
int memory_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **out,
    bool *unchanged);
void memory_close(struct vfs_provider *p, struct vfs_handle *h);
ssize_t memory_read(
    struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size, uint64_t offset);
ssize_t memory_write(struct vfs_provider *p, struct vfs_handle *h, const void *bytes, size_t size,
    uint64_t offset, unsigned flags);
ssize_t memory_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size);
int memory_allocate(
    struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset, uint64_t length);
int64_t memory_seek(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence);
ssize_t memory_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size);
ssize_t memory_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int memory_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name,
    const void *value, size_t size, int flags);
int memory_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name);

#endif
