/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hosts the user allowed: the patterns, and what they match.
 *
 * A library of its own (gondolin_policy): egress decides by it, netproxy refuses early by it, and
 * `gondolin policy check` explains by it.
 */
#ifndef GONDOLIN_EGRESS_POLICY_H
#define GONDOLIN_EGRESS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_HOST_MAX     253u /* bytes of a host */
#define POLICY_TEXT_MAX     300u
#define POLICY_PATTERNS_MAX 4096u

enum policy_scheme { POLICY_ANY_SCHEME, POLICY_HTTP, POLICY_HTTPS };

enum policy_host_kind {
	POLICY_HOST_BAD,  /* not canonical: refused whatever is allowed */
	POLICY_HOST_NAME, /* a DNS name */
	POLICY_HOST_IPV4,
	POLICY_HOST_IPV6,
};

struct policy_pattern {
	enum policy_scheme scheme; /* POLICY_ANY_SCHEME: not said */
	uint16_t port;             /* 0: not said */
	unsigned line;             /* of the configuration; 0 = none */
	char *host;                /* for "*.x" the x, for "*" "" */
	char *text;                /* as written */
	enum { POLICY_EXACT, POLICY_BELOW, POLICY_PUBLIC } kind;
};

struct policy {
	struct policy_pattern *v;
	size_t n, capacity;
};

void policy_init(struct policy *p);
void policy_clear(struct policy *p);

/*
 * Adds a pattern.  host is a canonical host, "*.name" or "*"; text is what messages show; both are
 * copied.  Returns 0; -EINVAL where host is none of these or text is longer than POLICY_TEXT_MAX;
 * -E2BIG past POLICY_PATTERNS_MAX.
 */
int policy_add(struct policy *p, enum policy_scheme scheme, const char *host, uint16_t port,
    const char *text, unsigned line);

/*
 * The first pattern that allows scheme (POLICY_HTTP or _HTTPS) to host (canonical) and port, or
 * NULL. No scheme and no port in a pattern: https on 443 and http on 80.  A scheme without a port:
 * that scheme's own.  A port without a scheme: either scheme on that port.
 */
const struct policy_pattern *
policy_match(const struct policy *p, enum policy_scheme scheme, const char *host, uint16_t port);

/*
 * The first pattern that could allow anything to this host on this port (0 = any): whether a DNS
 * name is answered, a SYN accepted.  Or NULL.
 */
const struct policy_pattern *
policy_could_match(const struct policy *p, const char *host, uint16_t port);

/*
 * The first pattern that names this host, whatever its scheme and port say: allow-internal.
 */
const struct policy_pattern *policy_names(const struct policy *p, const char *host);

/*
 * What a host is.  Canonical is just one spelling of each: a name of lower-case labels (RFC 1123
 * 2.1, with underscores; no trailing dot; an international one in its xn-- form; the last label no
 * number, which some parsers take for an address), an IPv4 address in four decimal parts, an IPv6
 * address as RFC 5952 writes it, without brackets or scope id.  host is length bytes of anything.
 */
enum policy_host_kind policy_host_kind(const void *host, size_t length);

#endif
