/* SPDX-License-Identifier: Apache-2.0 */
/* A provider that keeps a tree in memory, up to a size. */
#ifndef GONDOLIN_VFSD_PROVIDER_MEMORY_H
#define GONDOLIN_VFSD_PROVIDER_MEMORY_H

#include "vfsd/provider.h"

struct vfs_memory_config {
	/* Of everything that the guest makes: content by pages of 4 KiB, names, attributes. */
	uint64_t bytes;
	uint64_t inodes;         /* 0 = one for each 4 KiB of bytes */
	uint32_t uid, gid, mode; /* of the root directory; mode is 07777 bits */
};

/* Returns 0 and *out (ended with ops->free), or -ENOMEM. */
int vfs_memory_new(const struct vfs_memory_config *config, struct vfs_provider **out);

/* Bytes and inodes in use. */
void vfs_memory_usage(const struct vfs_provider *p, uint64_t *bytes, uint64_t *inodes);

#endif
