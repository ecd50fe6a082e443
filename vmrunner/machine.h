/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: attempts to start it, its end, and the reason of that in one line.
 *
 *	NONE -> STARTING -> UP -> STOPPING -> STOPPED
 *	           |        |
 *	           +-> FAILED <- (another attempt: STARTING)
 *
 * The supervisor starts QEMU and ends it; this end watches three descriptors of it (agent port,
 * QMP, console) and two deadlines, which are the only timers and run just while something is
 * waited for.
 */
#ifndef GONDOLIN_VMRUNNER_MACHINE_H
#define GONDOLIN_VMRUNNER_MACHINE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/vmrunner.pb-c.h"
#include "vmrunner/console.h"
#include "vmrunner/exec.h"
#include "vmrunner/qmp.h"

struct vmrunner;

enum machine_state {
	MACHINE_NONE,
	MACHINE_STARTING,
	MACHINE_UP,
	MACHINE_STOPPING,
	MACHINE_FAILED,
	MACHINE_STOPPED,
};

struct machine {
	struct vmrunner *vm;
	enum machine_state state;
	uint32_t attempt;
	bool last;  /* no attempt follows this one */
	bool alive; /* the console said something */
	uint32_t alive_ms, hello_ms;
	ev_timer alive_deadline, hello_deadline, grace;
	int console_fd;
	ev_io console_readable;
	struct console console;
	struct qmp qmp;
	bool ask_shutdown; /* AgentShutdown is to be sent, with grace_ms */
	uint32_t grace_ms;
	bool gone;              /* QEMU ended, and nobody said why */
	bool draining;          /* the machine is lost; its last words are read */
	bool console_tells;     /* what the console said last may tell more than the reason */
	struct refusal refusal; /* why it failed or stopped */
};

/* No machine yet.  trace: the console goes to the log. */
void machine_init(struct machine *m, struct vmrunner *vm, bool trace);
void machine_clear(struct machine *m);

/*
 * An attempt begins; fds: port, QMP, console, all taken (overwritten with -1).  Returns 0, or
 * -EPROTO where the state is neither NONE nor FAILED.
 */
int machine_start(struct machine *m, const Gondolin__VmrunnerMachine *a, int *fds);

/* The agent said Hello. */
void machine_up(struct machine *m);

/* The port is closed: by its end (NULL), or because the agent did what violation says. */
void machine_agent_ended(struct machine *m, const char *violation);

/* The supervisor wants it down. */
void machine_shutdown(struct machine *m, uint32_t grace_ms);

/* The end of a round of the event loop: sends AgentShutdown as soon as the port takes it. */
void machine_flush(struct machine *m);

/* Whether a command may be run or wait: 0, or -ECANCELED with r (125). */
int machine_accepts(const struct machine *m, struct refusal *r);

#endif
