/* SPDX-License-Identifier: Apache-2.0 */
/* The DHCP server: one lease, for whoever is on the link. */
#include "netproxy/dhcp.h"

#include <errno.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define BOOTP_SIZE  236u
#define COOKIE      0x63825363u
#define LEASE       86400u /* seconds */
#define REPLY_MAX   (BOOTP_SIZE + 128u + 255u)
#define SERVER_PORT 67u
#define CLIENT_PORT 68u

enum dhcp_option {
	OPTION_PAD = 0,
	OPTION_SUBNET = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_MTU = 26,
	OPTION_BROADCAST = 28,
	OPTION_REQUESTED = 50,
	OPTION_LEASE = 51,
	OPTION_OVERLOAD = 52,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_RENEWAL = 58,
	OPTION_REBINDING = 59,
	OPTION_CLIENT_ID = 61,
	OPTION_END = 255,
};

/* ---- Parsing ---- */

/* One option of known code; false where its length or value is wrong. */
static bool
option_take(struct dhcp_message *m, uint8_t code, const uint8_t *value, uint8_t n)
{
	switch (code) {
	case OPTION_TYPE:
		if (n != 1)
			return false;
		m->type = value[0];
		return true;
	case OPTION_REQUESTED:
		if (n != 4)
			return false;
		m->requested = wire_get32(value);
		return true;
	case OPTION_SERVER:
		if (n != 4)
			return false;
		m->server = wire_get32(value);
		return true;
	case OPTION_CLIENT_ID:
		m->client_id = value;
		m->client_id_length = n;
		return n >= 2;
	case OPTION_OVERLOAD:
		return false;
	default:
		return true;
	}
}

static bool
options_parse(struct dhcp_message *m, const uint8_t *p, size_t n)
{
	uint32_t seen[8] = {0};
	uint8_t code, length;

	while (n > 0 && p[0] != OPTION_END) {
		code = p[0];
		if (code == OPTION_PAD) {
			p++;
			n--;
			continue;
		}
		if (n < 2 || (size_t)p[1] + 2 > n)
			return false;
		if ((seen[code / 32] & 1u << code % 32) != 0)
			return false;
		seen[code / 32] |= 1u << code % 32;
		length = p[1];
		if (!option_take(m, code, p + 2, length))
			return false;
		p += length + 2;
		n -= (size_t)length + 2;
	}
	return n > 0;
}

int
dhcp_parse(struct dhcp_message *m, const uint8_t *p, size_t n)
{
	static const uint8_t client_types[] = {[DHCP_DISCOVER] = 1,
	    [DHCP_REQUEST] = 1,
	    [DHCP_DECLINE] = 1,
	    [DHCP_RELEASE] = 1,
	    [DHCP_INFORM] = 1};

	memset(m, 0, sizeof(*m));
	if (n < BOOTP_SIZE + 4 || wire_get32(p + BOOTP_SIZE) != COOKIE)
		return -EPROTO;
	/* op BOOTREQUEST, htype Ethernet, hlen 6, no hops, no relay */
	if (p[0] != 1 || p[1] != 1 || p[2] != 6 || p[3] != 0 || wire_get32(p + 24) != 0)
		return -EPROTO;
	m->transaction = wire_get32(p + 4);
	m->broadcast = (p[10] & 0x80) != 0;
	m->client = wire_get32(p + 12);
	m->mac = p + 28;
	if (!options_parse(m, p + BOOTP_SIZE + 4, n - BOOTP_SIZE - 4))
		return -EPROTO;
	if ((size_t)m->type >= sizeof(client_types) || !client_types[m->type])
		return -EPROTO;
	return 0;
}

/* ---- Answering ---- */

static uint8_t *
put_option(uint8_t *o, uint8_t code, const void *value, uint8_t n)
{
	o[0] = code;
	o[1] = n;
	memcpy(o + 2, value, n);
	return o + 2 + n;
}

static uint8_t *
put_option32(uint8_t *o, uint8_t code, uint32_t v)
{
	v = htonl(v);
	return put_option(o, code, &v, 4);
}

