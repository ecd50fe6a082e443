/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and reaps the relay of the foreground command. */
#include "supervisor/foreground.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define CONTROL_FD 3

static int
code_of(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

static int
reap(struct foreground *f)
{
	siginfo_t info = {0};

	while (waitid(P_PIDFD, (id_t)f->pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	ev_io_stop(f->loop, &f->exited);
	close(f->pidfd);
	f->pid = 0;
	return code_of(&info);
}

static void
on_exited(struct ev_loop *loop, ev_io *w, int events)
{
	struct foreground *f = w->data;

	(void)loop;
	(void)events;
	f->ended(f->ctx, reap(f));
}

static int
spawn(struct foreground *f, char *const *argv, int control, const char *program)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	sigaddset(&none, SIGPIPE);
	sigaddset(&none, SIGXFSZ);
	posix_spawnattr_setsigdefault(&attributes, &none);
	rc = posix_spawn(&f->pid, program, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -rc;
}

int
foreground_start(struct foreground *f, struct ev_loop *loop, const struct config *c, int control,
    const char *program, void *ctx, void (*ended)(void *ctx, int code), char *error,
    size_t error_size)
{
	char fd[] = "3", option[] = "--foreground", tty[] = "--tty", no_tty[] = "--no-tty",
	     end[] = "--";
	char name[] = "gondolin";
	size_t fixed = 5, i;
	char **argv = calloc(fixed + c->command.n + 1, sizeof(*argv));
	int rc;

	if (argv == NULL)
		abort();
	argv[0] = name;
	argv[1] = option;
	argv[2] = fd;
	argv[3] = c->tty ? tty : no_tty;
	argv[4] = end;
	for (i = 0; i < c->command.n; i++)
		argv[fixed + i] = c->command.v[i];
	*f = (struct foreground){.loop = loop, .ctx = ctx, .ended = ended, .pidfd = -1};
	rc = spawn(f, argv, control, program);
	free(argv);
	close(control);
	if (rc < 0) {
		f->pid = 0;
		snprintf(error, error_size, "cannot start %s: %s", program, strerror(-rc));
		return rc;
	}
	f->pidfd = pidfd_open(f->pid, 0);
	if (f->pidfd < 0) {
		rc = -errno;
		kill(f->pid, SIGKILL);
		while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
			;
		f->pid = 0;
		snprintf(error, error_size, "cannot watch %s: %s", program, strerror(-rc));
		return rc;
	}
	ev_io_init(&f->exited, on_exited, f->pidfd, EV_READ);
	f->exited.data = f;
	/* After what vmrunner said before the relay ended: why the machine failed, for one. */
	ev_set_priority(&f->exited, EV_MINPRI);
	ev_io_start(loop, &f->exited);
	return 0;
}

void
foreground_signal(struct foreground *f, int signal)
{
	if (f->pid > 0)
		(void)pidfd_send_signal(f->pidfd, signal, NULL, 0);
}

int
foreground_wait(struct foreground *f)
{
	return f->pid > 0 ? reap(f) : 125;
}
