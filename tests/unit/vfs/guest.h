/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of a FUSE connection, in memory: makes requests, keeps the replies. */
#ifndef GONDOLIN_TESTS_UNIT_VFS_GUEST_H
#define GONDOLIN_TESTS_UNIT_VFS_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "vfsd/server.h"

#define GUEST_LATER_MAX 16

struct guest {
	struct vfs_transport transport; /* first: the server's */
	struct vfs_server *server;
	uint64_t unique;
	uint32_t uid, gid;
	uint8_t *request, *reply; /* FUSE_REQUEST_MAX and FUSE_REPLY_MAX bytes */
	size_t reply_length;      /* with its header; 0 = there was none */
	int n_replies;
	/* Replies to other requests than the last one. */
	struct {
		uint64_t unique;
		int error;
	} later[GUEST_LATER_MAX];
	int n_later;
};

/* Makes the server over a provider and negotiates.  config may be NULL (defaults). */
void guest_open(struct guest *g, struct vfs_provider *p, const struct vfs_server_config *config);

/* The same without INIT. */
void
guest_open_raw(struct guest *g, struct vfs_provider *p, const struct vfs_server_config *config);
void guest_close(struct guest *g);

/*
 * Sends one request: header, then the parts.  Returns what vfs_server_request returned where that
 * is not 0; else the reply's error (0 or -errno), or 1 where there was no reply.
 */
int guest_call(struct guest *g, uint32_t opcode, uint64_t nodeid, const void *arg, size_t arg_size,
    const char *name, const char *second);
int guest_call_data(struct guest *g, uint32_t opcode, uint64_t nodeid, const void *arg,
    size_t arg_size, const void *data, size_t length);

/* The reply's body. */
const void *guest_body(const struct guest *g);
size_t guest_body_length(const struct guest *g);

/* Shorthands; they return an error as above, and ids by pointer (which may be NULL). */
int guest_lookup(struct guest *g, uint64_t dir, const char *name, struct fuse_entry_out *out);
int guest_getattr(struct guest *g, uint64_t node, struct fuse_attr *out);
int guest_mkdir(struct guest *g, uint64_t dir, const char *name, uint32_t mode, uint64_t *id);
int guest_symlink(struct guest *g, uint64_t dir, const char *name, const char *target);
int guest_create(struct guest *g, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
    uint64_t *id, uint64_t *fh);
int guest_open_file(struct guest *g, uint64_t node, uint32_t flags, uint64_t *fh);
int guest_release(struct guest *g, uint64_t node, uint64_t fh);
/* Return the count of bytes, or an error. */
long guest_write(
    struct guest *g, uint64_t node, uint64_t fh, uint64_t offset, const void *bytes, size_t size);
long
guest_read(struct guest *g, uint64_t node, uint64_t fh, uint64_t offset, void *out, size_t size);
int guest_unlink(struct guest *g, uint64_t dir, const char *name);
int guest_rmdir(struct guest *g, uint64_t dir, const char *name);
int guest_rename(
    struct guest *g, uint64_t from, const char *old, uint64_t to, const char *new, uint32_t flags);
int guest_link(struct guest *g, uint64_t node, uint64_t dir, const char *name);
void guest_forget(struct guest *g, uint64_t node, uint64_t n);

/* A whole file by name: made with these bytes / read into out (NUL-terminated). */
int guest_put(struct guest *g, uint64_t dir, const char *name, const char *text);
int guest_get(struct guest *g, uint64_t dir, const char *name, char *out, size_t size);

/* The names of a directory, sorted, each with a blank behind it, "." and ".." left out. */
int guest_list(struct guest *g, uint64_t dir, bool plus, char *out, size_t size);

#endif
