/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the FUSE server share. */
#ifndef GONDOLIN_VFSD_SERVER_INTERNAL_H
#define GONDOLIN_VFSD_SERVER_INTERNAL_H

#include "vfsd/server.h"
#include "vfsd/table.h"

struct vfs_server {
	struct vfs_server_config config;
	struct vfs_provider *provider;
	struct vfs_table nodes;   /* of struct vfs_node; the table holds one reference to each */
	struct vfs_table handles; /* of struct vfs_handle */
	struct server_waiter *waiters; /* locks that wait, in order of their asking */
	uint32_t n_waiters;
	bool ready;     /* INIT is done */
	bool writeback; /* the guest's kernel holds back what is written */
	uint64_t fresh_ns;
	struct {
		struct fuse_out_header header;
		uint8_t body[FUSE_REPLY_MAX] __attribute__((aligned(8)));
	} * out; /* of the one reply that is being made */
};

/* What an operation returns besides a body's length and -errno: there is no reply (now). */
#define SERVER_NO_REPLY ((ssize_t)INT32_MIN)

/*
 * An operation.  node is the request's, known and live, or NULL where the row asks for none.  The
 * reply's body is written to s->out->body.  Returns its length, -errno, or SERVER_NO_REPLY.
 */
typedef ssize_t
server_op(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node);

/* Copies a small body in and returns its length. */
ssize_t server_body(struct vfs_server *s, const void *body, size_t length);

/*
 * Tells of an operation that is done.  node is the request's; NULL where it has none that is known,
 * and then nothing else of the request is said.
 */
void server_record(
    struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node, int result);

/* Sends one message that is no reply to the request at hand.  error is 0 or -errno. */
int server_send_later(struct vfs_server *s, uint64_t unique, int error);

/* The node with that id, or NULL. */
struct vfs_node *server_node(struct vfs_server *s, uint64_t nodeid);

/* The handle with that number, if it is one of the node and of that sort; or NULL. */
struct vfs_handle *
server_handle(struct vfs_server *s, uint64_t fh, const struct vfs_node *node, bool directory);

/*
 * Makes the entry known to the guest (takes over the node's reference) and fills the reply.
 * Returns 0, or -ENOMEM where the guest knows too many (the reference is given back).
 */
int server_entry(struct vfs_server *s, struct vfs_entry *e, struct fuse_entry_out *out);

/* Fills the wire's attributes; nodes of the guest's own make always fit. */
void server_attr(const struct vfs_attr *a, struct fuse_attr *out);

/*
 * 0, or -ENFILE and -ENOMEM where there is no room for one more handle and for one more node: to be
 * asked before anything is made or cut off that would stay so.
 */
int server_handle_room(const struct vfs_server *s);
int server_node_room(const struct vfs_server *s);

/* Numbers a handle; closes it where there is no memory.  Returns 0 or -ENFILE. */
int server_handle_add(struct vfs_server *s, struct vfs_handle *h, uint64_t *fh);

/* Takes n of the guest's references to a node away. */
void server_forget(struct vfs_server *s, uint64_t nodeid, uint64_t n);

/* Times as the wire has them: seconds and nanoseconds of the trust in names and attributes. */
void server_trust(const struct vfs_server *s, uint64_t *seconds, uint32_t *nanoseconds);

/* Names: server_names.c */
server_op server_lookup, server_symlink, server_mknod, server_mkdir, server_unlink, server_rmdir,
    server_rename, server_rename2, server_link, server_create, server_tmpfile;
/* Attributes: server_attr.c */
server_op server_getattr, server_setattr, server_readlink, server_access, server_statfs,
    server_setxattr, server_getxattr, server_listxattr, server_removexattr;
/* Open files and directories: server_files.c */
server_op server_open, server_read, server_write, server_release, server_flush, server_fsync,
    server_fallocate, server_lseek, server_copy, server_opendir, server_readdir, server_readdirplus,
    server_ioctl;

/* Locks: server_locks.c */
server_op server_setlk;

/* Whether the guest is to ask here. */
bool server_shares_locks(const struct vfs_server *s);

/* Answers a waiting lock with -EINTR.  Returns 0, also where there is none; or the transport's
 * error. */
int server_locks_interrupt(struct vfs_server *s, uint64_t unique);

/* Answers what waits through a handle that ends, with -EBADF. */
void server_locks_release(struct vfs_server *s, const struct vfs_handle *h);
void server_locks_clear(struct vfs_server *s);

#endif
