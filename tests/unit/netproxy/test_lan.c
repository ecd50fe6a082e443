/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet, ARP, neighbour discovery, IPv4, IPv6, ICMP, UDP: right frames and wrong ones. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "peer.h"
#include "suites.h"

static struct peer peer;

static void
start(bool v6)
{
	peer_init(&peer);
	peer.v6 = v6;
	if (v6) {
		memset(peer.to, 0, 16);
		memcpy(peer.to, (const uint8_t[]){0x20, 0x01, 0x48, 0x60}, 4);
		peer.to[15] = 8;
	}
	peer_start(&peer);
}

/* Expects one counter to move by one and no answer. */
#define EXPECT_DROP(counter, frame, n)                            \
	do {                                                      \
		struct stack_counters before_, after_;            \
		peer_forget(&peer);                               \
		stack_counters(peer.stack, &before_);             \
		peer_frame(&peer, frame, n);                      \
		stack_counters(peer.stack, &after_);              \
		CU_ASSERT(after_.counter == before_.counter + 1); \
		CU_ASSERT(peer_next(&peer) == NULL);              \
	} while (0)

/* ---- ARP ---- */

static size_t
arp(uint8_t *f, uint16_t operation, uint32_t sender, uint32_t target)
{
	static const uint8_t head[] = {
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4};

	memset(f, 0, 42);
	memcpy(f, head, sizeof(head));
	wire_put16(f + 20, operation);
	memcpy(f + 22, f + 6, 6);
	wire_put32(f + 28, sender);
	wire_put32(f + 38, target);
	return 42;
}

static void
test_arp(void)
{
	const struct sent *s;
	uint8_t f[64];

	start(false);
	peer_frame(&peer, f, arp(f, 1, peer.config.guest4, peer.config.gateway4));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->n == 42 && memcmp(s->bytes, f + 6, 6) == 0);
	CU_ASSERT(wire_get16(s->bytes + 20) == 2);
	CU_ASSERT(memcmp(s->bytes + 22, peer.config.gateway_mac, 6) == 0);
	CU_ASSERT(wire_get32(s->bytes + 28) == peer.config.gateway4);
	CU_ASSERT(wire_get32(s->bytes + 38) == peer.config.guest4);
	/* RFC 5227's probe for the gateway is answered; one for the guest itself is not. */
	peer_frame(&peer, f, arp(f, 1, 0, peer.config.gateway4));
	CU_ASSERT(peer_next(&peer) != NULL);
	peer_frame(&peer, f, arp(f, 1, 0, peer.config.guest4));
	peer_frame(&peer, f, arp(f, 1, peer.config.guest4, 0x08080808));
	peer_frame(&peer, f, arp(f, 2, peer.config.guest4, peer.config.guest4));
	CU_ASSERT(peer_next(&peer) == NULL);
	peer_stop(&peer);
}

static void
test_arp_forged(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {{15, 2}, {16, 9}, {18, 5}, {19, 6}, {20, 9}, {22, 6}};
	uint8_t f[64];
	unsigned i;
	size_t n;

	start(false);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		n = arp(f, 1, peer.config.guest4, peer.config.gateway4);
		f[wrong[i].at] = wrong[i].value;
		EXPECT_DROP(arp_malformed, f, n);
	}
	n = arp(f, 2, peer.config.gateway4, peer.config.guest4);
	EXPECT_DROP(arp_malformed, f, n);
	for (n = ETHERNET_HEADER; n < 42; n++)
		EXPECT_DROP(arp_malformed, f, n);
	peer_stop(&peer);
}

/* ---- Ethernet ---- */

static void
test_ethernet_hostile(void)
{
	static uint8_t f[70000];
	size_t n;

	start(false);
	for (n = 0; n < ETHERNET_HEADER; n++)
		EXPECT_DROP(runt, f, n);
	EXPECT_DROP(giant, f, 1515);
	EXPECT_DROP(giant, f, sizeof(f));
	n = arp(f, 1, peer.config.guest4, peer.config.gateway4);
	f[6] = 3; /* a group as source */
	EXPECT_DROP(spoofed, f, n);
	memset(f + 6, 0, 6);
	EXPECT_DROP(spoofed, f, n);
	memcpy(f + 6, peer.config.gateway_mac, 6);
	EXPECT_DROP(spoofed, f, n);
	n = arp(f, 1, peer.config.guest4, peer.config.gateway4);
	memcpy(f, (const uint8_t[]){2, 9, 9, 9, 9, 9}, 6);
	EXPECT_DROP(ethernet_other, f, n);
	n = arp(f, 1, peer.config.guest4, peer.config.gateway4);
	wire_put16(f + 12, 0x8100);
	EXPECT_DROP(ethernet_other, f, n);
	peer_stop(&peer);
}

