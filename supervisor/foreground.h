/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's own command: a child `gondolin --foreground`, as the invoking user, with the
 * terminal.  So a terminal that blocks never blocks the supervisor, and the relay is the same as
 * that of `gondolin exec`.
 */
#ifndef GONDOLIN_SUPERVISOR_FOREGROUND_H
#define GONDOLIN_SUPERVISOR_FOREGROUND_H

#include <ev.h>
#include <stddef.h>
#include <sys/types.h>

#include "supervisor/config.h"

struct foreground {
	pid_t pid; /* 0 = does not run */
	int pidfd;
	ev_io exited;
	struct ev_loop *loop;
	void *ctx;
	void (*ended)(void *ctx, int code); /* as a shell would say it: the code, or 128 + signal */
};

/*
 * Starts it on a connected control socket, which it takes.  Returns 0, or -errno with a line in
 * error.
 */
int foreground_start(struct foreground *f, struct ev_loop *loop, const struct config *c,
    int control, const char *program, void *ctx, void (*ended)(void *ctx, int code), char *error,
    size_t error_size);

/* Passes a signal on; nothing where it does not run. */
void foreground_signal(struct foreground *f, int signal);

/* Waits for its end, which follows from that of its control socket.  Returns its code; 125 where it
 * does not run. */
int foreground_wait(struct foreground *f);

#endif
