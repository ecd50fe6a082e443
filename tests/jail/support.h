/* SPDX-License-Identifier: Apache-2.0 */
/* Starts jailed programs for the tests, and watches them. */
#ifndef GONDOLIN_TESTS_JAIL_SUPPORT_H
#define GONDOLIN_TESTS_JAIL_SUPPORT_H

#include "tests/jail/profiles.h"

#define SUPPORT_TEXT_MAX 4096u

/* A jailed program with three pipes: its input, output and log (descriptors 0, 1, 2). */
struct jailed {
	pid_t pid;
	int pidfd;
	int in, out, log; /* our ends */
	int notify_fd;    /* -1, or the notifier of a JAIL_REPORT_NOTIFY profile */
};

/*
 * The main function of a test program.  "user": runs the suite as an ordinary user (root becomes
 * one first); "root": root-started, skipped (77) where we are not root.  The same program started
 * with "child" is the jailed program (child_main).
 */
int support_main(int argc, char **argv, int (*suite)(void));

/* The identity for jail_spawn and jail_audit in the mode that runs. */
struct jail_identity support_identity(void);

/*
 * Starts this very program with the profile; child_main does `action` with `arg` (may be NULL) once
 * it is jailed.  Returns 0, or -errno with the line of jail_spawn in error (SUPPORT_TEXT_MAX).
 */
int support_start(struct jailed *j, const struct jail_profile *profile, const char *action,
    const char *arg, char *error);

/* Starts the tests' third-party program in a root that holds just it; argv[0] is filled in. */
int support_start_foreign(
    struct jailed *j, const struct jail_profile *profile, char *argv[], char *error);

/* Waits for "ready" from `hold`.  Returns 0, or -EPIPE where the program ended instead. */
int support_await_ready(const struct jailed *j);

/*
 * Closes the input, reads the log to its end into text (SUPPORT_TEXT_MAX, or NULL), waits for the
 * program's end.  Returns its wait status.
 */
int support_finish(struct jailed *j, char *text);

/* child.c: what the jailed program does; argv[1] is "child".  Actions: hold, exit, call. */
int child_main(int argc, char **argv);

#endif
