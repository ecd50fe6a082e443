/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as messages to netproxy and egress. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "supervisor/network.h"

/* Patterns in one message: with hosts and texts at their longest it stays under IPC_MESSAGE_MAX. */
#define PATTERNS_AT_ONCE 64u

static int
to_netproxy(struct network *n, Gondolin__SupToNetproxy__BodyCase kind, void *body)
{
	Gondolin__SupToNetproxy m = GONDOLIN__SUP_TO_NETPROXY__INIT;

	m.body_case = kind;
	m.setup = body; /* all members of the union are pointers */
	return ipc_channel_send(&n->netproxy, &m.base, NULL, 0);
}

static int
to_egress(struct network *n, Gondolin__SupToEgress__BodyCase kind, void *body)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;

	m.body_case = kind;
	m.setup = body; /* all members of the union are pointers */
	return ipc_channel_send(&n->egress, &m.base, NULL, 0);
}

/* ---- Patterns ---- */

/* A policy in as many messages as it takes: what the next one has; hosts of "*.x" get their star
 * back. */
struct patterns {
	const struct policy *policy;
	Gondolin__PolicyPattern messages[PATTERNS_AT_ONCE], *list[PATTERNS_AT_ONCE];
	char hosts[PATTERNS_AT_ONCE][POLICY_HOST_MAX + 3];
	size_t from, n;
};

static struct patterns *
patterns_new(const struct policy *p)
{
	struct patterns *out = calloc(1, sizeof(*out));

	if (out == NULL)
		abort();
	out->policy = p;
	return out;
}

/* Fills the list with what follows; false where all has been there. */
static bool
patterns_next(struct patterns *out)
{
	static const char *const schemes[] = {
	    [POLICY_ANY_SCHEME] = "", [POLICY_HTTP] = "http", [POLICY_HTTPS] = "https"};
	static const char *const stars[] = {
	    [POLICY_EXACT] = "", [POLICY_BELOW] = "*.", [POLICY_PUBLIC] = "*"};

	for (out->n = 0; out->n < PATTERNS_AT_ONCE && out->from < out->policy->n; out->n++) {
		const struct policy_pattern *v = &out->policy->v[out->from++];
		Gondolin__PolicyPattern *m = &out->messages[out->n];
		char *host = out->hosts[out->n];

		snprintf(host, sizeof(out->hosts[0]), "%s%s", stars[v->kind], v->host);
		gondolin__policy_pattern__init(m);
		m->scheme = ipc_text(schemes[v->scheme]);
		m->host = ipc_text(host);
		m->port = v->port;
		m->text = ipc_text(v->text);
		m->line = v->line;
		out->list[out->n] = m;
	}
	return out->n > 0;
}

static int
patterns_to_netproxy(struct network *n, const struct policy *p)
{
	Gondolin__NetproxyPatterns m = GONDOLIN__NETPROXY_PATTERNS__INIT;
	struct patterns *part = patterns_new(p);
	int rc = 0;

	m.patterns = part->list;
	while (rc == 0 && patterns_next(part)) {
		m.n_patterns = part->n;
		rc = to_netproxy(n, GONDOLIN__SUP_TO_NETPROXY__BODY_PATTERNS, &m);
	}
	free(part);
	return rc;
}

static int
patterns_to_egress(struct network *n, const struct policy *p, Gondolin__EgressPatterns__Kind kind)
{
	Gondolin__EgressPatterns m = GONDOLIN__EGRESS_PATTERNS__INIT;
	struct patterns *part = patterns_new(p);
	int rc = 0;

	m.kind = kind;
	m.patterns = part->list;
	while (rc == 0 && patterns_next(part)) {
		m.n_patterns = part->n;
		rc = to_egress(n, GONDOLIN__SUP_TO_EGRESS__BODY_PATTERNS, &m);
	}
	free(part);
	return rc;
}

/* ---- netproxy ---- */

static int
setup_of_netproxy(struct network *n)
{
	static const Gondolin__NetproxySetup__Dns modes[] = {
	    [CONFIG_DNS_SYNTHETIC] = GONDOLIN__NETPROXY_SETUP__DNS__SYNTHETIC,
	    [CONFIG_DNS_TRUSTED] = GONDOLIN__NETPROXY_SETUP__DNS__TRUSTED,
	    [CONFIG_DNS_OPEN] = GONDOLIN__NETPROXY_SETUP__DNS__OPEN,
	};
	const struct config_network *c = n->config->network;
	Gondolin__NetproxySetup m = GONDOLIN__NETPROXY_SETUP__INIT;

	m.dns = modes[c->dns];
	m.mtu = NETWORK_MTU;
	m.handshake_ms = c->timeouts.handshake * 1000u;
	m.request_ms = c->timeouts.request * 1000u;
	m.idle_ms = c->timeouts.idle * 1000u;
	return to_netproxy(n, GONDOLIN__SUP_TO_NETPROXY__BODY_SETUP, &m);
}

static int
tcp_to_netproxy(struct network *n, const struct config_tcp *tcp)
{
	Gondolin__NetproxyTcp m = GONDOLIN__NETPROXY_TCP__INIT;

	m.host = ipc_text(tcp->from.host);
	m.port = tcp->from.port;
	return to_netproxy(n, GONDOLIN__SUP_TO_NETPROXY__BODY_TCP, &m);
}

/* A request to a secret's host that `allow` does not name passes too: egress refuses it and says
 * why. */
