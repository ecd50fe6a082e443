/* SPDX-License-Identifier: Apache-2.0 */
/* TCP: bytes both ways, loss, windows, a full link. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "suites.h"

#define SECOND 1000000ull

static struct peer peer;
static uint8_t pattern[200000];

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
	size_t i;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + (i >> 8) * 17);
	peer_init(&peer);
	peer_start(&peer);
	peer.ts = 1000;
	peer_open(&peer);
	peer_forget(&peer);
	return peer.flows[0].flow;
}

static void
write_all(struct flow *f, size_t from, size_t n)
{
	CU_ASSERT_FATAL(flow_write(f, pattern + from, n) == n);
	peer_flush(&peer);
}

/* Expects the next segment to be n bytes of the pattern at an offset. */
static struct reply
expect_bytes(uint32_t first_seq, size_t offset, size_t n)
{
	struct reply r;

	do {
		r = peer_reply(&peer);
	} while (r.valid && r.n == 0);
	CU_ASSERT(r.valid && r.n == n && r.seq == first_seq + (uint32_t)offset);
	if (r.valid && r.n == n)
		CU_ASSERT(memcmp(r.data, pattern + offset, n) == 0);
	return r;
}

static void
ack_with_sack(uint32_t ack, const uint32_t *edges, unsigned n)
{
	uint8_t frame[256], o[40] = {1, 1, 8, 10};
	unsigned i;

	wire_put32(o + 4, ++peer.ts);
	o[12] = o[13] = 1;
	o[14] = 5;
	o[15] = (uint8_t)(2 + 8 * n);
	for (i = 0; i < 2 * n; i++)
		wire_put32(o + 16 + 4 * i, edges[i]);
	peer.ack = ack;
	peer_frame(&peer, frame, peer_tcp(&peer, frame, TCP_ACK, o, 16 + 8 * n, NULL, 0));
}

static void
plain_ack(uint32_t ack)
{
	peer.ts++;
	peer.ack = ack;
	peer_send(&peer, TCP_ACK, NULL, 0);
}

/* 1460 less 12 bytes of timestamps. */
#define SEGMENT 1448u

static void
test_send(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack;
	struct reply r;
	size_t i;

	write_all(f, 0, 10 * SEGMENT);
	for (i = 0; i < 10; i++) {
		r = expect_bytes(first, i * SEGMENT, SEGMENT);
		CU_ASSERT((r.flags & TCP_PSH) == (i == 9 ? TCP_PSH : 0));
		CU_ASSERT(r.parsed.has_timestamp && r.parsed.ts_echo == peer.ts);
	}
	CU_ASSERT(flow_unacknowledged(f) == 10 * SEGMENT);
	plain_ack(first + 10 * SEGMENT);
	CU_ASSERT(flow_unacknowledged(f) == 0 && counters().buffers == 0);
	CU_ASSERT(counters().tcp_retransmitted == 0);
	peer_stop(&peer);
}

/* While two full segments are in flight a short one waits for company; else it goes. */
static void
test_short_segments(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack;

	write_all(f, 0, 2 * SEGMENT + 100);
	expect_bytes(first, 0, SEGMENT);
	expect_bytes(first, SEGMENT, SEGMENT);
	CU_ASSERT(!peer_reply(&peer).valid);
	write_all(f, 2 * SEGMENT + 100, 50);
	plain_ack(first + 2 * SEGMENT);
	expect_bytes(first, 2 * SEGMENT, 150);
	write_all(f, 2 * SEGMENT + 150, 10);
	expect_bytes(first, 2 * SEGMENT + 150, 10);
	peer_stop(&peer);
}

static void
test_fast_retransmit(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT;

	write_all(f, 0, 20 * s);
	peer_forget(&peer);
	/* Segments 2 and 5 are lost. */
	ack_with_sack(first + 2 * s, (uint32_t[]){first + 3 * s, first + 5 * s}, 1);
	CU_ASSERT(!peer_reply(&peer).valid);
	ack_with_sack(first + 2 * s,
	    (uint32_t[]){first + 6 * s, first + 9 * s, first + 3 * s, first + 5 * s}, 2);
	expect_bytes(first, 2 * s, s);
	ack_with_sack(first + 2 * s,
	    (uint32_t[]){first + 6 * s, first + 20 * s, first + 3 * s, first + 5 * s}, 2);
	expect_bytes(first, 5 * s, s);
	CU_ASSERT(!peer_reply(&peer).valid && counters().tcp_retransmitted == 2);
	plain_ack(first + 20 * s);
	CU_ASSERT(flow_unacknowledged(f) == 0 && counters().tcp_timeouts == 0);
	peer_stop(&peer);
}

