/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbour discovery (RFC 4861), stateless autoconfiguration (RFC 4862) and the resolver's address
 * (RFC 8106): the gateway's half.  What the guest advertises is checked and ignored.
 */
#include <string.h>

#include "netproxy/stack_internal.h"

#define ROUTER_SOLICITATION    133u
#define ROUTER_ADVERTISEMENT   134u
#define NEIGHBOR_SOLICITATION  135u
#define NEIGHBOR_ADVERTISEMENT 136u

#define OPTION_SOURCE_LINK     1u
#define OPTION_TARGET_LINK     2u
#define OPTION_PREFIX          3u
#define OPTION_MTU             5u
#define OPTION_RDNSS           25u

#define RA_SIZE                (16u + 8u + 8u + 32u + 24u)
#define NA_SIZE                (24u + 8u)
#define ROUTER_LIFETIME        9000u /* seconds, the most that RFC 4861 6.2.1 allows */
#define ADVERTISE_EVERY        (3000ull * 1000000u) /* microseconds; a third of the lifetime */

#define NA_ROUTER              0x80u
#define NA_SOLICITED           0x40u
#define NA_OVERRIDE            0x20u

static void
option_link(const struct stack *s, uint8_t *o, uint8_t type)
{
	o[0] = type;
	o[1] = 1;
	memcpy(o + 2, s->config.gateway_mac, 6);
}

static void
option_prefix(const struct stack *s, uint8_t *o)
{
	o[0] = OPTION_PREFIX;
	o[1] = 4;
	o[2] = 64;
	o[3] = 0xc0; /* on-link, autonomous */
	wire_put32(o + 4, ~(uint32_t)0);
	wire_put32(o + 8, ~(uint32_t)0);
	memcpy(o + 16, s->config.prefix6, 8);
}

void
ndp_advertise(struct stack *s, const uint8_t to[16])
{
	uint8_t *f = transmit_frame(s, ETHERNET_HEADER + IPV6_HEADER + RA_SIZE, ETHERTYPE_IPV6);
	uint8_t *m;

	timer_set(&s->timers, &s->advertise, s->now + ADVERTISE_EVERY);
	if (f == NULL)
		return;
	m = f + ETHERNET_HEADER + IPV6_HEADER;
	m[0] = ROUTER_ADVERTISEMENT;
	m[4] = HOP_LIMIT;
	wire_put16(m + 6, ROUTER_LIFETIME);
	option_link(s, m + 16, OPTION_SOURCE_LINK);
	m[24] = OPTION_MTU;
	m[25] = 1;
	wire_put32(m + 28, s->config.mtu);
	option_prefix(s, m + 32);
	m[64] = OPTION_RDNSS;
	m[65] = 3;
	wire_put32(m + 68, ~(uint32_t)0);
	memcpy(m + 72, s->gateway6, 16);
	icmpv6_finish(f + ETHERNET_HEADER, s->gateway6_link, to, RA_SIZE);
}

/*
 * Walks the options (RFC 4861 4.6): none of length 0, none past the end.  Sets *source_link where
 * there is a source link-layer address.
 */
static bool
options_valid(const uint8_t *p, size_t n, bool *source_link)
{
	size_t size;

	*source_link = false;
	for (; n > 0; p += size, n -= size) {
		if (n < 8)
			return false;
		size = (size_t)p[1] * 8;
		if (size == 0 || size > n)
			return false;
		if (p[0] == OPTION_SOURCE_LINK)
			*source_link = true;
	}
	return true;
}

static bool
is_unspecified(const uint8_t *a)
{
	static const uint8_t unspecified[16];

	return memcmp(a, unspecified, 16) == 0;
}

static bool
router_solicitation(struct stack *s, const struct packet *p)
{
	bool source_link;

	if (!options_valid(p->payload + 8, p->length - 8, &source_link))
		return false;
	if (is_unspecified(p->source) && source_link)
		return false;
	ndp_advertise(s, is_unspecified(p->source) ? ipv6_all_nodes : p->source);
	return true;
}

static void
neighbor_advertisement(struct stack *s, const struct packet *p, const uint8_t *target)
{
	uint8_t *f = transmit_frame(s, ETHERNET_HEADER + IPV6_HEADER + NA_SIZE, ETHERTYPE_IPV6);
	bool probe = is_unspecified(p->source);
	uint8_t *m;

	if (f == NULL)
		return;
	m = f + ETHERNET_HEADER + IPV6_HEADER;
	m[0] = NEIGHBOR_ADVERTISEMENT;
	m[4] = NA_ROUTER | NA_OVERRIDE;
	if (!probe)
		m[4] |= NA_SOLICITED;
	memcpy(m + 8, target, 16);
	option_link(s, m + 24, OPTION_TARGET_LINK);
	icmpv6_finish(f + ETHERNET_HEADER, target, probe ? ipv6_all_nodes : p->source, NA_SIZE);
}

static bool
neighbor_solicitation(struct stack *s, const struct packet *p)
{
	const uint8_t *target = p->payload + 8;
	bool source_link;

	if (p->length < 24 || target[0] == 0xff ||
	    !options_valid(p->payload + 24, p->length - 24, &source_link))
		return false;
	if (is_unspecified(p->source) && (source_link || p->destination[0] != 0xff))
		return false;
	/* Any other target is the guest looking for itself (RFC 4862 5.4): silence is the answer.
	 */
	if (memcmp(target, s->gateway6, 16) == 0 || memcmp(target, s->gateway6_link, 16) == 0)
		neighbor_advertisement(s, p, target);
	return true;
}

/* A guest's advertisement changes nothing here; a router or the gateway's address it may not claim.
 */
static bool
advertisement(struct stack *s, const struct packet *p)
{
	bool source_link;

	if (p->payload[0] != NEIGHBOR_ADVERTISEMENT || p->length < 24)
		return false;
	if (!options_valid(p->payload + 24, p->length - 24, &source_link))
		return false;
	return memcmp(p->payload + 8, s->gateway6, 16) != 0 &&
	       memcmp(p->payload + 8, s->gateway6_link, 16) != 0;
}

void
ndp_input(struct stack *s, const struct packet *p)
{
	bool good = p->hop_limit == 255 && p->payload[1] == 0;

	if (good && p->payload[0] == ROUTER_SOLICITATION)
		good = router_solicitation(s, p);
	else if (good && p->payload[0] == NEIGHBOR_SOLICITATION)
		good = neighbor_solicitation(s, p);
	else if (good)
		good = advertisement(s, p);
	if (!good)
		s->counters.ndp_malformed++;
}
