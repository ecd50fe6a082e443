/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HTTP/1.1 and HTTP/2 share: the spelling of methods, fields, authorities and targets.
 *
 * All text is written by the untrusted guest.  There is one spelling that passes for each meaning;
 * every other is refused, since what another program reads in it cannot be known.
 */
#ifndef GONDOLIN_NETPROXY_HTTP_SYNTAX_H
#define GONDOLIN_NETPROXY_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HOST_MAX   253u
#define HTTP_METHOD_MAX 32u

/* A piece of a buffer that somebody else holds; not terminated. */
struct http_text {
	const char *s;
	size_t n;
};

struct http_field {
	struct http_text name; /* lower case */
	struct http_text value;
};

/* A text from a string literal, and comparisons with lower-case literals. */
#define HTTP_TEXT(literal)                   \
	(struct http_text)                   \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
bool http_text_is(struct http_text t, const char *s);
bool http_text_is_nocase(struct http_text t, const char *lower);

/* RFC 9110 5.6.2. */
bool http_is_token_char(unsigned char c);
bool http_is_token(struct http_text t);

/* RFC 9110 5.5: visible characters, obs-text, and space and tab within; no other control. */
bool http_is_field_value(struct http_text t);

/* Methods: a token of upper-case letters and "-", HTTP_METHOD_MAX at most.  Not CONNECT. */
bool http_is_method(struct http_text t);

/*
 * A target in origin form, path and query (RFC 9112 3.2.1).  Refused: anything but visible ASCII;
 * "#" and "\"; a "%" that two hexadecimal digits do not follow, %00; a segment that is "." or ".."
 * in any spelling (%2e), parameters after ";" aside.
 */
bool http_is_origin_target(struct http_text t);

struct http_authority {
	char host[HTTP_HOST_MAX + 1]; /* canonical: see http_host_canonical */
	uint16_t port;                /* 0 = not given */
};

/*
 * A host name or address literal in the one form that is compared: names in lower case; IPv4 in
 * four decimal parts; IPv6 as inet_ntop writes it, without brackets.  Input: a name of letters,
 * digits, "-" and "_" in labels of 1 to 63 (no trailing dot, no other bytes), an IPv4 address that
 * is canonical already (a last label that reads as a number is one or is refused), or an IPv6
 * address in brackets (no scope).  Returns 0 or -EINVAL.
 */
int http_host_canonical(struct http_text t, char out[HTTP_HOST_MAX + 1]);

/* host [":" port], no user (RFC 9110 7.2).  Returns 0 or -EINVAL. */
int http_authority_parse(struct http_text t, struct http_authority *a);

#endif