/* ---- IPv4 ---- */

static size_t
echo4(uint8_t *f)
{
	static const uint8_t message[] = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g', '!'};
	size_t n;

	stack_address_from_v4(peer.to, peer.config.gateway4);
	n = peer_ip(&peer, f, PROTOCOL_ICMP, message, sizeof(message));
	peer_sum(f, n);
	return n;
}

static void
test_ping(void)
{
	const struct sent *s;
	uint8_t f[2048], copy[2048];
	size_t n;

	start(false);
	n = echo4(f);
	/* Padding of short frames is not part of the packet. */
	peer_frame(&peer, f, n + 7);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->n == n && s->bytes[34] == 0);
	CU_ASSERT(memcmp(s->bytes + 38, f + 38, n - 38) == 0);
	memcpy(copy, s->bytes, s->n);
	peer_sum(copy, s->n);
	CU_ASSERT(memcmp(copy, s->bytes, s->n) == 0);
	/* Nobody else answers: prohibited. */
	stack_address_from_v4(peer.to, 0x08080808);
	memcpy(f + 30, peer.to + 12, 4);
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[34] == 3 && s->bytes[35] == 13);
	f[36] ^= 1;
	EXPECT_DROP(checksum, f, n);
	n = peer_ip(&peer, f, PROTOCOL_ICMP, "abc", 3);
	EXPECT_DROP(icmp_malformed, f, n);
	peer_stop(&peer);
}

static void
test_ipv4_hostile(void)
{
	uint8_t f[2048];
	size_t n;

	start(false);
	n = echo4(f);
	EXPECT_DROP(runt, f, ETHERNET_HEADER + 19);
	EXPECT_DROP(runt, f, n - 1);
	f[14] = 0x65; /* version */
	EXPECT_DROP(ip_malformed, f, n);
	f[14] = 0x44; /* header of 16 bytes */
	EXPECT_DROP(ip_malformed, f, n);
	n = echo4(f);
	wire_put16(f + 16, 19); /* total below the header */
	EXPECT_DROP(ip_malformed, f, n);
	n = echo4(f);
	f[22] = 0; /* hop count used up */
	EXPECT_DROP(ip_malformed, f, n);
	n = echo4(f);
	f[24] ^= 0x40;
	EXPECT_DROP(checksum, f, n);
	n = echo4(f);
	f[14] = 0x46; /* options, source routes among them */
	peer_sum(f, n);
	EXPECT_DROP(ip_options, f, n);
	n = echo4(f);
	f[20] = 0x20; /* more fragments */
	peer_sum(f, n);
	EXPECT_DROP(ip_fragment, f, n);
	f[20] = 0;
	f[21] = 3; /* a later one */
	peer_sum(f, n);
	EXPECT_DROP(ip_fragment, f, n);
	peer_stop(&peer);
}

static void
test_ipv4_addresses(void)
{
	static const uint32_t sources[] = {
	    0xc0a87f04, 0xc0a87f01, 0x08080808, 0, ~0u, 0x7f000001, 0xe0000001};
	/* Broadcasts in each form, and the guest itself. */
	static const uint32_t martians[] = {0, ~0u, 0xc0a87f03, 0xc0a87fff, 0xc0a87f00};
	uint8_t f[2048];
	unsigned i;
	size_t n;

	start(false);
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		n = echo4(f);
		wire_put32(f + 26, sources[i]);
		peer_sum(f, n);
		EXPECT_DROP(spoofed, f, n);
	}
	for (i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		n = echo4(f);
		wire_put32(f + 30, martians[i]);
		peer_sum(f, n);
		EXPECT_DROP(martian, f, n);
	}
	n = echo4(f);
	wire_put32(f + 30, 0xe00000fb);
	peer_sum(f, n);
	EXPECT_DROP(multicast, f, n);
	n = echo4(f);
	f[0] = 0xff; /* a group frame around a unicast packet */
	EXPECT_DROP(martian, f, n);
	peer_stop(&peer);
}