/* A hole is cut in its middle, at both ends, and away; what is left is what comes again. */
static void
test_holes(void)
{
	static const unsigned blocks[][2] = {
	    {10, 12}, {4, 5}, {1, 2}, {6, 10}, {3, 4}, {2, 4}, {15, 20}, {12, 14}};
	static const unsigned missing[] = {0, 5, 14};
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT;
	unsigned i;

	write_all(f, 0, 24 * s);
	peer.flows[0].flow->reorder = 30; /* no repair before all is said */
	for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		ack_with_sack(
		    first, (uint32_t[]){first + blocks[i][0] * s, first + blocks[i][1] * s}, 1);
	CU_ASSERT(counters().tcp_retransmitted == 0);
	peer_forget(&peer);
	f->reorder = 3;
	ack_with_sack(first, (uint32_t[]){first + 20 * s, first + 23 * s}, 1);
	for (i = 0; i < 3; i++)
		expect_bytes(first, missing[i] * s, s);
	CU_ASSERT(!peer_reply(&peer).valid && counters().tcp_retransmitted == 3);
	plain_ack(first + 5 * s);
	plain_ack(first + 23 * s);
	peer_wait(&peer, SECOND / 4); /* the tail, still in recovery: a timeout */
	expect_bytes(first, 23 * s, s);
	plain_ack(first + 24 * s);
	CU_ASSERT(flow_unacknowledged(f) == 0);
	peer_stop(&peer);
}

/* The repair is lost as well; what was sent after it tells. */
static void
test_lost_repair(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT;

	write_all(f, 0, 30 * s);
	peer_forget(&peer);
	ack_with_sack(first, (uint32_t[]){first + s, first + 20 * s}, 1);
	expect_bytes(first, 0, s);
	write_all(f, 30 * s, 20 * s);
	peer_forget(&peer);
	ack_with_sack(first, (uint32_t[]){first + s, first + 30 * s}, 1);
	peer_forget(&peer);
	ack_with_sack(first, (uint32_t[]){first + s, first + 40 * s}, 1);
	expect_bytes(first, 0, s);
	plain_ack(first + 50 * s);
	CU_ASSERT(flow_unacknowledged(f) == 0);
	peer_stop(&peer);
}

static void
test_reordering_learned(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT, i;

	for (i = 0; i < 10; i++) {
		write_all(f, i * 8 * s, 8 * s);
		peer_forget(&peer);
		/* Segment 0 comes after 1 and 2. */
		ack_with_sack(first + i * 8 * s,
		    (uint32_t[]){first + (i * 8 + 1) * s, first + (i * 8 + 3) * s}, 1);
		plain_ack(first + (i * 8 + 3) * s);
		plain_ack(first + (i * 8 + 8) * s);
	}
	CU_ASSERT(counters().tcp_retransmitted == 0);
	peer_stop(&peer);
}

static void
test_without_sack(void)
{
	uint8_t options[4] = {2, 4, 0x05, 0xb4}, frame[256];
	uint32_t first, s = 1460;
	struct reply r;
	struct flow *f;
	unsigned i;

	start();
	peer.ts = 0;
	peer.port++;
	peer_frame(&peer, frame, peer_tcp(&peer, frame, TCP_SYN, options, 4, NULL, 0));
	r = peer_reply(&peer);
	CU_ASSERT(!r.parsed.sack_ok);
	peer.seq++;
	first = peer.ack = r.seq + 1;
	peer_send(&peer, TCP_ACK, NULL, 0);
	f = peer.flows[1].flow;
	write_all(f, 0, 20 * s);
	peer_forget(&peer);
	/* RFC 6582: 0 and 4 are lost. */
	for (i = 0; i < 2; i++)
		peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer_send(&peer, TCP_ACK, NULL, 0);
	expect_bytes(first, 0, s);
	peer.ack = first + 4 * s;
	peer_send(&peer, TCP_ACK, NULL, 0);
	expect_bytes(first, 4 * s, s);
	peer.ack = first + 20 * s;
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT(flow_unacknowledged(f) == 0 && counters().tcp_timeouts == 0);
	peer_stop(&peer);
}

