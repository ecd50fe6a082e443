/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP (RFC 9293): segments in, states.
 *
 * Theory of operation
 *
 * We are every server that the guest can name.  A SYN is put to the application once (connect); if
 * it agrees, a flow exists from then on and the handshake is ours.  We never open a connection, so
 * there is no LISTEN and no SYN_SENT, and a simultaneous open is just a wrong segment.
 *
 * Sending (tcp_output.c).  The application writes into the flow's ring, which is also the
 * retransmission queue: it holds [snd_una, snd_una + queued), and a frame refers to a piece of it.
 * Nothing is sent where it is written: a flow is put on the ready list, and stack_flush builds the
 * segments of all ready flows into batches for the link.  A segment that the link does not take is
 * unsent (snd_nxt goes back), so a full link costs no memory and is no loss.  The link neither
 * drops nor reorders; the initial window is therefore large and there is no pacing.  Congestion
 * control (RFC 5681, with RFC 3465's byte counting) is there for what the guest may have behind its
 * interface, and so that queues stay short.
 *
 * Loss (tcp_ack.c, tcp_sack.c).  snd_nxt never goes back after a loss.  What may be missing is kept
 * as a list of holes, each with how much of it was sent again.  SACK blocks cut the list (RFC 2018,
 * RFC 6675); without SACK, three duplicate ACKs make the first segment a hole and a partial
 * acknowledgment the next (RFC 6582); a timeout makes everything that was not selectively
 * acknowledged a hole.  Bytes in flight are what is beyond the highest SACK plus what of the holes
 * is not yet lost or was sent again; the congestion window limits that sum.  A hole counts as lost
 * when `reorder` segments beyond it arrived; that threshold grows when a hole is filled that was
 * never sent again.  A hole that was sent again is lost again when bytes that were first sent after
 * that have arrived.  A tail that is lost is found by a probe (RFC 8985 7) before the timeout.
 *
 * Receiving (tcp_receive.c).  Bytes go straight to their place in the ring, also when they are
 * ahead of rcv_nxt; the reassembly lists the ranges that are.  A byte once stored is never
 * overwritten, so overlapping segments give what came first, whatever they say.  The offered window
 * is a share of the budget that all rings have, its right edge never goes back, and memory is taken
 * only for what arrives.
 *
 * Acknowledgments.  A batch of frames from the link is taken in whole before anything is sent, so
 * one ACK answers up to a batch; it goes at once when two full segments or anything unusual
 * arrived, and otherwise waits for data to ride on, for a short time.
 *
 * Attacks.  RFC 5961: a RST must hit rcv_nxt, a SYN in a connection and an ACK out of range get a
 * challenge ACK, of which there are few a second.  RFC 7323: old timestamps are dropped.  Half-open
 * flows are counted and the oldest goes when there are too many; a flow in that state has no
 * buffer. TIME_WAIT is counted as well.  The table is hashed with a key, initial sequence numbers
 * with another (RFC 6528).
 *
 * Time.  A flow has four deadlines and one entry in the heap, which is never later than the
 * earliest of them but may be earlier: it then fires for nothing, once.
 *
 * A flow ends in two halves: TCP is done with it (flow_done: it leaves the table), and the
 * application gave it back.  It is freed after both, when no queued frame names it.
 */
#include <errno.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define TCP_HEADER         20u
#define SECOND             1000000ull
#define CHALLENGE_EVERY    (SECOND / 10)
#define FIN_WAIT_2_LIMIT   (60 * SECOND)
#define TS_RECENT_OUTDATED (24ull * 24 * 3600 * SECOND) /* RFC 7323 5.5 */

/* ---- States ---- */

bool
tcp_challenge(struct flow *f)
{
	struct stack *s = f->stack;

	if (s->now < f->challenge_at)
		return false;
	f->challenge_at = s->now + CHALLENGE_EVERY;
	s->counters.tcp_challenge++;
	f->ack_now = true;
	flow_schedule(f);
	return true;
}

void
tcp_time_wait(struct flow *f)
{
	struct stack *s = f->stack;

	f->state = TCP_TIME_WAIT;
	flow_deadline_clear(f, TCP_TIMER_RETRANSMIT);
	flow_deadline_clear(f, TCP_TIMER_KEEPALIVE);
	flow_deadline_set(f, TCP_TIMER_END, s->now + s->config.time_wait_ms * 1000ull);
	ring_release(&s->pool, &f->send);
	flow_age(f, &s->flows.time_wait);
	if (!f->closed_told) {
		f->closed_told = true;
		flow_tell(f, FLOW_CLOSED);
	}
	if (s->flows.time_wait.n > s->config.time_wait_max)
		flow_done(s->flows.time_wait.first, 0);
}

void
tcp_closed_by_application(struct flow *f)
{
	if (f->fin_queued)
		flow_schedule(f);
	/* With nobody to read it, what still comes must come soon. */
	if (f->released && f->state == TCP_FIN_WAIT_2)
		flow_deadline_set(f, TCP_TIMER_END, f->stack->now + FIN_WAIT_2_LIMIT);
}

void
tcp_fin_received(struct flow *f)
{
	switch (f->state) {
	case TCP_ESTABLISHED:
		f->state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT_1:
		f->state = TCP_CLOSING;
		break;
	case TCP_FIN_WAIT_2:
		tcp_time_wait(f);
		break;
	default:
		break;
	}
	flow_tell(f, FLOW_ENDED);
}

void
tcp_fin_acknowledged(struct flow *f)
{
	switch (f->state) {
	case TCP_FIN_WAIT_1:
		f->state = TCP_FIN_WAIT_2;
		if (f->released)
			flow_deadline_set(f, TCP_TIMER_END, f->stack->now + FIN_WAIT_2_LIMIT);
		break;
	case TCP_CLOSING:
		tcp_time_wait(f);
		break;
	case TCP_LAST_ACK:
		flow_done(f, 0);
		break;
	default:
		break;
	}
}

/* ---- A new flow ---- */

static uint32_t
initial_sequence(const struct stack *s, const struct flow_key *k)
{
	if (s->config.fixed_isn)
		return s->config.isn;
	return (uint32_t)siphash(s->config.isn_key, k, sizeof(*k)) +
	       (uint32_t)((s->now - s->started) / 4);
}

/* The smallest shift that makes the largest window fit 16 bits. */
static uint8_t
window_scale(uint32_t most)
{
	uint8_t scale = 0;

	while (most >> scale > 0xffff)
		scale++;
	return scale;
}

static void
negotiate(struct flow *f, const struct tcp_options *o)
{
	struct stack *s = f->stack;
	uint32_t most = s->config.mtu - (f->v6 ? IPV6_HEADER : IPV4_HEADER) - TCP_HEADER;
	uint32_t peer = o->has_mss ? o->mss : (f->v6 ? 1220 : 536);

	/* A tiny MSS would make us build a frame for every few bytes. */
	if (peer < 256)
		peer = 256;
	f->mss = peer < most ? peer : most;
	f->scale_ok = o->has_scale;
	if (o->has_scale) {
		f->snd_scale = o->scale > 14 ? 14 : o->scale; /* RFC 7323 2.3 */
		f->rcv_scale = window_scale(s->config.receive_max);
	}
	f->sack_ok = o->sack_ok;
	f->timestamp_ok = o->has_timestamp;
	f->ts_recent = o->ts_value;
	f->ts_recent_at = s->now;
}

static void
open_flow(struct stack *s, const struct flow_key *k, const struct tcp_segment *g)
{
	struct flow *f = flow_add(s, k);

	if (f == NULL) {
		s->counters.tcp_full++;
		return;
	}
	f->state = TCP_SYN_RECEIVED;
	f->irs = g->seq;
	f->rcv_nxt = f->rcv_edge = g->seq + 1;
	f->iss = initial_sequence(s, k);
	f->snd_una = f->iss;
	f->snd_nxt = f->iss + 1;
	f->snd_wnd = f->snd_wnd_max = g->window;
	f->snd_wl1 = g->seq;
	f->ts_offset = (uint32_t)(siphash(s->config.isn_key, k, sizeof(*k)) >> 32);
	f->heard_at = s->now;
	negotiate(f, &g->options);
	tcp_congestion_init(f);
	flow_age(f, &s->flows.half_open);
	f->syn_due = true;
	s->counters.tcp_accepted++;
	flow_schedule(f);
}

static void
syn_input(
    struct stack *s, const struct packet *p, const struct flow_key *k, const struct tcp_segment *g)
{
	struct flow_addresses a;

	packet_addresses(p, k->guest_port, k->destination_port, &a);
	if (!s->handlers.connect(s->handlers.context, &a)) {
		s->counters.tcp_refused++;
		tcp_reset_reply(s, p, g);
		return;
	}
	open_flow(s, k, g);
}

/* RFC 9293 3.10.7.1 and 3.10.7.2: nothing is known of this connection. */
static void
unknown_input(
    struct stack *s, const struct packet *p, const struct flow_key *k, const struct tcp_segment *g)
{
	if ((g->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) {
		syn_input(s, p, k, g);
		return;
	}
	s->counters.tcp_no_flow++;
	if ((g->flags & TCP_RST) == 0)
		tcp_reset_reply(s, p, g);
}

/* ---- Segments of a flow ---- */

static bool
sequence_acceptable(struct flow *f, const struct tcp_segment *g)
{
	uint32_t length = g->length + ((g->flags & TCP_FIN) != 0);

	/*
	 * RFC 9293 3.4, save that a segment which reaches into the window may begin before it.  A
	 * window that is shut still takes what has no length.
	 */
	if (seq_after(g->seq, f->rcv_edge))
		return false;
	if (length > 0 && g->seq == f->rcv_edge && f->rcv_edge == f->rcv_nxt)
		return false;
	return !seq_before(g->seq + length, f->rcv_nxt);
}

/* RFC 7323 5.2: a timestamp older than the last one is of an old duplicate. */
static bool
paws_rejects(const struct flow *f, const struct tcp_segment *g)
{
	if (!f->timestamp_ok || (g->flags & TCP_RST) != 0)
		return false;
	if (!g->options.has_timestamp)
		return true;
	return seq_before(g->options.ts_value, f->ts_recent) &&
	       f->stack->now - f->ts_recent_at < TS_RECENT_OUTDATED;
}

/* RFC 5961 3.2. */
static void
reset_input(struct flow *f, const struct tcp_segment *g)
{
	struct stack *s = f->stack;

	if (g->seq != f->rcv_nxt) {
		if (!seq_before(g->seq, f->rcv_nxt) && seq_before(g->seq, f->rcv_edge))
			tcp_challenge(f);
		else
			s->counters.tcp_out_of_window++;
		return;
	}
	s->counters.tcp_resets_in++;
	/* Both sides were done already: not a reset to the application. */
	flow_done(
	    f, f->state == TCP_TIME_WAIT || f->state == TCP_CLOSING || f->state == TCP_LAST_ACK
		   ? 0
		   : -ECONNRESET);
}

/*
 * A SYN for a flow that exists.  True where it is handled; false where the flow was in TIME_WAIT
 * and gives way to the new connection (RFC 9293 3.6.1, RFC 6191).
 */
static bool
syn_again(struct flow *f, const struct tcp_segment *g)
{
	bool newer =
	    seq_after(g->seq, f->rcv_nxt) || (f->timestamp_ok && g->options.has_timestamp &&
						 seq_after(g->options.ts_value, f->ts_recent));

	if (f->state == TCP_TIME_WAIT && (g->flags & TCP_ACK) == 0 && newer)
		return false;
	if (f->state == TCP_SYN_RECEIVED && g->seq == f->irs) {
		f->syn_due = true;
		flow_schedule(f);
	} else {
		tcp_challenge(f);
	}
	return true;
}

/* The third segment of the handshake.  False where it is none. */
static bool
handshake_complete(struct flow *f, const struct packet *p, const struct tcp_segment *g)
{
	struct stack *s = f->stack;

	if (g->ack != f->snd_nxt) {
		tcp_reset_reply(s, p, g);
		return false;
	}
	f->state = TCP_ESTABLISHED;
	f->snd_una = g->ack;
	f->snd_wnd = g->window << f->snd_scale;
	f->snd_wnd_max = f->snd_wnd;
	f->snd_wl1 = g->seq;
	f->snd_wl2 = g->ack;
	if (f->timing)
		tcp_rtt_sample(f, (uint32_t)(s->now - f->timed_at));
	f->timing = false;
	f->retries = f->backoff = 0;
	flow_deadline_clear(f, TCP_TIMER_RETRANSMIT);
	flow_age(f, NULL);
	tcp_keepalive_arm(f);
	s->counters.tcp_opened++;
	flow_tell(f, FLOW_OPENED);
	return true;
}

static void
timestamp_take(struct flow *f, const struct tcp_segment *g)
{
	/* RFC 7323 4.3, (2): of the segment that the next ACK is for. */
	if (!f->timestamp_ok || !g->options.has_timestamp || seq_after(g->seq, f->last_ack_sent))
		return;
	if (seq_before(g->options.ts_value, f->ts_recent) &&
	    f->stack->now - f->ts_recent_at < TS_RECENT_OUTDATED)
		return;
	f->ts_recent = g->options.ts_value;
	f->ts_recent_at = f->stack->now;
}

static void
unacceptable(struct flow *f, const struct tcp_segment *g, uint64_t *counter)
{
	(*counter)++;
	if ((g->flags & TCP_RST) != 0)
		return;
	/* A repeated FIN in TIME_WAIT: our last ACK was lost. */
	if (f->state == TCP_TIME_WAIT && (g->flags & TCP_FIN) != 0)
		tcp_time_wait(f);
	/* Bytes show that the peer lacks our ACK; without bytes it may be an ACK war: few. */
	if (g->length > 0 || (g->flags & TCP_FIN) != 0) {
		if (f->sack_ok && g->length > 0 && seq_before(g->seq, f->rcv_nxt)) {
			f->duplicate_seen = true;
			f->duplicate = (struct tcp_range){g->seq, g->seq + g->length};
		}
		f->ack_now = true;
		flow_schedule(f);
	} else {
		tcp_challenge(f);
	}
}

/* The steps of RFC 9293 3.10.7.4 in their order; false where one of them ended the segment. */
static bool
checks_passed(struct flow *f, const struct packet *p, const struct tcp_segment *g)
{
	struct stack *s = f->stack;

	if (paws_rejects(f, g)) {
		unacceptable(f, g, &s->counters.tcp_paws);
		return false;
	}
	if ((g->flags & TCP_RST) != 0) {
		reset_input(f, g);
		return false;
	}
	if ((g->flags & TCP_SYN) != 0) {
		syn_again(f, g);
		return false;
	}
	if (!sequence_acceptable(f, g)) {
		unacceptable(f, g,
		    seq_before(g->seq, f->rcv_nxt) ? &s->counters.tcp_duplicate
						   : &s->counters.tcp_out_of_window);
		/* A window probe still carries news of its sender's window. */
		return g->seq == f->rcv_edge && (g->flags & TCP_ACK) != 0 &&
		       f->state != TCP_SYN_RECEIVED;
	}
	if ((g->flags & TCP_ACK) == 0)
		return false;
	return f->state != TCP_SYN_RECEIVED || handshake_complete(f, p, g);
}

static void
flow_input(struct flow *f, const struct packet *p, const struct tcp_segment *g)
{
	if (!checks_passed(f, p, g))
		return;
	f->heard_at = f->stack->now;
	f->keepalive_sent = 0;
	timestamp_take(f, g);
	tcp_acknowledge(f, g);
	if (f->state == TCP_CLOSED)
		return;
	if (g->length == 0 && (g->flags & TCP_FIN) == 0)
		return;
	/* RFC 9293 3.10.7.4: bytes for an application that left are answered with a reset. */
	if (f->released && g->length > 0 && seq_after(g->seq + g->length, f->rcv_nxt) &&
	    !f->fin_taken) {
		f->reset_due = true;
		flow_schedule(f);
		return;
	}
	if (f->state == TCP_TIME_WAIT) {
		unacceptable(f, g, &f->stack->counters.tcp_duplicate);
		return;
	}
	tcp_receive(f, g);
}

/* ---- From the wire ---- */

static bool
segment_parse(struct stack *s, const struct packet *p, struct tcp_segment *g)
{
	const uint8_t *t = p->payload;
	size_t header;

	if (p->length < TCP_HEADER) {
		s->counters.tcp_malformed++;
		return false;
	}
	header = (size_t)(t[12] >> 4) * 4;
	if (header < TCP_HEADER || header > p->length) {
		s->counters.tcp_malformed++;
		return false;
	}
	if (checksum_fold(checksum_add(packet_pseudo_sum(p), t, p->length)) != 0) {
		s->counters.checksum++;
		return false;
	}
	g->seq = wire_get32(t + 4);
	g->ack = wire_get32(t + 8);
	g->flags = t[13] & 0x1f;
	g->window = wire_get16(t + 14);
	g->data = t + header;
	g->length = (uint32_t)(p->length - header);
	if (wire_get16(t) == 0 || wire_get16(t + 2) == 0 ||
	    tcp_options_parse(
		&g->options, t + TCP_HEADER, header - TCP_HEADER, (g->flags & TCP_SYN) != 0) != 0) {
		s->counters.tcp_malformed++;
		return false;
	}
	return true;
}

void
tcp_input(struct stack *s, const struct packet *p)
{
	struct flow_addresses a;
	struct tcp_segment g;
	struct flow_key k;
	struct flow *f;

	if (!segment_parse(s, p, &g))
		return;
	/* Before any look-up: an IPv6 martian may have the form that IPv4 has among the flows. */
	if (p->martian) {
		s->counters.tcp_refused++;
		if ((g.flags & TCP_RST) == 0)
			tcp_reset_reply(s, p, &g);
		return;
	}
	packet_addresses(p, wire_get16(p->payload), wire_get16(p->payload + 2), &a);
	flow_key_make(&k, &a);
	f = flow_find(s, &k);
	if (f != NULL && f->state == TCP_TIME_WAIT && (g.flags & (TCP_SYN | TCP_RST)) == TCP_SYN &&
	    !syn_again(f, &g)) {
		flow_done(f, 0);
		f = NULL;
	}
	if (f == NULL)
		unknown_input(s, p, &k, &g);
	else
		flow_input(f, p, &g);
}
