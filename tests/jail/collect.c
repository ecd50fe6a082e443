/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail_collect LOG COMMAND [ARG...]: runs a command and appends to LOG the rows of all profiles
 * that it and its descendants used, one key a line.  It traces them (ptrace(2)) and counts a call
 * only where the process's filter is in force.  Ends as the command ends.
 *
 * A process belongs to a profile by its name, which jail_enter() sets to gondolin-NAME.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jail/rows.h"

#define COMM_MAX 16 /* TASK_COMM_LEN */
#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	    PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

struct task {
	pid_t tid;
	const struct jail_profile *profile; /* NULL: not one that we know, or not walled in yet */
	bool stale;                         /* profile is to be found out anew */
};

struct collector {
	struct task *tasks;
	size_t n_tasks;
	FILE *log;
	char **seen; /* keys that are in the log */
	size_t n_seen;
};

static void *
grow(void *array, size_t n, size_t size)
{
	void *more = reallocarray(array, n, size);

	if (more == NULL)
		abort();
	return more;
}

static struct task *
find_task(struct collector *c, pid_t tid)
{
	size_t i;

	for (i = 0; i < c->n_tasks; i++)
		if (c->tasks[i].tid == tid)
			return &c->tasks[i];
	c->tasks = grow(c->tasks, c->n_tasks + 1, sizeof(c->tasks[0]));
	c->tasks[c->n_tasks] = (struct task){.tid = tid, .stale = true};
	return &c->tasks[c->n_tasks++];
}

static void
forget_task(struct collector *c, pid_t tid)
{
	struct task *t = find_task(c, tid);

	*t = c->tasks[--c->n_tasks];
}

/* The number after a field's name in /proc/TID/status, or -1. */
static int
status_number(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	return at == NULL ? -1 : (int)strtol(at + strlen(field), NULL, 10);
}

static bool
read_file(char *text, size_t size, int pid, const char *name)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

static const struct jail_profile *
profile_of_comm(const char *comm)
{
	static const char prefix[] = "gondolin-";
	const struct jail_profile *const own[] = {&probe_profile, &foreign_profile, NULL};
	const struct jail_profile *const *lists[] = {own, real_profiles};
	char name[COMM_MAX];
	size_t i, j;

	if (strncmp(comm, "qemu-system-", strlen("qemu-system-")) == 0)
		return profile_find("qemu");
	for (i = 0; i < 2; i++)
		for (j = 0; lists[i][j] != NULL; j++) {
			snprintf(name, sizeof(name), "%s%s", prefix, lists[i][j]->name);
			if (strcmp(comm, name) == 0)
				return lists[i][j];
		}
	return NULL;
}

/* Called where the name or the filter may have changed: at the first stop, after exec and seccomp.
 */
static void
refresh_task(struct task *t)
{
	char status[8192], comm[COMM_MAX + 1];

	t->stale = false;
	t->profile = NULL;
	if (!read_file(status, sizeof(status), t->tid, "status") ||
	    status_number(status, "\nSeccomp:\t") != 2 ||
	    !read_file(comm, sizeof(comm), status_number(status, "\nTgid:\t"), "comm"))
		return;
	comm[strcspn(comm, "\n")] = '\0';
	t->profile = profile_of_comm(comm);
}

static void
note_row(struct collector *c, const struct jail_profile *p, const struct jail_syscall *row)
{
	char key[ROW_KEY_MAX];
	size_t i;

	row_key(p, row, key, sizeof(key));
	for (i = 0; i < c->n_seen; i++)
		if (strcmp(c->seen[i], key) == 0)
			return;
	fprintf(c->log, "%s\n", key);
	c->seen = grow(c->seen, c->n_seen + 1, sizeof(c->seen[0]));
	c->seen[c->n_seen] = strdup(key);
	if (c->seen[c->n_seen++] == NULL)
		abort();
}

static void
on_syscall(struct collector *c, struct task *t)
{
	struct __ptrace_syscall_info info;
	size_t i;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (t->stale)
		refresh_task(t);
	/* The filter is in force, or the name is another, from the next call on. */
	if (info.entry.nr == SYS_seccomp || info.entry.nr == SYS_prctl)
		t->stale = true;
	if (t->profile == NULL)
		return;
	for (i = 0; i < t->profile->n_syscalls; i++)
		if (row_matches(&t->profile->syscalls[i], info.entry.nr, info.entry.args))
			note_row(c, t->profile, &t->profile->syscalls[i]);
}

/* One stop of a task: looks at it and lets it go on. */
static void
on_stop(struct collector *c, pid_t tid, int status)
{
	const int signal = WSTOPSIG(status), event = status >> 16;
	struct task *t = find_task(c, tid);
	long deliver = 0;

	if (signal == (SIGTRAP | 0x80))
		on_syscall(c, t);
	else if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP ||
						   signal == SIGTTIN || signal == SIGTTOU)) {
		ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		return;
	} else if (event != 0)
		t->stale = true;
	else
		deliver = signal;
	/* A task that was killed meanwhile has its end reported next. */
	ptrace(PTRACE_SYSCALL, tid, NULL, deliver);
}

/* The command waits for its tracer before exec. */
static pid_t
start_command(char **argv)
{
	int go[2];
	pid_t pid;
	char byte = 0;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	close(go[0]);
	if (pid > 0 && (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0 ||
			   ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 ||
			   waitpid(pid, NULL, __WALL) != pid || write(go[1], &byte, 1) != 1 ||
			   ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0))
		pid = -1;
	close(go[1]);
	return pid;
}

int
main(int argc, char **argv)
{
	struct collector c = {NULL, 0, NULL, NULL, 0};
	int status, code = EXIT_FAILURE;
	pid_t command, tid;

	if (argc < 3) {
		fprintf(stderr, "usage: jail_collect LOG COMMAND [ARG...]\n");
		return EXIT_FAILURE;
	}
	c.log = fopen(argv[1], "ae");
	command = c.log == NULL ? -1 : start_command(argv + 2);
	if (command < 0) {
		perror("cannot trace the command");
		if (c.log != NULL)
			fclose(c.log);
		return EXIT_FAILURE;
	}
	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			on_stop(&c, tid, status);
			continue;
		}
		forget_task(&c, tid);
		if (tid == command)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return fclose(c.log) == 0 ? code : EXIT_FAILURE;
}
