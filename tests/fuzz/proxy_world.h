/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What netproxy's HTTP servers stand on, made of arrays: a flow (proxy_flow.h), and an egress that
 * answers as it is told.  Links in place of the edge.
 */
#ifndef GONDOLIN_TESTS_PROXY_WORLD_H
#define GONDOLIN_TESTS_PROXY_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "netproxy/netproxy.h"
#include "proxy_flow.h"

#define WORLD_REQUESTS 64u

/* How egress answers the n-th request. */
enum world_answer {
	WORLD_INLINE,  /* 200 with a short body */
	WORLD_LENGTH0, /* 204 */
	WORLD_REST,    /* 200, the body after the head, with trailers */
	WORLD_REFUSED,
	WORLD_BROKEN,   /* a head, then the end */
	WORLD_SWITCHED, /* 101 */
	WORLD_NOTHING,
	WORLD_ANSWERS,
};

struct world {
	struct netproxy *np;
	uint8_t answers; /* what the next answer is */
	struct outbound_pending asked[WORLD_REQUESTS];
	unsigned n_asked, n_answered;
};

/* Starts a connection with a protocol (http1_start, http2_start) and feeds it in pieces. */
void world_run(const uint8_t *bytes, size_t n, void (*start)(struct conn *c));

#endif
