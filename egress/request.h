/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request, in the one form in which it is judged and sent, and the judgment of all of it that
 * needs no lookup.
 */
#ifndef GONDOLIN_EGRESS_REQUEST_H
#define GONDOLIN_EGRESS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egress/address.h"
#include "egress/fields.h"
#include "egress/policy.h"

#define REFUSAL_TEXT_MAX 512u

/* In the order of ipc/outbound.proto's OutboundCause. */
enum cause {
	CAUSE_NONE,
	CAUSE_DENIED,
	CAUSE_BAD,
	CAUSE_BUDGET,
	CAUSE_NO_NAME,
	CAUSE_UNREACHED,
	CAUSE_TLS,
	CAUSE_BROKEN,
	CAUSE_TIMEOUT,
	CAUSE_CANCELLED,
};

struct refusal {
	enum cause cause;
	const char *rule; /* one word, static */
	char text[REFUSAL_TEXT_MAX + 1];
};

/* Bytes of the peer: nothing about them is certain until request_judge() said so. */
struct span {
	const char *bytes;
	size_t length;
};

struct request {
	uint64_t id;
	bool https;
	struct span host, sni, destination, destination_address;
	uint32_t port, destination_port;
	struct span method, path;
	const struct field *headers;
	size_t n_headers;
	bool upgrade;
	bool end; /* body is all of it */
	bool has_body;
	bool has_length;
	uint64_t length;
	struct span body;
};

struct request_rules {
	const struct policy *allow;
	bool websockets;
	/*
	 * The guest's addresses come of our own DNS: what it connects to has a name, or is an
	 * address that the request names.
	 */
	bool synthetic;
};

/*
 * Judges form, names and policy.  Returns the pattern that allows it, or NULL and fills *r.  Order:
 * form first (a request that is ambiguous is refused whatever is allowed), then that all names
 * agree, then policy.
 *
 * Path (RFC 3986 3.3, RFC 9112 3.2.1): begins with a slash, visible ASCII without '#' and '\'; each
 * '%' of the path proper is followed by two hexadecimal digits, which are not 00 nor 5c; no segment
 * is empty but the last; none is "." or "..", however its dots are written and whatever parameters
 * (after ';') it has.  Other parameters, %2F, and all that is in a query go through as they are.
 */
const struct policy_pattern *
request_judge(const struct request_rules *rules, const struct request *q, struct refusal *r);

/* Fills a refusal. */
void refuse(struct refusal *r, enum cause cause, const char *rule, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* 403, 400, 429, 502 or 504. */
unsigned cause_status(enum cause cause);

/* True for bytes that a field's value may have (RFC 9110 5.5), trimmed. */
bool value_is_valid(const char *value, size_t length);

/* True for a lower-case token (RFC 9110 5.6.2). */
bool name_is_valid(const char *name, size_t length);

#endif
