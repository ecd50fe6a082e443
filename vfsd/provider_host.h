/* SPDX-License-Identifier: Apache-2.0 */
/* A provider that serves a directory of the host. */
#ifndef GONDOLIN_VFSD_PROVIDER_HOST_H
#define GONDOLIN_VFSD_PROVIDER_HOST_H

#include "vfsd/provider.h"

struct vfs_host_config {
	int root; /* the directory (O_PATH will do); the caller's, open for as long as the provider
		   */
	/*
	 * squash: everything is shown as owned by uid and gid, and no owner reaches the host.
	 * Else owners are the host's, chown(2) is tried there, and what it refuses is remembered;
	 * what belongs to the process itself is shown as uid's and gid's.
	 */
	bool squash;
	uint32_t uid, gid;
	bool exclusive;  /* nobody else changes the directory (a layer of our own) */
	uint64_t bytes;  /* that the guest may add, 0 = no limit but the host's */
	uint64_t inodes; /* the same for files */
	uint32_t nodes;  /* known at once; 0 = VFS_HOST_NODES_DEFAULT */
};

/* More than a server lets a guest know: directories above what it knows count here as well. */
#define VFS_HOST_NODES_DEFAULT (1u << 21)

/*
 * The process's umask must be 0.  Returns 0 and *out (ended with ops->free), or -errno: -ENOTDIR,
 * -ENOSYS where the kernel has no openat2.
 */
int vfs_host_new(const struct vfs_host_config *config, struct vfs_provider **out);

#endif
