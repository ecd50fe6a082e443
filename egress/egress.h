/* SPDX-License-Identifier: Apache-2.0 */
/* The one state of the process. */
#ifndef GONDOLIN_EGRESS_EGRESS_H
#define GONDOLIN_EGRESS_EGRESS_H

#include <ev.h>
#include <stdbool.h>

#include "egress/upstream.h"
#include "ipc/channel.h"
#include "ipc/egress.pb-c.h"
#include "ipc/outbound.pb-c.h"

/* States of the supervisor's channel. */
enum {
	SUPERVISOR_SETUP = 1 << 0,  /* nothing yet */
	SUPERVISOR_DETAIL = 1 << 1, /* the set-up's parts */
	SUPERVISOR_READY = 1 << 2,  /* in the jail, without netproxy */
	SUPERVISOR_SERVE = 1 << 3,
};

#define EGRESS_RECORDS_MAX 128u /* that wait to be sent at once */

struct egress {
	struct ev_loop *loop;
	struct ipc_channel supervisor, netproxy;
	uint32_t state;               /* of the supervisor's channel, before there is one */
	Gondolin__EgressSetup *setup; /* own copy, until the jail */
	struct upstream_config config;
	struct locals locals;
	struct resolver *resolver;
	struct upstream *upstream;
	ev_prepare flush;
	ev_timer counting;
	Gondolin__EgressRecord *records[EGRESS_RECORDS_MAX]; /* own copies */
	size_t n_records;
	struct upstream_counters told; /* counters as last sent */
	bool held;                     /* netproxy is not read: the supervisor is slow */
	bool ended;
	int exit_code;
};

extern const struct ipc_table egress_supervisor_table, egress_netproxy_table;

/*
 * Before the jail: reads the set-up from the supervisor, and all that it needs of the file system.
 * Returns 0 or -errno, and has said why.
 */
int egress_prepare(struct egress *e, int fd);

/* From inside the jail. */
void egress_serve(struct egress *e, struct ev_loop *loop, int fd);

/* The edge to netproxy; fd is taken. */
void egress_open_netproxy(struct egress *e, int fd);

/* Ends the event loop with exit code 125; why goes to the log. */
void egress_end(struct egress *e, const char *why);

void egress_clear(struct egress *e);

/* report.c: what netproxy and the supervisor are told. */
extern const struct upstream_events egress_events;
void egress_flush_records(struct egress *e);
void egress_send_counters(struct egress *e);
void egress_drop_records(struct egress *e);

#endif
