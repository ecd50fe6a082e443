/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the walls of a live process back from /proc and compares them with its profile.
 *
 * An ordinary user may read a non-dumpable helper's /proc files: the user namespace that the helper
 * lives in is the user's own, and its owner holds every capability in it (user_namespaces(7)).
 *
 * Two walls show nowhere in /proc.  A Landlock domain is known by the ruleset's descriptor, which
 * jail_enter() leaves open once it is enforced.  Whether the process is dumpable is tried out: a
 * child of ours takes the process's identity without its privileges and looks.
 */
#include "jail/audit.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_MAX (1u << 20)

void
audit_differs(struct audit *a, unsigned wall, const char *format, ...)
{
	char text[512], line[640];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "%s: %s: %s", a->e->profile->name, jail_wall_name(wall), text);
	a->differs(a->ctx, line);
	a->count++;
}

char *
audit_read(const struct audit *a, const char *name)
{
	size_t used = 0, size = 4096;
	char *text = NULL, *more;
	ssize_t n = 1;
	int fd, error = 0;

	fd = openat(a->proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (n > 0) {
		more = size <= READ_MAX ? realloc(text, size) : NULL;
		if (more == NULL) {
			error = ENOMEM;
			break;
		}
		text = more;
		n = read(fd, text + used, size - used - 1);
		if (n < 0)
			error = errno;
		else
			used += (size_t)n;
		if (used + 1 == size)
			size *= 2;
	}
	close(fd);
	if (error != 0) {
		free(text);
		errno = error;
		return NULL;
	}
	text[used] = '\0';
	return text;
}

/* The text after "\nName:" in a status file, or "" where there is none. */
static const char *
status_field(const struct audit *a, const char *name)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), "\n%s:", name);
	at = strstr(a->status, key);
	return at == NULL ? "" : at + strlen(key);
}

static void
check_number(struct audit *a, unsigned wall, const char *field, int base, uint64_t declared)
{
	const char *text = status_field(a, field);
	char *end;
	const uint64_t value = strtoull(text, &end, base);

	if (end == text)
		audit_differs(a, wall, "no %s in the status of %s", field, a->id);
	else if (value != declared)
		audit_differs(a, wall, "%s of %s is 0x%" PRIx64 ", declared 0x%" PRIx64, field,
		    a->id, value, declared);
}

/* Real, effective, saved and file system id. */
static void
check_ids(struct audit *a, const char *field, unsigned declared)
{
	const char *text = status_field(a, field);
	unsigned ids[4] = {0};
	size_t i;

	if (sscanf(text, "%u%u%u%u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4)
		audit_differs(a, JAIL_USER, "no %s in the status of %s", field, a->id);
	for (i = 0; i < 4; i++)
		if (ids[i] != declared)
			break;
	if (i < 4)
		audit_differs(a, JAIL_USER, "%s of %s is %u %u %u %u, declared %u", field, a->id,
		    ids[0], ids[1], ids[2], ids[3], declared);
}

static void
check_status(struct audit *a)
{
	static const char sets[][8] = {"CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"};
	const struct jail_expectation *e = a->e;
	const unsigned walls = e->profile->walls;
	/* The bounding set stays with an ordinary user who has no user namespace (enter.c). */
	const size_t n_sets = walls & JAIL_USER || e->identity.root_started ? 5 : 4;
	size_t i;

	if (walls & JAIL_USER) {
		check_ids(a, "Uid", e->identity.uid);
		check_ids(a, "Gid", e->identity.gid);
		if (e->identity.root_started && strspn(status_field(a, "Groups"), " \t") !=
						    strcspn(status_field(a, "Groups"), "\n"))
			audit_differs(a, JAIL_USER, "%s has groups, declared none", a->id);
	}
	for (i = 0; walls & JAIL_CAPS && i < n_sets; i++)
		check_number(a, JAIL_CAPS, sets[i], 16, 0);
	if (walls & JAIL_NO_NEW_PRIVS)
		check_number(a, JAIL_NO_NEW_PRIVS, "NoNewPrivs", 10, 1);
	if (walls & JAIL_SECCOMP)
		check_number(a, JAIL_SECCOMP, "Seccomp", 10, 2);
}

/* Credentials and filters belong to threads: one that was made before the walls has none. */
static int
audit_threads(struct audit *a)
{
	const struct dirent *entry;
	char name[PATH_MAX];
	DIR *tasks;
	int fd, error = 0;

	fd = openat(a->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tasks = fd < 0 ? NULL : fdopendir(fd);
	if (tasks == NULL)
		return -errno;
	while (error == 0 && (entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "task/%s/status", entry->d_name);
		a->id = entry->d_name;
		a->status = audit_read(a, name);
		/* A thread may end while we look; the process may not. */
		if (a->status != NULL)
			check_status(a);
		else if (errno != ENOENT && errno != ESRCH)
			error = -errno;
		free(a->status);
		a->status = NULL;
	}
	closedir(tasks);
	return error;
}

static int
audit_namespaces(struct audit *a)
{
	static const struct {
		unsigned wall;
		const char *name;
	} rows[] = {{JAIL_USER, "ns/user"}, {JAIL_PID, "ns/pid"}, {JAIL_MOUNT, "ns/mnt"},
	    {JAIL_NET, "ns/net"}, {JAIL_IPC, "ns/ipc"}, {JAIL_UTS, "ns/uts"}};
	char path[32];
	struct stat theirs, ours;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!(a->e->profile->walls & rows[i].wall))
			continue;
		if (rows[i].wall == JAIL_USER && a->e->identity.root_started)
			continue;
		snprintf(path, sizeof(path), "/proc/self/%s", rows[i].name);
		if (fstatat(a->proc_fd, rows[i].name, &theirs, 0) < 0 || stat(path, &ours) < 0)
			return -errno;
		if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino)
			audit_differs(a, rows[i].wall, "shared with the host");
	}
	return 0;
}

