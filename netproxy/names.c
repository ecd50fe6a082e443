/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's resolver, by UDP and TCP, at the gateway's addresses.
 *
 * Whatever the mode, a name that no rule could allow is refused here, and nothing about it leaves.
 * With synthetic addresses nothing ever does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "netproxy/netproxy.h"

#define DNS_PORT      53u
#define SYNTHETIC_TTL 60u
#define TCP_MOST      4096u /* bytes of a query by TCP: one question and EDNS */
#define TYPE_ANY      255u
#define PACKET_MAX    16384u

/* ---- Addresses and names ---- */

const char *
names_of_address(const struct netproxy *np, const uint8_t address[16], char text[HTTP_HOST_MAX + 1])
{
	if (np != NULL && np->dns == NETPROXY_DNS_SYNTHETIC &&
	    synthetic_contains(np->synthetic, address))
		return synthetic_name(np->synthetic, address);
	if (stack_address_is_v4(address))
		return inet_ntop(AF_INET, address + 12, text, HTTP_HOST_MAX + 1);
	return inet_ntop(AF_INET6, address, text, HTTP_HOST_MAX + 1);
}

static void
record(struct netproxy *np, const struct dns_query *q, unsigned rcode)
{
	Gondolin__NetproxyRecord r = GONDOLIN__NETPROXY_RECORD__INIT;
	char name[DNS_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s", q->name);
	r.kind = GONDOLIN__NETPROXY_RECORD__KIND__DNS;
	r.name = ipc_text(name);
	r.type = q->type;
	r.status = rcode;
	netproxy_record(np, &r);
}

static bool
is_wanted(const struct netproxy *np, const struct dns_query *q)
{
	if (!q->host || q->type == TYPE_ANY)
		return false;
	if (np->dns == NETPROXY_DNS_OPEN)
		return true;
	return policy_could_match(&np->policy, q->name, 0) != NULL ||
	       netproxy_is_mapped(np, q->name, 0);
}

/* Fills in what needs nobody else.  Returns false where egress has to be asked. */
static bool
answer_at_once(struct netproxy *np, const struct dns_query *q, int rcode, struct dns_answer *a)
{
	struct synthetic_addresses both;
	int rc;

	memset(a, 0, sizeof(*a));
	a->rcode = (uint16_t)rcode;
	if (rcode != DNS_NOERROR)
		return true;
	if (!is_wanted(np, q)) {
		a->rcode = DNS_REFUSED;
		return true;
	}
	/* Other types of a name that exists are there, and empty: no keys for ECH in particular. */
	if (q->type != DNS_A && q->type != DNS_AAAA && np->dns != NETPROXY_DNS_OPEN)
		return true;
	if (q->type == DNS_HTTPS || q->type == DNS_SVCB)
		return true;
	if (np->dns != NETPROXY_DNS_SYNTHETIC)
		return false;
	rc = synthetic_assign(np->synthetic, q->name, &both);
	if (rc < 0) {
		a->rcode = DNS_REFUSED;
		return true;
	}
	a->ttl = SYNTHETIC_TTL;
	a->n = 1;
	memcpy(a->addresses[0], q->type == DNS_A ? both.v4 : both.v6, q->type == DNS_A ? 4 : 16);
	return true;
}

/* ---- Lookups ---- */

struct names_tcp;

/* A question that egress was asked for, and who waits: a datagram's sender, or a connection. */
struct lookup {
	struct outbound_lookup outbound;
	struct netproxy *np;
	struct flow_addresses addresses;
	struct names_tcp *tcp; /* NULL: by UDP */
	struct dns_query query;
	uint8_t question[DNS_NAME_MAX + 8];
};

static void tcp_answered(struct names_tcp *t, const uint8_t *bytes, size_t n);

static size_t
udp_size(const struct dns_query *q)
{
	return q->udp_size < DNS_UDP_MAX ? q->udp_size : DNS_UDP_MAX;
}

static void
deliver(struct lookup *l, const uint8_t *bytes, size_t n)
{
	if (l->tcp != NULL)
		tcp_answered(l->tcp, bytes, n);
	else
		(void)stack_datagram(l->np->stack, &l->addresses, bytes, n);
}

static void
on_resolved(struct outbound_lookup *o, const Gondolin__OutboundResolved *m)
{
	struct lookup *l = (struct lookup *)((char *)o - offsetof(struct lookup, outbound));
	size_t each = l->query.type == DNS_A ? 4 : 16;
	struct dns_answer a = {.rcode = DNS_SERVFAIL};
	uint8_t *out = l->np->out;
	size_t n;

	l->np->n_lookups--;
	if (m != NULL) {
		a.rcode = (uint16_t)m->rcode;
		a.ttl = m->ttl;
		for (size_t i = 0; i < m->n_addresses && a.n < DNS_ADDRESSES; i++)
			if (m->addresses[i].len == each)
				memcpy(a.addresses[a.n++], m->addresses[i].data, each);
	}
	record(l->np, &l->query, a.rcode);
	if (m != NULL && m->packet.len >= 12 &&
	    (l->tcp != NULL || m->packet.len <= udp_size(&l->query))) {
		n = m->packet.len;
		memcpy(out, m->packet.data, n);
		out[0] = (uint8_t)(l->query.id >> 8);
		out[1] = (uint8_t)l->query.id;
	} else {
		n = dns_answer_write(&l->query, &a, out, udp_size(&l->query));
		if (m != NULL && m->packet.len >= 12)
			out[2] |= 2; /* TC: what does not fit comes by TCP */
	}
	deliver(l, out, n);
	free(l);
}

/* Returns the lookup, or NULL where too many are under way. */
static struct lookup *
look_up(struct netproxy *np, const struct dns_query *q)
{
	struct lookup *l;

	if (np->n_lookups == NETPROXY_LOOKUPS_MAX || q->question_n > sizeof(l->question))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		abort();
	l->np = np;
	l->query = *q;
	memcpy(l->question, q->question, q->question_n);
	l->query.question = l->question;
	l->outbound.done = on_resolved;
	if (outbound_resolve(&np->outbound, &l->outbound, q->name, q->type) < 0) {
		free(l);
		return NULL;
	}
	np->n_lookups++;
	return l;
}

/* ---- UDP ---- */

bool
names_on_datagram(
    struct netproxy *np, const struct flow_addresses *a, const uint8_t *bytes, size_t n)
{
	uint8_t v4[16], v6[16], out[DNS_UDP_MAX];
	struct dns_answer answer;
	struct lookup *l;
	struct dns_query q;
	int rcode;

