/* SPDX-License-Identifier: Apache-2.0 */
/* From what a client asks for to what the guest is asked for: checks, and the session's defaults.
 */
#ifndef GONDOLIN_VMRUNNER_EXEC_H
#define GONDOLIN_VMRUNNER_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/agent.pb-c.h"
#include "ipc/control.pb-c.h"
#include "ipc/vmrunner.pb-c.h"

#define REFUSAL_MESSAGE_MAX 256u

/* Why nothing is run, as ControlRefused has it. */
struct refusal {
	unsigned code;                         /* 125, 126 or 127 */
	char message[REFUSAL_MESSAGE_MAX + 1]; /* printable ASCII */
	bool sandbox;                          /* the machine is at its end */
};

/* Fills r: the formatted text is escaped and cut.  Returns -ECANCELED, for a caller's return. */
int refusal_set(struct refusal *r, unsigned code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fills r from the guest's errno and n raw bytes of its message. */
void refusal_from_guest(struct refusal *r, uint32_t error, const uint8_t *message, size_t n);

/*
 * Builds the command: the message's own user, cwd, env and timeout, and the defaults where it has
 * none (env: both; the message's value wins where a name is in both, the later one where it is
 * there twice).  The id is 0.  defaults may be NULL.
 *
 * Returns 0 and sets *out, to be freed with gondolin__agent_exec__free_unpacked; or -ECANCELED with
 * r: no words, a NUL in one, an env word without a name, a relative cwd, a size or signal range
 * exceeded, a builtin that is not one path without a terminal.
 */
int exec_build(const Gondolin__ExecDefaults *defaults, const Gondolin__ControlExec *m,
    Gondolin__AgentExec **out, struct refusal *r);

/* Bytes of memory that a built command costs while it waits, rounded up. */
size_t exec_cost(const Gondolin__AgentExec *e);

#endif
