/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the agent protocol (ipc/agent_frame.h, ipc/agent.proto): one guest port, many
 * commands.
 *
 * Every byte that arrives is written by a hostile guest.  What it sends is checked against the
 * state of the command that it names; the first thing that does not fit ends the port, and with it
 * the machine.  Nothing is allocated for a frame, so that a guest cannot make this grow.
 *
 * Sending has no queue of messages: a task that has something to say says so (agent_wants), and is
 * given its turn when the out buffer has room for a whole frame.  Turns go round, so that no
 * command starves another, and all that waits for a guest that does not read is a bit or a number
 * in its command.
 */
#ifndef GONDOLIN_VMRUNNER_AGENT_H
#define GONDOLIN_VMRUNNER_AGENT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/agent.pb-c.h"
#include "ipc/agent_frame.h"

enum agent_stage {
	AGENT_HELD,    /* the guest does not know it yet */
	AGENT_ASKED,   /* Exec was sent */
	AGENT_RUNNING, /* Started came */
	AGENT_OVER,    /* Exited or Refused came, or it was forgotten */
};

/* One output stream, index AGENT_OUT or AGENT_ERR. */
enum { AGENT_OUT, AGENT_ERR, AGENT_OUTPUTS };

struct agent_output {
	uint32_t credit; /* bytes that the guest may still send */
	bool ended;
};

/* What the protocol knows of one command; its owner embeds it. */
struct agent_task {
	uint32_t id; /* 0 until the guest was asked */
	bool tty;
	enum agent_stage stage;
	uint32_t input_credit; /* bytes of stdin that the guest can take */
	bool input_ended;
	struct agent_output output[AGENT_OUTPUTS];
	bool queued; /* in agent.ready */
	TAILQ_ENTRY(agent_task) turn;
};

/*
 * The owner.  A callback must not close the agent.  `over` means that the agent forgot the task
 * just before the call.
 */
struct agent_events {
	void (*hello)(void *ctx);
	void (*started)(void *ctx, struct agent_task *t);
	/* n bytes of an output, at most AGENT_PAYLOAD_MAX; n = 0 is its end. */
	void (*output)(
	    void *ctx, struct agent_task *t, unsigned output, const uint8_t *bytes, size_t n);
	void (*exited)(void *ctx, struct agent_task *t, int status, bool timed_out); /* over */
	/* error is the guest's errno; message is n <= 256 raw bytes. */
	void (*refused)(void *ctx, struct agent_task *t, uint32_t error, const uint8_t *message,
	    size_t n); /* over */
	/* The guest can take more stdin. */
	void (*credit)(void *ctx, struct agent_task *t);
	/* The task may send frames.  Returns true where it has more to say. */
	bool (*turn)(void *ctx, struct agent_task *t);
	/*
	 * The last call: the port closed (violation NULL), or the guest broke the protocol (what it
	 * did, a phrase that follows "the guest's agent").  The agent is closed already.
	 */
	void (*ended)(void *ctx, const char *violation);
};

struct agent {
	struct ev_loop *loop;
	const struct agent_events *events;
	void *ctx;
	int fd;
	ev_io readable, writable;
	bool up; /* Hello came */
	bool paused;
	struct agent_reader reader;
	uint8_t *out; /* OUT_SIZE bytes; [out_start, out_end) waits for the port */
	size_t out_start, out_end;
	struct agent_task *tasks[AGENT_COMMANDS_MAX]; /* by id % AGENT_COMMANDS_MAX */
	uint32_t last_id;
	TAILQ_HEAD(agent_ready, agent_task) ready;
};

/* Allocates the buffers; the port is closed.  Out of memory is fatal. */
void agent_init(struct agent *a, struct ev_loop *loop, const struct agent_events *e, void *ctx);
void agent_clear(struct agent *a);

/* Takes the host's end of the port (made non-blocking); one boot begins. */
void agent_open(struct agent *a, int fd);

/* Ends the boot.  Tasks stay known; the owner forgets those that the guest had.  Safe twice. */
void agent_close(struct agent *a);

/* A task that the guest does not know, with the streams' first credit. */
void agent_task_init(struct agent_task *t, bool tty);

/*
 * Sends Exec, with an id greater than all before it, which is stored in the task and in e.  At most
 * AGENT_COMMANDS_MAX tasks may be asked or running (the owner counts).  Returns 0; -EAGAIN where
 * there is no room now, which is not so at the beginning of a turn; -ENOSPC where no id is left.
 */
int agent_ask(struct agent *a, struct agent_task *t, Gondolin__AgentExec *e);

/* The task is over, whatever the guest says.  Safe on one that is over. */
void agent_forget(struct agent *a, struct agent_task *t);

/* The task has something to send: it gets a turn (agent_flush) once the guest said Hello. */
void agent_wants(struct agent *a, struct agent_task *t);

/* Gives turns and writes, as far as the port takes it.  Once for each round of the event loop. */
void agent_flush(struct agent *a);

/* Stops and goes on reading the port. */
void agent_pause(struct agent *a, bool paused);

/* Puts a control message into the out buffer.  Returns 0; -EAGAIN where there is no room now. */
int agent_send(struct agent *a, const Gondolin__HostToGuest *m);

/*
 * The place where the next stdin bytes of t should be read to, with *room, at least 1 and within
 * the task's credit; NULL where there is no room or no credit now.  agent_input_sent makes the
 * frame: n bytes were put there; n = 0 is the stream's end (which needs neither).
 */
uint8_t *agent_input_space(struct agent *a, const struct agent_task *t, size_t *room);
void agent_input_sent(struct agent *a, struct agent_task *t, size_t n);

/* Room for the end of stdin (a frame without payload). */
bool agent_has_room(const struct agent *a);

/*
 * Handles the whole frames in the reader.  Returns NULL, or the violation; the caller ends the
 * port.  For tests and fuzzers, which fill the reader themselves.
 */
const char *agent_process(struct agent *a);

#endif
