/* SPDX-License-Identifier: Apache-2.0 */
/* The helpers that only some configurations ask for: how a sandbox starts and hears them. */
#include <string.h>

#include "supervisor/records_network.h"
#include "supervisor/sandbox_private.h"

#define COUNT_SECONDS .5
#define HEAR_OUT_MS   250

/* ---- The end ---- */

void
sandbox_hear_out(struct sandbox *s)
{
	struct ipc_channel *const all[] = {
	    &s->network.netproxy, &s->network.egress, &s->mounts.channel, &s->vmrunner};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		all[i]->state = HELPER_LEAVING;
		ipc_channel_shut(all[i]);
	}
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ipc_channel_hear_out(all[i], HEAR_OUT_MS);
	ev_timer_stop(s->loop, &s->counted);
}

/* ---- vfsd ---- */

void
sandbox_hand_port(struct sandbox *s)
{
	struct machine *m = &s->machine;
	int rc = mounts_hand_port(&s->mounts, &m->edges[EDGE_VFS], m->devices, m->n_devices);

	if (rc < 0)
		sandbox_fail(s, "cannot speak to vfsd: %s", strerror(-rc));
}

static void
vfsd_ready(void *ctx)
{
	struct sandbox *s = ctx;
	int rc = mounts_hand_changes(&s->mounts);

	if (rc < 0)
		sandbox_fail(s, "cannot speak to vfsd: %s", strerror(-rc));
	sandbox_hand_port(s);
}

static void
vfsd_records(void *ctx, const Gondolin__VfsdRecords *r)
{
	struct sandbox *s = ctx;
	size_t i;

	for (i = 0; i < r->n_records; i++)
		sandbox_recorded(s, "vfsd", record_vfsd(&s->log, r->records[i]));
}

static void
vfsd_broken(void *ctx, const char *reason)
{
	sandbox_fail(ctx, "vfsd %s: the sandbox is gone", reason);
}

static const struct mounts_events mounts_events = {vfsd_ready, vfsd_records, vfsd_broken};

bool
sandbox_start_vfsd(struct sandbox *s)
{
	char error[SANDBOX_ERROR_SIZE];
	const struct process_start how = {
	    .identity = identity_of(&s->identity, PROCESS_VFSD), .cgroup_fd = s->cgroup_fd};
	struct process *p = &s->processes[PROCESS_VFSD];
	int rc;

	if (s->config->n_mounts == 0)
		return true;
	if (mounts_start(&s->mounts, p, s->loop, &how, &mounts_events, s, sandbox_process_ended,
		error, sizeof(error)) < 0) {
		sandbox_fail(s, "%s", error);
		return false;
	}
	rc = mounts_offer_changes(&s->mounts, &s->session);
	if (rc < 0) {
		sandbox_fail(s, "cannot make " SESSION_CHANGES_SOCKET ": %s", strerror(-rc));
		return false;
	}
	return sandbox_started(s, PROCESS_VFSD, "");
}

/* ---- netproxy and egress ---- */

static void
network_ready(void *ctx)
{
	sandbox_hand_machine(ctx);
}

static void
on_counted(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sandbox *s = w->data;

	(void)loop;
	(void)events;
	s->info.network.denied = s->refused + s->refused_egress;
	sandbox_write_session(s);
}

/* A counter changed: session.json says so soon, and not more often than that. */
static void
counted(struct sandbox *s)
{
	if (ev_is_active(&s->counted))
		return;
	ev_timer_init(&s->counted, on_counted, COUNT_SECONDS, 0.);
	s->counted.data = s;
	ev_timer_start(s->loop, &s->counted);
}

static void
netproxy_record(void *ctx, const Gondolin__NetproxyRecord *r)
{
	struct sandbox *s = ctx;

	if (record_is_denial(r)) {
		s->refused += 1 + (uint64_t)r->repeated;
		counted(s);
	}
	sandbox_recorded(s, "netproxy", record_netproxy(&s->log, r));
}

static void
egress_record(void *ctx, const Gondolin__EgressRecord *r)
{
	struct sandbox *s = ctx;

	sandbox_recorded(s, "egress", record_egress(&s->log, r));
}

/* egress may be somebody else's by now: what it counts has to be a number that can be read back. */
static uint64_t
capped(uint64_t count)
{
	return count < INT64_MAX / 2 ? count : INT64_MAX / 2;
}

static void
network_counters(void *ctx, const Gondolin__EgressCounters *c)
{
	struct sandbox *s = ctx;
	struct session_network *n = &s->info.network;

	n->connections = c->connections;
	n->active = c->active;
	n->requests = capped(c->requests);
	n->failed = capped(c->failed);
	n->bytes_in = capped(c->bytes_in);
	n->bytes_out = capped(c->bytes_out);
	s->refused_egress = capped(c->denied);
	counted(s);
}

static void
network_broken(void *ctx, enum process_id id, const char *reason)
{
	sandbox_fail(ctx, "%s %s: the sandbox is gone", process_rows[id].name, reason);
}

static const struct network_events network_events = {
    network_ready, netproxy_record, egress_record, network_counters, network_broken};

bool
sandbox_start_network(struct sandbox *s)
{
	static const enum process_id both[] = {PROCESS_NETPROXY, PROCESS_EGRESS};
	char error[SANDBOX_ERROR_SIZE];
	size_t i;

	if (!network_is_wanted(&s->network))
		return true;
	for (i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		const struct process_start how = {
		    .identity = identity_of(&s->identity, both[i]), .cgroup_fd = s->cgroup_fd};

		if (network_start(&s->network, &s->processes[both[i]], s->loop, &how,
			&network_events, s, sandbox_process_ended, error, sizeof(error)) < 0) {
			sandbox_fail(s, "%s", error);
			return false;
		}
		if (!sandbox_started(s, both[i], ""))
			return false;
	}
	return true;
}
