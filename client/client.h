/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of libgondolin share and its users do not see. */
#ifndef GONDOLIN_CLIENT_CLIENT_H
#define GONDOLIN_CLIENT_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/gondolin.h"
#include "ipc/control.pb-c.h"
#include "ipc/session.h"

struct gondolin_session {
	struct session files;
	int lifeline;     /* of a sandbox that this handle started; -1 otherwise */
	pid_t supervisor; /* its process, ours to wait for; 0 = none */
};

struct gondolin_exec {
	int control;    /* non-blocking */
	int streams[3]; /* our ends; -1 = none */
	enum gondolin_exec_state state;
	bool tty;
	struct gondolin_result result;
};

/* Fills *error (may be NULL) with a formatted line, control bytes escaped, and returns code. */
int client_fail(struct gondolin_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what gondolin-supervisor wrote to stderr already. */
int client_fail_reported(struct gondolin_error *error, int code, const char *message);

/*
 * Sends one message on a non-blocking control socket, waiting up to ten seconds for room.
 * Returns 0 or -errno.
 */
int
client_send(int control, const Gondolin__ClientToVmrunner *message, const int *fds, size_t n_fds);

/* Sets O_NONBLOCK.  Returns 0 or -errno. */
int client_non_blocking(int fd);

/* Closes *fd where it is open and sets it to -1. */
void client_close(int *fd);

/*
 * Starts an exec on a connected control socket, which it takes in any case.  given[i] becomes the
 * command's stream i where it is not -1 (it stays the caller's); the others are pipes, whose near
 * ends the handle owns.  builtin as in control.proto.  As gondolin_exec_start otherwise.
 */
int client_exec_begin(int control, const struct gondolin_exec_options *options,
    Gondolin__AgentBuiltin builtin, const int given[3], struct gondolin_exec **exec,
    struct gondolin_error *error);

/*
 * The same on a control socket of its own, with a socket for stdin: *input gets our end of it,
 * which does not block.
 */
int client_exec_begin_fed(const struct gondolin_session *session,
    const struct gondolin_exec_options *options, Gondolin__AgentBuiltin builtin,
    struct gondolin_exec **exec, int *input, struct gondolin_error *error);

/* A control socket of the session, non-blocking; or -errno with *error filled. */
int client_connect(const struct gondolin_session *session, struct gondolin_error *error);

/*
 * Waits for a supervisor of ours, whose lifeline is closed or which closed it, and returns its exit
 * code, or minus the signal that ended it.
 */
int client_reap(pid_t supervisor);

#endif
