/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a relay: bytes from a source to a sink, neither of which may block the other
 * directions.  splice(2) where both ends take it, else one buffer.
 *
 * A source or sink that others share (the shell's terminal, a pipeline) must not be made
 * non-blocking, which would show in them: pump_open() opens pipes and terminals anew where it can,
 * and sockets are read and written with MSG_DONTWAIT.
 */
#ifndef GONDOLIN_CLIENT_PUMP_H
#define GONDOLIN_CLIENT_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_BUFFER 65536u

struct pump_end {
	int fd; /* -1 = closed, or none */
	bool socket;
	bool terminal;
	bool ours; /* closed with the pump */
};

struct pump {
	struct pump_end source, sink;
	bool splice;       /* until it is refused */
	bool awaits_sink;  /* splice only: the sink was full when last tried */
	bool ended;        /* the source is at its end */
	bool broken;       /* the sink's reader is gone, or it failed */
	int error;         /* why an end failed; 0 also where a reader or a terminal left */
	int escape;        /* a byte that ends the source when it comes; -1 = none */
	bool escaped;      /* it came */
	uint8_t *buffer;   /* made when needed */
	size_t start, end; /* what is in it */
};

/* A closed pump: done, and safe to close. */
#define PUMP_EMPTY \
	((struct pump){.source = {.fd = -1}, .sink = {.fd = -1}, .ended = true, .escape = -1})

/* The end that other processes may share; the other end is the caller's alone. */
enum pump_shared { PUMP_SOURCE_SHARED, PUMP_SINK_SHARED };

/*
 * Sets a pump up between two descriptors, which stay the caller's; the end that is not shared is
 * made non-blocking.  With an escape byte the source is read even while the sink is full, and what
 * does not fit is dropped, as a terminal does.
 */
void pump_open(struct pump *p, int source, int sink, enum pump_shared shared, int escape);

/* Frees the buffer and closes what the pump opened itself. */
void pump_close(struct pump *p);

/* Nothing more will come through. */
bool pump_is_done(const struct pump *p);

/* Writes at most two pollfds of what the pump waits for, and returns how many. */
size_t pump_poll(const struct pump *p, struct pollfd *fds);

/* Moves what can be moved now, when a poll(2) said something about its descriptors. */
void pump_run(struct pump *p);

/* Moves what is left in the source, where its writer has no more: ended is set once it is empty. */
void pump_finish(struct pump *p);

#endif
