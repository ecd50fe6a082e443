/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmrunner - drives one sandbox's machine and runs commands in it.
 *
 * Reads:    what the guest's agent and its kernel's console say, and QMP of a QEMU that the guest
 * may own; requests of the user's clients on the control socket; messages of the supervisor. Holds:
 * the host's end of one guest port, QMP, the console, the control socket, and the pipes of the
 * commands that run.  No capability, no network, no file, no secret. If taken: the attacker sees
 * and forges what the commands read and write, and may run others in the guest, which it owns
 * already; it can pretend any exit code.  Nothing else of the host.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "vmrunner/vmrunner.h"

#define SUPERVISOR_FD 3

int
main(void)
{
	struct vmrunner *vm = calloc(1, sizeof(*vm));
	struct ev_loop *loop;
	int rc;

	/* A log that nobody empties must not stop the machine. */
	(void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	/* A client's pipe may close at any time. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (vm == NULL)
		abort();
	rc = ipc_receive_now(SUPERVISOR_FD, &supervisor_table, vm, SUPERVISOR_SETUP);
	if (rc < 0) {
		log_line("no set-up from the supervisor: %s; gondolin-supervisor starts this",
		    strerror(-rc));
		return 125;
	}
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOTIMERFD);
	if (loop == NULL) {
		log_line("no epoll: %s", strerror(errno));
		return 125;
	}
	vmrunner_init(vm, loop);

	jail_enter(&vmrunner_profile);

	vmrunner_serve(vm, SUPERVISOR_FD);
	ev_run(loop, 0);
	return vm->exit_code;
}
