/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP/1.1 and HTTP/2 share: the spelling of methods, fields, authorities and targets. */
#include "netproxy/http_syntax.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "egress/policy.h"

bool
http_text_is(struct http_text t, const char *s)
{
	return t.n == strlen(s) && memcmp(t.s, s, t.n) == 0;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool
http_text_is_nocase(struct http_text t, const char *s)
{
	if (t.n != strlen(s))
		return false;
	for (size_t i = 0; i < t.n; i++)
		if (lower(t.s[i]) != s[i])
			return false;
	return true;
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(unsigned char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

bool
http_is_token_char(unsigned char c)
{
	return is_alpha(c) || is_digit(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool
http_is_token(struct http_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (!http_is_token_char((unsigned char)t.s[i]))
			return false;
	return t.n > 0;
}

bool
http_is_field_value(struct http_text t)
{
	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.s[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return t.n == 0 ||
	       (t.s[0] != ' ' && t.s[0] != '\t' && t.s[t.n - 1] != ' ' && t.s[t.n - 1] != '\t');
}

bool
http_is_method(struct http_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if ((t.s[i] < 'A' || t.s[i] > 'Z') && t.s[i] != '-')
			return false;
	return t.n > 0 && t.n <= HTTP_METHOD_MAX && !http_text_is(t, "CONNECT");
}

/* ---- Targets ---- */

static int
hex_value(char c)
{
	if (is_digit((unsigned char)c))
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A segment that a server could take for "." or "..", whatever it decodes or cuts off first. */
static bool
is_dot_segment(const char *s, size_t n)
{
	unsigned dots = 0;

	for (size_t i = 0; i < n && s[i] != ';'; i++) {
		if (s[i] == '%' && n - i >= 3 && s[i + 1] == '2' && lower(s[i + 2]) == 'e')
			i += 2;
		else if (s[i] != '.')
			return false;
		dots++;
	}
	return dots == 1 || dots == 2;
}

static bool
is_target_text(struct http_text t)
{
	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.s[i];
		int high, low;

		if (c <= 0x20 || c >= 0x7f || c == '#' || c == '\\')
			return false;
		if (c != '%')
			continue;
		if (t.n - i < 3)
			return false;
		high = hex_value(t.s[i + 1]);
		low = hex_value(t.s[i + 2]);
		if (high < 0 || low < 0 || high + low == 0)
			return false;
	}
	return true;
}

bool
http_is_origin_target(struct http_text t)
{
	size_t start = 1;

	if (t.n == 0 || t.s[0] != '/' || !is_target_text(t))
		return false;
	for (size_t i = 1; i <= t.n; i++) {
		if (i < t.n && t.s[i] != '/' && t.s[i] != '?')
			continue;
		if (is_dot_segment(t.s + start, i - start))
			return false;
		if (i < t.n && t.s[i] == '?')
			break;
		start = i + 1;
	}
	return true;
}

/* ---- Hosts ---- */

static int
canonical_v6(struct http_text t, char out[HTTP_HOST_MAX + 1])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (t.n < 4 || t.s[t.n - 1] != ']' || t.n - 2 >= sizeof(text))
		return -EINVAL;
	memcpy(text, t.s + 1, t.n - 2);
	text[t.n - 2] = '\0';
	if (strlen(text) != t.n - 2 || inet_pton(AF_INET6, text, &a) != 1)
		return -EINVAL;
	return inet_ntop(AF_INET6, &a, out, HTTP_HOST_MAX + 1) != NULL ? 0 : -EINVAL;
}

int
http_host_canonical(struct http_text t, char out[HTTP_HOST_MAX + 1])
{
	enum policy_host_kind kind;

	if (t.n == 0 || t.n > HTTP_HOST_MAX)
		return -EINVAL;
	if (t.s[0] == '[')
		return canonical_v6(t, out);
	for (size_t i = 0; i < t.n; i++)
		out[i] = lower(t.s[i]);
	out[t.n] = '\0';
	kind = policy_host_kind(out, t.n);
	return kind == POLICY_HOST_NAME || kind == POLICY_HOST_IPV4 ? 0 : -EINVAL;
}

int
http_authority_parse(struct http_text t, struct http_authority *a)
{
	size_t host = t.n;
	unsigned port = 0;

	for (size_t i = t.n; i > 0 && t.n - i < 6; i--) {
		if (t.s[i - 1] == ']')
			break;
		if (t.s[i - 1] == ':') {
			host = i - 1;
			break;
		}
	}
	a->port = 0;
	if (host < t.n) {
		if (host + 1 == t.n || t.s[host + 1] == '0')
			return -EINVAL;
		for (size_t i = host + 1; i < t.n; i++) {
			if (!is_digit((unsigned char)t.s[i]))
				return -EINVAL;
			port = port * 10 + (unsigned)(t.s[i] - '0');
		}
		if (port > 65535)
			return -EINVAL;
		a->port = (uint16_t)port;
	}
	return http_host_canonical((struct http_text){t.s, host}, a->host);
}