/* Nothing can be there, and who asks is told at once. */
static void
test_ipv4_martians(void)
{
	static const uint32_t martians[] = {
	    0x00000001, 0x7f000001, 0x7fffffff, 0xf0000001, 0xc0a87f07};
	static const uint8_t udp[] = {0x10, 0, 0x01, 0xbb, 0, 8, 0, 0};
	const struct sent *sent;
	uint8_t f[2048];
	struct reply r;
	size_t n;

	start(false);
	for (unsigned i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		wire_put32(peer.to + 12, martians[i]);
		peer_send(&peer, TCP_SYN, NULL, 0);
		r = peer_reply(&peer);
		CU_ASSERT(r.valid && r.flags == (TCP_RST | TCP_ACK) && r.ack == peer.seq + 1);
		/* A reset is never answered. */
		peer_send(&peer, TCP_RST, NULL, 0);
		CU_ASSERT(!peer_reply(&peer).valid);
		n = peer_ip(&peer, f, PROTOCOL_UDP, udp, sizeof(udp));
		peer_sum(f, n);
		peer_frame(&peer, f, n);
		sent = peer_next(&peer);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
		/* ICMP unreachable of the gateway, with what it is about. */
		CU_ASSERT(sent->bytes[23] == 1 && wire_get32(sent->bytes + 26) == 0xc0a87f01);
		CU_ASSERT(sent->bytes[34] == 3 && wire_get32(sent->bytes + 42 + 16) == martians[i]);
	}
	CU_ASSERT_EQUAL(peer.n_flows, 0);
	peer_stop(&peer);
}

static void
test_protocol_unreachable(void)
{
	const struct sent *s;
	uint8_t f[2048];
	size_t n;

	start(false);
	n = peer_ip(&peer, f, 47, "greet", 5);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[34] == 3 && s->bytes[35] == 2);
	CU_ASSERT(memcmp(s->bytes + 42, f + 14, n - 14) == 0);
	peer_stop(&peer);
}

/* ---- UDP ---- */

static size_t
udp(uint8_t *f, uint16_t to, size_t n)
{
	uint8_t u[1400] = {0};

	wire_put16(u, 5353);
	wire_put16(u + 2, to);
	wire_put16(u + 4, (uint16_t)(UDP_HEADER + n));
	n = peer_ip(&peer, f, PROTOCOL_UDP, u, UDP_HEADER + n);
	peer_sum(f, n);
	return n;
}

static void
test_udp(bool v6)
{
	size_t ip = v6 ? IPV6_HEADER : IPV4_HEADER, at = ETHERNET_HEADER + ip, n;
	uint8_t f[2048], copy[2048], v4gw[16], v6gw[16];
	const struct sent *s;

	start(v6);
	stack_gateway(peer.stack, v4gw, v6gw);
	peer.take = true;
	peer_frame(&peer, f, udp(f, 53, 100));
	CU_ASSERT(peer.datagram_length == 100 && peer.datagram.guest.port == 5353);
	CU_ASSERT(peer.datagram.destination.port == 53);
	CU_ASSERT(memcmp(peer.datagram.destination.address, peer.to, 16) == 0);
	CU_ASSERT(peer_next(&peer) == NULL);
	CU_ASSERT(stack_datagram(peer.stack, &peer.datagram, "answer", 6) == 0);
	peer_flush(&peer);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->n == at + 14 && wire_get16(s->bytes + at) == 53);
	CU_ASSERT(wire_get16(s->bytes + at + 2) == 5353);
	memcpy(copy, s->bytes, s->n);
	peer_sum(copy, s->n);
	CU_ASSERT(memcmp(copy, s->bytes, s->n) == 0);
	CU_ASSERT(stack_datagram(peer.stack, &peer.datagram, copy, 1500 - ip - 7) == -EMSGSIZE);
	/* Refused: an answer at once, from whom it was for. */
	peer.take = false;
	n = udp(f, 443, 1200);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[at] == (v6 ? 1 : 3) && s->bytes[at + 1] == (v6 ? 1 : 13));
	CU_ASSERT(memcmp(s->bytes + at + 8, f + 14, 500) == 0);
	memcpy(peer.to, v6 ? v6gw : v4gw, 16);
	peer_frame(&peer, f, udp(f, 999, 0));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[at + 1] == (v6 ? 4 : 3));
	n = udp(f, 53, 10);
	f[at + 8] ^= 1;
	EXPECT_DROP(checksum, f, n);
	n = udp(f, 53, 10);
	wire_put16(f + at + 4, 17);
	EXPECT_DROP(udp_malformed, f, n);
	n = udp(f, 0, 10);
	EXPECT_DROP(udp_malformed, f, n);
	n = peer_ip(&peer, f, PROTOCOL_UDP, "short", 5);
	EXPECT_DROP(udp_malformed, f, n);
	peer_stop(&peer);
}

