/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.x towards the guest: the state of a connection, shared by the files that serve it. */
#ifndef GONDOLIN_NETPROXY_HTTP1_SERVER_H
#define GONDOLIN_NETPROXY_HTTP1_SERVER_H

#include "netproxy/conn.h"
#include "netproxy/exchange.h"
#include "netproxy/http1_parse.h"
#include "netproxy/websocket.h"

struct http1 {
	struct conn *c;
	char *head; /* HTTP1_HEAD_MAX bytes of which head_n are there: a head in pieces; or NULL */
	size_t head_n;

	/* The request that is served. */
	bool busy;
	struct exchange exchange; /* first: see http1_of_exchange */
	unsigned minor;
	bool is_head; /* HEAD: the answer has no body */
	bool websocket;
	bool keep_alive;
	bool expect_continue;
	enum http1_body body;
	uint64_t left; /* HTTP1_BODY_LENGTH: bytes that have not come */
	struct http1_chunked chunked;
	bool body_read; /* all of it was taken from the guest */

	/* Its answer. */
	bool head_sent;
	bool answer_chunked;
	bool answer_has_body;
	bool answer_done; /* all of it is in `out` or sent */
	char *trailers;   /* of the answer, as they are sent; or NULL */
	size_t trailers_n;
	uint8_t *out; /* what found no room: out_n bytes from out_at */
	size_t out_n, out_at;

	/* After 101. */
	bool tunnel, guest_done, world_done;
	struct websocket_watch from_guest, from_world;
};

/* http1_body.c: moves the request's body.  Returns 0 or -EPROTO with the refusal. */
int http1_pump_body(struct http1 *h, struct http1_refusal *refusal);

/* http1_answer.c */
extern const struct exchange_events http1_events;
void http1_refuse(struct http1 *h, unsigned status, const char *rule, const char *text);
/* Writes what was kept.  Returns whether nothing is left. */
bool http1_flush(struct http1 *h);
void http1_send(struct http1 *h, const void *bytes, size_t n);
/* Moves the answer's body.  Returns 0; -EPIPE where it broke off. */
int http1_pump_answer(struct http1 *h);

/* http1_tunnel.c: moves WebSocket bytes both ways.  Returns 0, 1 at the end, or -EPROTO. */
int http1_pump_tunnel(struct http1 *h);

#endif
