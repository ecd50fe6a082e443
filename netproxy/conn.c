/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the guest: accepted, classified, handed to a protocol, ended. */
#include "netproxy/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "netproxy/classify.h"
#include "netproxy/netproxy.h"

#define LINGER_US (2u * 1000000u)
#define RULE_MAX  256u
#define DNS_PORT  53u

/* ---- SYNs ---- */

static bool
is_gateway(const struct netproxy *np, const struct stack_endpoint *e)
{
	uint8_t v4[16], v6[16];

	stack_gateway(np->stack, v4, v6);
	return memcmp(e->address, v4, 16) == 0 || memcmp(e->address, v6, 16) == 0;
}

/* With looked-up addresses a name shows only later: then the port must do. */
static bool
could_allow_port(const struct netproxy *np, uint16_t port)
{
	for (size_t i = 0; i < np->policy.n; i++) {
		const struct policy_pattern *p = &np->policy.v[i];

		if (p->port == port)
			return true;
		if (p->port == 0 && ((port == 443 && p->scheme != POLICY_HTTP) ||
					(port == 80 && p->scheme != POLICY_HTTPS)))
			return true;
	}
	for (unsigned i = 0; i < np->n_tcp; i++)
		if (np->tcp[i].port == port)
			return true;
	return false;
}

static bool
may_connect(const struct netproxy *np, const struct flow_addresses *a)
{
	uint16_t port = a->destination.port;
	char text[HTTP_HOST_MAX + 1];
	const char *name;

	if (is_gateway(np, &a->destination))
		return port == DNS_PORT;
	name = names_of_address(np, a->destination.address, text);
	if (name == NULL)
		return false;
	if (netproxy_is_mapped(np, name, port) ||
	    policy_could_match(&np->policy, name, port) != NULL)
		return true;
	return name == text && np->dns != NETPROXY_DNS_SYNTHETIC && could_allow_port(np, port);
}

/* One line for the audit log; name is what the guest asked for, where that is known. */
static void
record_refused(
    struct netproxy *np, const struct flow_addresses *a, const char *name, const char *rule)
{
	Gondolin__NetproxyRecord r = GONDOLIN__NETPROXY_RECORD__INIT;
	char text[HTTP_HOST_MAX + 1], asked[HTTP_HOST_MAX + 1], copy[RULE_MAX + 1];

	(void)names_of_address(NULL, a->destination.address, text);
	strncpy(asked, name, HTTP_HOST_MAX);
	asked[HTTP_HOST_MAX] = '\0';
	strncpy(copy, rule, RULE_MAX);
	copy[RULE_MAX] = '\0';
	r.kind = GONDOLIN__NETPROXY_RECORD__KIND__REFUSED;
	r.name = ipc_text(asked);
	r.address = ipc_text(text);
	r.port = a->destination.port;
	r.rule = ipc_text(copy);
	netproxy_record(np, &r);
}

bool
conn_on_connect(void *context, const struct flow_addresses *a)
{
	struct netproxy *np = context;
	char text[HTTP_HOST_MAX + 1];
	const char *name;

	if (may_connect(np, a))
		return true;
	name = names_of_address(np, a->destination.address, text);
	record_refused(np, a, name != NULL && name != text ? name : "", "not-allowed");
	return false;
}

/* ---- Life ---- */

static void classify_pump(struct conn *c);

static const struct conn_protocol classifying = {.pump = classify_pump};

static void
conn_new(struct netproxy *np, struct flow *f)
{
	struct conn *c = calloc(1, sizeof(*c));
	char text[HTTP_HOST_MAX + 1];
	const char *name;

	if (c == NULL)
		abort();
	c->np = np;
	flow_addresses(f, &c->addresses);
	flow_set_context(f, c);
	stream_init(&c->stream, f, &np->tls);
	c->protocol = &classifying;
	c->active = netproxy_now(np);
	c->deadline = c->active + np->handshake_ms * 1000ull;
	c->next = np->conns;
	if (np->conns != NULL)
		np->conns->previous = c;
	np->conns = c;
	if (!ev_is_active(&np->sweep))
		ev_timer_again(np->loop, &np->sweep);
	name = names_of_address(np, c->addresses.destination.address, text);
	c->destination = name != NULL && name != text ? name : "";
	if (is_gateway(np, &c->addresses.destination))
		names_tcp_start(c);
	else if (name != NULL && netproxy_is_mapped(np, name, c->addresses.destination.port))
		relay_start(c, name);
}

void
conn_on_event(void *context, struct flow *f, unsigned events)
{
	struct conn *c;

	if (events & FLOW_OPENED)
		conn_new(context, f);
	c = flow_context(f);
	if (c == NULL)
		return;
	c->active = netproxy_now(c->np);
	if (events & FLOW_CLOSED)
		conn_abort(c);
	else
		conn_pump(c);
}

void
conn_set_protocol(struct conn *c, const struct conn_protocol *p, void *state)
{
	if (c->protocol->free != NULL)
		c->protocol->free(c);
	c->protocol = p;
	c->state = state;
	c->deadline = UINT64_MAX;
}

void
conn_pump(struct conn *c)
{
	if (!c->dead)
		c->protocol->pump(c);
}

/* The connection's parts end at once; its memory goes when nobody can be using it. */
static void
end(struct conn *c, void (*give_back)(struct flow *f))
{
	struct netproxy *np = c->np;

	if (c->dead)
		return;
	c->dead = true;
	if (c->protocol->free != NULL)
		c->protocol->free(c);
	give_back(c->stream.flow);
	stream_clear(&c->stream);
	if (c->previous != NULL)
		c->previous->next = c->next;
	else
		np->conns = c->next;
	if (c->next != NULL)
		c->next->previous = c->previous;
	c->dead_next = np->dead;
	np->dead = c;
}

