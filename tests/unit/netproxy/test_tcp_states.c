/* SPDX-License-Identifier: Apache-2.0 */
/* TCP: opening, closing, resets, time. */
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

static void
start(void)
{
	peer_init(&peer);
	peer_start(&peer);
}

/* Acknowledges all that a reply carried and remembers it. */
static void
accept_reply(const struct reply *r)
{
	peer.ack = r->seq + (uint32_t)r->n + ((r->flags & TCP_FIN) != 0);
}

static void
test_handshake(void)
{
	uint8_t frame[256], options[] = {2, 4, 0x05, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1};
	struct reply r;
	size_t n;

	start();
	n = peer_tcp(&peer, frame, TCP_SYN, options, sizeof(options), NULL, 0);
	peer_frame(&peer, frame, n);
	CU_ASSERT(peer.connected.guest.port == 40000 && peer.connected.destination.port == 80);
	CU_ASSERT(memcmp(peer.connected.destination.address, peer.to, 16) == 0);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == (TCP_SYN | TCP_ACK) && r.seq == 0xfffffff0);
	CU_ASSERT(r.ack == 0xffffff01 && r.window == 0xffff);
	CU_ASSERT(r.parsed.has_mss && r.parsed.mss == 1460 && r.parsed.has_scale);
	CU_ASSERT(r.parsed.sack_ok && !r.parsed.has_timestamp);
	CU_ASSERT(counters().half_open == 1 && peer.n_flows == 0);
	peer.seq++;
	peer.ack = r.seq + 1;
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT(peer.n_flows == 1 && peer.flows[0].events == FLOW_OPENED);
	CU_ASSERT(counters().half_open == 0 && counters().flows == 1);
	peer_stop(&peer);
}

static void
test_handshake_plain(void)
{
	uint8_t frame[256];
	struct reply r;
	size_t n;

	start();
	n = peer_tcp(&peer, frame, TCP_SYN, NULL, 0, NULL, 0);
	peer_frame(&peer, frame, n);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.parsed.has_mss && !r.parsed.has_scale && !r.parsed.sack_ok);
	peer.seq++;
	peer.ack = r.seq + 1;
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT_FATAL(peer.n_flows == 1);
	/* No MSS said: 536. */
	flow_write(peer.flows[0].flow, frame, 256);
	flow_write(peer.flows[0].flow, frame, 256);
	flow_write(peer.flows[0].flow, frame, 256);
	peer_flush(&peer);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.n == 536);
	peer_stop(&peer);
}

static void
test_handshake_v6(void)
{
	struct reply r;
	struct flow *f;

	peer_init(&peer);
	peer.v6 = true;
	memset(peer.to, 0, 16);
	peer.to[0] = 0x20;
	peer.to[15] = 1;
	peer_start(&peer);
	f = peer_open(&peer);
	peer_send(&peer, TCP_ACK, "hello", 5);
	CU_ASSERT(flow_write(f, "world", 5) == 5);
	peer_flush(&peer);
	r = peer_reply(&peer);
	if (r.valid && r.n == 0)
		r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.n == 5 && memcmp(r.data, "world", 5) == 0);
	/* Refused in the other family, too. */
	peer.refuse = true;
	peer.port++;
	peer_forget(&peer);
	peer_send(&peer, TCP_SYN, NULL, 0);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == (TCP_RST | TCP_ACK));
	peer_stop(&peer);
}

static void
test_refused(void)
{
	struct reply r;

	start();
	peer.refuse = true;
	peer_send(&peer, TCP_SYN, "early", 5);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == (TCP_RST | TCP_ACK) && r.seq == 0);
	CU_ASSERT(r.ack == peer.seq + 6);
	CU_ASSERT(counters().tcp_refused == 1 && counters().flows == 0);
	peer_stop(&peer);
}

