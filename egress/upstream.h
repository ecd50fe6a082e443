/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out: what is asked, judged, looked up, checked, sent, and brought back.
 *
 * The life of a request (struct exchange): judged (request.h), its secrets put in (secret.h), its
 * host resolved (resolver.h) and each address checked (address.h), then given to libcurl with just
 * the checked addresses, which checks again where a socket is opened and once more when the
 * connection is there, reused or new.  The answer's fields are checked and scrubbed; its body goes
 * through decoder and scrubber where the host has secrets, and straight on where not.
 *
 * Bodies: see ipc/outbound.proto.  Nothing buffers more of one than UPSTREAM_HELD bytes and what a
 * codec needs; then the sender is paused.
 */
#ifndef GONDOLIN_EGRESS_UPSTREAM_H
#define GONDOLIN_EGRESS_UPSTREAM_H

#include <ev.h>

#include "egress/budget.h"
#include "egress/locals.h"
#include "egress/request.h"
#include "egress/resolver.h"
#include "egress/secret.h"

#define UPSTREAM_HELD       65536u
#define UPSTREAM_ACTIVE_MAX 1200u /* exchanges at once: descriptors are finite; one more is 429 */
#define UPSTREAM_PATH_MAX   1024u /* bytes of a path in a record */

struct upstream_timeouts {
	unsigned connect, handshake, response, idle; /* milliseconds */
};

struct upstream_map {
	char *from, *to;
	uint16_t from_port, to_port;
};

enum upstream_dns { UPSTREAM_DNS_SYNTHETIC, UPSTREAM_DNS_TRUSTED, UPSTREAM_DNS_OPEN };

/* What the user configured.  Its owner fills it before upstream_new() and keeps it. */
struct upstream_config {
	struct policy allow, internal;
	struct secrets secrets;
	struct budget_limits budget, host_budget;
	struct upstream_timeouts timeouts;
	enum upstream_dns dns;
	bool websockets;
	char *proxy; /* "http://host:port", or NULL */
	struct upstream_map *maps;
	size_t n_maps;
};

struct upstream_answer {
	uint64_t id;
	unsigned status;
	const struct fields *headers, *trailers;
	bool has_length, end, streamed;
	uint64_t length;
	const uint8_t *body;
	size_t body_length;
};

struct upstream_end {
	uint64_t id;
	uint64_t length;
	const uint8_t *body;
	size_t body_length;
	const struct fields *trailers;
	enum cause cause;
};

enum upstream_event {
	UPSTREAM_REQUEST,
	UPSTREAM_DENIED,
	UPSTREAM_FAILED,
	UPSTREAM_LOOKUP,
	UPSTREAM_CONNECT,
	UPSTREAM_BUDGET,
};

/* One line for the audit log. */
struct upstream_record {
	enum upstream_event event;
	uint64_t id;
	struct span method, host, path;
	bool https, cut, is_http;
	unsigned port, status;
	const char *address, *rule;
	uint64_t used, scrubbed; /* secrets: bit for each */
	uint64_t bytes_in, bytes_out;
	unsigned duration; /* milliseconds */
};

struct upstream_counters {
	uint64_t requests, denied, failed, bytes_in, bytes_out, lookups, secrets_used,
	    secrets_scrubbed;
	uint32_t connections, active;
};

/*
 * What is told.  Descriptors stay the teller's, who closes them.  After answer with end,
 * answer_end, refused, resolved and connected the id is free.
 */
struct upstream_events {
	void (*stream)(void *ctx, uint64_t id, int fd);
	void (*answer)(void *ctx, const struct upstream_answer *a, int fd); /* fd -1: none */
	void (*answer_end)(void *ctx, const struct upstream_end *e);
	void (*refused)(void *ctx, uint64_t id, const struct refusal *r);
	void (*resolved)(void *ctx, uint64_t id, const struct resolver_answer *a,
	    const uint8_t *packet, size_t length);
	void (*connected)(void *ctx, uint64_t id, int fd);
	void (*record)(void *ctx, const struct upstream_record *r);
};

struct upstream;
struct x509_store_st;

/*
 * Before the jail: reads the certificates of ca_bundle (NULL: the system's, wherever this
 * distribution has them), starts OpenSSL and libcurl.  resolver and locals stay the caller's.
 * Returns 0 and sets *out; or -errno and fills error with one line.
 */
int upstream_new(struct upstream **out, struct upstream_config *config, struct resolver *resolver,
    struct locals *locals, const char *ca_bundle, char *error, size_t error_size);

/* From now on things may be asked. */
void upstream_start(
    struct upstream *u, struct ev_loop *loop, const struct upstream_events *events, void *ctx);

/* Cancels whatever is open: each leaves its record. */
void upstream_cancel_all(struct upstream *u);

/* Ends all without a word, and frees it. */
void upstream_free(struct upstream *u);

/*
 * What netproxy asks (ipc/outbound.proto).  Each returns 0; or -EPROTO where the id is not larger
 * than all before or too many are open.  _end and _cancel of an id that is over are ignored.
 */
int upstream_request(struct upstream *u, const struct request *q);
int upstream_request_end(struct upstream *u, uint64_t id, uint64_t length);
int upstream_cancel(struct upstream *u, uint64_t id);
int upstream_resolve(struct upstream *u, uint64_t id, const struct span *name, unsigned type);
int upstream_connect(struct upstream *u, uint64_t id, const struct span *host, unsigned port);

const struct upstream_counters *upstream_counters(struct upstream *u);

#endif