static void
test_udp4(void)
{
	uint8_t f[2048];
	size_t n;

	test_udp(false);
	/* Without a checksum: allowed here, and not in IPv6. */
	start(false);
	peer.take = true;
	n = udp(f, 53, 10);
	wire_put16(f + 40, 0);
	peer_frame(&peer, f, n);
	CU_ASSERT(peer.datagram_length == 10);
	peer_stop(&peer);
}

static void
test_udp6(void)
{
	uint8_t f[2048];
	size_t n;

	test_udp(true);
	start(true);
	n = udp(f, 53, 10);
	wire_put16(f + 60, 0);
	EXPECT_DROP(checksum, f, n);
	peer_stop(&peer);
}

/* ---- IPv6 and neighbour discovery ---- */

static size_t
icmp6(
    uint8_t *f, const void *message, size_t n, const uint8_t *from, const uint8_t *to, uint8_t hops)
{
	n = peer_ip(&peer, f, PROTOCOL_ICMPV6, message, n);
	f[21] = hops;
	memcpy(f + 22, from, 16);
	memcpy(f + 38, to, 16);
	if (to[0] == 0xff)
		memcpy(f, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	peer_sum(f, n);
	return n;
}

static const uint8_t none[16];
static const uint8_t link_local[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
static const uint8_t all_routers[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

static void
test_router_solicitation(void)
{
	const uint8_t rs[16] = {133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1};
	const struct sent *s;
	const uint8_t *m;
	uint8_t f[256], copy[256];

	start(true);
	CU_ASSERT(stack_deadline(peer.stack) == UINT64_MAX);
	peer_frame(&peer, f, icmp6(f, rs, 16, link_local, all_routers, 255));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	m = s->bytes + 54;
	CU_ASSERT(m[0] == 134 && memcmp(s->bytes + 38, link_local, 16) == 0 && s->bytes[21] == 255);
	CU_ASSERT(wire_get16(m + 6) > 0 && m[5] == 0);
	CU_ASSERT(m[24] == 5 && wire_get32(m + 28) == peer.config.mtu);
	CU_ASSERT(m[32] == 3 && m[34] == 64 && memcmp(m + 48, peer.config.prefix6, 8) == 0);
	CU_ASSERT(m[64] == 25 && memcmp(m + 72, peer.config.prefix6, 8) == 0 && m[87] == 1);
	memcpy(copy, s->bytes, s->n);
	peer_sum(copy, s->n);
	CU_ASSERT(memcmp(copy, s->bytes, s->n) == 0);
	/* From nobody yet: to all. */
	peer_frame(&peer, f, icmp6(f, rs, 8, none, all_routers, 255));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[38] == 0xff);
	/* And again before it runs out. */
	peer_wait(&peer, 9000ull * 1000000);
	CU_ASSERT(peer_next(&peer) != NULL);
	peer_stop(&peer);
}

static void
test_neighbour_solicitation(void)
{
	uint8_t ns[32] = {135}, f[256], v4[16], gateway[16];
	const struct sent *s;

	start(true);
	stack_gateway(peer.stack, v4, gateway);
	memcpy(ns + 8, gateway, 16);
	ns[24] = ns[25] = 1;
	peer_frame(&peer, f, icmp6(f, ns, 32, link_local, gateway, 255));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[54] == 136 && s->bytes[58] == 0xe0);
	CU_ASSERT(memcmp(s->bytes + 62, gateway, 16) == 0);
	CU_ASSERT(memcmp(s->bytes + 80, peer.config.gateway_mac, 6) == 0);
	/* Somebody wants our address: defended, to all. */
	peer_frame(&peer, f, icmp6(f, ns, 24, none, all_routers, 255));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[54] == 136 && s->bytes[58] == 0xa0 && s->bytes[38] == 0xff);
	/* The guest's own detection is left alone. */
	ns[23] = 99;
	peer_frame(&peer, f, icmp6(f, ns, 24, none, all_routers, 255));
	CU_ASSERT(peer_next(&peer) == NULL);
	peer_stop(&peer);
}

