/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest is told of its network: checked once, sent to the agent of every boot. */
#ifndef GONDOLIN_VMRUNNER_NETWORK_H
#define GONDOLIN_VMRUNNER_NETWORK_H

#include "ipc/vmrunner.pb-c.h"

#define NETWORK_ENV_BYTES_MAX 49152u /* of all words: AgentNetwork is one frame */

struct vmrunner;

/*
 * Keeps a copy of m.  Returns 0; -EPROTO where one was taken before, a machine was started before,
 * or m is out of its ranges (ipc/vmrunner.proto; env: no NUL, no empty name).
 */
int network_take(struct vmrunner *vm, const Gondolin__VmrunnerNetwork *m);

/* The agent just said Hello, so nothing waits for the port yet: sends it, where there is one. */
void network_send(struct vmrunner *vm);

void network_clear(struct vmrunner *vm);

#endif