/* What the guest needs to know of the LAN. */
static uint8_t *
put_lan(const struct stack *s, uint8_t *o)
{
	const struct stack_config *c = &s->config;
	uint32_t mask = ~(uint32_t)0 << (32 - c->prefix4);
	uint16_t mtu = htons((uint16_t)c->mtu);

	o = put_option32(o, OPTION_SUBNET, mask);
	o = put_option32(o, OPTION_ROUTER, c->gateway4);
	o = put_option32(o, OPTION_DNS, c->gateway4);
	o = put_option(o, OPTION_MTU, &mtu, 2);
	return put_option32(o, OPTION_BROADCAST, c->guest4 | ~mask);
}

/* Options of an answer.  Returns their end. */
static uint8_t *
put_options(const struct stack *s, const struct dhcp_message *m, enum dhcp_type type, uint8_t *o)
{
	uint8_t code = (uint8_t)type;

	wire_put32(o, COOKIE);
	o = put_option(o + 4, OPTION_TYPE, &code, 1);
	o = put_option32(o, OPTION_SERVER, s->config.gateway4);
	if (type != DHCP_NAK && m->type != DHCP_INFORM) {
		o = put_option32(o, OPTION_LEASE, LEASE);
		o = put_option32(o, OPTION_RENEWAL, LEASE / 2);
		o = put_option32(o, OPTION_REBINDING, LEASE / 8 * 7);
	}
	if (type != DHCP_NAK)
		o = put_lan(s, o);
	if (m->client_id != NULL) /* RFC 6842 */
		o = put_option(o, OPTION_CLIENT_ID, m->client_id, m->client_id_length);
	*o++ = OPTION_END;
	return o;
}

static void
reply(struct stack *s, const struct dhcp_message *m, enum dhcp_type type)
{
	uint8_t bytes[REPLY_MAX] = {2, 1, 6};
	struct flow_addresses a;
	uint32_t to = ~(uint32_t)0;

	wire_put32(bytes + 4, m->transaction);
	if (m->broadcast)
		bytes[10] = 0x80;
	if (type != DHCP_NAK) {
		wire_put32(bytes + 12, m->client);
		if (m->type != DHCP_INFORM)
			wire_put32(bytes + 16, s->config.guest4);
		if (m->client != 0 && m->client == s->config.guest4)
			to = m->client;
		else if (!m->broadcast)
			to = s->config.guest4;
	}
	memcpy(bytes + 28, m->mac, 6);
	stack_address_from_v4(a.guest.address, to);
	stack_address_from_v4(a.destination.address, s->config.gateway4);
	a.guest.port = CLIENT_PORT;
	a.destination.port = SERVER_PORT;
	stack_datagram(s, &a, bytes, (size_t)(put_options(s, m, type, bytes + BOOTP_SIZE) - bytes));
}

/* RFC 2131 4.3.2: the address asked for is in the option, or in ciaddr when it is renewed. */
static void
request(struct stack *s, const struct dhcp_message *m)
{
	uint32_t wanted = m->requested != 0 ? m->requested : m->client;

	if (m->server != 0 && m->server != s->config.gateway4)
		return;
	reply(s, m, wanted == s->config.guest4 ? DHCP_ACK : DHCP_NAK);
}

static bool
datagram_valid(struct stack *s, const struct packet *p)
{
	if (wire_get16(p->payload + 4) != p->length)
		return false;
	if (wire_get16(p->payload + 6) == 0 ||
	    checksum_fold(checksum_add(packet_pseudo_sum(p), p->payload, p->length)) == 0)
		return true;
	s->counters.checksum++;
	return false;
}

void
dhcp_input(struct stack *s, const struct packet *p)
{
	struct dhcp_message m;

	/* The client's hardware address is the frame's, or somebody speaks for another. */
	if (!datagram_valid(s, p) ||
	    dhcp_parse(&m, p->payload + UDP_HEADER, p->length - UDP_HEADER) != 0 ||
	    memcmp(m.mac, p->mac, 6) != 0) {
		s->counters.dhcp_malformed++;
		return;
	}
	if (m.type == DHCP_DISCOVER)
		reply(s, &m, DHCP_OFFER);
	else if (m.type == DHCP_REQUEST)
		request(s, &m);
	else if (m.type == DHCP_INFORM)
		reply(s, &m, DHCP_ACK);
}