static void
test_ndp_forged(void)
{
	uint8_t ns[32] = {135}, ra[16] = {134}, na[32] = {136}, rs[16] = {133},
		redirect[40] = {137};
	uint8_t f[256], v4[16], gateway[16];
	size_t n;

	start(true);
	stack_gateway(peer.stack, v4, gateway);
	n = icmp6(f, ra, 16, link_local, ipv6_all_nodes, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, redirect, 40, link_local, ipv6_all_nodes, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	memcpy(na + 8, gateway, 16);
	na[24] = 2;
	na[25] = 1;
	n = icmp6(f, na, 32, link_local, ipv6_all_nodes, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, na, 20, link_local, ipv6_all_nodes, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, rs, 8, link_local, all_routers, 254); /* came through a router */
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, rs, 16, link_local, all_routers, 255); /* an option of length 0 */
	EXPECT_DROP(ndp_malformed, f, n);
	rs[8] = 1;
	rs[9] = 2; /* past the end */
	n = icmp6(f, rs, 16, link_local, all_routers, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, rs, 12, link_local, all_routers, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	rs[9] = 1; /* an address of nobody */
	n = icmp6(f, rs, 16, none, all_routers, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	rs[1] = 1;
	n = icmp6(f, rs, 8, link_local, all_routers, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	memcpy(ns + 8, ipv6_all_nodes, 16);
	n = icmp6(f, ns, 24, link_local, all_routers, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, ns, 23, link_local, all_routers, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	memcpy(ns + 8, gateway, 16);
	n = icmp6(f, ns, 24, none, gateway, 255);
	EXPECT_DROP(ndp_malformed, f, n);
	n = icmp6(f, ns, 24, gateway, all_routers, 255); /* as if from us */
	EXPECT_DROP(spoofed, f, n);
	n = icmp6(f, ns, 4, link_local, all_routers, 255);
	EXPECT_DROP(icmp_malformed, f, n);
	peer_stop(&peer);
}

static size_t
echo6(uint8_t *f)
{
	static const uint8_t message[] = {128, 0, 0, 0, 1, 2, 0, 1, 'h', 'i'};
	size_t n = peer_ip(&peer, f, PROTOCOL_ICMPV6, message, sizeof(message));

	peer_sum(f, n);
	return n;
}

static void
test_ipv6_martians(void)
{
	static const uint8_t martians[][16] = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
	    {[12] = 10, [15] = 1}, {0, 0x64, 0xff, 0x9b, [12] = 10, [15] = 1},
	    {0xfe, 0x80, [15] = 9}, {0xfe, 0xc0, [15] = 1},
	    {0xfd, 0x67, 0x6f, 0x6e, 0x64, 0x6f, 0, 1, [15] = 9}};
	static const uint8_t solicitation[24] = {135};
	const struct sent *sent;
	uint8_t f[256];
	struct reply r;
	size_t n;

	start(true);
	for (unsigned i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		memcpy(peer.to, martians[i], 16);
		peer_send(&peer, TCP_SYN, NULL, 0);
		r = peer_reply(&peer);
		CU_ASSERT(r.valid && r.flags == (TCP_RST | TCP_ACK));
		n = echo6(f);
		peer_frame(&peer, f, n);
		sent = peer_next(&peer);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
		CU_ASSERT(
		    sent->bytes[54] == 1 && memcmp(sent->bytes + 62 + 24, martians[i], 16) == 0);
		/* Whatever else it is, it is nobody's neighbour. */
		n = peer_ip(&peer, f, PROTOCOL_ICMPV6, solicitation, sizeof(solicitation));
		peer_sum(f, n);
		EXPECT_DROP(martian, f, n);
	}
	CU_ASSERT_EQUAL(peer.n_flows, 0);
	peer_stop(&peer);
}

static void
test_ipv6_hostile(void)
{
	static const uint8_t martians[][16] = {{0}, {[15] = 1}};
	static const uint8_t sources[][16] = {{0x20, 1, [15] = 1}, {[15] = 1},
	    {[10] = 0xff, [11] = 0xff, [12] = 192, 168, 127, 3}, {0xff, 2, [15] = 1},
	    {0xfd, 0x67, 0x6f, 0x6e, 0x64, 0x6f, 0, 1, [15] = 1}};
	static const uint8_t next[] = {0, 43, 60};
	uint8_t f[256];
	unsigned i;
	size_t n;

	start(true);
	n = echo6(f);
	EXPECT_DROP(runt, f, n - 1);
	EXPECT_DROP(runt, f, ETHERNET_HEADER + 39);
	f[14] = 0x40;
	EXPECT_DROP(ip_malformed, f, n);
	n = echo6(f);
	f[21] = 0;
	EXPECT_DROP(ip_malformed, f, n);
	for (i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		n = echo6(f);
		memcpy(f + 38, martians[i], 16);
		peer_sum(f, n);
		EXPECT_DROP(martian, f, n);
	}
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		n = echo6(f);
		memcpy(f + 22, sources[i], 16);
		peer_sum(f, n);
		EXPECT_DROP(spoofed, f, n);
	}
	for (i = 0; i < sizeof(next); i++) {
		n = peer_ip(&peer, f, next[i], "extended", 8);
		EXPECT_DROP(ip_options, f, n);
	}
	n = peer_ip(&peer, f, 44, "fragment", 8);
	EXPECT_DROP(ip_fragment, f, n);
	n = peer_ip(&peer, f, 0, "listener", 8);
	memcpy(f + 38, ipv6_all_nodes, 16);
	EXPECT_DROP(multicast, f, n);
	n = echo6(f);
	f[58] ^= 1;
	EXPECT_DROP(checksum, f, n);
	peer_stop(&peer);
}

static void
test_ping6(void)
{
	const struct sent *s;
	uint8_t f[256], v4[16];
	size_t n;

	start(true);
	n = echo6(f);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[54] == 1 && s->bytes[55] == 1);
	stack_gateway(peer.stack, v4, peer.to);
	n = echo6(f);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[54] == 129 && s->n == n);
	n = peer_ip(&peer, f, 132, "sctp", 4);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[54] == 4 && s->bytes[55] == 1 && wire_get32(s->bytes + 58) == 6);
	peer_stop(&peer);
}

