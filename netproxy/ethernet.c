/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet II: which frames are for us, and whose they are. */
#include <string.h>

#include "netproxy/stack_internal.h"

void
ethernet_header(const struct stack *s, uint8_t *p, uint16_t ethertype)
{
	memcpy(p, s->guest_mac, 6);
	memcpy(p + 6, s->config.gateway_mac, 6);
	wire_put16(p + 12, ethertype);
}

/*
 * There is one station on the link besides us, so its address is learned from what it sends; ARP
 * and neighbour discovery can teach us nothing.
 */
static bool
source_learn(struct stack *s, const uint8_t *mac)
{
	static const uint8_t none[6];

	if ((mac[0] & 1) != 0 || memcmp(mac, none, 6) == 0 ||
	    memcmp(mac, s->config.gateway_mac, 6) == 0)
		return false;
	memcpy(s->guest_mac, mac, 6);
	return true;
}

void
ethernet_input(struct stack *s, const uint8_t *bytes, size_t n)
{
	s->counters.frames_in++;
	s->counters.bytes_in += n;
	if (n < ETHERNET_HEADER) {
		s->counters.runt++;
		return;
	}
	if (n > s->config.mtu + ETHERNET_HEADER) {
		s->counters.giant++;
		return;
	}
	if (!source_learn(s, bytes + 6)) {
		s->counters.spoofed++;
		return;
	}
	if ((bytes[0] & 1) == 0 && memcmp(bytes, s->config.gateway_mac, 6) != 0) {
		s->counters.ethernet_other++;
		return;
	}
	n -= ETHERNET_HEADER;
	switch (wire_get16(bytes + 12)) {
	case ETHERTYPE_IPV4:
		ipv4_input(s, bytes, n);
		break;
	case ETHERTYPE_IPV6:
		ipv6_input(s, bytes, n);
		break;
	case ETHERTYPE_ARP:
		arp_input(s, bytes, n);
		break;
	default:
		s->counters.ethernet_other++;
	}
}
