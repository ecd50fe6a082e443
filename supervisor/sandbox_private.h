/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's state, for the files that its code is in (sandbox*.c). */
#ifndef GONDOLIN_SUPERVISOR_SANDBOX_PRIVATE_H
#define GONDOLIN_SUPERVISOR_SANDBOX_PRIVATE_H

#include <ev.h>
#include <stdbool.h>

#include "ipc/channel.h"
#include "ipc/vmrunner.pb-c.h"
#include "supervisor/foreground.h"
#include "supervisor/guard.h"
#include "supervisor/machine.h"
#include "supervisor/mounts.h"
#include "supervisor/network.h"
#include "supervisor/records.h"
#include "supervisor/sandbox.h"

#define SANDBOX_CONSOLE_WORDS 600u /* bytes of the console that a reason shows */
#define SANDBOX_ERROR_SIZE    2048

enum phase { PHASE_STARTING, PHASE_UP, PHASE_STOPPING, PHASE_ENDED };

struct sandbox {
	const struct config *config;
	const struct sandbox_options *options;
	struct ev_loop *loop;
	enum phase phase;
	int code; /* to exit with */
	struct session session;
	struct session_info info;
	struct guard guard;
	struct audit_log log;
	struct identity identity;
	struct image_store store;
	struct image image;
	struct machine machine;
	struct process processes[PROCESSES];
	struct edge vmrunner_edge;
	struct ipc_channel vmrunner;
	struct mounts mounts;
	struct network network;
	struct foreground foreground;
	int control_fd; /* listening; until vmrunner has it */
	int lifeline;
	char cgroup[512];
	int cgroup_fd;
	/* Why vmrunner gave the machine up, until QEMU has ended, and what its console said last.
	 */
	char machine_reason[SANDBOX_ERROR_SIZE];
	char console[SANDBOX_CONSOLE_WORDS + 256];
	bool machine_given_up;
	int signal_fd;
	ev_io signalled, lifeline_readable, guard_exited;
	ev_timer wake;                    /* one of netproxy and egress ended after the other */
	ev_timer counted;                 /* the counters wait to be written */
	uint64_t refused, refused_egress; /* by netproxy, by egress */
	ev_idle all_heard;
};

/* ---- sandbox.c ---- */

/* The sandbox ends with that exit code; nothing where it has ended already. */
void sandbox_end(struct sandbox *s, int code);

/* The sandbox failed: the first reason is the one that is said. */
void sandbox_fail(struct sandbox *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes the value of a record_...() of what `who` sent: what is not recorded must not happen. */
void sandbox_recorded(struct sandbox *s, const char *who, int rc);

/* Ends the sandbox in order: the guest gets the chance to end its processes. */
void sandbox_stop(struct sandbox *s, int code);

/* Brings session.json up to date. */
void sandbox_write_session(struct sandbox *s);

/* Both ends of the story of a machine's end are known: tries once more, or fails. */
void sandbox_machine_ended(struct sandbox *s);

/* What happens when a process ended; ctx is the sandbox. */
void sandbox_process_ended(void *ctx, struct process *p);

/* Records that a process was started.  Returns false where that ended the sandbox. */
bool sandbox_started(struct sandbox *s, enum process_id id, const char *how);

/* ---- sandbox_vmrunner.c ---- */

/* Starts vmrunner and tells it its set-up.  Returns false where that ended the sandbox. */
bool sandbox_start_vmrunner(struct sandbox *s);

/*
 * Hands vmrunner its ends of the machine's edges, and before the first ones what the guest has to
 * know of its network.  Does nothing while vmrunner or the network is not ready, or where they are
 * handed over.
 */
void sandbox_hand_machine(struct sandbox *s);

/* Asks vmrunner to end the guest. */
void sandbox_shut_down(struct sandbox *s, unsigned grace_ms);

/* ---- sandbox_helpers.c ---- */

/* Start what the configuration asks for.  Return false where that ended the sandbox. */
bool sandbox_start_vfsd(struct sandbox *s);
bool sandbox_start_network(struct sandbox *s);

/* Hands vfsd its end of the machine's port, as soon as both are there. */
void sandbox_hand_port(struct sandbox *s);

/*
 * The guest is gone: takes what the helpers have still to record, for a moment each, and closes
 * their edges.
 */
void sandbox_hear_out(struct sandbox *s);

#endif