int
network_set_up_netproxy(struct network *n)
{
	const struct config_network *c = n->config->network;
	Gondolin__NetproxyConfine confine = GONDOLIN__NETPROXY_CONFINE__INIT;
	size_t i;
	int rc = setup_of_netproxy(n);

	if (rc == 0)
		rc = patterns_to_netproxy(n, &n->policy.allow);
	for (i = 0; i < n->policy.n_secrets && rc == 0; i++)
		rc = patterns_to_netproxy(n, &n->policy.secret_hosts[i]);
	for (i = 0; i < c->n_tcp && rc == 0; i++)
		rc = tcp_to_netproxy(n, &c->tcp[i]);
	return rc < 0 ? rc : to_netproxy(n, GONDOLIN__SUP_TO_NETPROXY__BODY_CONFINE, &confine);
}

/* ---- egress ---- */

static void
fill_budget(Gondolin__EgressBudget *m, const struct config_budget *c)
{
	gondolin__egress_budget__init(m);
	m->connections = c->connections;
	m->requests = c->requests;
	m->bytes_in = c->bytes_in;
	m->bytes_out = c->bytes_out;
}

static void
fill_timeouts(Gondolin__EgressTimeouts *m, const struct config_timeouts *c)
{
	gondolin__egress_timeouts__init(m);
	m->connect = c->connect * 1000u;
	m->handshake = c->handshake * 1000u;
	m->response = c->response * 1000u;
	m->idle = c->idle * 1000u;
}

static int
setup_of_egress(struct network *n)
{
	static const Gondolin__EgressSetup__Dns modes[] = {
	    [CONFIG_DNS_SYNTHETIC] = GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC,
	    [CONFIG_DNS_TRUSTED] = GONDOLIN__EGRESS_SETUP__DNS__TRUSTED,
	    [CONFIG_DNS_OPEN] = GONDOLIN__EGRESS_SETUP__DNS__OPEN,
	};
	const struct config_network *c = n->config->network;
	Gondolin__EgressSetup m = GONDOLIN__EGRESS_SETUP__INIT;
	Gondolin__EgressBudget budget, host_budget;
	Gondolin__EgressTimeouts timeouts;
	ProtobufCBinaryData servers[CONFIG_WORDS_MAX];
	size_t i;

	for (i = 0; i < c->dns_trusted_server.n; i++)
		servers[i] = ipc_text(c->dns_trusted_server.v[i]);
	fill_budget(&budget, &c->budget);
	fill_budget(&host_budget, &c->host_budget);
	fill_timeouts(&timeouts, &c->timeouts);
	m.dns = modes[c->dns];
	m.servers = servers;
	m.n_servers = c->dns_trusted_server.n;
	m.websockets = c->websockets;
	m.proxy = ipc_text(c->proxy);
	m.budget = &budget;
	m.host_budget = &host_budget;
	m.timeouts = &timeouts;
	m.ca_bundle = ipc_text(c->ca_bundle);
	m.hosts = ipc_text(c->hosts_file);
	return to_egress(n, GONDOLIN__SUP_TO_EGRESS__BODY_SETUP, &m);
}

static int
tcp_to_egress(struct network *n, const struct config_tcp *tcp)
{
	Gondolin__EgressTcp m = GONDOLIN__EGRESS_TCP__INIT;

	m.from_host = ipc_text(tcp->from.host);
	m.from_port = tcp->from.port;
	m.to_host = ipc_text(tcp->to.host);
	m.to_port = tcp->to.port;
	return to_egress(n, GONDOLIN__SUP_TO_EGRESS__BODY_TCP, &m);
}

/* Its value is forgotten here as soon as it is sent. */
static int
secret_to_egress(struct network *n, struct network_secret *s, const struct policy *hosts)
{
	Gondolin__EgressSecret m = GONDOLIN__EGRESS_SECRET__INIT;
	struct patterns *part = patterns_new(hosts);
	int rc;

	(void)patterns_next(part); /* all of them: NETWORK_SECRET_HOSTS_MAX */
	m.hosts = part->list;
	m.n_hosts = part->n;
	m.name = ipc_text(s->config->name);
	m.value = ipc_bytes(s->value, s->length);
	m.placeholder = ipc_text(s->placeholder);
	m.header = (s->config->in & CONFIG_SECRET_HEADER) != 0;
	m.query = (s->config->in & CONFIG_SECRET_QUERY) != 0;
	m.body = (s->config->in & CONFIG_SECRET_BODY) != 0;
	m.plain_http = s->config->plain_http;
	rc = to_egress(n, GONDOLIN__SUP_TO_EGRESS__BODY_SECRET, &m);
	network_secret_forget(s);
	free(part);
	return rc;
}

int
network_set_up_egress(struct network *n)
{
	const struct config_network *c = n->config->network;
	Gondolin__EgressConfine confine = GONDOLIN__EGRESS_CONFINE__INIT;
	size_t i;
	int rc = setup_of_egress(n);

	if (rc == 0)
		rc =
		    patterns_to_egress(n, &n->policy.allow, GONDOLIN__EGRESS_PATTERNS__KIND__ALLOW);
	if (rc == 0)
		rc = patterns_to_egress(
		    n, &n->policy.internal, GONDOLIN__EGRESS_PATTERNS__KIND__INTERNAL);
	for (i = 0; i < n->secrets.n && rc == 0; i++)
		rc = secret_to_egress(n, &n->secrets.v[i], &n->policy.secret_hosts[i]);
	for (i = 0; i < c->n_tcp && rc == 0; i++)
		rc = tcp_to_egress(n, &c->tcp[i]);
	return rc < 0 ? rc : to_egress(n, GONDOLIN__SUP_TO_EGRESS__BODY_CONFINE, &confine);
}
