/* SPDX-License-Identifier: Apache-2.0 */
/* Raw mode, and the way back from it. */
#include "client/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Deadly signals that come from our own faults; those that others send are relay.c's. */
static const int deadly[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
#define N_DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/* A process has one controlling terminal, and a signal handler has no argument: hence a static. */
static struct {
	volatile sig_atomic_t raw;
	int fd;
	struct termios saved;
	struct sigaction handlers[N_DEADLY];
} terminal;

/*
 * TCSANOW: what was written is in the terminal's own hands, and draining would wait for ever where
 * its reader is gone.  SIGTTOU is blocked, or a background process group would be stopped here.
 */
void
terminal_restore(void)
{
	sigset_t ttou, before;
	size_t i;

	if (!terminal.raw)
		return;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &before);
	tcsetattr(terminal.fd, TCSANOW, &terminal.saved);
	sigprocmask(SIG_SETMASK, &before, NULL);
	terminal.raw = 0;
	for (i = 0; i < N_DEADLY; i++)
		sigaction(deadly[i], &terminal.handlers[i], NULL);
}

static void
on_deadly(int signal)
{
	terminal_restore(); /* which puts the former handler back: the signal takes its course */
	raise(signal);
}

int
terminal_raw(int fd)
{
	struct sigaction action = {.sa_handler = on_deadly, .sa_flags = SA_NODEFER};
	struct termios raw;
	size_t i;

	if (tcgetattr(fd, &terminal.saved) < 0)
		return -errno;
	terminal.fd = fd;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < N_DEADLY; i++)
		sigaction(deadly[i], &action, &terminal.handlers[i]);
	terminal.raw = 1;
	raw = terminal.saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(fd, TCSANOW, &raw) < 0) {
		i = (size_t)errno;
		terminal_restore();
		return -(int)i;
	}
	return 0;
}

bool
terminal_is_raw(void)
{
	return terminal.raw != 0;
}

bool
terminal_size(int fd, unsigned *rows, unsigned *columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return true;
}
