/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor hears. */
#ifndef GONDOLIN_VMRUNNER_REPORT_H
#define GONDOLIN_VMRUNNER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/vmrunner.pb-c.h"
#include "vmrunner/exec.h"

struct command;
struct vmrunner;

void report_ready(struct vmrunner *vm);
void report_stop(struct vmrunner *vm);

/* The machine's state, with its reason and console where it ended. */
void report_state(struct vmrunner *vm, Gondolin__VmrunnerMachineState__State state);

/* Records of the audit log.  Without a supervisor to take one, vmrunner ends. */
void report_start(struct vmrunner *vm, const Gondolin__AgentExec *e);
void report_refused(struct vmrunner *vm, const Gondolin__AgentExec *e, const struct refusal *r);
void report_command(struct vmrunner *vm, Gondolin__VmrunnerRecord__Kind kind, uint32_t id);

/* The end of a command or a file transfer; message: why it could not go on, or NULL. */
void report_end(const struct command *c, const char *message);

/* True where the supervisor takes its messages slowly: nothing that makes more should begin. */
bool report_is_slow(const struct vmrunner *vm);

#endif
