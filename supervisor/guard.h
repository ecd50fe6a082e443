/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: a child that does nothing until the supervisor dies without having cleaned up
 * (SIGKILL).  Then it says so and removes the session's cgroup and directory.  It holds the
 * directory's descriptors and the session's lock, so that no other sandbox can take the id over
 * while it works.
 */
#ifndef GONDOLIN_SUPERVISOR_GUARD_H
#define GONDOLIN_SUPERVISOR_GUARD_H

#include <stddef.h>
#include <sys/types.h>

#include "ipc/session.h"
#include "jail/jail.h"

struct guard {
	pid_t pid;
	int pidfd; /* -1 = none */
	int pipe;  /* its end is what the guard waits for */
};

extern const struct jail_profile guard_profile;

/* Forks the guard; cgroup is a path, "" = none.  Call before there are threads or other children.
 * Returns 0 or -errno with a line in error. */
int
guard_start(struct guard *g, struct session *s, const char *cgroup, char *error, size_t error_size);

/* Tells the guard that there is nothing to do, and reaps it.  Safe twice. */
void guard_dismiss(struct guard *g);

#endif
