/* SPDX-License-Identifier: Apache-2.0 */
/* TCP segments that a guest sends to do harm. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "peer.h"
#include "suites.h"

#define SECOND 1000000ull

static struct peer peer;

static struct stack_counters
counters(void)
{
	struct stack_counters c;

	stack_counters(peer.stack, &c);
	return c;
}

static struct flow *
start(void)
{
	struct flow *f;

	peer_init(&peer);
	peer_start(&peer);
	peer.ts = 5000;
	f = peer_open(&peer);
	peer_forget(&peer);
	return f;
}

static void
test_malformed(void)
{
	uint8_t f[256];
	size_t n;

	start();
	n = peer_tcp(&peer, f, TCP_ACK, NULL, 0, "data", 4);
	f[46] = 0x40; /* header of 16 bytes */
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	n = peer_tcp(&peer, f, TCP_ACK, NULL, 0, "data", 4);
	f[46] = 0x70; /* beyond the end */
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	n = peer_ip(&peer, f, PROTOCOL_TCP, "nineteen bytes here", 19);
	peer_frame(&peer, f, n);
	n = peer_tcp(&peer, f, TCP_ACK, NULL, 0, "data", 4);
	wire_put16(f + 34, 0); /* port 0 */
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	CU_ASSERT(counters().tcp_malformed == 4);
	n = peer_tcp(&peer, f, TCP_ACK, NULL, 0, "data", 4);
	f[50] ^= 0x80;
	peer_frame(&peer, f, n);
	CU_ASSERT(counters().checksum == 1);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer_stop(&peer);
}

