/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's end of a link in memory: builds frames that are right in everything but what a test
 * changes, hands them to a stack, and takes apart what comes back.
 */
#ifndef GONDOLIN_TESTS_NETPROXY_PEER_H
#define GONDOLIN_TESTS_NETPROXY_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netproxy/stack.h"
#include "netproxy/stack_internal.h"

#define PEER_FRAMES 512
#define PEER_FLOWS  64

/* A frame that the stack sent. */
struct sent {
	size_t n;
	uint8_t bytes[2048];
};

/* What the application saw of a flow. */
struct seen {
	struct flow *flow;
	unsigned events;
	int error;
	bool closed; /* given back by the test */
};

struct peer {
	struct link link;
	struct stack *stack;
	struct stack_config config;
	uint64_t now;
	bool refuse;      /* connect says no */
	bool take;        /* datagram says yes */
	unsigned room;    /* frames that the link still takes */
	unsigned n_sent;  /* frames since peer_take */
	unsigned n_taken; /* of these, looked at */
	struct sent sent[PEER_FRAMES];
	unsigned n_flows;
	struct seen flows[PEER_FLOWS];
	struct flow_addresses connected; /* of the last connect */
	struct flow_addresses datagram;  /* of the last datagram */
	size_t datagram_length;
	bool v6;
	uint16_t port; /* the guest's */
	uint16_t to_port;
	uint8_t to[16]; /* destination */
	uint32_t seq, ack, window;
	uint32_t ts; /* 0 = no timestamps */
	uint32_t ts_echo;
};

/* A stack with the default configuration (peer->config may be changed before peer_start). */
void peer_init(struct peer *p);
void peer_start(struct peer *p);
void peer_stop(struct peer *p);

/* The frame to the stack, then stack_flush. */
void peer_frame(struct peer *p, const uint8_t *bytes, size_t n);

/* Moves the clock, runs what is due, flushes. */
void peer_wait(struct peer *p, uint64_t microseconds);
void peer_flush(struct peer *p);

/* The next frame that the stack sent, or NULL. */
const struct sent *peer_next(struct peer *p);
void peer_forget(struct peer *p); /* all of them */

/* Builds an IP packet of the guest to `to` in a frame.  Returns the frame's length. */
size_t peer_ip(struct peer *p, uint8_t *frame, uint8_t protocol, const void *payload, size_t n);

/* Puts right the checksums of an IP packet in a frame: header, and the transport's. */
void peer_sum(uint8_t *frame, size_t n);

/* A TCP segment of the peer with its options. */
size_t peer_tcp(struct peer *p, uint8_t *frame, uint8_t flags, const void *options,
    size_t n_options, const void *data, size_t n);
void peer_send(struct peer *p, uint8_t flags, const void *data, size_t n);

/* A segment that the stack sent. */
struct reply {
	bool valid; /* a TCP segment with right checksums */
	uint32_t seq, ack, window;
	uint8_t flags;
	size_t n;
	const uint8_t *data;
	size_t n_options;
	const uint8_t *options;
	struct tcp_options parsed;
};

/* The next segment, whatever else came skipped; valid is false where there is none. */
struct reply peer_reply(struct peer *p);

/*
 * A handshake with MSS 1460, scale 7, SACK, and timestamps where p->ts is set.  The flow is the
 * last of p->flows.
 */
struct flow *peer_open(struct peer *p);

/* The entry of a flow. */
struct seen *peer_seen(struct peer *p, const struct flow *f);

#endif
