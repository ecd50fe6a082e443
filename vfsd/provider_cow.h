/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider that shows one tree and keeps every change in another one.
 *
 * The lower tree is only read.  The upper one starts empty and is a plain tree of what was made or
 * changed, plus two marks, both symbolic links whose target is COW_MARK:
 *  - under a name of the lower tree: that name is gone (a whiteout);
 *  - under COW_OPAQUE_NAME in a directory: nothing of the lower directory shows through.
 * The guest can neither make a link with that target nor use that name (EPERM).
 *
 * As in overlayfs: a file is copied up as a whole on its first change, hard links of the lower tree
 * part then, and renaming a directory that has a lower side is EXDEV (mv copies).
 */
#ifndef GONDOLIN_VFSD_PROVIDER_COW_H
#define GONDOLIN_VFSD_PROVIDER_COW_H

#include "vfsd/provider.h"

#define COW_MARK        "/.gondolin/gone"
#define COW_OPAQUE_NAME ".gondolin-opaque"

/*
 * Takes both providers over (ended with this one).  Returns 0 and *out, or -errno: both stay the
 * caller's.
 */
int vfs_cow_new(struct vfs_provider *lower, struct vfs_provider *upper, struct vfs_provider **out);

enum vfs_cow_kind {
	COW_ADDED,
	COW_CHANGED, /* a directory: its attributes or something in it */
	COW_DELETED,
	COW_REPLACED, /* by something of another type, or a directory by a new one */
};

/*
 * Calls `each` for every name that the upper tree holds, a directory before what is in it.  path is
 * from the root.  A return value that is not 0 ends the walk.  Returns that value, 0 or -errno.
 */
int vfs_cow_changes(struct vfs_provider *p,
    int (*each)(void *ctx, enum vfs_cow_kind kind, const char *path, const struct vfs_attr *attr),
    void *ctx);

#endif
