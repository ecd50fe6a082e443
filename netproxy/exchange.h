/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of the guest on its way through egress, and its answer: ipc/outbound.proto as seen
 * by an HTTP server, whichever version that speaks.  An exchange never buffers: bodies are pulled
 * from and pushed into the request's stream as fast as both sides take them.
 */
#ifndef GONDOLIN_NETPROXY_EXCHANGE_H
#define GONDOLIN_NETPROXY_EXCHANGE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "netproxy/http_syntax.h"
#include "netproxy/stack.h"

struct outbound;
struct outbound_pending;

/* What is asked.  All texts stay the caller's and are not needed after exchange_start. */
struct exchange_request {
	bool https;
	const char *host; /* canonical */
	uint16_t port;
	const char *sni;         /* "" = none */
	const char *destination; /* name that the destination address stands for; "" = none */
	const struct stack_endpoint *to;
	struct http_text method, path;
	const struct http_field *fields;
	size_t n_fields;
	bool websocket;
	bool has_body, has_length;
	uint64_t length;
	bool end; /* `body` is all of it */
	const uint8_t *body;
	size_t body_n;
};

struct exchange_answer {
	unsigned status;
	const struct http_field *fields;
	size_t n_fields;
	bool has_length;
	uint64_t length;
	const uint8_t *body; /* its first bytes */
	size_t body_n;
	bool end; /* `body` is all of it, and these follow it: */
	const struct http_field *trailers;
	size_t n_trailers;
};

/* Why there is no answer: what the guest is to be told. */
struct exchange_refusal {
	unsigned status;
	bool denied; /* by policy, a budget or strictness: x-gondolin-denied says `rule` */
	struct http_text rule;
	struct http_text text; /* one line for people */
};

struct exchange;

/*
 * Callbacks, from the event loop.  Any of them may call exchange_clear on its own exchange, as
 * its last act there.  The texts are valid until the callback returns.
 */
struct exchange_events {
	void (*answered)(struct exchange *e, const struct exchange_answer *a);
	void (*refused)(struct exchange *e, const struct exchange_refusal *r);
	/* The body is wanted, or more of it; the answer's goes on, is complete, or broke off. */
	void (*moved)(struct exchange *e);
	/* The rest of a body that needed no stream; trailers of any body, before it is complete. */
	void (*rest)(struct exchange *e, const uint8_t *bytes, size_t n,
	    const struct http_field *trailers, size_t n_trailers);
};

struct exchange {
	struct outbound *outbound;
	struct outbound_pending *pending; /* NULL: nothing more of egress is due */
	const struct exchange_events *events;
	int fd; /* the request's stream, or -1 */
	ev_io readable, writable;
	bool wanted;     /* the body can be written: the stream came */
	bool answered;   /* or refused */
	bool streamed;   /* the answer's body comes by fd */
	bool final;      /* the end of the answer was said */
	bool broken;     /* and it was not a good one */
	uint64_t length; /* with final: bytes of the answer by fd */
	uint64_t read, written;
};

/*
 * Sends a request.  Returns 0; -EBUSY where too many are under way; -EMSGSIZE where it is too
 * long; another -errno where egress is gone (the process ends then).
 */
int exchange_start(struct exchange *e, struct outbound *o, const struct exchange_request *r,
    const struct exchange_events *events);

/*
 * Ends it, wherever it is: egress learns that nobody waits.  Safe on one that was zeroed and never
 * started, and twice.
 */
void exchange_clear(struct exchange *e);

/*
 * Writes bytes of the request's body.  Returns how many were taken, 0 where none are now (moved
 * follows); -EPIPE where egress takes no more.
 */
ssize_t exchange_write(struct exchange *e, const struct iovec *iov, unsigned pieces);

/* The request's body is complete. */
void exchange_end_request(struct exchange *e, const struct http_field *trailers, size_t n);

/* A WebSocket's side that says no more. */
void exchange_shutdown(struct exchange *e);

/*
 * Reads bytes of the answer's body.  Returns how many; 0 where there are none now (moved follows)
 * or the answer is complete; -EPIPE where it broke off.
 */
ssize_t exchange_read(struct exchange *e, const struct iovec *iov, unsigned pieces);

/* The answer's body was read to its end. */
bool exchange_is_complete(const struct exchange *e);

#endif
