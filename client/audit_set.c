/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the processes that a session's file names with those that its configuration asks for,
 * and with the children that its supervisor has. */
#include "client/audit_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/file.h"

#define CHILDREN_MAX 64u /* what comes after these is reported as surplus */
#define PID_TEXT_MAX 12u /* bytes of one, with what parts it from the next */
#define LINE_MAX     512

struct set {
	const struct session_info *info;
	void (*differs)(void *ctx, const char *line);
	void *ctx;
};

static void __attribute__((format(printf, 2, 3)))
differ(const struct set *s, const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	s->differs(s->ctx, line);
}

static unsigned
count(const struct session_info *info, const char *name)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < info->n_processes; i++)
		n += strcmp(info->processes[i].name, name) == 0;
	return n;
}

static bool
is_declared(const struct session_info *info, const char *name)
{
	size_t i;

	for (i = 0; i < info->n_declared; i++)
		if (strcmp(info->declared[i], name) == 0)
			return true;
	return false;
}

static void
check_names(const struct set *s)
{
	const struct session_process *p = s->info->processes;
	size_t i;

	for (i = 0; i < s->info->n_declared; i++)
		if (count(s->info, s->info->declared[i]) == 0)
			differ(s, "%s: the configuration asks for it, and it is missing",
			    s->info->declared[i]);
	for (i = 0; i < s->info->n_processes; i++) {
		if (!is_declared(s->info, p[i].name))
			differ(s,
			    "%s: process %d is there, and the configuration does not ask for it",
			    p[i].name, (int)p[i].pid);
		if (count(s->info, p[i].name) > 1)
			differ(s, "%s: process %d is one of several of that name", p[i].name,
			    (int)p[i].pid);
	}
}

/* Reads the children of a single-threaded process.  Returns how many there are, or -errno. */
static int
read_children(pid_t pid, pid_t *children)
{
	char path[64], text[CHILDREN_MAX * PID_TEXT_MAX + 1], *at = text, *end;
	ssize_t length;
	long one;
	int fd, n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = file_read_all(fd, text, sizeof(text) - 1);
	close(fd);
	if (length < 0)
		return (int)length;
	text[length] = '\0';
	for (; n < (int)CHILDREN_MAX; at = end) {
		one = strtol(at, &end, 10);
		if (end == at)
			break;
		children[n++] = (pid_t)one;
	}
	return n;
}

/* Whether it runs the `gondolin` that lies beside the supervisor's program. */
static bool
is_relay(const struct set *s, pid_t pid)
{
	char link[64], path[SESSION_PATH_SIZE + 16], *slash;
	struct stat beside, its;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)s->info->pid);
	n = readlink(link, path, SESSION_PATH_SIZE);
	if (n <= 0 || n == (ssize_t)SESSION_PATH_SIZE)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return false;
	snprintf(slash, sizeof("/gondolin"), "/gondolin");
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	return stat(path, &beside) == 0 && stat(link, &its) == 0 && beside.st_dev == its.st_dev &&
	       beside.st_ino == its.st_ino;
}

static bool
is_named(const struct session_info *info, pid_t pid)
{
	size_t i;

	for (i = 0; i < info->n_processes; i++)
		if (info->processes[i].pid == pid)
			return true;
	return false;
}

static bool
is_in(pid_t pid, const pid_t *pids, int n)
{
	while (n > 0)
		if (pids[--n] == pid)
			return true;
	return false;
}

void
audit_set(const struct session_info *info, void (*differs)(void *ctx, const char *line), void *ctx)
{
	const struct set s = {info, differs, ctx};
	pid_t children[CHILDREN_MAX] = {0};
	unsigned relays = 0;
	int n, i;
	size_t k;

	check_names(&s);
	n = session_process_start_time(info->pid) == info->start_time
		? read_children(info->pid, children)
		: -ESRCH;
	if (n < 0) {
		differ(&s, "supervisor: the children of process %d cannot be read: %s",
		    (int)info->pid, strerror(-n));
		return;
	}
	for (k = 0; k < info->n_processes; k++)
		if (!is_in(info->processes[k].pid, children, n))
			differ(&s, "%s: process %d is no child of the supervisor",
			    info->processes[k].name, (int)info->processes[k].pid);
	for (i = 0; i < n; i++)
		if (!is_named(info, children[i]) && (relays++ > 0 || !is_relay(&s, children[i])))
			differ(&s, "supervisor: its child %d is not in the session's file",
			    (int)children[i]);
}
