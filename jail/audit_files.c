/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the audit that looks at a process's root and descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/log.h"
#include "jail/audit.h"

#define NAME_SHOWN 256 /* bytes of a name that the process chose, escaped, in a difference */

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
	char shown[NAME_SHOWN];
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
		    log_escape(shown, sizeof(shown), first, strlen(first)),
		    others > 1 ? " and other mounts" : "");
	free(text);
	return 0;
}

static int
audit_empty(struct audit *a)
{
	const struct dirent *entry;
	char shown[NAME_SHOWN];
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
		audit_differs(a, JAIL_ROOT, "holds %s, declared empty",
		    log_escape(shown, sizeof(shown), entry->d_name, strlen(entry->d_name)));
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

/* True where the link tells the truth: a file of a mount may have any name. */
static bool
is_anonymous(const struct audit *a, const struct audit_fd *fd, size_t row)
{
	if (strncmp(fd->link, anonymous[row].link, strlen(anonymous[row].link)) != 0)
		return false;
	return anonymous[row].kind != JAIL_FD_MEMORY || fd->st.st_dev == a->memory;
}

enum jail_fd_kind
audit_fd_kind(const struct audit *a, const struct audit_fd *fd)
{
	const mode_t type = fd->st.st_mode & S_IFMT;
	size_t i;

	if (fd->path && type != S_IFREG && type != S_IFDIR)
		return JAIL_FD_PATH;
	for (i = 0; i < sizeof(anonymous) / sizeof(anonymous[0]); i++)
		if (is_anonymous(a, fd, i))
			return anonymous[i].kind;
	switch (type) {
	case S_IFIFO:
		return JAIL_FD_PIPE;
	case S_IFSOCK:
		return JAIL_FD_SOCKET;
	case S_IFREG:
		return JAIL_FD_FILE;
	case S_IFDIR:
		return JAIL_FD_DIRECTORY;
	case S_IFCHR:
		return device_kind(fd->st.st_rdev);
	default:
		return JAIL_FD_KINDS;
	}
}

/* The flags that it was opened with, in fdinfo's second line; 0 where there is none. */
static unsigned
open_flags(const struct audit *a, const char *name)
{
	static const char field[] = "\nflags:\t";
	char path[32], text[128];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "fdinfo/%.16s", name);
	fd = openat(a->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = file_read_all(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, field);
	return at != NULL ? (unsigned)strtoul(at + strlen(field), NULL, 8) : 0;
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

/* Fills fd.  Returns false where it was closed meanwhile. */
static bool
look(const struct audit *a, int dir, const char *name, struct audit_fd *fd)
{
	ssize_t n = readlinkat(dir, name, fd->link, sizeof(fd->link) - 1);

	if (n < 0 || fstatat(dir, name, &fd->st, 0) < 0)
		return false;
	fd->link[n] = '\0';
	fd->path = (open_flags(a, name) & O_PATH) != 0;
	return true;
}

static void
differs_fd(struct audit *a, const char *name, const struct audit_fd *fd, unsigned count)
{
	const enum jail_fd_kind kind = audit_fd_kind(a, fd);
	char shown[NAME_SHOWN];

	log_escape(shown, sizeof(shown), fd->link, strlen(fd->link));
	if (kind == JAIL_FD_KINDS)
		audit_differs(a, JAIL_FDS, "%s is %s, not declared", name, shown);
	else
		audit_differs(a, JAIL_FDS, "%s is %s, the %u. %s; declared %u", name, shown, count,
		    jail_fd_kind_name(kind), count - 1);
}

/*
 * The process works while we look: a number may be another descriptor at each of our questions, and
 * what the answers say together be true of none.  So one that is not declared is looked at again:
 * a difference is one each time.
 */
static void
count_fd(struct audit *a, int dir, const char *name, unsigned counts[static JAIL_FD_KINDS])
{
	enum { LOOKS = 100 };
	enum jail_fd_kind kind = JAIL_FD_KINDS;
	struct audit_fd fd;
	unsigned declared = 0;
	int i;

	for (i = 0; i < LOOKS; i++) {
		if (!look(a, dir, name, &fd))
			return;
		kind = audit_fd_kind(a, &fd);
		a->ruleset |= kind == JAIL_FD_RULESET;
		if (!(a->e->profile->walls & JAIL_FDS))
			return;
		declared = declared_fds(a->e->profile, kind);
		if (kind != JAIL_FD_KINDS && counts[kind] < declared) {
			counts[kind]++;
			return;
		}
	}
	/* The first one too many speaks for those behind it. */
	if (kind == JAIL_FD_KINDS || counts[kind]++ == declared)
		differs_fd(a, name, &fd, declared + 1);
}

/* What memfd_create and shared anonymous memory are kept on; no mount has that device. */
static int
find_memory(struct audit *a)
{
	struct stat st;
	int fd, error;

	fd = memfd_create("audit", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = fstat(fd, &st) < 0 ? -errno : 0;
	close(fd);
	a->memory = st.st_dev;
	return error;
}

int
audit_fds(struct audit *a)
{
	unsigned counts[JAIL_FD_KINDS] = {0};
	const struct dirent *entry;
	DIR *dir;
	int fd, error;

	error = find_memory(a);
	if (error < 0)
		return error;
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
