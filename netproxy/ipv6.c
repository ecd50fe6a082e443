/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 (RFC 8200): the guest's addresses in one /64, no extension headers, no fragments. */
#include <string.h>

#include "netproxy/stack_internal.h"

#define NEXT_HOP_BY_HOP  0u
#define NEXT_ROUTING     43u
#define NEXT_FRAGMENT    44u
#define NEXT_DESTINATION 60u

const uint8_t ipv6_all_nodes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

void
ipv6_header(uint8_t *p, uint8_t protocol, uint8_t hop_limit, const uint8_t source[16],
    const uint8_t to[16], size_t length)
{
	wire_put32(p, 6u << 28);
	wire_put16(p + 4, (uint16_t)length);
	p[6] = protocol;
	p[7] = hop_limit;
	memcpy(p + 8, source, 16);
	memcpy(p + 24, to, 16);
}

static bool
header_parse(struct stack *s, const uint8_t *p, size_t n, struct packet *out)
{
	size_t length;

	if (n < IPV6_HEADER) {
		s->counters.runt++;
		return false;
	}
	length = wire_get16(p + 4);
	if (p[0] >> 4 != 6 || p[7] == 0) {
		s->counters.ip_malformed++;
		return false;
	}
	if (length > n - IPV6_HEADER) {
		s->counters.runt++;
		return false;
	}
	out->v6 = true;
	out->ip = p;
	out->ip_length = IPV6_HEADER + length;
	out->source = p + 8;
	out->destination = p + 24;
	out->payload = p + IPV6_HEADER;
	out->length = length;
	out->protocol = p[6];
	out->hop_limit = p[7];
	return true;
}

static bool
is_link_local(const uint8_t *a)
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

static bool
is_gateway(const struct stack *s, const uint8_t *a)
{
	return memcmp(a, s->gateway6, 16) == 0 || memcmp(a, s->gateway6_link, 16) == 0;
}

/* ::/8 holds the unspecified, loopback, v4-compatible and v4-mapped addresses. */
static bool
is_martian(const struct stack *s, const uint8_t *to)
{
	if (is_gateway(s, to))
		return false;
	return to[0] == 0 || is_link_local(to) || (to[0] == 0xfe && (to[1] & 0xc0) == 0xc0) ||
	       memcmp(to, s->config.prefix6, 8) == 0;
}

/* RFC 4291 2.5.2 and 2.5.3: nothing is ever sent there; and a guest that writes to itself. */
static bool
is_answered(const struct packet *p)
{
	static const uint8_t unspecified[15];

	return memcmp(p->destination, p->source, 16) != 0 &&
	       (memcmp(p->destination, unspecified, 15) != 0 || p->destination[15] > 1);
}

/* Neighbour discovery may come from the unspecified address and a link-local one; the rest may not.
 */
static bool
source_valid(const struct stack *s, const struct packet *p)
{
	static const uint8_t unspecified[16];

	if (is_gateway(s, p->source))
		return false;
	if (p->protocol == PROTOCOL_ICMPV6 &&
	    (memcmp(p->source, unspecified, 16) == 0 || is_link_local(p->source)))
		return true;
	return memcmp(p->source, s->config.prefix6, 8) == 0;
}

/*
 * A guest that took the router's advertisement and whose own address is not usable yet asks from
 * its link-local one, which no router forwards.  Told so at once, its clients try IPv4.
 */
static bool
is_beyond_scope(const struct stack *s, const struct packet *p)
{
	return is_link_local(p->source) && p->protocol != PROTOCOL_ICMPV6 &&
	       p->destination[0] != 0xff && !is_martian(s, p->destination) &&
	       !is_gateway(s, p->destination);
}

static void
dispatch(struct stack *s, const struct packet *p)
{
	switch (p->protocol) {
	case PROTOCOL_TCP:
		tcp_input(s, p);
		break;
	case PROTOCOL_UDP:
		udp_input(s, p);
		break;
	case NEXT_HOP_BY_HOP:
	case NEXT_ROUTING:
	case NEXT_DESTINATION:
		s->counters.ip_options++;
		break;
	case NEXT_FRAGMENT:
		s->counters.ip_fragment++;
		break;
	default:
		icmp_unreachable(s, p, UNREACHABLE_PROTOCOL);
	}
}

void
ipv6_input(struct stack *s, const uint8_t *frame, size_t n)
{
	struct packet p = {.mac = frame + 6};
	bool group;

	if (!header_parse(s, frame + ETHERNET_HEADER, n, &p))
		return;
	group = p.destination[0] == 0xff;
	/* Listener reports (RFC 3810) carry a hop-by-hop header: group traffic, not an attack. */
	if (group && p.protocol != PROTOCOL_ICMPV6) {
		s->counters.multicast++;
		return;
	}
	if (!source_valid(s, &p)) {
		if (is_beyond_scope(s, &p) && (frame[0] & 1) == 0)
			icmp_unreachable(s, &p, UNREACHABLE_SCOPE);
		s->counters.spoofed++;
		return;
	}
	p.martian = !group && (is_martian(s, p.destination) || (frame[0] & 1) != 0);
	s->counters.martian += p.martian;
	if (p.martian && (!is_answered(&p) || (frame[0] & 1) != 0))
		return;
	p.to_gateway = is_gateway(s, p.destination);
	if (p.protocol == PROTOCOL_ICMPV6)
		icmpv6_input(s, &p);
	else
		dispatch(s, &p);
}
