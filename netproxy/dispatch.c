/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what may arrive from the supervisor: decode and check only. */
#include <errno.h>
#include <string.h>

#include "netproxy/netproxy.h"

#define TIME_MOST (86400u * 1000u)

static bool
is_time(uint32_t ms)
{
	return ms >= 1 && ms <= TIME_MOST;
}

static int
on_setup(void *ctx, const void *body, int *fds, size_t n_fds)
{
	static const enum netproxy_dns modes[] = {
	    [GONDOLIN__NETPROXY_SETUP__DNS__SYNTHETIC] = NETPROXY_DNS_SYNTHETIC,
	    [GONDOLIN__NETPROXY_SETUP__DNS__TRUSTED] = NETPROXY_DNS_TRUSTED,
	    [GONDOLIN__NETPROXY_SETUP__DNS__OPEN] = NETPROXY_DNS_OPEN,
	};
	struct netproxy *np = ctx;
	const Gondolin__NetproxySetup *m = body;

	(void)fds;
	(void)n_fds;
	if (np->mtu != 0 || m->dns == GONDOLIN__NETPROXY_SETUP__DNS__UNSPECIFIED ||
	    m->mtu < STACK_MTU_MIN || m->mtu > STACK_MTU_MAX || !is_time(m->handshake_ms) ||
	    !is_time(m->request_ms) || !is_time(m->idle_ms))
		return -EPROTO;
	np->dns = modes[m->dns];
	np->mtu = m->mtu;
	np->handshake_ms = m->handshake_ms;
	np->request_ms = m->request_ms;
	np->idle_ms = m->idle_ms;
	return 0;
}

/* Hostile or not, what is compared has to be text without an end in the middle. */
static int
copy_text(char *out, size_t size, const ProtobufCBinaryData *from)
{
	if (from->len >= size || memchr(from->data, '\0', from->len) != NULL)
		return -EPROTO;
	if (from->len > 0)
		memcpy(out, from->data, from->len);
	out[from->len] = '\0';
	return 0;
}

static int
add_pattern(struct netproxy *np, const Gondolin__PolicyPattern *p)
{
	static const char *const names[] = {
	    [POLICY_ANY_SCHEME] = "", [POLICY_HTTP] = "http", [POLICY_HTTPS] = "https"};
	char scheme[8], host[POLICY_HOST_MAX + 3], text[POLICY_TEXT_MAX + 1];

	if (copy_text(scheme, sizeof(scheme), &p->scheme) < 0 ||
	    copy_text(host, sizeof(host), &p->host) < 0 ||
	    copy_text(text, sizeof(text), &p->text) < 0 || p->port > UINT16_MAX)
		return -EPROTO;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(scheme, names[i]) == 0)
			return policy_add(&np->policy, (enum policy_scheme)i, host,
			    (uint16_t)p->port, text, p->line);
	return -EPROTO;
}

static int
on_patterns(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__NetproxyPatterns *m = body;
	int rc = 0;

	(void)fds;
	(void)n_fds;
	for (size_t i = 0; i < m->n_patterns && rc == 0; i++)
		rc = add_pattern(ctx, m->patterns[i]);
	return rc;
}

static int
on_tcp(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct netproxy *np = ctx;
	const Gondolin__NetproxyTcp *m = body;
	struct netproxy_tcp *t = &np->tcp[np->n_tcp];

	(void)fds;
	(void)n_fds;
	if (np->n_tcp == NETPROXY_TCP_MAX || m->port == 0 || m->port > UINT16_MAX ||
	    policy_host_kind(m->host.data, m->host.len) == POLICY_HOST_BAD ||
	    copy_text(t->host, sizeof(t->host), &m->host) < 0)
		return -EPROTO;
	t->port = (uint16_t)m->port;
	np->n_tcp++;
	return 0;
}

static int
on_confine(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct netproxy *np = ctx;

	(void)body;
	(void)fds;
	(void)n_fds;
	np->confined = true;
	return np->mtu != 0 ? 0 : -EPROTO;
}

static int
on_serve(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct netproxy *np = ctx;

	(void)body;
	(void)n_fds;
	np->supervisor.state = SUPERVISOR_SERVING;
	return netproxy_start(np, &fds[0], &fds[1]);
}

static const struct ipc_row rows[] = {
    {GONDOLIN__SUP_TO_NETPROXY__BODY_SETUP, "NetproxySetup", SUPERVISOR_SETUP, 0, 0, on_setup},
    {GONDOLIN__SUP_TO_NETPROXY__BODY_PATTERNS, "NetproxyPatterns", SUPERVISOR_POLICY, 0, 0,
	on_patterns},
    {GONDOLIN__SUP_TO_NETPROXY__BODY_TCP, "NetproxyTcp", SUPERVISOR_POLICY, 0, 0, on_tcp},
    {GONDOLIN__SUP_TO_NETPROXY__BODY_CONFINE, "NetproxyConfine", SUPERVISOR_POLICY, 0, 0,
	on_confine},
    {GONDOLIN__SUP_TO_NETPROXY__BODY_SERVE, "NetproxyServe", SUPERVISOR_SERVE, 2, 2, on_serve},
};

const struct ipc_table supervisor_table = {
    .envelope = &gondolin__sup_to_netproxy__descriptor,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};