/* What /proc/PID/limits calls them; prlimit(2) would need a privilege for another uid's process. */
static const char limit_names[RLIM_NLIMITS][24] = {
    [RLIMIT_CPU] = "Max cpu time",
    [RLIMIT_FSIZE] = "Max file size",
    [RLIMIT_DATA] = "Max data size",
    [RLIMIT_STACK] = "Max stack size",
    [RLIMIT_CORE] = "Max core file size",
    [RLIMIT_RSS] = "Max resident set",
    [RLIMIT_NPROC] = "Max processes",
    [RLIMIT_NOFILE] = "Max open files",
    [RLIMIT_MEMLOCK] = "Max locked memory",
    [RLIMIT_AS] = "Max address space",
    [RLIMIT_LOCKS] = "Max file locks",
    [RLIMIT_SIGPENDING] = "Max pending signals",
    [RLIMIT_MSGQUEUE] = "Max msgqueue size",
    [RLIMIT_NICE] = "Max nice priority",
    [RLIMIT_RTPRIO] = "Max realtime priority",
    [RLIMIT_RTTIME] = "Max realtime timeout",
};

/* "unlimited" or a number; *text moves behind it. */
static bool
parse_limit(const char **text, rlim_t *value)
{
	static const char unlimited[] = "unlimited";
	char *end;

	*text += strspn(*text, " ");
	if (strncmp(*text, unlimited, sizeof(unlimited) - 1) == 0) {
		*text += sizeof(unlimited) - 1;
		*value = RLIM_INFINITY;
		return true;
	}
	*value = strtoull(*text, &end, 10);
	if (end == *text)
		return false;
	*text = end;
	return true;
}

int
audit_parse_limit(const char *text, int resource, rlim_t *soft, rlim_t *hard)
{
	const char *name = limit_names[resource], *at = strstr(text, name);

	if (at == NULL)
		return -EPROTO;
	at += strlen(name);
	return parse_limit(&at, soft) && parse_limit(&at, hard) ? 0 : -EPROTO;
}

