/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826): who has the gateway, answered; nothing is learned. */
#include <string.h>

#include "netproxy/stack_internal.h"

#define ARP_SIZE    28u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u

/* Hardware type 1, protocol 0x0800, sizes 6 and 4. */
static const uint8_t ethernet_ipv4[6] = {0, 1, 8, 0, 6, 4};

static void
reply(struct stack *s, const uint8_t *request)
{
	uint8_t *p = transmit_frame(s, ETHERNET_HEADER + ARP_SIZE, ETHERTYPE_ARP);

	if (p == NULL)
		return;
	p += ETHERNET_HEADER;
	memcpy(p, ethernet_ipv4, sizeof(ethernet_ipv4));
	wire_put16(p + 6, ARP_REPLY);
	memcpy(p + 8, s->config.gateway_mac, 6);
	wire_put32(p + 14, s->config.gateway4);
	memcpy(p + 18, request + 8, 10);
}

void
arp_input(struct stack *s, const uint8_t *frame, size_t n)
{
	const uint8_t *p = frame + ETHERNET_HEADER;
	uint32_t sender, target;
	uint16_t operation;

	if (n < ARP_SIZE || memcmp(p, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0)
		goto malformed;
	operation = wire_get16(p + 6);
	sender = wire_get32(p + 14);
	target = wire_get32(p + 24);
	/* A sender that is not the frame's, or that claims to be the gateway, is a forgery. */
	if (memcmp(p + 8, frame + 6, 6) != 0 || sender == s->config.gateway4)
		goto malformed;
	if (operation != ARP_REQUEST && operation != ARP_REPLY)
		goto malformed;
	/* Sender 0 is RFC 5227's probe. */
	if (operation == ARP_REQUEST && target == s->config.gateway4 &&
	    (sender == s->config.guest4 || sender == 0))
		reply(s, p);
	return;
malformed:
	s->counters.arp_malformed++;
}
