/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the supervisor.  Records wait for the end of a round, so that many travel at once. */
#ifndef GONDOLIN_VFSD_REPORT_H
#define GONDOLIN_VFSD_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "vfsd/server.h"

#define REPORT_RECORDS 24u /* in one message: their paths fill it at most by four fifths */

struct mount;
struct vfsd;

/*
 * Denials of one mount that are recorded one by one in a second.  A guest that collects them must
 * neither fill the log nor stop us: the others are counted, and the mount's next record says so.
 */
#define REPORT_DENIALS 64u

struct report_rate {
	uint32_t second, n;
	uint32_t held; /* not recorded since the last record */
};

struct report_slot {
	const struct mount *mount;
	struct vfs_record record; /* its paths point into the two below */
	uint32_t repeated;
	char path[VFS_RECORD_PATH];
	char second[VFS_RECORD_PATH];
};

struct report {
	struct report_slot slots[REPORT_RECORDS];
	size_t used;
};

void report_ready(struct vfsd *v);

/* Notes one record; sends all where there is no room for more. */
void report_record(struct vfsd *v, struct mount *m, const struct vfs_record *r);

/* The mount's boot is over: a last record for what is held, if anything is. */
void report_held(struct vfsd *v, struct mount *m);

/* Sends what was noted. */
void report_flush(struct vfsd *v);

/* The supervisor does not keep up: nothing more is to be served until it does. */
bool report_is_slow(const struct vfsd *v);

#endif
