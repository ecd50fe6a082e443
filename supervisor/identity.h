/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the processes of a sandbox run as.  An ordinary user's sandbox has one user namespace for
 * each process; root's has a uid of its own for each process of each sandbox, from a configured
 * range.
 */
#ifndef GONDOLIN_SUPERVISOR_IDENTITY_H
#define GONDOLIN_SUPERVISOR_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

#include "jail/jail.h"
#include "supervisor/process.h"

struct identity {
	bool root_started;
	uid_t first; /* root-started: of the sandbox's block; process i has first + i */
	int lock_fd; /* root-started: holds the block; the kernel frees it with us */
};

#define IDENTITY_BLOCK 16 /* uids of a sandbox */
_Static_assert(PROCESSES <= IDENTITY_BLOCK, "a uid for each process");

/*
 * Root: takes a free block of the range first..last.  Another user: nothing to take.  Returns 0, or
 * -errno with a line in error (-EUSERS: all blocks are in use; -ERANGE: the range holds none).
 */
int identity_take(struct identity *id, uid_t first, uid_t last, char *error, size_t error_size);

void identity_release(struct identity *id);

/* Of one process. */
struct jail_identity identity_of(const struct identity *id, enum process_id process);

#endif
