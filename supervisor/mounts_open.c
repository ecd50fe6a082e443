/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a mount's directory as its user, and maps that user to vfsd. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/mounts.h"
#include "supervisor/mounts_map.h"

#define IDS_END    UINT32_MAX /* the last number is nobody's */
#define GROUPS_MAX 65536

struct report {
	const struct mounts_row *row;
	const char *config_name;
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 3, 4)))
refuse(const struct report *r, int error, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(r->error, r->size, "%s:%u: mount \"%s\": %s", r->config_name, r->row->config->line,
	    r->row->config->path, text);
	return -error;
}

/* ---- Whose files ---- */

static bool
parse_number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long n;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	*out = (uint32_t)n;
	return *end == '\0' && errno == 0 && n < IDS_END;
}

/* A name of passwd(5), or a number that need not be there. */
static int
find_user(const struct report *r, const char *name, uid_t *uid, gid_t *gid)
{
	const struct passwd *p = getpwnam(name);

	if (p == NULL && parse_number(name, uid)) {
		*gid = (gid_t)*uid;
		p = getpwuid(*uid);
	} else if (p == NULL) {
		return refuse(r, ENOENT, "user = %s: this host has no such user", name);
	}
	if (p != NULL) {
		*uid = p->pw_uid;
		*gid = p->pw_gid;
	}
	return 0;
}

static int
choose_user(const struct report *r, const struct jail_identity *vfsd, uid_t *uid, gid_t *gid)
{
	const char *name = r->row->config->user;
	int rc = 0;

	*uid = geteuid();
	*gid = getegid();
	if (name != NULL)
		rc = find_user(r, name, uid, gid);
	else if (vfsd->root_started && parse_number(getenv("SUDO_UID"), uid) &&
		 !parse_number(getenv("SUDO_GID"), gid))
		*gid = (gid_t)*uid;
	if (rc == 0 && !vfsd->root_started && *uid != geteuid())
		return refuse(r, EPERM, "user = %s: only root can act as another user", name);
	if (rc == 0 && vfsd->root_started && (*uid == vfsd->uid || *gid == vfsd->gid))
		return refuse(r, EINVAL, "its user is one of uid-range's");
	return rc;
}

/* ---- Opening ---- */

/* Readable and searchable is proved by doing both. */
static int
open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY), dir;

	if (fd < 0)
		return -errno;
	dir = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		dir = -errno;
	close(fd);
	return dir;
}

/*
 * With that user's rights, not root's: a path through directories that are closed to it is none of
 * its mounts.  The file system's ids alone change, so that nobody else can send us signals.
 */
static int
open_as(const char *path, uid_t uid, gid_t gid)
{
	gid_t *groups = calloc(GROUPS_MAX, sizeof(*groups));
	int n = groups != NULL ? getgroups(GROUPS_MAX, groups) : -1, dir;

	if (n < 0 || setgroups(0, NULL) < 0) {
		free(groups);
		return -errno;
	}
	setfsgid(gid);
	setfsuid(uid);
	dir = open_directory(path);
	setfsuid(geteuid());
	setfsgid(getegid());
	if (setgroups((size_t)n, groups) < 0)
		abort();
	free(groups);
	return dir;
}

static int
explain(const struct report *r, int error, const struct jail_identity *vfsd)
{
	const char *host = r->row->config->host;

	switch (error) {
	case ENOENT:
		return refuse(r, error, "%s does not exist on this host", host);
	case ENOTDIR:
		return refuse(r, error, "%s is not a directory", host);
	case EACCES:
		if (vfsd->root_started)
			return refuse(r, error,
			    "%s cannot be read by its user (uid %u); name another by user = ...",
			    host, r->row->uid);
		return refuse(r, error, "%s cannot be read by you", host);
	default:
		return refuse(r, error, "%s: %s", host, strerror(error));
	}
}

/* ---- An ordinary user's directories ---- */

/* In the child: exits with 0 or an errno. */
static int
replace_by_mount(const struct mounts_row *r, int dir)
{
	struct mount_attr attr = {
	    .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE};
	const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
	const int again = open_directory(r->config->host);
	struct stat was, is;
	int tree;

	if (again < 0)
		return -again;
	if (fstat(dir, &was) < 0 || fstat(again, &is) < 0)
		return errno;
	if (was.st_dev != is.st_dev || was.st_ino != is.st_ino)
		return ESTALE;
	tree = open_tree(again, "", flags);
	if (tree < 0)
		return errno;
	if (r->config->mode != CONFIG_MOUNT_RW)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    dup3(tree, dir, O_CLOEXEC) < 0)
		return errno;
	close(tree);
	close(again);
	return 0;
}

