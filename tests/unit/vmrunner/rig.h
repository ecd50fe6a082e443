/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vmrunner in the test's own process, with the test at the other end of every descriptor: it is
 * the supervisor, the guest's agent, QEMU, the console and the clients.
 */
#ifndef GONDOLIN_TESTS_VMRUNNER_RIG_H
#define GONDOLIN_TESTS_VMRUNNER_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/control.pb-c.h"
#include "ipc/message.h"
#include "vmrunner/vmrunner.h"

struct rig {
	struct vmrunner *vm;
	int supervisor;         /* SOCK_SEQPACKET */
	int port, qmp, console; /* -1 until rig_machine */
	struct agent_reader reader;
};

/* A client's end: its connection and the far ends of the pipes. */
struct rig_client {
	int fd;
	int in, out, err;
};

/* setup may be NULL.  Each function here asserts what it does. */
void rig_init(struct rig *r, const Gondolin__VmrunnerSetup *setup);
void rig_clear(struct rig *r);

/* Rounds of the event loop, until what was written here has had its effect. */
void rig_turn(struct rig *r);

/* Starts a machine whose far ends are this rig's; NULL starts attempt 1, the last, unwatched. */
void rig_machine(struct rig *r, const Gondolin__VmrunnerMachine *m);

/* The same, and the agent says Hello; takes the supervisor's messages about it. */
void rig_up(struct rig *r);

/* Sends to vmrunner as the supervisor. */
void rig_order(struct rig *r, const Gondolin__SupToVmrunner *m, const int *fds, size_t n);

/* The next message to the supervisor, or NULL.  Free with free_unpacked. */
Gondolin__VmrunnerToSup *rig_report(struct rig *r);

/* Takes messages to the supervisor; true where one has that kind of record, which is returned. */
Gondolin__VmrunnerToSup *rig_record(struct rig *r, Gondolin__VmrunnerRecord__Kind kind);

/* The state that the machine was last reported in, UNSPECIFIED = none since; reason of 257. */
Gondolin__VmrunnerMachineState__State rig_state(struct rig *r, char *reason);

/* The agent's side. */
void rig_bytes(int fd, const void *bytes, size_t n);
void rig_data(struct rig *r, uint32_t id, enum agent_kind kind, const void *bytes, size_t n);
void rig_say(struct rig *r, const Gondolin__GuestToHost *m);
void rig_hello(struct rig *r, uint32_t version);
void rig_started(struct rig *r, uint32_t id);
void rig_exited(struct rig *r, uint32_t id, int status);

/*
 * The next frame to the guest: returns false where there is none.  A control message is decoded
 * into *m (free it), data is copied to bytes (AGENT_PAYLOAD_MAX) and *m is NULL.
 */
bool rig_frame(struct rig *r, struct agent_header *h, Gondolin__HostToGuest **m, uint8_t *bytes);

/* The next frame must be this control message; free it. */
Gondolin__HostToGuest *rig_control(struct rig *r, Gondolin__HostToGuest__BodyCase body);

/* Clients. */
void rig_connect(struct rig *r, struct rig_client *c);
void rig_send(struct rig_client *c, const Gondolin__ClientToVmrunner *m, const int *fds, size_t n);
void rig_exec(struct rig *r, struct rig_client *c, const Gondolin__ControlExec *e);
void rig_attach(struct rig *r, struct rig_client *c, uint32_t exec);
void rig_disconnect(struct rig_client *c);

/* Connects, runs /bin/true-like argv without or with a terminal, answers Started; returns its id.
 */
uint32_t rig_run(struct rig *r, struct rig_client *c, bool tty);

/* The next message to the client, or NULL where there is none; *end: the connection ended. */
Gondolin__VmrunnerToClient *rig_answer(struct rig_client *c, bool *end);

/* The next message must be Refused with that code; checks that message holds part. */
void rig_expect_refused(struct rig_client *c, unsigned code, const char *part);
void rig_expect_started(struct rig_client *c, uint32_t id);
void rig_expect_exited(struct rig_client *c, int status);

#endif
