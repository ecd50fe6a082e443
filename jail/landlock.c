/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock by its system calls: the C library has no wrappers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/internal.h"

/*
 * The newest layout that we use (ABI 6).  The build machine's header may be older than the running
 * kernel, so layout and bits are named here; a kernel that is older than the layout takes it as
 * long as what it does not know is zero.
 */
struct ruleset {
	uint64_t access_fs;
	uint64_t access_net;
	uint64_t scoped;
};

#define FS_EXECUTE    (1u << 0)
#define FS_WRITE      (1u << 1)
#define FS_READ       (1u << 2)
#define FS_READ_DIR   (1u << 3)
#define FS_MAKE_CHAR  (1u << 6)
#define FS_MAKE_BLOCK (1u << 11)
#define FS_IOCTL_DEV  (1u << 15)

#define FS_ABI_1      0x1fffu
#define FS_ABI_2      0x3fffu
#define FS_ABI_3      0x7fffu
#define FS_ABI_5      0xffffu
#define NET_ALL       0x3u /* bind and connect, TCP */
#define SCOPES        0x3u /* abstract Unix sockets, signals */

/* What each ABI version can forbid. */
static const struct ruleset known[] = {
    {FS_ABI_1, 0, 0},
    {FS_ABI_2, 0, 0},
    {FS_ABI_3, 0, 0},
    {FS_ABI_3, NET_ALL, 0},
    {FS_ABI_5, NET_ALL, 0},
    {FS_ABI_5, NET_ALL, SCOPES},
};

/* The version, 1 and up; 0 where the kernel has no Landlock or it is off. */
static size_t
landlock_version(void)
{
	long version;

	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return version < 1 ? 0 : (size_t)version;
}

unsigned
jail_walls_supported(void)
{
	return landlock_version() == 0 ? JAIL_ALL & ~(unsigned)JAIL_LANDLOCK : JAIL_ALL;
}

/* Lets the program read and execute what lies at path; a device, open for reading and writing. */
static int
allow_path(int ruleset, const char *path, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = FS_READ | FS_EXECUTE};
	struct stat st;
	int error = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return -errno;
	if (fstat(rule.parent_fd, &st) < 0) {
		error = -errno;
		goto out;
	}
	if (S_ISDIR(st.st_mode))
		rule.allowed_access |= FS_READ_DIR;
	if (S_ISCHR(st.st_mode))
		rule.allowed_access = FS_READ | FS_WRITE | FS_IOCTL_DEV;
	rule.allowed_access &= handled;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		error = -errno;
out:
	close(rule.parent_fd);
	return error;
}

/* What lies beneath a directory that the process was handed. */
static int
allow_grant(int ruleset, const struct jail_grant *grant, uint64_t handled)
{
	const uint64_t devices = FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_IOCTL_DEV;
	struct landlock_path_beneath_attr rule = {
	    .parent_fd = grant->fd, .allowed_access = FS_READ | FS_READ_DIR | FS_EXECUTE};

	if (grant->write)
		rule.allowed_access = FS_ABI_5 & ~devices;
	rule.allowed_access &= handled;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		   ? -errno
		   : 0;
}

int
jail_landlock_prepare(const struct jail_bind *binds, struct jail_grants grants, bool keeps_net,
    struct jail_failure *f)
{
	const size_t n_known = sizeof(known) / sizeof(known[0]);
	size_t version = landlock_version();
	struct ruleset attr;
	int fd, error;
	size_t i;

	if (version == 0)
		return -ENOSYS;
	attr = known[(version > n_known ? n_known : version) - 1];
	if (keeps_net)
		attr.access_net = 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return jail_fail(f, errno, "cannot make a Landlock ruleset");
	for (; binds != NULL && binds->path != NULL; binds++) {
		const char *path = binds->target != NULL ? binds->target : binds->path;

		error = allow_path(fd, path, attr.access_fs);
		if (error < 0 && !(error == -ENOENT && binds->optional)) {
			close(fd);
			return jail_fail(f, -error, "cannot let Landlock allow %s", path);
		}
	}
	for (i = 0; i < grants.n; i++) {
		error = allow_grant(fd, &grants.v[i], attr.access_fs);
		if (error < 0) {
			close(fd);
			return jail_fail(f, -error, "cannot let Landlock allow a directory");
		}
	}
	if (fcntl(fd, F_SETFD, 0) < 0) {
		error = jail_fail(f, errno, "cannot keep the Landlock ruleset");
		close(fd);
		return error;
	}
	return fd;
}

int
jail_landlock_enforce(int ruleset, struct jail_failure *f)
{
	int fd;

	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return jail_fail(f, errno, "cannot enforce Landlock");
	/* No profile may read its root directory: if we can, the wall does not stand. */
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return jail_fail(f, EACCES, "Landlock was enforced and does not hold");
	}
	return 0;
}