static void
test_timeout(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT;
	unsigned i;

	write_all(f, 0, 4 * s);
	peer_forget(&peer);
	/* First the tail as a probe, then everything, one at a time. */
	peer_wait(&peer, SECOND / 10);
	expect_bytes(first, 3 * s, s);
	peer_wait(&peer, SECOND);
	expect_bytes(first, 0, s);
	CU_ASSERT(counters().tcp_timeouts >= 1);
	peer_forget(&peer);
	plain_ack(first + s);
	expect_bytes(first, s, s);
	expect_bytes(first, 2 * s, s);
	plain_ack(first + 4 * s);
	CU_ASSERT(flow_unacknowledged(f) == 0);
	/* A guest that is gone ends the flow. */
	write_all(f, 4 * s, s);
	for (i = 0; i < 40; i++)
		peer_wait(&peer, 60 * SECOND);
	CU_ASSERT(flow_error(f) == -ETIMEDOUT);
	CU_ASSERT((peer.flows[0].events & FLOW_CLOSED) != 0);
	flow_close(f);
	peer_stop(&peer);
}

/* The receiver takes back what it had selectively acknowledged. */
static void
test_reneging(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT, i;

	write_all(f, 0, 6 * s);
	ack_with_sack(first, (uint32_t[]){first + s, first + 6 * s}, 1);
	peer_forget(&peer);
	plain_ack(first + s);
	for (i = 1; i < 6; i++) {
		peer_wait(&peer, SECOND);
		expect_bytes(first, i * s, s);
		peer_forget(&peer);
		plain_ack(first + (i + 1) * s);
	}
	CU_ASSERT(flow_unacknowledged(f) == 0);
	peer_stop(&peer);
}

static void
test_zero_window(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack;
	struct reply r;

	peer.window = 0;
	plain_ack(first);
	write_all(f, 0, 5000);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer_wait(&peer, SECOND);
	r = expect_bytes(first, 0, 1);
	plain_ack(first); /* still shut */
	peer_forget(&peer);
	peer_wait(&peer, 300 * SECOND);
	expect_bytes(first, 0, 1);
	peer_forget(&peer);
	/* The byte of a probe is taken and the window opens. */
	peer.window = 65535;
	plain_ack(first + 1);
	r = expect_bytes(first, 1, SEGMENT);
	CU_ASSERT(r.valid && flow_unacknowledged(f) == 4999);
	plain_ack(first + 1 + 3 * SEGMENT);
	plain_ack(first + 5000);
	CU_ASSERT(flow_unacknowledged(f) == 0 && counters().tcp_timeouts == 0);
	peer_stop(&peer);
}

/* RFC 9293 3.8.6.2.1: no sliver for a sliver. */
static void
test_silly_window(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack;

	peer.window = 0;
	plain_ack(first);
	write_all(f, 0, 20 * SEGMENT);
	peer.window = 1; /* 128 bytes */
	plain_ack(first);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer.window = 12; /* 1536 */
	plain_ack(first);
	expect_bytes(first, 0, SEGMENT);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer_stop(&peer);
}

static void
test_window_shrinks(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT;

	write_all(f, 0, 10 * s);
	peer_forget(&peer);
	peer.window = 10; /* below what is in flight */
	plain_ack(first);
	write_all(f, 10 * s, s);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer.window = 65535;
	plain_ack(first + 10 * s);
	expect_bytes(first, 10 * s, s);
	peer_stop(&peer);
}

static size_t
readable(const struct flow *f, uint8_t *out)
{
	struct iovec iov[2];
	unsigned i, pieces;
	size_t n = flow_peek(f, iov, &pieces), at = 0;

	for (i = 0; i < pieces; i++) {
		memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	return n;
}

static void
send_at(uint32_t base, size_t offset, size_t n)
{
	peer.seq = base + (uint32_t)offset;
	peer.ts++;
	peer_send(&peer, TCP_ACK, pattern + offset, n);
}

static void
test_receive(void)
{
	struct flow *f = start();
	uint32_t base = peer.seq;
	static uint8_t out[200000];
	struct reply r;
	size_t i;

	for (i = 0; i < 40; i++)
		send_at(base, i * 1000, 1000);
	CU_ASSERT(readable(f, out) == 40000 && memcmp(out, pattern, 40000) == 0);
	while ((r = peer_reply(&peer)).valid)
		peer.ack = r.seq;
	flow_consume(f, 40000);
	CU_ASSERT(counters().buffers == 0);
	/* One short segment waits for an answer to ride on, but not for long. */
	send_at(base, 40000, 10);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer_wait(&peer, SECOND / 10);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.n == 0 && r.ack == base + 40010);
	send_at(base, 40010, 10);
	write_all(f, 0, 5);
	r = peer_reply(&peer);
	CU_ASSERT(r.n == 5 && r.ack == base + 40020);
	peer_wait(&peer, SECOND / 20);
	peer_stop(&peer);
}

