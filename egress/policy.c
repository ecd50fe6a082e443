/* SPDX-License-Identifier: Apache-2.0 */
/* Pattern matching and canonical hosts. */
#include "egress/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX  63u
#define HTTP_PORT  80u
#define HTTPS_PORT 443u

void
policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
}

void
policy_clear(struct policy *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		free(p->v[i].host);
		free(p->v[i].text);
	}
	free(p->v);
	policy_init(p);
}

static bool
label_is_valid(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-' ||
			s[i] == '_'))
			return false;
	return true;
}

/* "10.1", "0x7f.1", "017700000001": what inet_aton(3) would take for an address. */
static bool
label_is_number(const char *s, size_t n)
{
	if (strspn(s, "0123456789") >= n)
		return true;
	return n >= 2 && s[0] == '0' && s[1] == 'x' && strspn(s + 2, "0123456789abcdef") >= n - 2;
}

/* RFC 1123 2.1, with the underscore that is met in the wild. */
static bool
name_is_valid(const char *s)
{
	size_t n;

	for (;; s += n + 1) {
		n = strcspn(s, ".");
		if (!label_is_valid(s, n))
			return false;
		if (s[n] == '\0')
			return !label_is_number(s, n);
	}
}

/* An address is canonical where writing what was read gives the same text. */
static bool
address_is_canonical(int family, const char *s)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char again[INET6_ADDRSTRLEN];

	return inet_pton(family, s, bytes) == 1 &&
	       inet_ntop(family, bytes, again, sizeof(again)) != NULL && strcmp(s, again) == 0;
}

enum policy_host_kind
policy_host_kind(const void *host, size_t length)
{
	char s[POLICY_HOST_MAX + 1];

	if (length == 0 || length > POLICY_HOST_MAX || memchr(host, '\0', length) != NULL)
		return POLICY_HOST_BAD;
	memcpy(s, host, length);
	s[length] = '\0';
	if (strchr(s, ':') != NULL)
		return address_is_canonical(AF_INET6, s) ? POLICY_HOST_IPV6 : POLICY_HOST_BAD;
	if (address_is_canonical(AF_INET, s))
		return POLICY_HOST_IPV4;
	return name_is_valid(s) ? POLICY_HOST_NAME : POLICY_HOST_BAD;
}

/* Fills kind and the part of host that is compared; NULL where host is no pattern. */
static const char *
pattern_host(struct policy_pattern *p, const char *host)
{
	if (strcmp(host, "*") == 0) {
		p->kind = POLICY_PUBLIC;
		return "";
	}
	if (strncmp(host, "*.", 2) == 0) {
		p->kind = POLICY_BELOW;
		host += 2;
		return policy_host_kind(host, strlen(host)) == POLICY_HOST_NAME ? host : NULL;
	}
	p->kind = POLICY_EXACT;
	return policy_host_kind(host, strlen(host)) != POLICY_HOST_BAD ? host : NULL;
}

int
policy_add(struct policy *p, enum policy_scheme scheme, const char *host, uint16_t port,
    const char *text, unsigned line)
{
	struct policy_pattern new = {.scheme = scheme, .port = port, .line = line};
	const char *part = pattern_host(&new, host);

	if (part == NULL || strlen(text) > POLICY_TEXT_MAX)
		return -EINVAL;
	if (p->n >= POLICY_PATTERNS_MAX)
		return -E2BIG;
	if (p->n == p->capacity) {
		p->capacity = p->capacity > 0 ? 2 * p->capacity : 16;
		p->v = reallocarray(p->v, p->capacity, sizeof(*p->v));
		if (p->v == NULL)
			abort();
	}
	new.host = strdup(part);
	new.text = strdup(text);
	if (new.host == NULL || new.text == NULL)
		abort();
	p->v[p->n++] = new;
	return 0;
}

/*
 * Names that no public DNS has (RFC 6761, 6762, 7686, 8375, 9476, and ICANN's .internal), and names
 * of one label, which only a search list or a hosts file could mean.
 */
static bool
name_is_public(const char *name)
{
	static const char *const special[] = {
	    "localhost", "local", "internal", "invalid", "onion", "alt", "home.arpa"};
	size_t i, n = strlen(name), m;

	if (strchr(name, '.') == NULL)
		return false;
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		m = strlen(special[i]);
		if (n >= m && strcmp(name + n - m, special[i]) == 0 &&
		    (n == m || name[n - m - 1] == '.'))
			return false;
	}
	return true;
}

static bool
host_matches(const struct policy_pattern *p, const char *host, enum policy_host_kind kind)
{
	size_t n = strlen(host), m = strlen(p->host);

	switch (p->kind) {
	case POLICY_EXACT:
		return strcmp(p->host, host) == 0;
	case POLICY_BELOW:
		return kind == POLICY_HOST_NAME && n > m + 1 && host[n - m - 1] == '.' &&
		       strcmp(host + n - m, p->host) == 0;
	case POLICY_PUBLIC:
		return kind == POLICY_HOST_NAME && name_is_public(host);
	}
	return false;
}

static bool
service_matches(const struct policy_pattern *p, enum policy_scheme scheme, uint16_t port)
{
	uint16_t own = scheme == POLICY_HTTPS ? HTTPS_PORT : HTTP_PORT;

	if (p->scheme != POLICY_ANY_SCHEME && p->scheme != scheme)
		return false;
	return port == (p->port != 0 ? p->port : own);
}

const struct policy_pattern *
policy_match(const struct policy *p, enum policy_scheme scheme, const char *host, uint16_t port)
{
	enum policy_host_kind kind = policy_host_kind(host, strlen(host));
	size_t i;

	if (kind == POLICY_HOST_BAD || scheme == POLICY_ANY_SCHEME)
		return NULL;
	for (i = 0; i < p->n; i++)
		if (service_matches(&p->v[i], scheme, port) && host_matches(&p->v[i], host, kind))
			return &p->v[i];
	return NULL;
}

const struct policy_pattern *
policy_could_match(const struct policy *p, const char *host, uint16_t port)
{
	const struct policy_pattern *found;

	if (port == 0)
		return policy_names(p, host);
	found = policy_match(p, POLICY_HTTPS, host, port);
	return found != NULL ? found : policy_match(p, POLICY_HTTP, host, port);
}

const struct policy_pattern *
policy_names(const struct policy *p, const char *host)
{
	enum policy_host_kind kind = policy_host_kind(host, strlen(host));
	size_t i;

	for (i = 0; kind != POLICY_HOST_BAD && i < p->n; i++)
		if (host_matches(&p->v[i], host, kind))
			return &p->v[i];
	return NULL;
}
