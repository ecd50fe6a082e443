/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 (RFC 791, RFC 1122): one guest address, no options, no fragments. */
#include <string.h>

#include "netproxy/stack_internal.h"

#define FLAG_DONT_FRAGMENT 0x4000u
#define FRAGMENT_MASK      0x3fffu /* more fragments, and the offset */

void
ipv4_header(
    uint8_t *p, uint8_t protocol, const uint8_t source[4], const uint8_t to[4], size_t length)
{
	uint16_t sum;

	p[0] = 0x45;
	p[1] = 0;
	wire_put16(p + 2, (uint16_t)(IPV4_HEADER + length));
	/* An atomic datagram: the identification means nothing (RFC 6864 4.1). */
	wire_put16(p + 4, 0);
	wire_put16(p + 6, FLAG_DONT_FRAGMENT);
	p[8] = HOP_LIMIT;
	p[9] = protocol;
	p[10] = p[11] = 0;
	memcpy(p + 12, source, 4);
	memcpy(p + 16, to, 4);
	sum = checksum_fold(checksum_add(0, p, IPV4_HEADER));
	memcpy(p + 10, &sum, sizeof(sum));
}

uint64_t
pseudo_sum(
    const uint8_t *source, const uint8_t *to, size_t address_size, uint8_t protocol, size_t length)
{
	uint64_t sum = checksum_add(0, source, address_size);

	sum = checksum_add(sum, to, address_size);
	return sum + htons(protocol) + htonl((uint32_t)length);
}

uint64_t
packet_pseudo_sum(const struct packet *p)
{
	return pseudo_sum(p->source, p->destination, p->v6 ? 16 : 4, p->protocol, p->length);
}

void
packet_addresses(
    const struct packet *p, uint16_t from_port, uint16_t to_port, struct flow_addresses *a)
{
	if (p->v6) {
		memcpy(a->guest.address, p->source, 16);
		memcpy(a->destination.address, p->destination, 16);
	} else {
		stack_address_from_v4(a->guest.address, wire_get32(p->source));
		stack_address_from_v4(a->destination.address, wire_get32(p->destination));
	}
	a->guest.port = from_port;
	a->destination.port = to_port;
}

/* The header and the length, RFC 1122 3.2.1.  Fills all but the judgement of the addresses. */
static bool
header_parse(struct stack *s, const uint8_t *p, size_t n, struct packet *out)
{
	size_t header, total;

	if (n < IPV4_HEADER) {
		s->counters.runt++;
		return false;
	}
	header = (size_t)(p[0] & 15) * 4;
	total = wire_get16(p + 2);
	if (p[0] >> 4 != 4 || header < IPV4_HEADER || total < header || p[8] == 0) {
		s->counters.ip_malformed++;
		return false;
	}
	if (total > n) {
		s->counters.runt++;
		return false;
	}
	if (checksum_fold(checksum_add(0, p, header)) != 0) {
		s->counters.checksum++;
		return false;
	}
	if (header > IPV4_HEADER) {
		s->counters.ip_options++;
		return false;
	}
	if ((wire_get16(p + 6) & FRAGMENT_MASK) != 0) {
		s->counters.ip_fragment++;
		return false;
	}
	out->ip = p;
	out->ip_length = total;
	out->source = p + 12;
	out->destination = p + 16;
	out->payload = p + header;
	out->length = total - header;
	out->protocol = p[9];
	out->hop_limit = p[8];
	return true;
}

static bool
is_dhcp(const struct packet *p)
{
	return p->protocol == PROTOCOL_UDP && p->length >= UDP_HEADER &&
	       wire_get16(p->payload) == 68 && wire_get16(p->payload + 2) == 67;
}

/* This network, loopback, class E, and our LAN where nobody but us is. */
static bool
is_martian(const struct stack *s, uint32_t to)
{
	uint32_t mask = ~(uint32_t)0 << (32 - s->config.prefix4);

	if (to == s->config.gateway4)
		return false;
	return to >> 24 == 0 || to >> 24 == 127 || to >> 28 == 15 ||
	       ((to ^ s->config.gateway4) & mask) == 0;
}

/*
 * Broadcasts in each of their forms are never answered (RFC 1122 3.2.2, 3.3.6, 4.2.3.10), nor is a
 * guest that writes to itself.
 */
static bool
is_answered(const struct stack *s, uint32_t to)
{
	uint32_t host = ~(~(uint32_t)0 << (32 - s->config.prefix4));
	bool lan = ((to ^ s->config.gateway4) & ~host) == 0;

	return to != 0 && to != ~(uint32_t)0 && to != s->config.guest4 &&
	       !(lan && ((to & host) == 0 || (to & host) == host));
}

void
ipv4_input(struct stack *s, const uint8_t *frame, size_t n)
{
	struct packet p = {.mac = frame + 6};
	uint32_t from, to;

	if (!header_parse(s, frame + ETHERNET_HEADER, n, &p))
		return;
	from = wire_get32(p.source);
	to = wire_get32(p.destination);
	if (is_dhcp(&p) && (from == 0 || from == s->config.guest4) &&
	    (to == ~(uint32_t)0 || to == s->config.gateway4)) {
		dhcp_input(s, &p);
		return;
	}
	if (from != s->config.guest4) {
		s->counters.spoofed++;
		return;
	}
	if (to >> 28 == 14) {
		s->counters.multicast++;
		return;
	}
	/* A group frame around a unicast packet is an old trick (RFC 1122 3.3.6). */
	p.martian = is_martian(s, to) || (frame[0] & 1) != 0;
	s->counters.martian += p.martian;
	if (p.martian && (!is_answered(s, to) || (frame[0] & 1) != 0))
		return;
	p.to_gateway = to == s->config.gateway4;
	switch (p.protocol) {
	case PROTOCOL_TCP:
		tcp_input(s, &p);
		break;
	case PROTOCOL_UDP:
		udp_input(s, &p);
		break;
	case PROTOCOL_ICMP:
		icmp_input(s, &p);
		break;
	default:
		icmp_unreachable(s, &p, UNREACHABLE_PROTOCOL);
	}
}
