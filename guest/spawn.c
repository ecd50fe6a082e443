/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of starting a command.
 *
 * Fork or not.  A copy of the agent's memory is most of what fork costs, and under TCG more than
 * the command's own exec: each page that either side writes to afterwards faults.  So the child
 * shares the agent's memory, on a stack of its own, and the agent waits until it has executed the
 * program (CLONE_VFORK).  That is only done where the wait is short: not for a builtin, which
 * executes nothing, and not where a file system of the guest could make it wait for somebody.  Nor
 * for another user than root, whose processes could then trace one that has root's memory.
 */
#include "guest/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define STACK_SIZE 65536u

/* Both ends of everything, the agent's and the child's. */
struct ends {
	struct spawn_child ours;
	int input, output, error, status; /* the child's */
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
spawn_child_close(struct spawn_child *child)
{
	close_fd(&child->pidfd);
	close_fd(&child->status);
	close_fd(&child->input);
	close_fd(&child->output);
	close_fd(&child->error);
}

static void
close_theirs(struct ends *e)
{
	close_fd(&e->input);
	close_fd(&e->output);
	close_fd(&e->error);
	close_fd(&e->status);
}

/* A pipe whose `ours` end does not block; the child's does, as programs expect. */
static int
open_pipe(int *read_end, int *write_end, const int *ours)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*read_end = fds[0];
	*write_end = fds[1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int
open_pipes(struct ends *e)
{
	int rc;

	rc = open_pipe(&e->input, &e->ours.input, &e->ours.input);
	if (rc == 0)
		rc = open_pipe(&e->ours.output, &e->output, &e->ours.output);
	if (rc == 0)
		rc = open_pipe(&e->ours.error, &e->error, &e->ours.error);
	return rc;
}

static int
open_terminal(struct ends *e, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};
	int unlocked = 0;

	e->ours.output = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (e->ours.output < 0 || ioctl(e->ours.output, TIOCSPTLCK, &unlocked) < 0)
		return -errno;
	if (rows != 0 && columns != 0 && ioctl(e->ours.output, TIOCSWINSZ, &size) < 0)
		return -errno;
	/* Two descriptors of one master: epoll keeps one registration for each. */
	e->ours.input = fcntl(e->ours.output, F_DUPFD_CLOEXEC, 0);
	if (e->ours.input < 0)
		return -errno;
	/* Not by path: the slave of this master, whatever is mounted on /dev/pts. */
	e->input = ioctl(e->ours.output, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (e->input < 0)
		return -errno;
	e->output = fcntl(e->input, F_DUPFD_CLOEXEC, 0);
	e->error = fcntl(e->input, F_DUPFD_CLOEXEC, 0);
	return e->output < 0 || e->error < 0 ? -errno : 0;
}

/*
 * In the child.  Everything but stdio and the status pipe is closed here and not by exec: another
 * command's stdin must see its end even while this child hangs in a file system.
 */
static void __attribute__((noreturn))
enter_child(const struct spawn_request *r, const struct ends *e, void **memory)
{
	static const int status_fd = 3;

	if (dup2(e->input, 0) < 0 || dup2(e->output, 1) < 0 || dup2(e->error, 2) < 0)
		_exit(127);
	if (e->status != status_fd && dup3(e->status, status_fd, O_CLOEXEC) < 0)
		_exit(127);
	if (syscall(SYS_close_range, status_fd + 1, ~0u, 0) < 0)
		_exit(127);
	spawn_become(r, status_fd, memory);
}

struct start {
	const struct spawn_request *r;
	const struct ends *e;
	void *memory; /* the child's, in ours */
};

static int
child_main(void *ctx)
{
	struct start *s = ctx;

	enter_child(s->r, s->e, &s->memory);
}

static bool
may_share(const struct spawn_request *r)
{
	return r->local && r->builtin == GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE &&
	       (r->user[0] == '\0' || strcmp(r->user, "root") == 0);
}

/* Returns the child's pid, or -errno. */
static pid_t
start_child(const struct spawn_request *r, const struct ends *e)
{
	struct start s = {r, e, NULL};
	uint8_t *stack;
	pid_t pid;

	if (!may_share(r)) {
		pid = fork();
		if (pid == 0)
			enter_child(r, e, &s.memory);
		return pid < 0 ? -errno : pid;
	}
	stack = malloc(STACK_SIZE);
	if (stack == NULL)
		return -ENOMEM;
	pid = clone(child_main, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
	if (pid < 0)
		pid = -errno;
	free(stack);
	free(s.memory);
	return pid;
}

int
spawn_command(const struct spawn_request *r, struct spawn_child *child)
{
	struct ends e = {{0, -1, -1, -1, -1, -1}, -1, -1, -1, -1};
	int rc;

	rc = r->tty ? open_terminal(&e, r->rows, r->columns) : open_pipes(&e);
	if (rc == 0)
		rc = open_pipe(&e.ours.status, &e.status, &e.ours.status);
	if (rc < 0)
		goto out;
	e.ours.pid = start_child(r, &e);
	if (e.ours.pid < 0) {
		rc = e.ours.pid;
		goto out;
	}
	/* Not reaped before we say so, hence the pid is still this child's. */
	e.ours.pidfd = (int)syscall(SYS_pidfd_open, e.ours.pid, 0);
	if (e.ours.pidfd < 0) {
		rc = -errno;
		kill(e.ours.pid, SIGKILL);
	}
out:
	close_theirs(&e);
	if (rc < 0)
		spawn_child_close(&e.ours);
	*child = e.ours;
	return rc;
}
