/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every edge of a sandbox: one table (edges.c).  An edge that is not in it does not exist: no code
 * elsewhere makes a socketpair for a helper.
 */
#ifndef GONDOLIN_SUPERVISOR_EDGES_H
#define GONDOLIN_SUPERVISOR_EDGES_H

#include <stddef.h>

#include "supervisor/process.h"

enum edge_id {
	EDGE_VMRUNNER, /* supervisor and vmrunner */
	EDGE_VFSD,     /* supervisor and vfsd */
	EDGE_NETPROXY, /* supervisor and netproxy */
	EDGE_EGRESS,   /* supervisor and egress */
	EDGE_OUTBOUND, /* netproxy and egress */
	EDGE_LINK,     /* QEMU and netproxy */
	EDGE_CONSOLE,  /* QEMU and vmrunner; this one and those below are made anew for each attempt
			*/
	EDGE_QMP,
	EDGE_AGENT,
	EDGE_VFS,    /* QEMU and vfsd */
	EDGE_DEVICE, /* likewise: one for each mount */
	EDGES,
};

struct edge_row {
	const char *name;
	const char *messages; /* what travels, for the audit */
	enum process_id a, b;
	int type; /* SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM */
};

extern const struct edge_row edge_rows[EDGES];

/* States of the supervisor's channel to a helper. */
enum {
	HELPER_AWAITED = 1, /* it is to answer Ready from inside its jail */
	HELPER_RUNNING = 2,
	HELPER_LEAVING = 4, /* the sandbox ended: only records are heard */
};

/* The two ends of an edge while the supervisor still holds them; -1 = handed out, or not made. */
struct edge {
	int a, b;
};

/*
 * Makes both ends, CLOEXEC.  An edge that is still held is closed first.  Returns 0 or
 * -errno.
 */
int edge_make(struct edge *e, enum edge_id id);

/* Closes the first end, where it is still held. */
void edge_close_a(struct edge *e);

/* Closes what is still held.  Safe twice. */
void edge_close(struct edge *e);

#endif
