/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress - the only way out of one sandbox.
 *
 * Reads:    what netproxy asks, which a guest may have taken over; what upstream servers and
 *           resolvers answer; messages of the supervisor.
 * Holds:    policy, secret values, sockets to the Internet in the host's network namespace.  No
 *           capability, no file, no frame of the guest.
 * If taken: the attacker has this sandbox's secrets and can reach what the invoking user's host
 *           reaches, internal networks included; no file, no other process, no other sandbox.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egress/egress.h"
#include "egress/profile.h"
#include "ipc/log.h"

#define SUPERVISOR_FD 3
#define HEAP_KEPT     (1 << 20)

int
main(void)
{
	struct egress *e = calloc(1, sizeof(*e));
	struct ev_loop *loop;

	/* A log that nobody empties must not stop the network. */
	(void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	(void)signal(SIGPIPE, SIG_IGN);
	if (e == NULL)
		abort();
	/* libcurl's buffers of 64 KiB come and go with each request: the heap's end would move with
	 * them. */
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
	if (egress_prepare(e, SUPERVISOR_FD) < 0)
		return 125;
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOTIMERFD);
	if (loop == NULL) {
		log_line("no epoll: %s", strerror(errno));
		return 125;
	}

	jail_enter(&egress_profile);

	egress_serve(e, loop, SUPERVISOR_FD);
	if (!e->ended)
		ev_run(loop, 0);
	return e->exit_code;
}