/* RFC 9293 3.10.7.1. */
static void
test_unknown(void)
{
	struct reply r;

	start();
	peer.ack = 4711;
	peer_send(&peer, TCP_ACK, "data", 4);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == TCP_RST && r.seq == 4711);
	peer_send(&peer, TCP_FIN, NULL, 0);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == (TCP_RST | TCP_ACK) && r.ack == peer.seq + 1);
	peer_send(&peer, TCP_SYN | TCP_FIN, NULL, 0);
	CU_ASSERT(peer_reply(&peer).flags == (TCP_RST | TCP_ACK));
	peer_send(&peer, TCP_SYN | TCP_ACK, NULL, 0);
	CU_ASSERT(peer_reply(&peer).flags == TCP_RST);
	peer_send(&peer, TCP_RST, NULL, 0);
	CU_ASSERT(!peer_reply(&peer).valid);
	CU_ASSERT(counters().tcp_no_flow == 5);
	peer_stop(&peer);
}

static void
test_syn_ack_repeated(void)
{
	unsigned n;

	start();
	peer_send(&peer, TCP_SYN, NULL, 0);
	CU_ASSERT(peer_reply(&peer).flags == (TCP_SYN | TCP_ACK));
	/* The guest repeats its SYN. */
	peer_send(&peer, TCP_SYN, NULL, 0);
	CU_ASSERT(peer_reply(&peer).flags == (TCP_SYN | TCP_ACK));
	CU_ASSERT(counters().flows == 1);
	/* Nobody completes it: a few more, then nothing is left. */
	for (n = 0; n < 20; n++)
		peer_wait(&peer, 10 * SECOND);
	for (n = 0; peer_reply(&peer).valid; n++)
		;
	CU_ASSERT(n == 4 && counters().flows == 0 && counters().half_open == 0);
	CU_ASSERT(stack_deadline(peer.stack) == UINT64_MAX && peer.n_flows == 0);
	peer_stop(&peer);
}

static void
test_bad_third_segment(void)
{
	struct reply r;

	start();
	peer_send(&peer, TCP_SYN, NULL, 0);
	r = peer_reply(&peer);
	peer.seq++;
	peer.ack = r.seq + 2;
	peer_send(&peer, TCP_ACK, NULL, 0);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == TCP_RST && r.seq == peer.ack);
	CU_ASSERT(peer.n_flows == 0 && counters().half_open == 1);
	peer_stop(&peer);
}

static void
test_guest_closes(void)
{
	struct reply r;
	struct flow *f;

	start();
	f = peer_open(&peer);
	peer_forget(&peer);
	peer_send(&peer, TCP_ACK | TCP_FIN, "bye", 3);
	peer.seq += 4;
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == TCP_ACK && r.ack == peer.seq);
	CU_ASSERT((peer_seen(&peer, f)->events & (FLOW_ENDED | FLOW_READABLE)) ==
		  (FLOW_ENDED | FLOW_READABLE));
	CU_ASSERT(!flow_ended(f));
	flow_consume(f, 3);
	CU_ASSERT(flow_ended(f));
	/* Half-closed: our side still sends. */
	CU_ASSERT(flow_write(f, "answer", 6) == 6);
	flow_shutdown(f);
	CU_ASSERT(flow_write(f, "more", 4) == 0);
	peer_flush(&peer);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.n == 6 && (r.flags & TCP_FIN) != 0);
	accept_reply(&r);
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT((peer_seen(&peer, f)->events & FLOW_CLOSED) != 0);
	CU_ASSERT(flow_error(f) == 0);
	flow_close(f);
	peer_flush(&peer);
	CU_ASSERT(counters().flows == 0 && stack_deadline(peer.stack) == UINT64_MAX);
	peer_stop(&peer);
}

/* Our FIN first; TIME_WAIT is ours. */
static struct flow *
close_first(void)
{
	struct flow *f = peer_open(&peer);
	struct reply r;

	peer_forget(&peer);
	flow_shutdown(f);
	peer_flush(&peer);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == (TCP_FIN | TCP_ACK));
	accept_reply(&r);
	peer_send(&peer, TCP_ACK, "late", 4);
	peer.seq += 4;
	CU_ASSERT((peer_seen(&peer, f)->events & FLOW_READABLE) != 0);
	flow_consume(f, 4);
	peer_send(&peer, TCP_ACK | TCP_FIN, NULL, 0);
	peer.seq++;
	return f;
}

