/* SPDX-License-Identifier: Apache-2.0 */
/* UDP (RFC 768): handed up, or refused at once so that QUIC clients fall back without waiting. */
#include <errno.h>
#include <string.h>

#include "netproxy/stack_internal.h"

static bool
valid(struct stack *s, const struct packet *p)
{
	size_t length;

	if (p->length < UDP_HEADER) {
		s->counters.udp_malformed++;
		return false;
	}
	length = wire_get16(p->payload + 4);
	/* A length other than IP's is ambiguous: refused. */
	if (length != p->length || wire_get16(p->payload) == 0 || wire_get16(p->payload + 2) == 0) {
		s->counters.udp_malformed++;
		return false;
	}
	/* IPv4 may leave the checksum out; IPv6 may not (RFC 8200 8.1). */
	if (wire_get16(p->payload + 6) == 0) {
		s->counters.checksum += p->v6;
		return !p->v6;
	}
	if (checksum_fold(checksum_add(packet_pseudo_sum(p), p->payload, p->length)) != 0) {
		s->counters.checksum++;
		return false;
	}
	return true;
}

void
udp_input(struct stack *s, const struct packet *p)
{
	struct flow_addresses a;

	if (!valid(s, p))
		return;
	packet_addresses(p, wire_get16(p->payload), wire_get16(p->payload + 2), &a);
	if (!p->martian && s->handlers.datagram(s->handlers.context, &a, p->payload + UDP_HEADER,
			       p->length - UDP_HEADER))
		return;
	s->counters.udp_refused++;
	icmp_unreachable(s, p, p->to_gateway ? UNREACHABLE_PORT : UNREACHABLE_PROHIBITED);
}

int
stack_datagram(struct stack *s, const struct flow_addresses *a, const void *bytes, size_t n)
{
	bool v4 = stack_address_is_v4(a->guest.address);
	size_t header = v4 ? IPV4_HEADER : IPV6_HEADER, address_size = v4 ? 4 : 16;
	const uint8_t *from = a->destination.address + 16 - address_size;
	const uint8_t *to = a->guest.address + 16 - address_size;
	size_t length = UDP_HEADER + n;
	uint8_t *f, *u;
	uint16_t sum;

	if (length + header > s->config.mtu)
		return -EMSGSIZE;
	f = transmit_frame(
	    s, ETHERNET_HEADER + header + length, v4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	if (f == NULL)
		return -ENOBUFS;
	u = f + ETHERNET_HEADER + header;
	wire_put16(u, a->destination.port);
	wire_put16(u + 2, a->guest.port);
	wire_put16(u + 4, (uint16_t)length);
	memcpy(u + UDP_HEADER, bytes, n);
	sum = checksum_fold(
	    checksum_add(pseudo_sum(from, to, address_size, PROTOCOL_UDP, length), u, length));
	if (sum == 0)
		sum = 0xffff; /* 0 says that there is none */
	memcpy(u + 6, &sum, sizeof(sum));
	if (v4)
		ipv4_header(f + ETHERNET_HEADER, PROTOCOL_UDP, from, to, length);
	else
		ipv6_header(f + ETHERNET_HEADER, PROTOCOL_UDP, HOP_LIMIT, from, to, length);
	return 0;
}
