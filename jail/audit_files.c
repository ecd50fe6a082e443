/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the audit that looks at a process's root and descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "jail/audit.h"

/* ---- Root ---- */

/* True where `word` is one of the comma-separated options. */
static bool
has_option(const char *options, const char *word)
{
	const size_t n = strlen(word);
	const char *at;

	for (at = options; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, n) == 0 && (at[n] == '\0' || at[n] == ','))
			return true;
	}
	return false;
}

/* The root itself, a bind, or what came with a bind that is a directory. */
static bool
is_declared(const char *point, const struct jail_bind *binds)
{
	if (strcmp(point, "/") == 0)
		return true;
	for (; binds != NULL && binds->path != NULL; binds++) {
		const char *target = binds->target != NULL ? binds->target : binds->path;
		const size_t n = strlen(target);

		if (strncmp(point, target, n) == 0 && (point[n] == '\0' || point[n] == '/'))
			return true;
	}
	return false;
}

int
audit_mount(char *line, const struct jail_bind *binds, const char **point)
{
	/* id parent major:minor root mount-point options ... */
	enum { POINT = 4, OPTIONS = 5, FIELDS = 6 };
	char *fields[FIELDS], *rest = line;
	size_t i;

	for (i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&rest, " ");
		if (fields[i] == NULL)
			return -EPROTO;
	}
	*point = fields[POINT];
	if (!is_declared(fields[POINT], binds) || !has_option(fields[OPTIONS], "ro") ||
	    !has_option(fields[OPTIONS], "nosuid"))
		return -EPERM;
	return 0;
}

static int
audit_mounts(struct audit *a)
{
	char *text = audit_read(a, "mountinfo"), *rest = text, *line;
	const char *point = NULL, *first = NULL;
	int error, others = 0;

	if (text == NULL)
		return -errno;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		error = audit_mount(line, a->e->profile->binds, &point);
		if (error == -EPROTO)
			break;
		if (error < 0 && others++ == 0)
			first = point;
	}
	if (line != NULL)
		audit_differs(a, JAIL_ROOT, "mountinfo cannot be understood");
	else if (others > 0)
		audit_differs(a, JAIL_ROOT, "%s%s: not declared, or not read-only and nosuid",
		    first, others > 1 ? " and other mounts" : "");
	free(text);
	return 0;
}

static int
audit_empty(struct audit *a)
{
	const struct dirent *entry;
	DIR *root;
	int fd;

	fd = openat(a->proc_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root = fd < 0 ? NULL : fdopendir(fd);
	if (root == NULL)
		return -errno;
	while ((entry = readdir(root)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			break;
	if (entry != NULL)
		audit_differs(a, JAIL_ROOT, "holds %s, declared empty", entry->d_name);
	closedir(root);
	return 0;
}

int
audit_root(struct audit *a)
{
	struct stat root, cwd;
	int before = a->count, error;

	error = audit_mounts(a);
	if (error < 0 || a->count > before)
		return error;
	if (fstatat(a->proc_fd, "root", &root, 0) < 0 || fstatat(a->proc_fd, "cwd", &cwd, 0) < 0)
		return -errno;
	if (root.st_dev != cwd.st_dev || root.st_ino != cwd.st_ino)
		audit_differs(a, JAIL_ROOT, "the working directory is outside");
	return a->e->profile->binds == NULL ? audit_empty(a) : 0;
}

/* ---- Descriptors ---- */

#define ANON "anon_inode:"

/* Descriptors that have no inode of their own are known by their link's beginning. */
static const struct {
	const char *link;
	enum jail_fd_kind kind;
} anonymous[] = {
    {ANON "[eventpoll]", JAIL_FD_EVENT},
    {ANON "[eventfd", JAIL_FD_EVENT},
    {ANON "[signalfd]", JAIL_FD_EVENT},
    {ANON "[timerfd]", JAIL_FD_EVENT},
    {ANON "inotify", JAIL_FD_EVENT},
    {ANON "[pidfd]", JAIL_FD_PROCESS},
    {"pidfd:", JAIL_FD_PROCESS},
    {ANON "seccomp notify", JAIL_FD_PROCESS},
    {ANON "kvm-", JAIL_FD_DEVICE},
    {ANON "[landlock-ruleset]", JAIL_FD_RULESET},
    {"/memfd:", JAIL_FD_MEMORY},
    {"/dev/zero (deleted)", JAIL_FD_MEMORY},
};

static enum jail_fd_kind
device_kind(dev_t device)
{
	enum { MEM = 1, NULL_MINOR = 3, TTY = 4, TTY_AUX = 5, PTS_FIRST = 136, PTS_LAST = 143 };
	const unsigned number = major(device);

	if (number == MEM && minor(device) == NULL_MINOR)
		return JAIL_FD_NULL;
	if (number == TTY || number == TTY_AUX || (number >= PTS_FIRST && number <= PTS_LAST))
		return JAIL_FD_TERMINAL;
	return JAIL_FD_DEVICE;
}

enum jail_fd_kind
audit_fd_kind(const char *link, const struct stat *st)
{
	size_t i;

	for (i = 0; i < sizeof(anonymous) / sizeof(anonymous[0]); i++)
		if (strncmp(link, anonymous[i].link, strlen(anonymous[i].link)) == 0)
			return anonymous[i].kind;
	switch (st->st_mode & S_IFMT) {
	case S_IFIFO:
		return JAIL_FD_PIPE;
	case S_IFSOCK:
		return JAIL_FD_SOCKET;
	case S_IFREG:
		return JAIL_FD_FILE;
	case S_IFDIR:
		return JAIL_FD_DIRECTORY;
	case S_IFCHR:
		return device_kind(st->st_rdev);
	default:
		return JAIL_FD_KINDS;
	}
}

static unsigned
declared_fds(const struct jail_profile *profile, enum jail_fd_kind kind)
{
	unsigned sum = 0;
	size_t i;

	if (kind == JAIL_FD_RULESET)
		return 1;
	for (i = 0; i < profile->n_fds; i++)
		if (profile->fds[i].kind == kind)
			sum += profile->fds[i].max;
	return sum;
}

static void
count_fd(struct audit *a, int dir, const char *name, unsigned counts[static JAIL_FD_KINDS])
{
	const bool strict = a->e->profile->walls & JAIL_FDS;
	enum jail_fd_kind kind;
	char link[PATH_MAX];
	struct stat st;
	ssize_t n;

	n = readlinkat(dir, name, link, sizeof(link) - 1);
	/* One that was closed meanwhile is none. */
	if (n < 0 || fstatat(dir, name, &st, 0) < 0)
		return;
	link[n] = '\0';
	kind = audit_fd_kind(link, &st);
	a->ruleset |= kind == JAIL_FD_RULESET;
	if (!strict)
		return;
	if (kind == JAIL_FD_KINDS)
		audit_differs(a, JAIL_FDS, "%s is %s, not declared", name, link);
	else if (++counts[kind] == declared_fds(a->e->profile, kind) + 1)
		audit_differs(a, JAIL_FDS, "%s is %s, the %u. %s; declared %u", name, link,
		    counts[kind], jail_fd_kind_name(kind), counts[kind] - 1);
}

int
audit_fds(struct audit *a)
{
	unsigned counts[JAIL_FD_KINDS] = {0};
	const struct dirent *entry;
	DIR *dir;
	int fd;

	fd = openat(a->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL)
		return -errno;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			count_fd(a, fd, entry->d_name, counts);
	closedir(dir);
	return 0;
}
