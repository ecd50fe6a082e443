/* SPDX-License-Identifier: Apache-2.0 */
/* Cleans up after a supervisor that could not. */
#include "supervisor/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/log.h"

#define DISMISSED 'd'

/* Ctrl-C and a closed terminal reach the whole foreground group: the guard must outlive what they
 * end. */
static void
ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE};
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void
close_all_but(int *keep, size_t n)
{
	unsigned from = 0;
	size_t i;

	qsort(keep, n, sizeof(*keep), by_number);
	for (i = 0; i < n; i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned)keep[i] > from)
			syscall(SYS_close_range, from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0);
}

static void __attribute__((noreturn))
stand_guard(int wait_fd, struct session *s, const char *cgroup)
{
	int keep[] = {STDERR_FILENO, wait_fd, s->parent_fd, s->dir_fd, s->lock_fd};
	char c;
	ssize_t n;

	ignore_signals();
	close_all_but(keep, sizeof(keep) / sizeof(keep[0]));
	jail_confine(&guard_profile);
	do
		n = read(wait_fd, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && c == DISMISSED)
		_exit(0);
	log_line("gondolin: the supervisor of %s died: the sandbox is gone", s->id);
	/* In this order: until the lock is given up, no other sandbox has the id, and its cgroup.
	 */
	if (cgroup[0] != '\0')
		jail_cgroup_remove(cgroup);
	session_remove(s);
	_exit(0);
}

int
guard_start(struct guard *g, struct session *s, const char *cgroup, char *error, size_t error_size)
{
	int fds[2];

	*g = (struct guard){.pidfd = -1, .pipe = -1};
	if (pipe2(fds, O_CLOEXEC) < 0)
		goto failed;
	g->pid = fork();
	if (g->pid == 0) {
		close(fds[1]);
		stand_guard(fds[0], s, cgroup);
	}
	close(fds[0]);
	g->pipe = fds[1];
	if (g->pid > 0)
		g->pidfd = pidfd_open(g->pid, 0);
	if (g->pidfd >= 0)
		return 0;
failed:
	snprintf(error, error_size, "cannot start the guard process: %s", strerror(errno));
	guard_dismiss(g);
	return -errno;
}

void
guard_dismiss(struct guard *g)
{
	const char c = DISMISSED;

	if (g->pipe >= 0) {
		/* A guard that is gone already (SIGPIPE is ignored) needs no dismissal. */
		if (write(g->pipe, &c, 1) < 0)
			errno = 0;
		close(g->pipe);
	}
	if (g->pid > 0)
		while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (g->pidfd >= 0)
		close(g->pidfd);
	*g = (struct guard){.pidfd = -1, .pipe = -1};
}