/* A link-local source reaches nothing beyond the link, and is told so (RFC 4443 3.1, code 2). */
static void
test_scope6(void)
{
	const struct sent *s;
	uint8_t f[256];
	size_t n;

	start(true);
	n = peer_ip(&peer, f, PROTOCOL_TCP, "a segment, of sorts!", 20);
	memcpy(f + 22, link_local, 16);
	peer_frame(&peer, f, n);
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(s->bytes[54] == 1 && s->bytes[55] == 2);
	CU_ASSERT(memcmp(s->bytes + 38, link_local, 16) == 0);
	CU_ASSERT(memcmp(s->bytes + 62, f + 14, n - 14) == 0);
	f[0] |= 1;
	EXPECT_DROP(spoofed, f, n);
	f[0] &= 0xfe;
	memcpy(f + 38, ipv6_all_nodes, 16);
	EXPECT_DROP(multicast, f, n);
	memcpy(f + 38, link_local, 16);
	EXPECT_DROP(spoofed, f, n);
	peer_stop(&peer);
}

static void
test_configuration(void)
{
	const struct stack_handlers h = {0};
	struct stack_config good, c;
	struct stack *s;

	stack_config_default(&good);
	c = good;
	c.mtu = 1279;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL && s == NULL);
	c = good;
	c.mtu = 65521;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL);
	c = good;
	c.guest4 = 0xc0a88003;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL);
	c = good;
	c.guest4 = 0xc0a87fff;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL);
	c = good;
	c.prefix6[0] = 0x20;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL);
	c = good;
	c.gateway_mac[0] |= 1;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL);
	c = good;
	c.send_max = 1;
	CU_ASSERT(stack_new(&s, &c, NULL, &h, 0) == -EINVAL);
	stack_free(NULL);
}

CU_TestInfo lan_tests[] = {
    {"configuration out of range", test_configuration},
    {"ipv6, beyond the scope of its source", test_scope6},
    {"arp", test_arp},
    {"arp forged", test_arp_forged},
    {"ethernet hostile", test_ethernet_hostile},
    {"ping", test_ping},
    {"ipv4 hostile", test_ipv4_hostile},
    {"ipv4 addresses", test_ipv4_addresses},
    {"IPv4 martians", test_ipv4_martians},
    {"protocol unreachable", test_protocol_unreachable},
    {"udp over ipv4", test_udp4},
    {"udp over ipv6", test_udp6},
    {"router solicitation", test_router_solicitation},
    {"neighbour solicitation", test_neighbour_solicitation},
    {"neighbour discovery forged", test_ndp_forged},
    {"ipv6 hostile", test_ipv6_hostile},
    {"IPv6 martians", test_ipv6_martians},
    {"ping over ipv6", test_ping6},
    CU_TEST_INFO_NULL,
};
