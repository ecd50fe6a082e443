/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command without a terminal whose streams a program feeds and reads in blocking calls.  None of
 * them can lock up with another: whichever waits also takes what the command writes to stderr.
 */
#ifndef GONDOLIN_CLIENT_TRANSFER_H
#define GONDOLIN_CLIENT_TRANSFER_H

#include <stddef.h>
#include <sys/types.h>

#include "client/client.h"

struct transfer {
	struct gondolin_exec *x;
	bool ended;                      /* stdout was read to its end */
	int input;                       /* to the command's stdin; -1 = closed */
	char said[GONDOLIN_MESSAGE_MAX]; /* the beginning of its stderr */
	size_t n_said;
};

/*
 * Starts the builtin on one guest path.  As gondolin_exec_start.  stdin is a socket, since writing
 * to that can be kept from raising SIGPIPE.
 */
int transfer_start(struct transfer *t, struct gondolin_session *session,
    Gondolin__AgentBuiltin builtin, const char *path, struct gondolin_error *error);

/* Writes all to stdin.  Returns 0 or -errno (-EPIPE: the command reads no more). */
int transfer_write(struct transfer *t, const void *bytes, size_t n);

/* Reads from stdout.  Returns the count, 0 at the end, or -errno. */
ssize_t transfer_read(struct transfer *t, void *bytes, size_t n);

/*
 * Closes stdin, waits for the command's end where it can be near, and frees.  rc is how the
 * transfer went so far; the command's own account of a failure comes before ours, why, or NULL.
 */
int transfer_end(struct transfer *t, int rc, const char *why, struct gondolin_error *error);

#endif