static void
test_out_of_order(void)
{
	struct flow *f = start();
	uint32_t base = peer.seq;
	uint8_t out[10000];
	struct reply r;

	send_at(base, 2000, 1000);
	r = peer_reply(&peer);
	CU_ASSERT(r.ack == base && r.parsed.n_sack == 1);
	CU_ASSERT(r.parsed.sack[0].start == base + 2000 && r.parsed.sack[0].end == base + 3000);
	send_at(base, 4000, 1000);
	r = peer_reply(&peer);
	CU_ASSERT(r.parsed.n_sack == 2 && r.parsed.sack[0].start == base + 4000);
	CU_ASSERT(r.parsed.sack[1].start == base + 2000);
	send_at(base, 0, 1000);
	r = peer_reply(&peer);
	CU_ASSERT(r.ack == base + 1000 && readable(f, out) == 1000);
	/* One that begins before and ends within what is there, and one that spans a gap. */
	send_at(base, 900, 1300);
	send_at(base, 2900, 1300);
	while (peer.n_sent - peer.n_taken > 0)
		r = peer_reply(&peer);
	CU_ASSERT(r.ack == base + 5000 && readable(f, out) == 5000);
	CU_ASSERT(memcmp(out, pattern, 5000) == 0);
	/* Again: reported as a duplicate, RFC 2883. */
	send_at(base, 1000, 1000);
	r = peer_reply(&peer);
	CU_ASSERT(r.ack == base + 5000 && r.parsed.n_sack == 1);
	CU_ASSERT(r.parsed.sack[0].start == base + 1000 && r.parsed.sack[0].end == base + 2000);
	peer_stop(&peer);
}

/* What came first stays, whatever overlaps it. */
static void
test_overlap(void)
{
	static uint8_t other[4000];
	struct flow *f = start();
	uint32_t base = peer.seq;
	uint8_t out[10000];

	memset(other, 0xee, sizeof(other));
	send_at(base, 1000, 1000);
	send_at(base, 2500, 500);
	peer.seq = base + 500;
	peer_send(&peer, TCP_ACK, other, 1400); /* 500..1900 */
	peer.seq = base + 1900;
	peer_send(&peer, TCP_ACK, other, 1400); /* ..3300: only the gaps are new */
	CU_ASSERT(readable(f, out) == 0);
	peer.seq = base;
	peer_send(&peer, TCP_ACK, other, 1200);
	CU_ASSERT(readable(f, out) == 3300);
	CU_ASSERT(memcmp(out, other, 1000) == 0);
	CU_ASSERT(memcmp(out + 1000, pattern + 1000, 1000) == 0);
	CU_ASSERT(memcmp(out + 2000, other, 500) == 0);
	CU_ASSERT(memcmp(out + 2500, pattern + 2500, 500) == 0);
	CU_ASSERT(memcmp(out + 3000, other, 300) == 0);
	peer_stop(&peer);
}

static void
test_fin_out_of_order(void)
{
	struct flow *f = start();
	uint32_t base = peer.seq;

	peer.seq = base + 1000;
	peer_send(&peer, TCP_ACK | TCP_FIN, pattern + 1000, 500);
	CU_ASSERT((peer.flows[0].events & FLOW_ENDED) == 0);
	/* Nothing counts beyond the end that was announced. */
	send_at(base, 1400, 500);
	send_at(base, 0, 1000);
	CU_ASSERT((peer.flows[0].events & FLOW_ENDED) != 0);
	flow_consume(f, 1500);
	CU_ASSERT(flow_ended(f));
	peer_stop(&peer);
}

