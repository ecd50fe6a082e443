/* SPDX-License-Identifier: Apache-2.0 */
/* The one state of the process, passed down to everything. */
#ifndef GONDOLIN_VMRUNNER_VMRUNNER_H
#define GONDOLIN_VMRUNNER_VMRUNNER_H

#include <ev.h>
#include <stdbool.h>

#include "ipc/channel.h"
#include "ipc/vmrunner.pb-c.h"
#include "vmrunner/agent.h"
#include "vmrunner/command.h"
#include "vmrunner/control.h"
#include "vmrunner/machine.h"
#include "vmrunner/network.h"
#include "vmrunner/profile.h"
#include "vmrunner/report.h"

/* States of the supervisor's channel. */
enum {
	SUPERVISOR_SETUP = 1 << 0, /* before the jail */
	SUPERVISOR_SERVE = 1 << 1,
};

struct vmrunner {
	struct ev_loop *loop;
	struct ipc_channel supervisor;
	Gondolin__VmrunnerSetup *setup;  /* own copy */
	Gondolin__AgentNetwork *network; /* own copy; NULL = the guest has none */
	struct agent agent;
	struct machine machine;
	struct commands commands;
	struct control control;
	ev_prepare flush;
	bool slow; /* the supervisor is: see report_is_slow */
	bool ended;
	int exit_code;
};

extern const struct ipc_table supervisor_table;

/* Everything but the supervisor's channel; vm->setup is there.  The loop stays the caller's. */
void vmrunner_init(struct vmrunner *vm, struct ev_loop *loop);

/* Frees everything, the setup too. */
void vmrunner_clear(struct vmrunner *vm);

/* The supervisor's channel, from inside the jail. */
void vmrunner_serve(struct vmrunner *vm, int fd);

/* Ends the event loop with exit code 125; why goes to the log. */
void vmrunner_end(struct vmrunner *vm, const char *why);

#endif
