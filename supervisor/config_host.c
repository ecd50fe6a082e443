/* SPDX-License-Identifier: Apache-2.0 */
/* Host patterns and endpoints. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "egress/policy.h"
#include "supervisor/config_value.h"

#define NAME_MAX_BYTES 253u /* RFC 1035 2.3.4, without the dots at the ends */

/* The parts of [scheme://]host[:port], not yet judged.  host is lower case and without brackets. */
struct parts {
	char scheme[8]; /* "" = absent */
	char host[NAME_MAX_BYTES + 1];
	bool bracketed;
	bool has_port;
	uint16_t port;
};

static bool
parse_port(const char *text, uint16_t *port)
{
	unsigned v = 0;
	size_t n;

	for (n = 0; text[n] >= '0' && text[n] <= '9' && n < 5; n++)
		v = v * 10 + (unsigned)(text[n] - '0');
	if (n == 0 || text[n] != '\0' || v > UINT16_MAX || (n > 1 && text[0] == '0'))
		return false;
	*port = (uint16_t)v;
	return true;
}

static bool
split(const char *text, struct parts *p)
{
	const char *colons = strstr(text, "://"), *end;
	size_t i, n;

	memset(p, 0, sizeof(*p));
	if (colons != NULL) {
		n = (size_t)(colons - text);
		if (n == 0 || n >= sizeof(p->scheme))
			return false;
		memcpy(p->scheme, text, n);
		text = colons + 3;
	}
	p->bracketed = *text == '[';
	if (p->bracketed)
		text++;
	n = strcspn(text, p->bracketed ? "]" : ":");
	if (n == 0 || n > NAME_MAX_BYTES)
		return false;
	for (i = 0; i < n; i++)
		p->host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	end = text + n;
	if (p->bracketed && *end++ != ']')
		return false;
	p->has_port = *end == ':';
	return p->has_port ? parse_port(end + 1, &p->port) : *end == '\0';
}

static bool
name_is_valid(const char *s)
{
	return policy_host_kind(s, strlen(s)) == POLICY_HOST_NAME;
}

static bool
address_is_valid(const char *s, bool v6)
{
	unsigned char bytes[16];

	/* inet_pton takes just four decimal parts, and no scope id. */
	return inet_pton(v6 ? AF_INET6 : AF_INET, s, bytes) == 1;
}

static bool
host_is_allowed(const struct parts *p, unsigned flags)
{
	if (p->bracketed)
		return (flags & CONFIG_HOST_ADDRESS) != 0 && address_is_valid(p->host, true);
	if (strcmp(p->host, "*") == 0)
		return (flags & CONFIG_HOST_ANY) != 0;
	if (strncmp(p->host, "*.", 2) == 0)
		return (flags & CONFIG_HOST_WILD) != 0 && name_is_valid(p->host + 2);
	return name_is_valid(p->host) ||
	       ((flags & CONFIG_HOST_ADDRESS) != 0 && address_is_valid(p->host, false));
}

static const char *
known_scheme(const char *s)
{
	static const char *const schemes[] = {"", "http", "https"};
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strcmp(s, schemes[i]) == 0)
			return schemes[i];
	return NULL;
}

static const char *
host_hint(const char *text)
{
	const char *slashes = strstr(text, "://"), *host = slashes != NULL ? slashes + 3 : text;

	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return " (an international name in its xn-- form)";
	if (strchr(host, '/') != NULL)
		return " (a host, no path)";
	if (strchr(host, '@') != NULL)
		return " (no user name)";
	if (*host != '\0' && host[strlen(host) - 1] == '.')
		return " (no dot at the end)";
	return "";
}

const char *
config_read_host(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const struct config_host_rule *rule = arg;
	struct config_host *h = out;
	struct parts p;

	if (!split(text, &p) || !host_is_allowed(&p, rule->flags) ||
	    known_scheme(p.scheme) == NULL ||
	    (p.scheme[0] != '\0' && (rule->flags & CONFIG_HOST_SCHEME) == 0) ||
	    (p.has_port && ((rule->flags & CONFIG_HOST_PORT) == 0 || p.port == 0)))
		return config_why(r, "not a host pattern%s; use %s", host_hint(text), rule->use);
	*h = (struct config_host){
	    .text = config_strndup(r->config, text, strlen(text)),
	    .scheme = known_scheme(p.scheme),
	    .host = config_strndup(r->config, p.host, strlen(p.host)),
	    .port = p.port,
	    .line = strcmp(r->config->name, CONFIG_OPTIONS_NAME) == 0 ? 0 : r->line,
	};
	return NULL;
}

const char *
config_read_endpoint(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const struct config_endpoint_rule *rule = arg;
	struct config_endpoint *e = out;
	struct parts p;
	bool valid;

	valid = split(text, &p) && p.scheme[0] == '\0' && p.has_port && p.port >= rule->port_min;
	if (valid)
		valid = address_is_valid(p.host, p.bracketed) ||
			(rule->names && !p.bracketed && name_is_valid(p.host));
	if (!valid)
		return config_why(r, "not an endpoint; use %s", rule->use);
	e->host = config_strndup(r->config, p.host, strlen(p.host));
	e->port = p.port;
	return NULL;
}

const char *
config_read_server(struct config_reader *r, const char *text, void *out, const void *arg)
{
	struct parts p;

	/* A bare IPv6 address is clear without brackets where no port follows. */
	if (!address_is_valid(text, true) &&
	    (!split(text, &p) || p.scheme[0] != '\0' || !address_is_valid(p.host, p.bracketed) ||
		(p.has_port && p.port == 0)))
		return "not a resolver's address; use \"192.0.2.1\", \"192.0.2.1:53\", "
		       "\"2001:db8::1\" or \"[2001:db8::1]:53\"";
	return config_read_text(r, text, out, arg);
}

const char *
config_read_proxy(struct config_reader *r, const char *text, void *out, const void *arg)
{
	struct parts p;

	if (!split(text, &p) || strcmp(p.scheme, "http") != 0 || !p.has_port || p.port == 0 ||
	    !(address_is_valid(p.host, p.bracketed) || (!p.bracketed && name_is_valid(p.host))))
		return "not a proxy; use \"http://HOST:PORT\"";
	return config_read_text(r, text, out, arg);
}
