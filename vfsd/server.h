/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE server of one mount: requests in, replies out, a provider behind it.
 *
 * The server keeps what the guest knows (node ids, handles, locks) and checks every number that it
 * gets; what a request means to a file tree is the provider's.  One request is served at a time;
 * only a lock that has to wait is answered later.
 */
#ifndef GONDOLIN_VFSD_SERVER_H
#define GONDOLIN_VFSD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfsd/provider.h"
#include "vfsd/transport.h"

#define VFS_RECORD_PATH 1024u /* bytes of a path in a record, its NUL included */

/* One operation, for the audit log.  Paths are the guest's raw bytes: escape before printing. */
struct vfs_record {
	const char *operation; /* "lookup", "write", ... */
	const char *path;      /* from the mount's root, "" = the root itself */
	const char *second;    /* rename, link: the other path; symlink: the target; else NULL */
	int result;            /* 0 or -errno */
	uint32_t uid, pid;     /* in the guest, as the guest says */
	bool denied;           /* refused by policy or by the host's permission */
};

struct vfs_limits {
	uint32_t nodes;      /* that the guest may know at once; lookup past it is ENOMEM */
	uint32_t handles;    /* open files and directories; past it ENFILE */
	uint32_t locks;      /* that wait at once; past it ENOLCK */
	uint32_t background; /* requests of the guest's kernel that no program waits for */
	uint32_t write;      /* bytes of one write request, 4096 to FUSE_DATA_MAX (the default) */
};

#define VFS_NODES_DEFAULT   (1u << 20)
#define VFS_HANDLES_DEFAULT 16384u
#define VFS_LOCKS_DEFAULT   4096u
#define VFS_BACKGROUND_MAX  64u /* and default */

struct vfs_server_config {
	struct vfs_provider *provider;   /* the stack's top; stays the caller's */
	struct vfs_transport *transport; /* stays the caller's */
	struct vfs_limits limits;        /* 0 = the default */
	/*
	 * For how long the guest's kernel may trust names and attributes of a tree that others
	 * change too.  An exclusive provider's are trusted for a day.
	 */
	uint32_t fresh_ms;
	/*
	 * Leave flock(2) to the guest's kernel, which then does not share it with the host: for a
	 * transport without INTERRUPT, where nobody could be woken who waits for a lock here.
	 */
	bool local_locks;
	bool trace; /* a record of every operation, not just of denials */
	void (*record)(void *ctx, const struct vfs_record *r); /* may be NULL */
	void *ctx;
};

#define VFS_FRESH_MS_DEFAULT 1000u

struct vfs_server;

/* Returns 0 and *out, or -ENOMEM. */
int vfs_server_new(const struct vfs_server_config *config, struct vfs_server **out);

/* Ends the mount: closes every handle, forgets every node.  NULL is allowed. */
void vfs_server_free(struct vfs_server *s);

/*
 * Serves one request.  Returns 0, also where the answer was an error; -EPROTO where the bytes are
 * no FUSE request or come before INIT, so that the connection is to be ended; or the transport's
 * -errno.
 */
int vfs_server_request(struct vfs_server *s, const uint8_t *bytes, size_t length);

/*
 * Tries the locks again that wait for somebody else.  To be called after each batch of requests,
 * and every VFS_LOCK_RETRY_MS while vfs_server_usage says that some wait: a program on the host
 * tells nobody when it lets go.  Returns 0 or the transport's -errno.
 */
int vfs_server_retry_locks(struct vfs_server *s);

#define VFS_LOCK_RETRY_MS 50u

/* Figures for tests and for status. */
struct vfs_usage {
	uint32_t nodes, handles;
	uint32_t waiting; /* locks */
};
void vfs_server_usage(const struct vfs_server *s, struct vfs_usage *out);

#endif