/*
 * Makes dir a mount of its own, without a place: `..` of a descriptor in the host's tree leads up
 * to the host's root, whatever the holder's own root is, and neither seccomp nor all of Landlock's
 * checks stand in between.  Where the guest only reads, so does the mount.
 *
 * An ordinary user may do that in namespaces of its own alone.  A child has them; it shares our
 * descriptors, so that the new one takes the old one's place.  Returns 0 or -errno.
 */
static int
detach(const struct mounts_row *r, int dir)
{
	struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_FILES};
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(replace_by_mount(r, dir));
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* ---- Root's: mapping ---- */

static int
write_all(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* A user namespace that exists for its maps alone: the process in it never runs a line of ours. */
static int
make_namespace(const struct mounts_row *r, const struct jail_identity *vfsd)
{
	struct clone_args args = {.flags = CLONE_NEWUSER};
	char uids[MOUNTS_MAP_SIZE], gids[MOUNTS_MAP_SIZE], path[64];
	pid_t pid;
	int fd, rc;

	mounts_format_map(uids, sizeof(uids), r->uid, vfsd->uid);
	mounts_format_map(gids, sizeof(gids), r->gid, vfsd->gid);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	rc = write_all(pid, "uid_map", uids);
	if (rc == 0)
		rc = write_all(pid, "gid_map", gids);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = rc < 0 ? rc : open(path, O_RDONLY | O_CLOEXEC);
	if (rc == 0 && fd < 0)
		fd = -errno;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return fd;
}

/*
 * The same directory as a mount of its own, without a place: read-only where that is what the guest
 * gets, and without what is mounted below.  Returns its descriptor or -errno.
 */
static int
map_owner(const struct mounts_row *r, int dir, const struct jail_identity *vfsd)
{
	struct mount_attr attr = {
	    .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	int namespace = make_namespace(r, vfsd), tree;

	if (namespace < 0)
		return namespace;
	tree = open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0) {
		tree = -errno;
		goto out;
	}
	attr.userns_fd = (unsigned)namespace;
	if (r->config->mode != CONFIG_MOUNT_RW)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		const int error = errno;

		close(tree);
		tree = -error;
	}
out:
	close(namespace);
	return tree;
}

int
mounts_open(struct mounts_row *r, const char *config_name, const struct jail_identity *vfsd,
    char *error, size_t error_size)
{
	const struct report report = {r, config_name, error, error_size};
	struct stat st;
	int dir, rc;

	rc = choose_user(&report, vfsd, &r->uid, &r->gid);
	if (rc < 0)
		return rc;
	dir = vfsd->root_started ? open_as(r->config->host, r->uid, r->gid)
				 : open_directory(r->config->host);
	if (dir < 0)
		return explain(&report, -dir, vfsd);
	if (vfsd->root_started) {
		rc = map_owner(r, dir, vfsd);
		close(dir);
		if (rc == -EINVAL || rc == -EOPNOTSUPP)
			return refuse(&report, -rc,
			    "the file system of %s cannot map owners (idmapped mounts); start the "
			    "sandbox as the user whose files they are",
			    r->config->host);
		if (rc < 0)
			return refuse(&report, -rc, "%s: cannot be mapped to vfsd: %s",
			    r->config->host, strerror(-rc));
		dir = rc;
	} else {
		rc = detach(r, dir);
		if (rc < 0) {
			close(dir);
			return refuse(&report, -rc,
			    "%s: cannot be made a mount of its own: %s (user namespaces have to be "
			    "allowed: user.max_user_namespaces)",
			    r->config->host, strerror(-rc));
		}
	}
	r->dir = dir;
	if (fstat(dir, &st) < 0)
		return explain(&report, errno, vfsd);
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	/*
	 * Not the coarse clock, which can lie behind times that some file systems have given
	 * already.  One that gives a time of the tick before this is no change that the guest
	 * could have missed: it reads its first file long after that tick.
	 */
	clock_gettime(CLOCK_REALTIME, &r->opened);
	return 0;
}
