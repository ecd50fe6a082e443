/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's control socket: clients of the user, one command each (ipc/control.proto).
 *
 * A client is the user's own process, but what it sends is checked like any other's: it can end its
 * own connection by it, nothing else.
 */
#ifndef GONDOLIN_VMRUNNER_CONTROL_H
#define GONDOLIN_VMRUNNER_CONTROL_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "ipc/channel.h"
#include "vmrunner/exec.h"

#define CLIENTS_MAX 300u /* at once; one more is refused */

struct command;
struct vmrunner;

/* States of a client's channel: what it may send. */
enum {
	CLIENT_NEW = 1 << 0,     /* one of Exec, Attach, Status, Stop */
	CLIENT_COMMAND = 1 << 1, /* Signal, Resize, Detach */
	CLIENT_DONE = 1 << 2,    /* nothing */
};

struct client {
	struct vmrunner *vm;
	struct ipc_channel channel;
	struct command *command;
	TAILQ_ENTRY(client) all;
};

struct control {
	int fd; /* the listening socket, or -1 */
	ev_io acceptable;
	TAILQ_HEAD(client_list, client) clients;
	TAILQ_HEAD(client_closed, client) closed; /* to be freed by control_reap */
	unsigned n;
};

void control_init(struct control *k);

/* Takes the listening socket and begins to accept. */
void control_serve(struct vmrunner *vm, int fd);

/* Takes one connected SOCK_SEQPACKET socket as a client.  accept(2) and tests come here. */
void control_add(struct vmrunner *vm, int fd);

/* Stops and goes on accepting. */
void control_pause(struct vmrunner *vm, bool paused);

/* Closes everything. */
void control_clear(struct vmrunner *vm);

/* Frees the clients that closed.  At the end of a round of the event loop. */
void control_reap(struct control *k);

/* Messages to a client.  All but the first are the last: the connection closes behind them. */
void client_started(struct client *c, uint32_t id, bool tty);
void client_exited(struct client *c, int status, bool timed_out);
void client_refused(struct client *c, const struct refusal *r);
void client_status(struct client *c);
void client_close(struct client *c);

extern const struct ipc_table control_table;

#endif
