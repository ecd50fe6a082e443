/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts one command of the host: pipes or a pseudo-terminal, then fork.  The child looks up the
 * user, changes to it and to the working directory, and runs the program or a builtin; whatever
 * fails there comes back as an errno and a line of text through a close-on-exec pipe, so that the
 * agent never waits for the guest's file systems.
 */
#ifndef GONDOLIN_GUEST_SPAWN_H
#define GONDOLIN_GUEST_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/agent.pb-c.h"

#define SPAWN_MESSAGE_MAX 256u

/* All strings are the caller's and need to live only during the call. */
struct spawn_request {
	char **argv; /* at least one word, NULL-terminated */
	char **env;  /* NAME=VALUE, NULL-terminated; laid over the defaults, a later one wins */
	char **variables; /* as env, which is laid over them; or NULL */
	const char *user; /* name or uid; "" = root */
	const char *cwd;  /* "" = the user's home, or / where that is not there */
	bool local;       /* no file system of the guest makes who walks a path wait: see spawn.c */
	bool tty;
	uint16_t rows, columns;
	Gondolin__AgentBuiltin builtin;
};

/* The agent's ends; all close-on-exec, the first three and status non-blocking. */
struct spawn_child {
	pid_t pid;  /* leader of its own session and process group */
	int pidfd;  /* readable once it has ended */
	int status; /* a struct spawn_failure where the command cannot run; end of file where it
		       runs */
	int input;  /* its stdin */
	int output; /* its stdout, or the terminal */
	int error;  /* its stderr; -1 with tty */
};

struct spawn_failure {
	int32_t error;                   /* errno */
	char message[SPAWN_MESSAGE_MAX]; /* one line, NUL-terminated */
};

/* Returns 0 and fills *child, whose descriptors are the caller's; or -errno with nothing open. */
int spawn_command(const struct spawn_request *r, struct spawn_child *child);

/* Closes the descriptors that are open and sets them to -1.  Neither signals nor reaps. */
void spawn_child_close(struct spawn_child *child);

/*
 * The child's side, called after fork with descriptors 0 to 2 in place (a terminal's slave three
 * times) and status_fd close-on-exec: does not return.  What it allocates and the agent has to
 * free, where they share their memory, is in *memory.
 */
void
spawn_become(const struct spawn_request *r, int status_fd, void **memory) __attribute__((noreturn));

/*
 * The environment of a command: the defaults of the user, on them the request's variables, on those
 * its env.  Returns a NULL-terminated array of pointers into one allocation and into the request,
 * to be freed with free(), or NULL without memory.
 */
struct user;
char **spawn_environment(const struct user *u, const struct spawn_request *r);

#endif
