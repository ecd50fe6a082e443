/* SPDX-License-Identifier: Apache-2.0 */
/* An empty read-only root, or one that holds a program's own files and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/internal.h"

/* A detached tmpfs, mode 0555. */
static int
make_tmpfs(struct jail_failure *f)
{
	int fs, root = -1, error;

	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return jail_fail(f, errno, "cannot open a tmpfs for the empty root");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (root = fsmount(fs, FSMOUNT_CLOEXEC,
		 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)) < 0) {
		error = jail_fail(f, errno, "cannot make a tmpfs for the empty root");
		close(fs);
		return error;
	}
	close(fs);
	return root;
}

/* Makes the directories above target, and target itself: a directory, or an empty file. */
static int
make_target(int root, const char *target, bool directory)
{
	char path[PATH_MAX];
	char *slash;
	int fd;

	if (snprintf(path, sizeof(path), "%s", target) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(root, path, 0555) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (directory)
		return mkdirat(root, path, 0555) < 0 && errno != EEXIST ? -errno : 0;
	fd = openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int
bind_one(int root, const struct jail_bind *bind, struct jail_failure *f)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
	const char *target = bind->target != NULL ? bind->target : bind->path;
	struct stat st;
	int tree, error = 0;

	tree = open_tree(AT_FDCWD, bind->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 && errno == ENOENT && bind->optional)
		return 0;
	if (tree < 0 || fstat(tree, &st) < 0) {
		error = jail_fail(f, errno, "cannot open %s for the program's root", bind->path);
		goto out;
	}
	if (!S_ISCHR(st.st_mode))
		attr.attr_set |= MOUNT_ATTR_NODEV;
	error = make_target(root, target + 1, S_ISDIR(st.st_mode));
	if (error < 0) {
		error = jail_fail(f, -error, "cannot make %s in the program's root", target);
		goto out;
	}
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    move_mount(tree, "", root, target + 1, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		error = jail_fail(f, errno, "cannot mount %s in the program's root", target);
out:
	if (tree >= 0)
		close(tree);
	return error;
}

/* Makes `root`, which lies over the old root, the only one. */
static int
enter_root(int root, struct jail_failure *f)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	/* pivot_root(".", "."): the old root ends on top of the new one and is detached from there
	 * (pivot_root(2)). */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return jail_fail(f, errno, "cannot change to the empty root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return jail_fail(f, errno, "cannot let go of the old root");
	if (mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return jail_fail(f, errno, "cannot make the empty root read-only");
	return 0;
}

int
jail_root_build(const struct jail_bind *binds, struct jail_failure *f)
{
	int root, error = 0;

	root = make_tmpfs(f);
	if (root < 0)
		return root;
	/* Paths are still looked up in the old root: only a new root directory leads elsewhere. */
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		error = jail_fail(f, errno, "cannot mount the empty root");
		goto out;
	}
	for (; binds != NULL && binds->path != NULL && error == 0; binds++)
		error = bind_one(root, binds, f);
	if (error == 0)
		error = enter_root(root, f);
out:
	close(root);
	return error;
}
