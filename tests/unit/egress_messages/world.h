/* SPDX-License-Identifier: Apache-2.0 */
/* egress in this process, with the test as its supervisor, its netproxy and its origin. */
#ifndef GONDOLIN_TESTS_UNIT_EGRESS_MESSAGES_WORLD_H
#define GONDOLIN_TESTS_UNIT_EGRESS_MESSAGES_WORLD_H

#include "egress/egress.h"
#include "ipc/message.h"

#define WORLD_HOST        "origin.test"
#define WORLD_OPEN        "open.test" /* no secret is bound to it */
#define WORLD_VALUE       "value-of-the-secret"
#define WORLD_PLACEHOLDER "GONDOLIN_SECRET_00000000000000000000000000000001"

struct world {
	struct egress *e;
	int supervisor; /* the test's ends */
	int netproxy;
	int origin; /* a listening socket at 127.0.0.1 */
	uint16_t port;
	uint64_t last_id;           /* of netproxy's */
	char bundle[64], hosts[64]; /* files for the set-up */
};

extern struct world world;

/* The set-up's first message, as it has to be; and what it points to. */
struct world_setup {
	Gondolin__EgressSetup m;
	Gondolin__EgressBudget budget, host_budget;
	Gondolin__EgressTimeouts timeouts;
};
void world_setup_init(struct world_setup *s);

/* What egress reads files from and connects to. */
void world_open(void);
void world_close(void);

/* As the supervisor; fd -1: none.  Messages wait in the socket. */
void world_tell(const Gondolin__SupToEgress *m, int fd);
void world_tell_setup(const struct world_setup *s);
void world_tell_pattern(unsigned kind, const char *scheme, const char *host, unsigned port);
void world_tell_secret(const char *name, const char *value, const char *placeholder);
void world_tell_tcp(const char *from, unsigned from_port, const char *to, unsigned to_port);
void world_tell_confine(void);

/* All of a good set-up, then egress serves: `dns` as in EgressSetup. */
void world_serve(unsigned dns);

/* A turn of the loop that waits for something to happen; one that does not. */
void world_wait(void);
void world_turn(void);

/* As netproxy.  world_hear waits for the next message; the caller frees it. */
void world_ask(const Gondolin__NetproxyToEgress *m, int fd);
Gondolin__EgressToNetproxy *world_hear(int *fd);
void world_free(Gondolin__EgressToNetproxy *m);

/* Opens all and serves. */
void world_begin(unsigned dns);

/* A request that is allowed, with the next id; to be changed, and asked. */
Gondolin__OutboundRequest world_request(void);
void world_add_header(Gondolin__OutboundRequest *r, const char *name, const char *value);
void world_ask_for(Gondolin__OutboundRequest *r, int fd);

/* Checks that the next message is a refusal with this rule. */
void world_hears_refusal(uint64_t id, const char *rule);

/* The next connection at the origin, -1 where there is none; and a check that there is none. */
int world_at_origin(void);
void world_nobody_came(void);

#endif