static void
test_we_close(void)
{
	struct flow *f;

	start();
	f = close_first();
	CU_ASSERT((peer_seen(&peer, f)->events & FLOW_CLOSED) != 0 && flow_error(f) == 0);
	CU_ASSERT(counters().time_wait == 1);
	/* Our last ACK was lost. */
	peer_forget(&peer);
	peer.seq--;
	peer_send(&peer, TCP_ACK | TCP_FIN, NULL, 0);
	peer.seq++;
	CU_ASSERT(peer_reply(&peer).ack == peer.seq);
	flow_close(f);
	peer_flush(&peer);
	CU_ASSERT(counters().flows == 1);
	peer_wait(&peer, 11 * SECOND);
	CU_ASSERT(counters().flows == 0 && counters().time_wait == 0);
	peer_stop(&peer);
}

static void
test_time_wait_reuse(void)
{
	struct flow *f;

	start();
	f = close_first();
	flow_close(f);
	peer_forget(&peer);
	/* An old duplicate of the SYN is challenged, a new one begins anew. */
	peer.seq -= 100;
	peer_send(&peer, TCP_SYN, NULL, 0);
	CU_ASSERT(peer_reply(&peer).flags == TCP_ACK);
	peer.seq += 200;
	peer_send(&peer, TCP_SYN, NULL, 0);
	CU_ASSERT(peer_reply(&peer).flags == (TCP_SYN | TCP_ACK));
	CU_ASSERT(counters().time_wait == 0 && counters().half_open == 1);
	peer_stop(&peer);
}

static void
test_time_wait_bounded(void)
{
	unsigned i;

	peer_init(&peer);
	peer.config.time_wait_max = 4;
	peer_start(&peer);
	for (i = 0; i < 10; i++) {
		struct flow *f;

		peer.port++;
		f = close_first();
		peer_seen(&peer, f)->closed = true;
		flow_close(f);
		peer_flush(&peer);
	}
	CU_ASSERT(counters().time_wait == 4 && counters().flows == 4);
	peer_stop(&peer);
}

static void
test_simultaneous_close(void)
{
	struct reply r;
	struct flow *f;

	start();
	f = peer_open(&peer);
	peer_forget(&peer);
	flow_shutdown(f);
	peer_flush(&peer);
	r = peer_reply(&peer);
	CU_ASSERT((r.flags & TCP_FIN) != 0);
	/* The guest's FIN crosses ours. */
	peer_send(&peer, TCP_ACK | TCP_FIN, NULL, 0);
	peer.seq++;
	CU_ASSERT(peer_reply(&peer).ack == peer.seq);
	CU_ASSERT((peer_seen(&peer, f)->events & FLOW_CLOSED) == 0);
	accept_reply(&r);
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT((peer_seen(&peer, f)->events & FLOW_CLOSED) != 0);
	CU_ASSERT(counters().time_wait == 1);
	flow_close(f);
	peer_stop(&peer);
}

static void
test_close_with_unread(void)
{
	struct flow *f;

	start();
	f = peer_open(&peer);
	peer_send(&peer, TCP_ACK, "unread", 6);
	peer_forget(&peer);
	flow_close(f);
	peer_flush(&peer);
	CU_ASSERT((peer_reply(&peer).flags & TCP_RST) != 0 && counters().flows == 0);
	peer_stop(&peer);
}

static void
test_bytes_after_close(void)
{
	struct flow *f;

	start();
	f = peer_open(&peer);
	flow_write(f, "last words", 10);
	flow_close(f);
	peer_forget(&peer);
	peer_flush(&peer);
	CU_ASSERT(peer_reply(&peer).n == 10);
	peer_send(&peer, TCP_ACK, "who reads this", 14);
	CU_ASSERT((peer_reply(&peer).flags & TCP_RST) != 0 && counters().flows == 0);
	peer_stop(&peer);
}

static void
test_abort(void)
{
	struct reply r;
	struct flow *f;

	start();
	f = peer_open(&peer);
	flow_write(f, "never sent", 10);
	peer_forget(&peer);
	flow_abort(f);
	peer_flush(&peer);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.flags == (TCP_RST | TCP_ACK) && r.seq == peer.ack);
	CU_ASSERT(counters().flows == 0 && counters().buffers == 0);
	peer_stop(&peer);
}

