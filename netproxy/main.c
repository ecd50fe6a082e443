/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netproxy - the whole network of one sandbox's guest.
 *
 * Reads:    every frame that the guest writes, and all protocols in them: Ethernet, ARP, IP, TCP,
 *           DHCP, DNS, TLS, HTTP; messages of egress and of the supervisor.
 * Holds:    the link's socket, the edge to egress, the key of the sandbox's own CA, connected
 *           sockets that egress made.  No capability, no network of the host, no file, no secret.
 * If taken: the attacker reads and forges what the guest sends and receives, which is the guest's
 *           own traffic, with placeholders where secrets go; of the world it reaches what egress
 *           lets the guest reach.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "netproxy/netproxy.h"

#define SUPERVISOR_FD 3

/* What the supervisor says before the jail. */
static int
read_setup(struct netproxy *np)
{
	int rc = ipc_receive_now(SUPERVISOR_FD, &supervisor_table, np, SUPERVISOR_SETUP);

	while (rc == 0 && !np->confined)
		rc = ipc_receive_now(SUPERVISOR_FD, &supervisor_table, np, SUPERVISOR_POLICY);
	return rc;
}

int
main(void)
{
	struct netproxy *np = calloc(1, sizeof(*np));
	struct ev_loop *loop;
	int rc;

	/* A log that nobody empties must not stop the network. */
	(void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	(void)signal(SIGPIPE, SIG_IGN);
	if (np == NULL)
		abort();
	rc = read_setup(np);
	if (rc < 0) {
		log_line("no set-up from the supervisor: %s; gondolin-supervisor starts this",
		    strerror(-rc));
		return 125;
	}
	rc = netproxy_prepare(np);
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOTIMERFD);
	if (rc < 0 || loop == NULL) {
		log_line("no keys or no epoll: %s", strerror(rc < 0 ? -rc : errno));
		return 125;
	}
	netproxy_init(np, loop);

	jail_enter(&netproxy_profile);

	netproxy_serve(np, SUPERVISOR_FD);
	ev_run(loop, 0);
	return np->exit_code;
}
