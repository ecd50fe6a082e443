/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP (RFC 792) and ICMPv6 (RFC 4443): echo of the gateway, and why a packet went nowhere. */
#include <string.h>

#include "netproxy/stack_internal.h"

#define ICMP_HEADER        8u
#define ICMP_ECHO_REPLY    0u
#define ICMP_UNREACHABLE   3u
#define ICMP_ECHO          8u
#define ICMPV6_UNREACHABLE 1u
#define ICMPV6_PARAMETER   4u
#define ICMPV6_ECHO        128u
#define ICMPV6_ECHO_REPLY  129u
#define ICMPV6_ND_FIRST    133u
#define ICMPV6_ND_LAST     137u

/* At most this much of the offending packet is quoted: RFC 1812 4.3.2.3, RFC 4443 2.4. */
#define QUOTE_V4 (576u - IPV4_HEADER - ICMP_HEADER)
#define QUOTE_V6 (1280u - IPV6_HEADER - ICMP_HEADER)

static void
icmp_finish(uint8_t *ip, const uint8_t source[4], const uint8_t to[4], size_t n)
{
	uint16_t sum = checksum_fold(checksum_add(0, ip + IPV4_HEADER, n));

	memcpy(ip + IPV4_HEADER + 2, &sum, sizeof(sum));
	ipv4_header(ip, PROTOCOL_ICMP, source, to, n);
}

void
icmpv6_finish(uint8_t *ip, const uint8_t source[16], const uint8_t to[16], size_t n)
{
	uint64_t partial = pseudo_sum(source, to, 16, PROTOCOL_ICMPV6, n);
	uint16_t sum = checksum_fold(checksum_add(partial, ip + IPV6_HEADER, n));

	memcpy(ip + IPV6_HEADER + 2, &sum, sizeof(sum));
	ipv6_header(ip, PROTOCOL_ICMPV6, 255, source, to, n);
}

/* The same message, its first byte aside, back to where it came from. */
static void
echo(struct stack *s, const struct packet *p)
{
	size_t header = p->v6 ? IPV6_HEADER : IPV4_HEADER;
	uint8_t *f = transmit_frame(
	    s, ETHERNET_HEADER + header + p->length, p->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	uint8_t *ip, *m;

	if (f == NULL)
		return;
	ip = f + ETHERNET_HEADER;
	m = ip + header;
	memcpy(m, p->payload, p->length);
	m[0] = p->v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY;
	m[2] = m[3] = 0;
	if (p->v6)
		icmpv6_finish(ip, p->destination, p->source, p->length);
	else
		icmp_finish(ip, p->destination, p->source, p->length);
}

static void
unreachable_v4(struct stack *s, const struct packet *p, enum unreachable why)
{
	static const uint8_t codes[] = {
	    [UNREACHABLE_PORT] = 3, [UNREACHABLE_PROHIBITED] = 13, [UNREACHABLE_PROTOCOL] = 2};
	size_t quote = p->ip_length < QUOTE_V4 ? p->ip_length : QUOTE_V4;
	uint8_t *f =
	    transmit_frame(s, ETHERNET_HEADER + IPV4_HEADER + ICMP_HEADER + quote, ETHERTYPE_IPV4);
	uint8_t *m, gateway[4];

	if (f == NULL)
		return;
	m = f + ETHERNET_HEADER + IPV4_HEADER;
	m[0] = ICMP_UNREACHABLE;
	m[1] = codes[why];
	memcpy(m + ICMP_HEADER, p->ip, quote);
	/* In the name of whom it was for: the guest's sockets look for that.  Not of a martian,
	 * whom no kernel believes. */
	wire_put32(gateway, s->config.gateway4);
	icmp_finish(f + ETHERNET_HEADER, p->martian ? gateway : p->destination, p->source,
	    ICMP_HEADER + quote);
}

static void
unreachable_v6(struct stack *s, const struct packet *p, enum unreachable why)
{
	/* RFC 4443 3.1 */
	static const uint8_t codes[] = {
	    [UNREACHABLE_PORT] = 4, [UNREACHABLE_PROHIBITED] = 1, [UNREACHABLE_SCOPE] = 2};
	size_t quote = p->ip_length < QUOTE_V6 ? p->ip_length : QUOTE_V6;
	uint8_t *f =
	    transmit_frame(s, ETHERNET_HEADER + IPV6_HEADER + ICMP_HEADER + quote, ETHERTYPE_IPV6);
	uint8_t *m;

	if (f == NULL)
		return;
	m = f + ETHERNET_HEADER + IPV6_HEADER;
	if (why == UNREACHABLE_PROTOCOL) {
		m[0] = ICMPV6_PARAMETER;
		m[1] = 1; /* unrecognized Next Header, whose offset is 6 */
		m[7] = 6;
	} else {
		m[0] = ICMPV6_UNREACHABLE;
		m[1] = codes[why];
	}
	memcpy(m + ICMP_HEADER, p->ip, quote);
	icmpv6_finish(f + ETHERNET_HEADER, s->gateway6, p->source, ICMP_HEADER + quote);
}

void
icmp_unreachable(struct stack *s, const struct packet *p, enum unreachable why)
{
	if (p->v6)
		unreachable_v6(s, p, why);
	else
		unreachable_v4(s, p, why);
}

static bool
valid(struct stack *s, const struct packet *p)
{
	uint64_t sum = p->v6 ? packet_pseudo_sum(p) : 0;

	if (p->length < ICMP_HEADER) {
		s->counters.icmp_malformed++;
		return false;
	}
	if (checksum_fold(checksum_add(sum, p->payload, p->length)) != 0) {
		s->counters.checksum++;
		return false;
	}
	return true;
}

void
icmp_input(struct stack *s, const struct packet *p)
{
	if (!valid(s, p) || p->payload[0] != ICMP_ECHO)
		return;
	if (p->to_gateway)
		echo(s, p);
	else
		icmp_unreachable(s, p, UNREACHABLE_PROHIBITED);
}

void
icmpv6_input(struct stack *s, const struct packet *p)
{
	if (!valid(s, p))
		return;
	if (p->payload[0] >= ICMPV6_ND_FIRST && p->payload[0] <= ICMPV6_ND_LAST) {
		if (!p->martian)
			ndp_input(s, p);
		return;
	}
	/* No answer to the unspecified address, nor to a group (RFC 4443 2.4). */
	if (p->payload[0] != ICMPV6_ECHO || p->source[0] == 0 || p->destination[0] == 0xff)
		return;
	if (p->to_gateway)
		echo(s, p);
	else
		icmp_unreachable(s, p, UNREACHABLE_PROHIBITED);
}
