/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the guest. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/init.h"

/* For processes that SIGKILL cannot end at once: they sit in the kernel. */
#define KILL_WAIT_MS 2000u

/* Whether init has that child and no other: whatever lives is below one of its children. */
static bool
only_child_is(pid_t relay)
{
	char text[64], *end;
	ssize_t n;
	int fd;

	if (relay <= 0)
		return false;
	fd = open("/proc/1/task/1/children", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strtol(text, &end, 10) == relay && *end == ' ' && end[1] == '\0';
}

/* Reaps what has ended; true where no child is left but the relay. */
static bool
reap_ended(pid_t relay)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid < 0 ? errno == ECHILD : only_child_is(relay);
}

/* Waits until every process has ended; SIGCHLD is blocked and so cannot come between. */
static void
wait_for_all(uint32_t ms, const sigset_t *child, pid_t relay)
{
	struct timespec now, end, left;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	while (!reap_ended(relay)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		left.tv_sec = end.tv_sec - now.tv_sec;
		left.tv_nsec = end.tv_nsec - now.tv_nsec;
		while (left.tv_nsec < 0) {
			left.tv_sec--;
			left.tv_nsec += 1000000000;
		}
		if (left.tv_sec < 0 || (sigtimedwait(child, NULL, &left) < 0 && errno == EAGAIN))
			return;
	}
}

void
shutdown_processes(uint32_t grace_ms, pid_t relay)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	if (grace_ms > 0) {
		kill(-1, SIGTERM);
		kill(-1, SIGCONT);
		wait_for_all(grace_ms, &child, relay);
	}
	kill(-1, SIGKILL);
	wait_for_all(KILL_WAIT_MS, &child, 0);
}

void
shutdown_machine(void)
{
	sync();
	/* The root cannot be unmounted from under us, but a journal can be closed. */
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	reboot(RB_POWER_OFF);
	/* Without ACPI's power off the kernel only halts; a reset ends QEMU, which has -no-reboot.
	 */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
