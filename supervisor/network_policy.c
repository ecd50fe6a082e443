/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration to policy. */
#include "supervisor/network_policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config_grammar.h"

_Static_assert(CONFIG_SECTIONS_MAX <= NETWORK_SECRETS_MAX, "egress takes all secrets");

struct place {
	const struct config *config;
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 3, 4)))
refuse(const struct place *at, unsigned line, const char *format, ...)
{
	int n = snprintf(at->error, at->size, "%s:%u: network: ", at->config->name, line);
	va_list ap;

	va_start(ap, format);
	if (n > 0 && (size_t)n < at->size)
		vsnprintf(at->error + n, at->size - (size_t)n, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* Configuration knows "ssh" as well, which no list of this section may hold. */
static enum policy_scheme
scheme_of(const struct config_host *h)
{
	if (strcmp(h->scheme, "https") == 0)
		return POLICY_HTTPS;
	return strcmp(h->scheme, "http") == 0 ? POLICY_HTTP : POLICY_ANY_SCHEME;
}

static int
add_all(struct policy *p, const struct config_hosts *hosts, const struct place *at)
{
	char text[POLICY_TEXT_MAX + 1];
	size_t i;
	int rc;

	for (i = 0; i < hosts->n; i++) {
		const struct config_host *h = &hosts->v[i];

		snprintf(text, sizeof(text), "%s", h->text);
		rc = policy_add(p, scheme_of(h), h->host, h->port, text, h->line);
		if (rc == -E2BIG)
			return refuse(at, h->line, "more than %u hosts", POLICY_PATTERNS_MAX);
		if (rc < 0)
			return refuse(at, h->line,
			    "\"%.100s\": not a host as a request could name it; write the name in "
			    "lower case, or an address in its shortest form",
			    h->text);
	}
	return 0;
}

static int
check_endpoint(const struct config_endpoint *e, unsigned line, const struct place *at)
{
	if (policy_host_kind(e->host, strlen(e->host)) != POLICY_HOST_BAD)
		return 0;
	return refuse(
	    at, line, "tcp: \"%.100s\" is no name and no address in its shortest form", e->host);
}

static int
check_tcp(const struct config_network *n, const struct place *at)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < n->n_tcp && rc == 0; i++) {
		rc = check_endpoint(&n->tcp[i].from, n->tcp[i].line, at);
		if (rc == 0)
			rc = check_endpoint(&n->tcp[i].to, n->tcp[i].line, at);
	}
	return rc;
}

static int
add_secrets(struct network_policy *p, const struct config_network *n, const struct place *at)
{
	size_t i;
	int rc = 0;

	p->secret_hosts = calloc(n->n_secrets + 1, sizeof(*p->secret_hosts));
	if (p->secret_hosts == NULL)
		abort();
	p->n_secrets = n->n_secrets;
	for (i = 0; i < n->n_secrets && rc == 0; i++) {
		const struct config_secret *s = &n->secrets[i];

		if (s->hosts.n > NETWORK_SECRET_HOSTS_MAX)
			return refuse(at, s->line, "secret \"%.100s\" has more than %u hosts",
			    s->name, NETWORK_SECRET_HOSTS_MAX);
		rc = add_all(&p->secret_hosts[i], &s->hosts, at);
	}
	return rc;
}

int
network_policy_build(
    struct network_policy *p, const struct config *c, char *error, size_t error_size)
{
	const struct place at = {c, error, error_size};
	int rc;

	memset(p, 0, sizeof(*p));
	rc = add_all(&p->allow, &c->network->allow, &at);
	if (rc == 0)
		rc = add_all(&p->internal, &c->network->allow_internal, &at);
	if (rc == 0)
		rc = add_secrets(p, c->network, &at);
	if (rc == 0)
		rc = check_tcp(c->network, &at);
	if (rc < 0)
		network_policy_clear(p);
	return rc;
}

void
network_policy_clear(struct network_policy *p)
{
	size_t i;

	policy_clear(&p->allow);
	policy_clear(&p->internal);
	for (i = 0; i < p->n_secrets; i++)
		policy_clear(&p->secret_hosts[i]);
	free(p->secret_hosts);
	memset(p, 0, sizeof(*p));
}
