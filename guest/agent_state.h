/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's state, shared by agent.c (port, dispatch, loop) and command.c (one command's
 * streams).
 *
 * Theory.  epoll is edge-triggered and its events only set flags in struct watch; nothing is read,
 * written or freed while events are handed out.  Then passes are made over the port and all
 * commands until none moves anything.  Each step of a pass looks at its flag, at the credit, and at
 * the room in the outbox; a step that may not run leaves its flag set and costs no system call and
 * no wake-up, which is how a full port pushes back on commands without polling.  A flag is cleared
 * only by EAGAIN.
 */
#ifndef GONDOLIN_GUEST_AGENT_STATE_H
#define GONDOLIN_GUEST_AGENT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent.h"
#include "guest/mount_watch.h"
#include "guest/outbox.h"
#include "guest/spawn.h"
#include "ipc/agent_frame.h"

/* A descriptor in the epoll set; registered by address, so it does not move. */
struct watch {
	int fd; /* -1 = closed */
	bool readable, writable;
};

enum command_state {
	COMMAND_STARTING, /* forked; neither Started nor Refused was sent */
	COMMAND_RUNNING,  /* Started was sent */
	COMMAND_ENDED,    /* reaped; what is in its pipes is on its way */
	COMMAND_DONE,     /* Exited or Refused was sent: to be freed */
};

/* Host to command.  The window is in three parts: credit at the host, in the ring, due. */
struct input {
	struct watch watch;
	uint8_t *ring; /* AGENT_WINDOW bytes, from the first byte that had to wait on */
	size_t head, used;
	uint32_t credit; /* bytes that the host may still send */
	uint32_t due;    /* bytes that the command took and no credit was given for */
	uint8_t last;    /* the last byte written */
	bool ended;      /* the host ended the stream */
};

/* Command to host. */
struct output {
	struct watch watch;
	enum agent_kind kind;
	uint32_t credit; /* bytes that the host can take */
	size_t left;     /* bytes still to be sent of a command that ended */
	bool ended;      /* its end frame was sent, or it has none */
	bool closed;     /* nobody reads it: its end is due */
};

#define COMMAND_OUTPUTS 2

struct command {
	uint32_t id;
	enum command_state state;
	bool tty;
	pid_t pid; /* 0 = reaped */
	struct watch status, process;
	struct input input;
	struct output outputs[COMMAND_OUTPUTS];
	uint64_t deadline_ms; /* of CLOCK_MONOTONIC; 0 = none */
	bool timed_out;
	int wait_status;
};

struct agent {
	const struct agent_options *options;
	struct watch port, timer;
	struct mount_watch mounts;
	int epoll;
	struct agent_reader reader;
	struct outbox out;
	struct command *commands[AGENT_COMMANDS_MAX];
	size_t n_commands;
	size_t first;      /* the command that the next pass begins with */
	uint32_t last_id;  /* the highest id that an Exec had */
	uint64_t armed_ms; /* what the timer is set to; 0 = not */
	char **variables;  /* NAME=VALUE of every command, NULL-terminated; NULL = none */
	bool shutdown;
	uint32_t grace_ms;
	char *why;
	size_t why_size;
};

/* Puts w->fd into the epoll set.  Returns 0 or -errno. */
int agent_watch(struct agent *a, struct watch *w);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t agent_now_ms(void);

/*
 * Starts a command for a checked Exec.  Returns 0 and adds it to the agent, or -errno where nothing
 * was started.
 */
int command_start(struct agent *a, uint32_t id, uint32_t timeout_ms, const struct spawn_request *r);

/* Closes what is open, kills (SIGKILL to the group) but does not reap what runs, and frees it. */
void command_free(struct agent *a, struct command *c);

/*
 * The host's bytes for stdin; n = 0 ends it.  Returns 0, or -EPROTO before Started, past its credit
 * or past its end.
 */
int command_input(struct agent *a, struct command *c, const uint8_t *bytes, size_t n);

/* Credit for an output.  Returns 0, or -EPROTO where that is 0 or more than AGENT_WINDOW in sum. */
int command_credit(struct command *c, enum agent_kind kind, uint32_t bytes);

/* Nobody reads that output any more.  Nothing happens to a terminal. */
void command_close(struct command *c, enum agent_kind kind);

/* To the process group. */
void command_signal(struct agent *a, struct command *c, int signal);

void command_resize(struct command *c, uint16_t rows, uint16_t columns);

/* The deadline has passed: SIGTERM, and SIGKILL at the next one. */
void command_timeout(struct agent *a, struct command *c);

/* Moves what can be moved; true where anything was.  state COMMAND_DONE = the caller frees it. */
bool command_pass(struct agent *a, struct command *c);

#endif
