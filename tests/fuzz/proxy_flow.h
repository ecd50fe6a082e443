/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's end of one connection, made of arrays.  Links in place of the stack and the loop. */
#ifndef GONDOLIN_TESTS_PROXY_FLOW_H
#define GONDOLIN_TESTS_PROXY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proxy_flow {
	const uint8_t *in; /* from the guest; in_visible of in_n came until now */
	size_t in_n, in_at, in_visible;
	size_t piece; /* so many of them at once; 0: all */
	bool stays;   /* the guest does not end its half behind them */
	size_t room;  /* bytes that the guest takes now */
	uint8_t *out; /* what it took, where this is not NULL: out_n of at most out_size */
	size_t out_n, out_size;
	bool aborted, closed;
	unsigned records; /* lines for the audit log */
};

/* Of the connection whose stream has its address as the flow. */
extern struct proxy_flow proxy_flow;

#endif