void
conn_close(struct conn *c)
{
	if (!c->dead)
		stream_shutdown(&c->stream);
	end(c, flow_close);
}

void
conn_abort(struct conn *c)
{
	end(c, flow_abort);
}

void
conn_reap(struct netproxy *np)
{
	while (np->dead != NULL) {
		struct conn *c = np->dead;

		np->dead = c->dead_next;
		free(c);
	}
}

/* ---- The end of a connection whose guest has not finished ---- */

static void
linger_pump(struct conn *c)
{
	struct iovec iov[2];
	unsigned pieces;
	size_t n;

	while ((n = flow_peek(c->stream.flow, iov, &pieces)) > 0)
		flow_consume(c->stream.flow, n);
	if (flow_ended(c->stream.flow))
		end(c, flow_close);
}

static void
linger_late(struct conn *c)
{
	end(c, flow_close);
}

static const struct conn_protocol lingering = {.pump = linger_pump, .late = linger_late};

void
conn_linger(struct conn *c)
{
	if (c->dead)
		return;
	stream_shutdown(&c->stream);
	conn_set_protocol(c, &lingering, NULL);
	c->deadline = netproxy_now(c->np) + LINGER_US;
	linger_pump(c);
}

void
conn_sweep(struct netproxy *np)
{
	uint64_t now = netproxy_now(np), idle = np->idle_ms * 1000ull;
	struct conn *next;

	for (struct conn *c = np->conns; c != NULL; c = next) {
		next = c->next;
		if (now >= c->deadline && c->protocol->late != NULL) {
			c->deadline = UINT64_MAX;
			c->protocol->late(c);
		} else if (now >= c->deadline || now - c->active >= idle) {
			if (now >= c->deadline)
				conn_record(c, "too-slow");
			conn_abort(c);
		}
	}
}

void
conn_record(struct conn *c, const char *rule)
{
	record_refused(c->np, &c->addresses, c->sni[0] != '\0' ? c->sni : c->destination, rule);
}

void
conn_record_bad(struct conn *c, unsigned status, const char *why)
{
	Gondolin__NetproxyRecord r = GONDOLIN__NETPROXY_RECORD__INIT;

	r.kind = GONDOLIN__NETPROXY_RECORD__KIND__BAD_REQUEST;
	r.status = status;
	r.name = ipc_text(c->sni[0] != '\0' ? c->sni : c->destination);
	r.port = c->addresses.destination.port;
	r.rule = ipc_text(why);
	netproxy_record(c->np, &r);
}

/* ---- First bytes ---- */

/* The flow's first bytes in one piece: in place, or in the scratch buffer. */
static const uint8_t *
first_bytes(struct conn *c, size_t *n)
{
	struct iovec iov[2];
	unsigned pieces;
	size_t have = flow_peek(c->stream.flow, iov, &pieces), done = 0;

	*n = have < sizeof(c->np->out) ? have : sizeof(c->np->out);
	if (pieces <= 1)
		return have > 0 ? iov[0].iov_base : c->np->out;
	for (unsigned i = 0; i < pieces && done < *n; i++) {
		size_t m = iov[i].iov_len < *n - done ? iov[i].iov_len : *n - done;

		memcpy(c->np->out + done, iov[i].iov_base, m);
		done += m;
	}
	return c->np->out;
}

static void
handshake_pump(struct conn *c)
{
	int rc = stream_handshake(&c->stream);

	if (rc < 0) {
		conn_record(c, "tls-handshake");
		conn_abort(c);
	} else if (rc > 0 && stream_is_h2(&c->stream)) {
		http2_start(c);
	} else if (rc > 0) {
		http1_start(c);
	}
}

static const struct conn_protocol handshaking = {.pump = handshake_pump};

static void
start_tls(struct conn *c, const uint8_t *bytes, size_t n)
{
	struct client_hello h;
	char text[HTTP_HOST_MAX + 1];
	const char *name = NULL;
	uint64_t deadline = c->deadline;
	int rc = client_hello_parse(&h, bytes, n, c->np->hello);

	if (rc == CLIENT_HELLO_MORE && n < 2 * CLIENT_HELLO_MAX && !flow_ended(c->stream.flow))
		return;
	if (rc != CLIENT_HELLO_OK) {
		conn_record(c, "tls-client-hello");
		conn_abort(c);
		return;
	}
	if (h.has_name) {
		snprintf(c->sni, sizeof(c->sni), "%s", h.name);
		name = c->sni;
	} else {
		name = names_of_address(c->np, c->addresses.destination.address, text);
	}
	if (name == NULL || stream_start_tls(&c->stream, name, h.alpn_h2, h.alpn_http1) < 0) {
		conn_abort(c);
		return;
	}
	conn_set_protocol(c, &handshaking, NULL);
	c->deadline = deadline;
	handshake_pump(c);
}

static void
classify_pump(struct conn *c)
{
	size_t n;
	const uint8_t *bytes = first_bytes(c, &n);

	switch (classify(bytes, n)) {
	case CLASSIFY_MORE:
		if (flow_ended(c->stream.flow))
			conn_close(c);
		return;
	case CLASSIFY_HTTP1:
		http1_start(c);
		return;
	case CLASSIFY_HTTP2:
		http2_start(c);
		return;
	case CLASSIFY_TLS:
		start_tls(c, bytes, n);
		return;
	case CLASSIFY_SSH:
		conn_record(c, "ssh-not-configured");
		break;
	case CLASSIFY_NONE:
		conn_record(c, "unknown-protocol");
		break;
	}
	conn_abort(c);
}
