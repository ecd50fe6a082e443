/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets of the sandbox and of each host that it speaks to. */
#ifndef GONDOLIN_EGRESS_BUDGET_H
#define GONDOLIN_EGRESS_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_HOSTS_MAX 4096u /* with a host budget; one more is refused */

/* 0 = no limit. */
struct budget_limits {
	uint32_t connections, requests; /* open at once; a second, as many at once */
	uint64_t bytes_in, bytes_out;   /* over the sandbox's life */
};

struct budget_use {
	double tokens; /* requests that may be made now */
	double refilled;
	uint32_t connections;
	uint64_t bytes_in, bytes_out;
};

struct budget_host {
	struct budget_host *next;
	struct budget_use use;
	char name[];
};

struct budget {
	struct budget_limits sandbox, host;
	struct budget_use use;
	struct budget_host *buckets[1024];
	size_t n_hosts;
};

void budget_init(
    struct budget *b, const struct budget_limits *sandbox, const struct budget_limits *host);
void budget_clear(struct budget *b);

/*
 * What a host has used: NULL where there is no host budget, or no room for one more (*full says
 * which).  Lives until budget_clear().
 */
struct budget_host *budget_host(struct budget *b, const char *name, double now, bool *full);

/*
 * One more request at `now` (seconds).  Returns NULL and counts it, or says which budget is used
 * up.
 */
const char *budget_request(struct budget *b, struct budget_host *h, double now);

/* One more connection: as budget_request.  _closed gives it back. */
const char *budget_connection(struct budget *b, struct budget_host *h);
void budget_connection_closed(struct budget *b, struct budget_host *h);

/* True where more than half of what may be open is: an idle connection would be in another's way.
 */
bool budget_connections_are_scarce(const struct budget *b, const struct budget_host *h);

/* Counts bytes.  Returns NULL, or says which budget they went past. */
const char *
budget_bytes(struct budget *b, struct budget_host *h, uint64_t bytes_in, uint64_t bytes_out);

#endif
