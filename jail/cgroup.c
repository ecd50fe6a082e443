/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup v2 for one sandbox (Documentation/admin-guide/cgroup-v2.rst of the kernel).
 *
 * A cgroup that holds processes cannot hand controllers to children (the root can).  So where our
 * own cannot, its parent is tried: its controllers are on for its children already, or we would not
 * have them.  Both need a directory that we may write to, that is, a delegated one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jail/internal.h"

#define CPU_PERIOD_US   100000u
#define REMOVE_WAIT_MS  2000
#define MOUNTINFO_MAX   (64u * 1024u)
#define CONTROLLERS_MAX 256u
#define ADVICE          "; start it with: systemd-run --user --scope -p Delegate=yes"

/* Cuts the next line off *text, or returns NULL. */
static char *
next_line(char **text)
{
	char *line = strsep(text, "\n");

	return line == NULL || *line == '\0' ? NULL : line;
}

/* The cgroup v2 mount's own root and mount point: "id parent dev root point options ... - cgroup2".
 */
static int
find_mount(char *mountinfo, const char **root, const char **point)
{
	enum { ROOT = 3, POINT = 4, FIELDS = 5 };
	char *line, *fields[FIELDS];
	size_t i;

	while ((line = next_line(&mountinfo)) != NULL) {
		if (strstr(line, " - cgroup2 ") == NULL)
			continue;
		for (i = 0; i < FIELDS; i++)
			fields[i] = strsep(&line, " ");
		if (line == NULL)
			return -EPROTO;
		*root = fields[ROOT];
		*point = fields[POINT];
		return 0;
	}
	return -ENOENT;
}

int
jail_cgroup_find(char *mountinfo, char *cgroup, char *path, size_t size)
{
	const char *root, *point, *own = NULL;
	char *line;
	size_t n;
	int error;

	error = find_mount(mountinfo, &root, &point);
	if (error < 0)
		return error;
	while ((line = next_line(&cgroup)) != NULL)
		if (strncmp(line, "0::/", 4) == 0)
			own = line + 3;
	if (own == NULL)
		return -ENOENT;
	n = strcmp(root, "/") == 0 ? 0 : strlen(root);
	/* Outside of what is mounted: another container's, as "/.." or another subtree. */
	if (strncmp(own, root, n) != 0 || (n > 0 && own[n] != '/' && own[n] != '\0') ||
	    strncmp(own, "/..", 3) == 0)
		return -ENOENT;
	own += n;
	if (strcmp(own, "/") == 0)
		own = "";
	return snprintf(path, size, "%s%s", point, own) >= (int)size ? -ENAMETOOLONG : 0;
}

static int
read_text(int dir, const char *name, char *text, size_t size)
{
	const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && used + 1 < size) {
		n = read(fd, text + used, size - used - 1);
		used += n > 0 ? (size_t)n : 0;
	}
	text[used] = '\0';
	close(fd);
	return n < 0 ? -EIO : 0;
}

