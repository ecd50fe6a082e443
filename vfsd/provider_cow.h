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

/*
 * Calls `each` for every name that the upper tree holds, marks included, a directory before what is
 * in it.  path is from the root; the entry stays the walk's.  A return value that is not 0 ends the
 * walk.  Returns that value, 0, -ELOOP where the tree is deeper than `depth`, or another -errno.
 */
int vfs_cow_walk(struct vfs_provider *p, unsigned depth,
    int (*each)(void *ctx, const char *path, const struct vfs_entry *e), void *ctx);

/*
 * Writes the upper tree, marks included, to fd as a POSIX tar archive (ipc/tar.h).  Sockets and
 * fifos are left out.  fd is an empty regular file; holes stay holes.  Returns 0; -EFBIG where
 * all files together have more than COW_EXPORT_HOLES_MAX bytes of holes, which cost the guest
 * nothing and the archive's readers their time; -ENAMETOOLONG, -ELOOP where a path cannot be said;
 * or another -errno.
 */
int vfs_cow_export(struct vfs_provider *p, int fd);

#define COW_EXPORT_HOLES_MAX (4ull << 30)

#endif
