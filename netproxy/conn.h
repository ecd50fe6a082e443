/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of the guest, from its handshake to its end: first bytes decide what speaks on it,
 * and that protocol then owns it.
 *
 * Protocols are pumps: whenever something may have changed, conn_pump is called, and the protocol
 * does all that it can do now.
 */
#ifndef GONDOLIN_NETPROXY_CONN_H
#define GONDOLIN_NETPROXY_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "netproxy/http_syntax.h"
#include "netproxy/stream.h"

struct netproxy;
struct conn;

struct conn_protocol {
	/* Does what can be done.  Where it is at its end it calls conn_close or conn_abort. */
	void (*pump)(struct conn *c);
	/* c->deadline passed.  NULL: conn_abort. */
	void (*late)(struct conn *c);
	/* Frees c->state. */
	void (*free)(struct conn *c);
};

struct conn {
	struct netproxy *np;
	struct conn *next, *previous; /* of all */
	struct conn *dead_next;
	struct stream stream;
	struct flow_addresses addresses;
	const char *destination; /* name that the address stands for; "" = none */
	char sni[HTTP_HOST_MAX + 1];
	const struct conn_protocol *protocol;
	void *state;
	uint64_t deadline; /* of a phase; UINT64_MAX = none */
	uint64_t active;   /* when bytes moved last */
	bool dead;
};

/* The stack's callbacks (struct stack_handlers). */
bool conn_on_connect(void *context, const struct flow_addresses *a);
void conn_on_event(void *context, struct flow *f, unsigned events);

/* Hands the connection over to a protocol; state is made by its own *_start function. */
void conn_set_protocol(struct conn *c, const struct conn_protocol *p, void *state);

void conn_pump(struct conn *c);

/*
 * End: in order, after what was written was delivered / with a reset.  The connection is freed at
 * the end of this round of the loop.
 */
void conn_close(struct conn *c);
void conn_abort(struct conn *c);

/* The same in order where the guest may still be sending: what comes is thrown away for a while. */
void conn_linger(struct conn *c);

/* Says in the audit log why a connection was refused. */
void conn_record(struct conn *c, const char *rule);

/* Says there that a request is none that egress should see, and with what it was answered. */
void conn_record_bad(struct conn *c, unsigned status, const char *why);

/* Frees the dead; for the loop. */
void conn_reap(struct netproxy *np);

/* Looks at all deadlines; for a timer. */
void conn_sweep(struct netproxy *np);

/* The protocols.  Each takes the connection with the first bytes unread. */
void http1_start(struct conn *c);
void http2_start(struct conn *c);
void relay_start(struct conn *c, const char *host);
void names_tcp_start(struct conn *c);

#endif
