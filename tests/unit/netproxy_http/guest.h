/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a guest that a test types on, its protocol as in the program, and a real edge
 * whose other end, egress's, the test holds.
 */
#ifndef GONDOLIN_TESTS_UNIT_NETPROXY_HTTP_GUEST_H
#define GONDOLIN_TESTS_UNIT_NETPROXY_HTTP_GUEST_H

#include "netproxy/netproxy.h"
#include "proxy_flow.h"

struct guest {
	struct netproxy *np;
	struct conn *c; /* good until guest_close, also when it is dead */
	int egress;     /* the test's end of the edge */
	size_t room;    /* bytes that the guest takes in a turn */
	bool edge_ended;
	int edge_reason;
};

extern struct guest guest;

/* What egress says of an answer. */
struct reply {
	unsigned status;
	const char *name, *value;           /* one header, or NULL */
	const char *trailer_name, *trailer; /* one trailer, or NULL */
	const char *body;
	bool end, streamed, has_length;
	uint64_t length;
};

/* Starts a connection with a protocol (http1_start, http2_start). */
void guest_open(void (*start)(struct conn *c));
void guest_close(void);

/* Bytes of the guest, and what comes of them. */
void guest_type(const void *bytes, size_t n);
void guest_text(const char *text);

/* One turn of the loop. */
void guest_turn(void);

/* What the guest was sent, as text; and the same forgotten. */
const char *guest_read(void);
void guest_skip(void);

/* The next message to egress, the caller's (guest_free); or NULL where there is none. */
Gondolin__NetproxyToEgress *guest_heard(void);
void guest_free(Gondolin__NetproxyToEgress *m);

/* The id of the request that is heard next; 0 where there is none. */
uint64_t guest_request(void);

/* egress speaks; fd (-1: none) stays the caller's. */
void guest_say(const Gondolin__EgressToNetproxy *m, int fd);
void guest_say_stream(uint64_t id, int fd);
void guest_say_answer(uint64_t id, const struct reply *r, int fd);
void guest_say_end(uint64_t id, uint64_t length, const struct reply *r, unsigned cause);
void
guest_say_refused(uint64_t id, unsigned cause, unsigned status, const char *rule, const char *text);

#endif
