/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the guest. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/init.h"

/* For processes that SIGKILL cannot end at once: they sit in the kernel. */
#define KILL_WAIT_MS 2000u

/* Reaps what has ended; true where no child is left. */
static bool
reap_ended(void)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid < 0 && errno == ECHILD;
}

/* Waits until every process has ended; SIGCHLD is blocked and so cannot come between. */
static bool
wait_for_all(uint32_t ms, const sigset_t *child)
{
	struct timespec now, end, left;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	while (!reap_ended()) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		left.tv_sec = end.tv_sec - now.tv_sec;
		left.tv_nsec = end.tv_nsec - now.tv_nsec;
		while (left.tv_nsec < 0) {
			left.tv_sec--;
			left.tv_nsec += 1000000000;
		}
		if (left.tv_sec < 0 || (sigtimedwait(child, NULL, &left) < 0 && errno == EAGAIN))
			return reap_ended();
	}
	return true;
}

void
shutdown_processes(uint32_t grace_ms)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	if (grace_ms > 0) {
		kill(-1, SIGTERM);
		kill(-1, SIGCONT);
		if (wait_for_all(grace_ms, &child))
			return;
	}
	kill(-1, SIGKILL);
	wait_for_all(KILL_WAIT_MS, &child);
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
