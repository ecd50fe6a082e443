/* SPDX-License-Identifier: Apache-2.0 */
/* The edge to egress: what waits there for its final message. */
#ifndef GONDOLIN_NETPROXY_OUTBOUND_H
#define GONDOLIN_NETPROXY_OUTBOUND_H

#include <ev.h>

#include "ipc/channel.h"
#include "ipc/outbound.h"
#include "ipc/outbound.pb-c.h"
#include "netproxy/exchange.h"

#define OUTBOUND_BUCKETS 1024u
/* Requests under way, and descriptors of ours that came from egress, in sum. */
#define OUTBOUND_OPEN_MAX 3072u

enum outbound_kind {
	OUTBOUND_KIND_REQUEST,
	OUTBOUND_KIND_RESOLVE,
	OUTBOUND_KIND_CONNECT,
};

/* A name that is looked up. */
struct outbound_lookup {
	struct outbound_pending *pending;
	/* rcode and up to 16 addresses of 4 or 16 bytes; packet: a whole answer, or none. */
	void (*done)(struct outbound_lookup *l, const Gondolin__OutboundResolved *m);
};

/* A mapped connection that is being made. */
struct outbound_connection {
	struct outbound_pending *pending;
	/* fd is the callee's, -1 where there is none: refused says why. */
	void (*done)(struct outbound_connection *c, int fd, const struct exchange_refusal *refused);
};

struct outbound_pending {
	uint64_t id;
	struct outbound_pending *next;
	enum outbound_kind kind;
	/* Who waits; NULL: nobody any more. */
	struct exchange *exchange;
	struct outbound_lookup *lookup;
	struct outbound_connection *connection;
};

struct outbound {
	struct ipc_channel channel;
	struct ev_loop *loop;
	void *ctx;
	void (*ended)(void *ctx, int reason, const char *message);
	uint64_t last_id;
	unsigned n_pending;
	unsigned n_fds; /* descriptors that came and are open: outbound_close_fd */
	struct outbound_pending *buckets[OUTBOUND_BUCKETS];
	/* Scratch for messages. */
	Gondolin__OutboundHeader headers[OUTBOUND_HEADERS_MAX];
	Gondolin__OutboundHeader *header_pointers[OUTBOUND_HEADERS_MAX];
	struct http_field fields[OUTBOUND_HEADERS_MAX];
	struct http_field trailers[OUTBOUND_HEADERS_MAX];
};

/* Takes fd.  ended is called when egress is gone or broke the protocol (see ipc_channel). */
void outbound_open(struct outbound *o, struct ev_loop *loop, int fd, void *ctx,
    void (*ended)(void *ctx, int reason, const char *message));
void outbound_close(struct outbound *o);

/* exchange_start's, exchange_end_request's and exchange_clear's part.  Returns as the first. */
int outbound_request(struct outbound *o, struct exchange *e, const struct exchange_request *r);
void outbound_request_end(
    struct outbound *o, struct exchange *e, const struct http_field *trailers, size_t n);
void outbound_forget(struct outbound *o, struct outbound_pending *p);

/* Closes a descriptor that egress handed over, and sets it to -1.  -1 is allowed. */
void outbound_close_fd(struct outbound *o, int *fd);

/* Return 0; -EBUSY where too much is under way; another -errno where egress is gone. */
int
outbound_resolve(struct outbound *o, struct outbound_lookup *l, const char *name, unsigned type);
int outbound_connect(
    struct outbound *o, struct outbound_connection *c, const char *host, uint16_t port);

#endif