static void
test_options(void)
{
	static const struct {
		uint8_t bytes[12];
		size_t n;
		int result;
	} rows[] = {
	    {{2, 4, 5, 180}, 4, 0},
	    {{1, 1, 1, 1}, 4, 0},
	    {{0, 9, 9, 9}, 4, 0},
	    {{254, 4, 1, 2}, 4, 0},
	    {{2, 3, 5, 180}, 4, -EPROTO},
	    {{2, 5, 5, 180}, 4, -EPROTO},
	    {{3, 4, 1, 1}, 4, -EPROTO},
	    {{4, 3, 0, 0}, 4, -EPROTO},
	    {{5, 2, 0, 0}, 4, -EPROTO},
	    {{5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, -EPROTO},
	    {{5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, -EPROTO},
	    {{8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, -EPROTO},
	    {{254, 0, 0, 0}, 4, -EPROTO},
	    {{254, 1, 0, 0}, 4, -EPROTO},
	    {{254, 9, 0, 0}, 4, -EPROTO},
	    {{1, 1, 1, 8}, 4, -EPROTO},
	};
	struct tcp_options o;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT(tcp_options_parse(&o, rows[i].bytes, rows[i].n, true) == rows[i].result);
	CU_ASSERT(tcp_options_parse(&o, rows[0].bytes, 4, true) == 0 && o.has_mss && o.mss == 1460);
	/* Options of a SYN mean nothing elsewhere. */
	CU_ASSERT(tcp_options_parse(&o, rows[0].bytes, 4, false) == 0 && !o.has_mss);
}

/* RFC 5961 3.2. */
static void
test_blind_reset(void)
{
	struct flow *f = start();
	uint32_t seq = peer.seq;
	struct reply r;

	peer.seq = seq + 1000;
	peer_send(&peer, TCP_RST, NULL, 0);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == TCP_ACK && r.ack == seq);
	peer.seq = seq - 1;
	peer_send(&peer, TCP_RST, NULL, 0);
	peer.seq = seq + 0x10000000;
	peer_send(&peer, TCP_RST, NULL, 0);
	CU_ASSERT(!peer_reply(&peer).valid);
	CU_ASSERT((peer.flows[0].events & FLOW_CLOSED) == 0);
	CU_ASSERT(flow_write(f, "alive", 5) == 5);
	peer_stop(&peer);
}

/* RFC 5961 4 and 5; and challenges are few. */
static void
test_blind_syn_and_ack(void)
{
	struct reply r;
	uint32_t ack;
	unsigned i;

	start();
	ack = peer.ack;
	peer_send(&peer, TCP_SYN, NULL, 0);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == TCP_ACK && r.ack == peer.seq);
	peer_wait(&peer, SECOND);
	peer.ack = ack + 100000; /* bytes that were never sent */
	peer_send(&peer, TCP_ACK, "inject", 6);
	CU_ASSERT(peer_reply(&peer).flags == TCP_ACK);
	peer.ack = ack - 0x10000000;
	for (i = 0; i < 50; i++)
		peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT(!peer_reply(&peer).valid && counters().tcp_challenge == 2);
	/* Without ACK: dropped. */
	peer_send(&peer, 0, "inject", 6);
	CU_ASSERT((peer.flows[0].events & FLOW_READABLE) != 0 || true);
	peer_stop(&peer);
}

static void
test_out_of_window(void)
{
	struct flow *f = start();
	uint32_t seq = peer.seq;
	struct iovec iov[2];
	unsigned pieces;

	peer.seq = seq + 0x20000000;
	peer_send(&peer, TCP_ACK, "far ahead", 9);
	CU_ASSERT(counters().tcp_out_of_window == 1 && peer_reply(&peer).ack == seq);
	peer.seq = seq - 50;
	peer_send(&peer, TCP_ACK, "far behind", 10);
	CU_ASSERT(peer_reply(&peer).ack == seq);
	CU_ASSERT(flow_peek(f, iov, &pieces) == 0);
	peer_stop(&peer);
}

/* RFC 7323 5. */
static void
test_paws(void)
{
	struct flow *f = start();
	struct iovec iov[2];
	unsigned pieces;

	peer.ts = 6000;
	peer_send(&peer, TCP_ACK, "new", 3);
	peer.seq += 3;
	peer.ts = 5999;
	peer_send(&peer, TCP_ACK, "old", 3);
	CU_ASSERT(counters().tcp_paws == 1 && flow_peek(f, iov, &pieces) == 3);
	peer.ts = 0; /* none at all */
	peer_send(&peer, TCP_ACK, "bare", 4);
	CU_ASSERT(counters().tcp_paws == 2 && flow_peek(f, iov, &pieces) == 3);
	peer_stop(&peer);
}

static void
test_syn_flood(void)
{
	struct stack_counters c;
	unsigned i;

	peer_init(&peer);
	peer.config.half_open_max = 32;
	peer.config.flows_max = 64;
	peer_start(&peer);
	peer_open(&peer);
	for (i = 0; i < 10000; i++) {
		peer.port = (uint16_t)(1024 + i % 50000);
		peer.seq += 77777;
		stack_address_from_v4(peer.to, 0x01010101 + i);
		peer_send(&peer, TCP_SYN, NULL, 0);
	}
	c = counters();
	CU_ASSERT(c.half_open == 32 && c.flows == 33 && c.buffers == 0);
	CU_ASSERT(c.tcp_half_open_evicted == 10000 - 32);
	/* Who completes the handshake still gets in. */
	peer_open(&peer);
	CU_ASSERT(counters().flows <= 34);
	peer_stop(&peer);
}

static void
test_table_full(void)
{
	unsigned i;

	peer_init(&peer);
	peer.config.flows_max = 8;
	peer_start(&peer);
	for (i = 0; i < 8; i++) {
		peer.port++;
		peer_open(&peer);
	}
	peer.port++;
	peer_send(&peer, TCP_SYN, NULL, 0);
	CU_ASSERT(counters().tcp_full == 1 && counters().flows == 8);
	peer_stop(&peer);
}

/* One that claims to come from where it goes. */
static void
test_land(void)
{
	uint8_t f[256];
	size_t n;

	start();
	n = peer_tcp(&peer, f, TCP_SYN, NULL, 0, NULL, 0);
	memcpy(f + 30, f + 26, 4);
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	CU_ASSERT(counters().martian == 1);
	memcpy(f + 26, peer.to + 12, 4);
	memcpy(f + 30, peer.to + 12, 4);
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	CU_ASSERT(counters().spoofed == 1 && !peer_reply(&peer).valid);
	peer_stop(&peer);
}

/* Islands in the stream: bounded, and the flow survives. */
static void
test_many_ranges(void)
{
	struct flow *f = start();
	uint32_t base = peer.seq, i;
	struct iovec iov[2];
	unsigned pieces;

	for (i = 1; i < 200; i++) {
		peer.seq = base + i * 4;
		peer_send(&peer, TCP_ACK, "ab", 2);
	}
	CU_ASSERT(counters().tcp_no_buffer > 0);
	for (i = 0; i < 200; i++) {
		peer.seq = base + i * 4;
		peer_send(&peer, TCP_ACK, "abcd", 4);
	}
	CU_ASSERT(flow_peek(f, iov, &pieces) == 800);
	peer_stop(&peer);
}

/* Selective acknowledgments of what was not sent, of everything, of slivers. */
static void
test_sack_lies(void)
{
	static uint8_t bytes[60000];
	uint8_t frame[256], o[40] = {1, 1, 8, 10};
	struct flow *f = start();
	uint32_t first = peer.ack, i;

	CU_ASSERT(flow_write(f, bytes, sizeof(bytes)) == sizeof(bytes));
	peer_flush(&peer);
	o[12] = o[13] = 1;
	o[14] = 5;
	o[15] = 26;
	for (i = 0; i < 2000; i++) {
		wire_put32(o + 4, ++peer.ts);
		wire_put32(o + 16, first + i * 29 % 60000);
		wire_put32(o + 20, first + i * 29 % 60000 + 1 + i % 3);
		wire_put32(o + 24, first + 100000 + i);
		wire_put32(o + 28, first + 200000);
		wire_put32(o + 32, first + 500);
		wire_put32(o + 36, first - 500);
		peer_frame(&peer, frame, peer_tcp(&peer, frame, TCP_ACK, o, 40, NULL, 0));
	}
	for (i = 0; i < 100 && flow_unacknowledged(f) > 0; i++) {
		peer.ts++;
		peer.ack = first + (i + 1) * 700;
		if (peer.ack - first > 60000)
			peer.ack = first + 60000;
		peer_send(&peer, TCP_ACK, NULL, 0);
		peer_wait(&peer, SECOND);
	}
	CU_ASSERT(flow_unacknowledged(f) == 0);
	peer_stop(&peer);
}

/* Many flows that read nothing: memory stays within the budget and every flow gets some. */
static void
test_memory_bound(void)
{
	static uint8_t bytes[1400];
	uint32_t base;
	unsigned i, k;

	peer_init(&peer);
	peer.config.buffers_max = 1024 * 1024;
	peer_start(&peer);
	for (i = 0; i < 60; i++) {
		peer.port++;
		peer_open(&peer);
		base = peer.seq;
		for (k = 0; k < 200; k++) {
			peer.seq = base + k * 1400;
			peer_send(&peer, TCP_ACK, bytes, sizeof(bytes));
		}
		CU_ASSERT(flow_unacknowledged(peer.flows[i].flow) == 0);
		CU_ASSERT((peer.flows[i].events & FLOW_READABLE) != 0);
	}
	CU_ASSERT(counters().buffers <= 1024 * 1024 + 60 * 4096);
	peer_stop(&peer);
}

CU_TestInfo tcp_hostile_tests[] = {
    {"malformed", test_malformed},
    {"options", test_options},
    {"blind reset", test_blind_reset},
    {"blind syn and ack", test_blind_syn_and_ack},
    {"out of window", test_out_of_window},
    {"old timestamps", test_paws},
    {"syn flood", test_syn_flood},
    {"table full", test_table_full},
    {"land", test_land},
    {"many ranges", test_many_ranges},
    {"sack lies", test_sack_lies},
    {"memory is bounded", test_memory_bound},
    CU_TEST_INFO_NULL,
};
