/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One listing out of two directories, the first one's names and then the second one's.
 *
 * The cookies of both fill the whole space of cookies, so that a merged listing counts instead:
 * going on where the last reading stopped is free, and so is going back by a few names, as the
 * guest's kernel does for a program that takes less than it asked for itself.  Any other place is
 * found by reading again from the start, which names that went meanwhile make another one.
 */
#ifndef GONDOLIN_VFSD_MERGE_H
#define GONDOLIN_VFSD_MERGE_H

#include "vfsd/provider.h"

struct vfs_merge {
	struct vfs_provider *part[2];
	struct vfs_handle *handle[2]; /* either may be NULL */
	uint64_t cookie[2];
	uint64_t count;   /* names given or passed over so far */
	uint64_t second;  /* count at the start of the second part, once that is reached */
	uint64_t *recent; /* the parts' own cookies of the last names, by count; NULL at first */
	int phase;
};

#define VFS_MERGE_RECENT 256u /* more than one page's names */

/*
 * Decides about a name of part `phase` ("." and ".." excepted): false leaves it out.  The parts are
 * read without entries; where they are wanted, the filter looks the name up and fills d->entry.
 */
typedef bool (*vfs_merge_filter)(void *ctx, int phase, struct vfs_dirent *d);

/* As readdir in provider.h. */
int vfs_merge_read(struct vfs_merge *m, uint64_t cookie, vfs_merge_filter filter, void *filter_ctx,
    vfs_emit emit, void *ctx);

/* Closes the handles, and frees what the readings took. */
void vfs_merge_close(struct vfs_merge *m);

#endif