static int
audit_limits(struct audit *a)
{
	const struct jail_profile *p = a->e->profile;
	char *text = audit_read(a, "limits");
	rlim_t soft, hard;
	size_t i;

	if (text == NULL)
		return -errno;
	for (i = 0; i < p->n_limits; i++) {
		const struct jail_limit *l = &p->limits[i];

		if (audit_parse_limit(text, l->resource, &soft, &hard) < 0)
			audit_differs(a, JAIL_RLIMITS, "%s is not to be found", l->name);
		else if (soft != l->value || hard != l->value)
			audit_differs(a, JAIL_RLIMITS, "%s is %llu (hard %llu), declared %llu",
			    l->name, (unsigned long long)soft, (unsigned long long)hard,
			    (unsigned long long)l->value);
	}
	free(text);
	return 0;
}

enum probe {
	PROBE_OPEN,
	PROBE_CLOSED,
	PROBE_FAILED,
};

/* True where the process is in our own user namespace, or on errors, which the next step meets. */
static bool
shares_user_ns(int user_ns)
{
	struct stat theirs, ours;

	return fstat(user_ns, &theirs) < 0 || stat("/proc/self/ns/user", &ours) < 0 ||
	       (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino);
}

/* With the process's identity and no capability, only being dumpable lets one look (ptrace(2)). */
static enum probe
probe_dumpable(const struct audit *a, int user_ns)
{
	const bool shared = shares_user_ns(user_ns);
	const uid_t uid = shared ? a->e->identity.uid : 0;
	const gid_t gid = shared ? a->e->identity.gid : 0;
	char target[PATH_MAX];

	if (!shared && setns(user_ns, CLONE_NEWUSER) < 0)
		return PROBE_FAILED;
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return PROBE_FAILED;
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return PROBE_FAILED;
	if (readlinkat(a->proc_fd, "exe", target, sizeof(target)) >= 0)
		return PROBE_OPEN;
	return errno == EACCES || errno == EPERM ? PROBE_CLOSED : PROBE_FAILED;
}

static int
audit_dumpable(struct audit *a)
{
	int user_ns, status, error = 0;
	pid_t child;

	user_ns = openat(a->proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
	if (user_ns < 0)
		return -errno;
	child = fork();
	if (child == 0)
		_exit((int)probe_dumpable(a, user_ns));
	close(user_ns);
	if (child < 0)
		return -errno;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == PROBE_FAILED)
		error = -EPERM;
	else if (WEXITSTATUS(status) == PROBE_OPEN)
		audit_differs(a, JAIL_NON_DUMPABLE, "the process is dumpable");
	return error;
}

static int
audit_landlock(struct audit *a)
{
	if (jail_walls_supported() & JAIL_LANDLOCK && !a->ruleset)
		audit_differs(a, JAIL_LANDLOCK, "not enforced");
	return 0;
}

/* Landlock after the descriptors, which tell of it. */
static const struct {
	unsigned walls;
	int (*check)(struct audit *a);
} checks[] = {
    {JAIL_ALL, audit_namespaces},
    {JAIL_ALL, audit_threads},
    {JAIL_ROOT, audit_root},
    {JAIL_RLIMITS, audit_limits},
    {JAIL_FDS | JAIL_LANDLOCK, audit_fds},
    {JAIL_LANDLOCK, audit_landlock},
    {JAIL_NON_DUMPABLE, audit_dumpable},
};

/* A zombie has no files, no namespaces and no walls: it is gone. */
static int
check_alive(struct audit *a)
{
	const char *state;
	int error = 0;

	a->status = audit_read(a, "status");
	if (a->status == NULL)
		return -errno;
	state = status_field(a, "State");
	state += strspn(state, " \t");
	if (*state == 'Z' || *state == 'X')
		error = -ESRCH;
	free(a->status);
	a->status = NULL;
	return error;
}

int
jail_audit(
    const struct jail_expectation *e, void (*differs)(void *ctx, const char *line), void *ctx)
{
	struct audit a = {.e = e, .differs = differs, .ctx = ctx};
	char path[32];
	size_t i;
	int error;

	snprintf(path, sizeof(path), "/proc/%d", e->pid);
	a.proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a.proc_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	error = check_alive(&a);
	for (i = 0; error == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
		if (e->profile->walls & checks[i].walls)
			error = checks[i].check(&a);
	/* It may have ended under our eyes: what we saw then is no difference. */
	if (check_alive(&a) < 0)
		error = -ESRCH;
	close(a.proc_fd);
	return error < 0 ? error : a.count;
}
