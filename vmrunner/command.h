/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command: the client's pipes on one side, its streams on the agent's port on the other.
 *
 * Bytes never pass through a message.  Output goes from the port's read buffer straight into the
 * client's pipe; what the pipe does not take is kept, within the credit that the guest had, and
 * credit goes back as the pipe takes bytes.  Input is read from the client's pipe into the port's
 * out buffer, behind a frame's header, and just as much as the guest gave credit for.
 *
 * Memory.  Each output stream may hold AGENT_OUTPUT_START bytes at any time: 16 MiB for all of 256
 * commands whose clients never read.  A stream that moved as much as that gets a whole
 * AGENT_WINDOW, as long as the sum of what such streams got stays within WINDOWS_MAX.  Commands
 * that wait for the machine hold at most WAITING_MAX bytes of arguments.
 */
#ifndef GONDOLIN_VMRUNNER_COMMAND_H
#define GONDOLIN_VMRUNNER_COMMAND_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "vmrunner/agent.h"
#include "vmrunner/exec.h"

#define WINDOWS_MAX     (6u * 1024u * 1024u)
#define WAITING_MAX     (2u * 1024u * 1024u)
#define ENDED_MAX       16u /* detached commands that ended and wait for an Attach */
#define KILL_AFTER      2.0 /* seconds between SIGHUP and SIGKILL once the client left */
#define COMMANDS_PAUSED 24u /* messages that wait for the supervisor: no new command before */

struct client;
struct vmrunner;

struct command_output {
	struct command *command;
	int fd; /* the client's pipe, or -1: detached, or nobody reads */
	ev_io writable;
	uint8_t *kept; /* what the pipe did not take: `length` bytes from `start` */
	size_t start, length, capacity;
	uint32_t window; /* credit and kept bytes are never more together */
	uint64_t moved;  /* bytes that the client's pipe took */
	bool ended;      /* nothing more comes */
	bool discard;    /* nobody reads: taken as it comes */
	bool close;      /* tell the guest that nobody reads */
};

struct command {
	struct agent_task task;
	struct vmrunner *vm;
	TAILQ_ENTRY(command) all;
	struct client *client;     /* NULL: detached, or the client left */
	Gondolin__AgentExec *exec; /* until it is sent */
	size_t cost;               /* exec_cost of it */
	Gondolin__AgentBuiltin builtin;
	char *path; /* of a file transfer */
	bool detached;
	uint32_t detached_as; /* order of detaching */
	bool over;            /* it exited, or failed with the machine */
	bool failed;          /* with the machine's refusal */
	bool timed_out;
	int status;
	int input_fd;
	ev_io input;
	bool input_ready;
	struct command_output output[AGENT_OUTPUTS];
	uint64_t signals; /* bit n-1: signal n waits to be sent */
	bool resize;
	uint32_t rows, columns;
	uint64_t bytes_in, bytes_out;
	ev_timer kill;
	ev_timer overdue; /* runs where the command has a time-out */
};

struct commands {
	TAILQ_HEAD(command_list, command) list;
	bool held;           /* some wait for the supervisor to be faster */
	unsigned n, n_ended; /* n_ended: of these, detached and ended */
	uint32_t detached;   /* how often a command was detached */
	size_t waiting;      /* exec_cost of those that the guest does not know */
	size_t windows;      /* bytes of windows over AGENT_OUTPUT_START */
};

extern const struct agent_events command_events;

void commands_init(struct commands *all);

/* Frees every command without a word to anybody. */
void commands_clear(struct vmrunner *vm);

/*
 * Makes a command for the client, to be sent when the machine is up.  fds: stdin, stdout and,
 * without tty, stderr; those taken are overwritten with -1.  Returns 0; or -ECANCELED with r.
 */
int command_new(struct vmrunner *vm, struct client *client, const Gondolin__ControlExec *m,
    int *fds, size_t n_fds, struct refusal *r);

/* Signals the process group.  Returns 0, or -EPROTO where signal is not 1 to 64. */
int command_signal(struct command *c, int signal);

/* Returns 0, or -EPROTO where the command has no terminal, or it would be too large. */
int command_resize(struct command *c, uint32_t rows, uint32_t columns);

/* The command goes on without its client. */
void command_detach(struct command *c);

/*
 * Takes over a detached command with fds: stdin, stdout.  Returns 0, and the client hears Started
 * as soon as it runs; or -ECANCELED with r.
 */
int command_attach(struct vmrunner *vm, struct client *client, const Gondolin__ControlAttach *m,
    int *fds, struct refusal *r);

/* The client is gone: the command is hung up, and killed where that does not end it. */
void command_left(struct command *c);

/* The machine came up: what waits is sent. */
void commands_start(struct vmrunner *vm);

/* The machine ended: commands end with r (125).  with_waiting = false spares those not sent yet. */
void commands_fail(struct vmrunner *vm, const struct refusal *r, bool with_waiting);

/*
 * Frees a command that is over and whose output is in the pipes, and tells its client.  Called by
 * its streams.
 */
void command_settle(struct command *c);

/* Numbers for Status. */
void commands_count(const struct commands *all, unsigned *running, unsigned *detached);

#endif
