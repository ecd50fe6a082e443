/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the host provider share. */
#ifndef GONDOLIN_VFSD_HOST_INTERNAL_H
#define GONDOLIN_VFSD_HOST_INTERNAL_H

#include <sys/stat.h>

#include "vfsd/ledger.h"
#include "vfsd/provider_host.h"

#define HOST_DEVICES_MAX 64u /* file systems mounted below the root */

struct host_handle {
	struct vfs_handle base;
	int fd;
	struct host_handle *next;     /* of the same node */
	struct host_listing *listing; /* directories, from the first reading on */
};

/* Small: there is one for every file that the guest knows. */
struct host_node {
	struct vfs_node base;
	struct host_node *dir; /* where it was seen last, with a reference; NULL: the root */
	struct vfs_link link;  /* in the table of identities */
	char *name;            /* there */
	uint64_t ino;
	uint32_t dev;   /* index into host.devices */
	uint32_t birth; /* from the time of birth: tells a reused inode number from the old file */
	uint32_t stamp; /* of the content when it was opened last, 0 = never */
	uint32_t type;  /* S_IFMT bits */
	struct host_handle *handles;
};

struct host {
	struct vfs_provider base;
	struct vfs_host_config config;
	struct host_node *root;
	struct vfs_buckets nodes; /* by identity */
	struct {
		uint32_t major, minor;
	} devices[HOST_DEVICES_MAX];
	uint32_t n_devices;
	struct owner_map owners;
	struct ledger ledger; /* against the limits */
	uint32_t uid, gid;    /* whose the files are that we make */
};

#define HOST(p) ((struct host *)(p))
#define NODE(n) ((struct host_node *)(n))

/* ---- host_node.c: identity and resolution ---- */

void host_nodes_init(struct host *h);

/* Attributes of an open descriptor / of a name in a directory, links not followed. */
int host_statx(int fd, struct statx *st);
int host_statx_at(int dir, const char *name, struct statx *st);

/* The identity's parts; -EXDEV where there are too many file systems. */
int host_key(struct host *h, const struct statx *st, struct owner_key *key);

/* The guest's view of a file's attributes. */
void host_attr(
    const struct host *h, const struct owner_key *key, const struct statx *st, struct vfs_attr *a);

/* What is remembered about a node. */
struct owner_key host_node_key(const struct host_node *n);

/* A known node by identity, without a reference; or NULL. */
struct host_node *host_node_find(const struct host *h, const struct owner_key *key);

/*
 * The node with a new reference, made where it is not known, and noted as being at dir and name
 * (NULL: without a name).  Fills e.  -ENOMEM, -EXDEV.
 */
int host_node_get(struct host *h, struct host_node *dir, const char *name, const struct statx *st,
    struct vfs_entry *e);

/* A node is elsewhere now; dir and name NULL: nowhere.  Returns 0 or -ENOMEM. */
int host_node_move(struct host_node *n, struct host_node *dir, const char *name);

void host_node_free(struct vfs_provider *p, struct vfs_node *node);

/*
 * Opens a node by its place, beneath the root, no link followed, and proves that it is that file
 * before anything is done with it.  flags as for open(2), never O_CREAT or O_TRUNC.  st may be
 * NULL.  Returns the descriptor or -errno; -ESTALE where another file is there now, or none.
 */
int host_node_open(struct host *h, const struct host_node *n, int flags, struct statx *st);

/* A directory to work in: O_PATH, proved.  The root's is not to be closed: host_dir_done. */
int host_dir_open(struct host *h, const struct host_node *n);
void host_dir_done(const struct host *h, int fd);

/* Any descriptor of the node: *opened says whether the caller closes it.  May be O_PATH. */
int host_node_any(
    struct host *h, const struct host_node *n, const struct vfs_handle *with, bool *opened);

/* openat2(2) with our rules: beneath dir, no symbolic link, no magic link. */
int host_openat(int dir, const char *path, int flags, uint32_t mode);

/* ---- host_attr.c ---- */
int host_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *handle, struct vfs_attr *out);
int host_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *handle,
    const struct vfs_change *change, struct vfs_attr *out);
ssize_t host_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int host_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out);
ssize_t host_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size);
ssize_t host_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
int host_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name,
    const void *value, size_t size, int flags);
int host_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name);

/*
 * Gives a file that the guest just made its owner and mode.  fd may be O_PATH.  Returns 0, 1 where
 * the host's attributes changed, or -errno.
 */
int host_own(struct host *h, int fd, struct host_node *dir, const struct vfs_make *make,
    const struct owner_key *key);

/* ---- host_file.c ---- */
int host_handle_new(struct host *h, struct host_node *n, int fd, bool directory, bool writable,
    struct vfs_handle **out);
int host_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **out,
    bool *unchanged);
void host_close(struct vfs_provider *p, struct vfs_handle *handle);
ssize_t host_read(
    struct vfs_provider *p, struct vfs_handle *handle, void *buffer, size_t size, uint64_t offset);
ssize_t host_write(struct vfs_provider *p, struct vfs_handle *handle, const void *bytes,
    size_t size, uint64_t offset, unsigned flags);
ssize_t host_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
    struct vfs_handle *out, uint64_t out_offset, size_t size);
int host_allocate(
    struct vfs_provider *p, struct vfs_handle *handle, int mode, uint64_t offset, uint64_t length);
int64_t host_seek(struct vfs_provider *p, struct vfs_handle *handle, uint64_t offset, int whence);
int host_flock(struct vfs_provider *p, struct vfs_handle *handle, int operation);
int host_sync(struct vfs_provider *p, struct vfs_handle *handle, bool data_only);
int host_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **out);
int host_readdir(struct vfs_provider *p, struct vfs_handle *handle, uint64_t cookie,
    bool with_entries, vfs_emit emit, void *ctx);

/* ---- host_charge.c: the limits; fd is an open file of the mount, never O_PATH ---- */

#define HOST_AT_END UINT64_MAX

struct host_charge {
	struct ledger_file *file; /* NULL = no limit */
	uint64_t before;
};

/*
 * Charges what length bytes at `at` (HOST_AT_END: wherever the file ends) will add.  0, -ENOSPC
 * past the limit, or another error.  What is done then is done before anything else is charged.
 */
int host_charge(struct host *h, int fd, uint64_t at, uint64_t length, struct host_charge *c);

/* Gives back what was charged for a change that failed, or that stopped short. */
void host_uncharge(struct host *h, int fd, const struct host_charge *c);

/* ftruncate(2), charged or credited. */
int host_truncate(struct host *h, int fd, uint64_t size);

/* fallocate(2) with FALLOC_FL_PUNCH_HOLE in mode, credited. */
int host_punch(struct host *h, int fd, int mode, uint64_t offset, uint64_t length);

/*
 * As host_charge, for an extended attribute that gets a value of *size bytes, or goes (NULL) /
 * gives that back where it failed.
 */
int host_charge_attribute(
    struct host *h, int fd, const char *name, const size_t *size, struct host_charge *c);
void host_uncharge_attribute(struct host *h, const struct host_charge *c);

/* The guest made a file, which ledger_count has counted. */
void host_made(struct host *h, const struct owner_key *key);

/* A file lost its last name: its cost goes now, or with its last handle. */
void host_unnamed(struct host *h, const struct owner_key *key);

/* A handle of the node that is no longer in its list is about to be closed. */
void host_closing(struct host *h, const struct host_node *n, int fd);

#endif