static void
test_receive_window(void)
{
	struct flow *f;
	uint32_t base, got = 0;
	struct reply r = {0};

	peer_init(&peer);
	peer.config.receive_max = 64 * 1024;
	peer_start(&peer);
	f = peer_open(&peer);
	base = peer.seq;
	peer_forget(&peer);
	/* Nobody reads: the window shuts, and what is beyond it is not kept. */
	while (got < 200000 - 1000) {
		send_at(base, got, 1000);
		got += 1000;
	}
	while ((r = peer_reply(&peer)).valid)
		if (r.ack - base > 60000)
			break;
	while ((r = peer_reply(&peer)).valid && r.window > 0)
		;
	CU_ASSERT(r.valid && r.window == 0 && r.ack - base <= 65536 + 1000);
	peer_forget(&peer);
	flow_consume(f, r.ack - base);
	peer_flush(&peer);
	got = r.ack - base;
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.window > 0 && r.ack == base + got);
	peer_stop(&peer);
}

static void
test_link_full(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack, s = SEGMENT;
	unsigned i;

	peer.room = 3;
	CU_ASSERT(flow_write(f, pattern, 10 * s) == 10 * s);
	flow_shutdown(f);
	peer_flush(&peer);
	CU_ASSERT(stack_blocked(peer.stack));
	for (i = 0; i < 3; i++)
		expect_bytes(first, i * s, s);
	CU_ASSERT(peer.n_sent == peer.n_taken);
	/* It has room again: what was left follows, none of it twice. */
	peer.room = ~0u;
	peer_flush(&peer);
	CU_ASSERT(!stack_blocked(peer.stack));
	for (i = 3; i < 10; i++)
		CU_ASSERT(((expect_bytes(first, i * s, s).flags & TCP_FIN) != 0) == (i == 9));
	CU_ASSERT(counters().tcp_retransmitted == 0 && counters().link_full == 1);
	peer_stop(&peer);
}

static void
test_writable(void)
{
	struct flow *f = start();
	uint32_t first = peer.ack;
	size_t n = 0, k;

	while (n < sizeof(pattern) && (k = flow_write(f, pattern + n, sizeof(pattern) - n)) > 0)
		n += k;
	CU_ASSERT(n >= 32 * 1024);
	while ((k = flow_write(f, pattern, sizeof(pattern))) > 0)
		n += k;
	CU_ASSERT((peer.flows[0].events & FLOW_WRITABLE) == 0);
	peer_flush(&peer);
	plain_ack(first + 40 * SEGMENT);
	plain_ack(first + 150 * SEGMENT);
	CU_ASSERT((peer.flows[0].events & FLOW_WRITABLE) != 0);
	CU_ASSERT(flow_write(f, "x", 1) == 1);
	peer_stop(&peer);
}

/* 4 GiB are many; a sequence number close to the end is enough (peer_init's is). */
static void
test_wrap(void)
{
	struct flow *f = start();
	uint32_t base = peer.seq, first = peer.ack;
	static uint8_t out[200000];
	size_t i;

	CU_ASSERT(first > 0xff000000 && base > 0xff000000);
	write_all(f, 0, 30 * SEGMENT);
	for (i = 0; i < 30; i++)
		expect_bytes(first, i * SEGMENT, SEGMENT);
	ack_with_sack(
	    first + 2 * SEGMENT, (uint32_t[]){first + 3 * SEGMENT, first + 30 * SEGMENT}, 1);
	expect_bytes(first, 2 * SEGMENT, SEGMENT);
	plain_ack(first + 30 * SEGMENT);
	CU_ASSERT(flow_unacknowledged(f) == 0);
	for (i = 30; i-- > 0;)
		send_at(base, i * 1000, 1000);
	CU_ASSERT(readable(f, out) == 30000 && memcmp(out, pattern, 30000) == 0);
	peer_stop(&peer);
}

CU_TestInfo tcp_data_tests[] = {
    {"send", test_send},
    {"short segments", test_short_segments},
    {"fast retransmit with sack", test_fast_retransmit},
    {"holes", test_holes},
    {"a repair lost again", test_lost_repair},
    {"reordering is learned", test_reordering_learned},
    {"fast retransmit without sack", test_without_sack},
    {"timeout", test_timeout},
    {"reneging", test_reneging},
    {"zero window", test_zero_window},
    {"silly window", test_silly_window},
    {"window shrinks", test_window_shrinks},
    {"receive", test_receive},
    {"out of order", test_out_of_order},
    {"overlap", test_overlap},
    {"fin out of order", test_fin_out_of_order},
    {"receive window", test_receive_window},
    {"link full", test_link_full},
    {"writable", test_writable},
    {"sequence wrap", test_wrap},
    CU_TEST_INFO_NULL,
};