	stack_gateway(np->stack, v4, v6);
	if (a->destination.port != DNS_PORT || (memcmp(a->destination.address, v4, 16) != 0 &&
						   memcmp(a->destination.address, v6, 16) != 0))
		return false;
	rcode = dns_query_parse(&q, bytes, n);
	if (rcode < 0)
		return true;
	if (!answer_at_once(np, &q, rcode, &answer)) {
		l = look_up(np, &q);
		if (l != NULL) {
			l->addresses = *a;
			return true;
		}
		answer.rcode = DNS_SERVFAIL;
	}
	record(np, &q, answer.rcode);
	n = dns_answer_write(&q, &answer, out, udp_size(&q));
	(void)stack_datagram(np->stack, a, out, n);
	return true;
}

/* ---- TCP (RFC 7766): a length before each message, one question at a time ---- */

struct names_tcp {
	struct conn *c;
	struct lookup *lookup; /* the next query waits for it */
	size_t n;
	uint8_t bytes[2 + TCP_MOST];
};

static void
names_tcp_free(struct conn *c)
{
	struct names_tcp *t = c->state;

	if (t->lookup != NULL) {
		if (t->lookup->outbound.pending != NULL)
			outbound_forget(&c->np->outbound, t->lookup->outbound.pending);
		c->np->n_lookups--;
		free(t->lookup);
	}
	free(t);
}

/* Returns false where the connection is at its end, and its names_tcp with it. */
static bool
send_tcp(struct conn *c, const uint8_t *bytes, size_t n)
{
	uint8_t length[2] = {(uint8_t)(n >> 8), (uint8_t)n};

	/* A guest that does not read its answers gets no others. */
	if (stream_write(&c->stream, length, 2) && stream_write(&c->stream, bytes, n))
		return true;
	conn_abort(c);
	return false;
}

static void
tcp_answered(struct names_tcp *t, const uint8_t *bytes, size_t n)
{
	struct conn *c = t->c;

	t->lookup = NULL;
	if (send_tcp(c, bytes, n))
		conn_pump(c);
}

/* Returns false where the connection is at its end, and t with it. */
static bool
tcp_query(struct names_tcp *t, const uint8_t *bytes, size_t n)
{
	struct netproxy *np = t->c->np;
	uint8_t out[DNS_UDP_MAX];
	struct dns_answer answer;
	struct dns_query q;
	int rcode = dns_query_parse(&q, bytes, n);

	if (rcode < 0) {
		conn_abort(t->c);
		return false;
	}
	if (!answer_at_once(np, &q, rcode, &answer)) {
		t->lookup = look_up(np, &q);
		if (t->lookup != NULL) {
			t->lookup->tcp = t;
			return true;
		}
		answer.rcode = DNS_SERVFAIL;
	}
	record(np, &q, answer.rcode);
	n = dns_answer_write(&q, &answer, out, sizeof(out));
	return send_tcp(t->c, out, n);
}

static void
names_tcp_pump(struct conn *c)
{
	struct names_tcp *t = c->state;

	while (t->lookup == NULL) {
		const uint8_t *bytes;
		size_t have = stream_peek(&c->stream, &bytes), need = 2, take;

		if (t->n >= 2)
			need = 2 + ((size_t)t->bytes[0] << 8 | t->bytes[1]);
		if (need > sizeof(t->bytes)) {
			conn_abort(c);
			return;
		}
		if (t->n >= 2 && t->n == need) {
			t->n = 0;
			if (!tcp_query(t, t->bytes + 2, need - 2))
				return;
			continue;
		}
		if (have == 0) {
			if (stream_ended(&c->stream))
				conn_close(c);
			return;
		}
		take = have < need - t->n ? have : need - t->n;
		memcpy(t->bytes + t->n, bytes, take);
		t->n += take;
		stream_consume(&c->stream, take);
	}
}

static const struct conn_protocol names_tcp_protocol = {
    .pump = names_tcp_pump,
    .free = names_tcp_free,
};

void
names_tcp_start(struct conn *c)
{
	struct names_tcp *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	t->c = c;
	conn_set_protocol(c, &names_tcp_protocol, t);
}