static int
write_at(int dir, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int
write_at(int dir, const char *name, const char *format, ...)
{
	char text[CONTROLLERS_MAX];
	int fd, n, error = 0;
	va_list ap;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* True where `word` is one of the space-separated ones. */
static bool
has_word(const char *words, const char *word)
{
	const size_t n = strlen(word);
	const char *at;

	for (at = words; (at = strstr(at, word)) != NULL; at += n)
		if ((at == words || at[-1] == ' ') &&
		    (at[n] == ' ' || at[n] == '\n' || at[n] == '\0'))
			return true;
	return false;
}

/* The first controller that the limits need and `words` lacks, or NULL. */
static const char *
missing_controller(const char *words, const struct jail_cgroup_limits *limits)
{
	if (limits->memory != 0 && !has_word(words, "memory"))
		return "memory";
	if (limits->cpu > 0 && !has_word(words, "cpu"))
		return "cpu";
	if (limits->pids != 0 && !has_word(words, "pids"))
		return "pids";
	return NULL;
}

/* Makes sure that children of `path` get the controllers.  Returns 0, or -errno. */
static int
enable_controllers(const char *path, const struct jail_cgroup_limits *limits)
{
	char words[CONTROLLERS_MAX];
	int dir, error;

	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	error = faccessat(dir, ".", W_OK, 0) < 0
		    ? -errno
		    : read_text(dir, "cgroup.subtree_control", words, sizeof(words));
	if (error == 0 && missing_controller(words, limits) != NULL)
		error = write_at(dir, "cgroup.subtree_control", "%s%s%s",
		    limits->memory != 0 ? "+memory " : "", limits->cpu > 0 ? "+cpu " : "",
		    limits->pids != 0 ? "+pids" : "");
	close(dir);
	return error;
}

static int
write_limits(int dir, const struct jail_cgroup_limits *limits)
{
	int error = 0;

	if (limits->memory != 0) {
		error = write_at(dir, "memory.max", "%llu", limits->memory);
		/* The sandbox lives or dies as one; without swap accounting the file is missing. */
		if (error == 0)
			error = write_at(dir, "memory.oom.group", "1");
		if (error == 0)
			error = write_at(dir, "memory.swap.max", "0");
		if (error == -ENOENT)
			error = 0;
	}
	if (error == 0 && limits->cpu > 0)
		error = write_at(dir, "cpu.max", "%llu %u",
		    (unsigned long long)(limits->cpu * CPU_PERIOD_US), CPU_PERIOD_US);
	if (error == 0 && limits->pids != 0)
		error = write_at(dir, "pids.max", "%u", limits->pids);
	return error;
}

/* Fills own with our cgroup's directory and checks that it has the controllers. */
static int
find_own(
    const struct jail_cgroup_limits *limits, char *own, size_t size, char *error, size_t error_size)
{
	char words[CONTROLLERS_MAX], cgroup[4096];
	char *mountinfo = malloc(MOUNTINFO_MAX);
	const char *missing;
	int dir = -1, result = -ENOMEM;

	if (mountinfo == NULL)
		goto out;
	result = read_text(AT_FDCWD, "/proc/self/mountinfo", mountinfo, MOUNTINFO_MAX);
	if (result == 0)
		result = read_text(AT_FDCWD, "/proc/self/cgroup", cgroup, sizeof(cgroup));
	if (result == 0)
		result = jail_cgroup_find(mountinfo, cgroup, own, size);
	if (result < 0) {
		snprintf(error, error_size, "no cgroup v2 hierarchy is mounted here");
		goto out;
	}
	dir = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	result = read_text(dir, "cgroup.controllers", words, sizeof(words));
	missing = result < 0 ? "every" : missing_controller(words, limits);
	if (missing != NULL) {
		snprintf(error, error_size, "%s: no %s controller in this cgroup", own, missing);
		result = -EOPNOTSUPP;
	}
out:
	if (dir >= 0)
		close(dir);
	free(mountinfo);
	return result < 0 ? -EOPNOTSUPP : 0;
}

/* Finds the place: our own cgroup, or else its parent.  own is cut to it. */
static int
find_place(char *own, const struct jail_cgroup_limits *limits, char *error, size_t error_size)
{
	const int first = enable_controllers(own, limits);
	char *slash = strrchr(own, '/');

	if (first == 0)
		return 0;
	if (slash != NULL && slash != own) {
		*slash = '\0';
		if (enable_controllers(own, limits) == 0)
			return 0;
		*slash = '/';
	}
	snprintf(error, error_size, "%s is not delegated to this user (%s)" ADVICE, own,
	    strerrordesc_np(-first));
	return -EOPNOTSUPP;
}

/* Makes path anew.  What lies there of an earlier sandbox is removed, unless a process is in it. */
static int
make_directory(const char *path)
{
	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (rmdir(path) < 0 && errno != ENOENT)
		return -errno;
	return mkdir(path, 0755) < 0 ? -errno : 0;
}

int
jail_cgroup_make(const char *id, const struct jail_cgroup_limits *limits, char *path,
    size_t path_size, char *error, size_t error_size)
{
	char own[PATH_MAX];
	int dir = -1, result;

	result = find_own(limits, own, sizeof(own), error, error_size);
	if (result == 0)
		result = find_place(own, limits, error, error_size);
	if (result < 0)
		return result;
	if (snprintf(path, path_size, "%s/gondolin-%s", own, id) >= (int)path_size)
		return -ENAMETOOLONG;
	result = make_directory(path);
	if (result < 0) {
		snprintf(error, error_size, "cannot make %s: %s", path, strerrordesc_np(-result));
		return result;
	}
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	result = dir < 0 ? -errno : write_limits(dir, limits);
	if (result < 0) {
		snprintf(error, error_size, "cannot limit %s: %s", path, strerrordesc_np(-result));
		if (dir >= 0)
			close(dir);
		rmdir(path);
		return result;
	}
	return dir;
}

/* Waits until no process is left, or for as long as we are willing to. */
static void
await_empty(int dir)
{
	char text[CONTROLLERS_MAX];
	struct pollfd p = {.events = POLLPRI};
	ssize_t n;

	p.fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (p.fd < 0)
		return;
	do {
		n = pread(p.fd, text, sizeof(text) - 1, 0);
		if (n <= 0)
			break;
		text[n] = '\0';
	} while (strstr(text, "populated 0") == NULL && poll(&p, 1, REMOVE_WAIT_MS) > 0);
	close(p.fd);
}

void
jail_cgroup_remove(const char *path)
{
	const int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return;
	write_at(dir, "cgroup.kill", "1");
	await_empty(dir);
	close(dir);
	rmdir(path);
}