static void
test_reset_by_guest(void)
{
	struct flow *f;

	start();
	f = peer_open(&peer);
	peer_send(&peer, TCP_ACK, "data", 4);
	peer.seq += 4;
	peer_send(&peer, TCP_RST, NULL, 0);
	CU_ASSERT((peer_seen(&peer, f)->events & FLOW_CLOSED) != 0);
	CU_ASSERT(flow_error(f) == -ECONNRESET);
	CU_ASSERT(flow_write(f, "x", 1) == 0);
	flow_shutdown(f);
	flow_abort(f);
	peer_flush(&peer);
	CU_ASSERT(counters().flows == 0);
	peer_stop(&peer);
}

static void
test_keepalive(void)
{
	struct flow *f;
	unsigned n = 0;
	struct reply r;

	start();
	f = peer_open(&peer);
	peer_forget(&peer);
	peer_wait(&peer, 601 * SECOND);
	r = peer_reply(&peer);
	CU_ASSERT(r.valid && r.n == 0 && r.seq == peer.ack - 1);
	peer_send(&peer, TCP_ACK, NULL, 0); /* alive */
	peer_wait(&peer, 500 * SECOND);
	CU_ASSERT(!peer_reply(&peer).valid);
	peer_wait(&peer, 1000 * SECOND);
	while ((r = peer_reply(&peer)).valid && (r.flags & TCP_RST) == 0)
		n++;
	CU_ASSERT(n == 5 && (r.flags & TCP_RST) != 0);
	CU_ASSERT(flow_error(f) == -ETIMEDOUT);
	flow_close(f);
	peer_stop(&peer);
}

/* The guest's own keep-alive is answered. */
static void
test_keepalive_answered(void)
{
	start();
	peer_open(&peer);
	peer_forget(&peer);
	peer.seq--;
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT(peer_reply(&peer).ack == peer.seq + 1);
	peer_send(&peer, TCP_ACK, "", 1);
	CU_ASSERT(peer_reply(&peer).ack == peer.seq + 1);
	peer_stop(&peer);
}

static void
test_fin_wait_2_ends(void)
{
	struct flow *f;

	start();
	f = peer_open(&peer);
	flow_close(f);
	peer_flush(&peer);
	peer.ack++;
	peer_send(&peer, TCP_ACK, NULL, 0);
	CU_ASSERT(counters().flows == 1);
	peer_wait(&peer, 61 * SECOND);
	CU_ASSERT(counters().flows == 0);
	peer_stop(&peer);
}

static void
test_idle_has_no_deadline(void)
{
	struct flow *f;

	peer_init(&peer);
	peer.config.keepalive_idle_s = 0;
	peer_start(&peer);
	f = peer_open(&peer);
	peer_send(&peer, TCP_ACK, "ping", 4);
	peer.seq += 4;
	flow_consume(f, 4);
	flow_write(f, "pong", 4);
	peer_flush(&peer);
	peer.ack += 4;
	peer_send(&peer, TCP_ACK, NULL, 0);
	peer_wait(&peer, 10 * SECOND);
	CU_ASSERT(stack_deadline(peer.stack) == UINT64_MAX);
	CU_ASSERT(counters().buffers == 0);
	peer_stop(&peer);
}

CU_TestInfo tcp_state_tests[] = {
    {"handshake", test_handshake},
    {"handshake without options", test_handshake_plain},
    {"handshake over ipv6", test_handshake_v6},
    {"refused at the syn", test_refused},
    {"segments of no flow", test_unknown},
    {"syn-ack repeated, then given up", test_syn_ack_repeated},
    {"wrong third segment", test_bad_third_segment},
    {"the guest closes, half-close", test_guest_closes},
    {"we close, time-wait", test_we_close},
    {"time-wait reused", test_time_wait_reuse},
    {"time-wait bounded", test_time_wait_bounded},
    {"simultaneous close", test_simultaneous_close},
    {"close with unread bytes", test_close_with_unread},
    {"bytes after close", test_bytes_after_close},
    {"abort", test_abort},
    {"reset by the guest", test_reset_by_guest},
    {"keep-alive", test_keepalive},
    {"keep-alive answered", test_keepalive_answered},
    {"fin-wait-2 ends", test_fin_wait_2_ends},
    {"idle has no deadline", test_idle_has_no_deadline},
    CU_TEST_INFO_NULL,
};
