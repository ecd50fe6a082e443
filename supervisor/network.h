/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a sandbox: netproxy, which is the guest's LAN, and egress, the only way out.
 *
 * Start: both are started and told the configuration at once, while the kernel boots.  When both
 * are in their jails they get their edges: netproxy the link to the machine and the edge to egress,
 * egress the other end of that.  Only then may a command run in the guest.
 *
 * Secrets are read here, from the user's environment or files, since nobody else may: egress gets
 * the values, the guest placeholders, netproxy neither.
 */
#ifndef GONDOLIN_SUPERVISOR_NETWORK_H
#define GONDOLIN_SUPERVISOR_NETWORK_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/channel.h"
#include "ipc/egress.pb-c.h"
#include "ipc/netproxy.pb-c.h"
#include "ipc/vmrunner.pb-c.h"
#include "supervisor/config.h"
#include "supervisor/edges.h"
#include "supervisor/network_policy.h"
#include "supervisor/network_secrets.h"
#include "supervisor/process.h"

#define NETWORK_CA_MAX 4096u  /* bytes of the CA's PEM */
#define NETWORK_MTU    65520u /* of the link: a frame costs the same whatever its size */

struct network_events {
	/* Both are in their jails and have their edges. */
	void (*ready)(void *ctx);
	void (*netproxy_record)(void *ctx, const Gondolin__NetproxyRecord *r);
	void (*egress_record)(void *ctx, const Gondolin__EgressRecord *r);
	void (*counters)(void *ctx, const Gondolin__EgressCounters *c);
	/* An edge broke; reason is a phrase that follows the process's name.  Not for its end. */
	void (*broken)(void *ctx, enum process_id id, const char *reason);
};

struct network {
	const struct config *config;
	const struct network_events *events;
	void *ctx;
	struct network_policy policy;
	struct network_secrets secrets;
	struct edge edges[EDGES]; /* NETPROXY, EGRESS, OUTBOUND, LINK */
	struct ipc_channel netproxy, egress;
	uint8_t ca[NETWORK_CA_MAX];
	size_t ca_length;
};

#define NETWORK_EMPTY                                                         \
	{                                                                     \
		.config = NULL, .netproxy = {.fd = -1}, .egress = {.fd = -1}, \
		.edges = {[0 ... EDGES - 1] = {-1, -1}},                      \
	}

/*
 * Checks the section `network`, reads the secrets and makes the link.  Does nothing where the
 * configuration has none.  Returns 0, or -errno with one line in error that names the place in the
 * configuration.
 */
int network_prepare(struct network *n, const struct config *c, char *error, size_t error_size);

/* Whether the sandbox has a network. */
bool network_is_wanted(const struct network *n);

/*
 * QEMU's end of the link, which stays ours, or -1 without a network.  It is kept for the sandbox's
 * life: a machine that is started again has the same link, and one that dies is told by its own
 * end, not by netproxy's that would follow.
 */
int network_link(const struct network *n);

/*
 * Starts one of both (PROCESS_NETPROXY, PROCESS_EGRESS) and tells it the configuration; both before
 * the loop runs.  Returns 0 or -errno with a line in error.
 */
int network_start(struct network *n, struct process *p, struct ev_loop *loop,
    const struct process_start *base, const struct network_events *events, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size);

/* Whether commands may run: both are ready, or there is no network. */
bool network_is_ready(const struct network *n);

/*
 * What the guest has to know, into *m; env has room for NETWORK_SECRETS_MAX, and what *m points to
 * is this struct's or env's.  network_forget_guest() frees the strings of env.
 */
void
network_tell_guest(const struct network *n, Gondolin__VmrunnerNetwork *m, ProtobufCBinaryData *env);
void network_forget_guest(Gondolin__VmrunnerNetwork *m);

void network_clear(struct network *n);

/* ---- network_setup.c ---- */

/* Send the whole set-up by the channel that is open.  Return 0 or -errno. */
int network_set_up_netproxy(struct network *n);
int network_set_up_egress(struct network *n);

#endif
