/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer that hides names.
 *
 * A pattern without a slash hides that name in every directory; one with a slash is a path from the
 * mount's root, each of its parts a simple glob (glob.h).  What is hidden is not there for the
 * guest: lookup finds nothing, listings leave it out.  So is everything below it.
 *
 * Three ways around a name are closed.  A file that was met under a hidden name stays hidden under
 * any other (hard links, moves on the host).  A directory on the way to a hidden path cannot be
 * renamed by the guest (EACCES), not even for the next session.  Letters match in either case.
 *
 * deny: making anything under a hidden name is EACCES.  scratch: the guest gets its own file or
 * directory of that name, in memory; the host's stays as it is.
 */
#ifndef GONDOLIN_VFSD_LAYER_HIDE_H
#define GONDOLIN_VFSD_LAYER_HIDE_H

#include "vfsd/provider.h"

#define HIDE_PATTERNS_MAX 256u
#define HIDE_PARTS_MAX    32u /* of a path */
#define HIDE_FILES_MAX \
	4096u /* met under hidden names and remembered; more are known by name only */

struct vfs_hide_config {
	const char *const *patterns; /* copied */
	size_t n_patterns;
	uint64_t scratch;  /* bytes of memory for the guest's own; 0 = deny */
	uint32_t uid, gid; /* of directories that hold them */
	/* A hidden name was asked for (dir is one of the lower provider's).  May be NULL. */
	void (*denied)(void *ctx, struct vfs_node *dir, const char *name);
	void *ctx;
};

/*
 * Takes lower over (ended with the layer).  Returns 0 and *out; -EINVAL for an empty or too long
 * pattern, or one with "." or ".." in it; -E2BIG; -ENOMEM.  On failure lower stays the caller's.
 */
int vfs_hide_new(
    const struct vfs_hide_config *config, struct vfs_provider *lower, struct vfs_provider **out);

#endif
