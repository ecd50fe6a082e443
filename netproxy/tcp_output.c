/* SPDX-License-Identifier: Apache-2.0 */
/* TCP segments out: what may be sent now, and building it. */
#include <errno.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define TCP_HEADER       20u
#define OPTION_MSS       0x02040000u
#define OPTION_SCALE     0x01030300u /* NOP first */
#define OPTION_SACK_OK   0x04020000u
#define OPTION_NOP2      0x01010000u
#define OPTION_TIMESTAMP 0x080au
#define OPTION_SACK      0x0500u
#define QUANTUM          LINK_BATCH /* segments before it is another flow's turn */

/* A segment to build: bytes [seq, seq + length) of the send ring. */
struct outgoing {
	uint32_t seq, length;
	uint8_t flags;
	enum transmit_kind kind;
};

/* ---- Building ---- */

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	wire_put32(p, v);
	return p + 4;
}

static uint8_t *
put_timestamp(const struct flow *f, uint8_t *p)
{
	p = put32(p, OPTION_NOP2 | OPTION_TIMESTAMP);
	p = put32(p, (uint32_t)(f->stack->now / 1000) + f->ts_offset);
	return put32(p, f->ts_recent);
}

static uint8_t *
put_syn_options(const struct flow *f, uint8_t *p)
{
	uint32_t mss = f->stack->config.mtu - (f->v6 ? IPV6_HEADER : IPV4_HEADER) - TCP_HEADER;

	p = put32(p, OPTION_MSS | mss);
	if (f->scale_ok)
		p = put32(p, OPTION_SCALE | f->rcv_scale);
	if (f->sack_ok)
		p = put32(p, OPTION_SACK_OK | OPTION_NOP2 >> 16);
	if (f->timestamp_ok)
		p = put_timestamp(f, p);
	return p;
}

static uint8_t *
put_options(struct flow *f, uint8_t *p)
{
	struct tcp_range ranges[4];
	unsigned i, n;

	if (f->timestamp_ok)
		p = put_timestamp(f, p);
	n = tcp_sack_ranges(f, ranges, f->timestamp_ok ? 3 : 4);
	if (n == 0)
		return p;
	p = put32(p, OPTION_NOP2 | OPTION_SACK | (2 + 8 * n));
	for (i = 0; i < n; i++) {
		p = put32(p, ranges[i].start);
		p = put32(p, ranges[i].end);
	}
	return p;
}

/* Bytes that the options of a data segment take. */
static uint32_t
options_size(const struct flow *f)
{
	uint32_t n = f->timestamp_ok ? 12 : 0, ranges;

	if (!f->sack_ok || (f->reassembly == NULL && !f->duplicate_seen))
		return n;
	ranges = (f->reassembly != NULL ? f->reassembly->n : 0) + f->duplicate_seen;
	if (ranges > (f->timestamp_ok ? 3u : 4u))
		ranges = f->timestamp_ok ? 3 : 4;
	return n + 4 + 8 * ranges;
}

static uint16_t
window_field(struct flow *f, bool syn)
{
	uint32_t window = tcp_receive_window(f) >> (syn ? 0 : f->rcv_scale);

	return window > 0xffff ? 0xffff : (uint16_t)window;
}

static void
put_ip(const struct flow *f, uint8_t *frame, size_t length)
{
	uint8_t *ip = frame + ETHERNET_HEADER;

	ethernet_header(f->stack, frame, f->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	if (f->v6)
		ipv6_header(ip, PROTOCOL_TCP, HOP_LIMIT, f->key.destination, f->key.guest, length);
	else
		ipv4_header(ip, PROTOCOL_TCP, f->key.destination + 12, f->key.guest + 12, length);
}

static uint64_t
flow_pseudo_sum(const struct flow *f, size_t length)
{
	if (f->v6)
		return pseudo_sum(f->key.destination, f->key.guest, 16, PROTOCOL_TCP, length);
	return pseudo_sum(f->key.destination + 12, f->key.guest + 12, 4, PROTOCOL_TCP, length);
}

/* The checksum over the header at t and the pieces of the payload behind it. */
static void
put_checksum(
    const struct flow *f, uint8_t *t, size_t header, const struct link_frame *frame, size_t length)
{
	uint64_t sum = checksum_add(flow_pseudo_sum(f, header + length), t, header);
	uint16_t field;

	if (frame->n > 1)
		sum = checksum_add(sum, frame->iov[1].iov_base, frame->iov[1].iov_len);
	if (frame->n > 2 && frame->iov[1].iov_len % 2 != 0)
		sum = checksum_add_odd(sum, frame->iov[2].iov_base, frame->iov[2].iov_len);
	else if (frame->n > 2)
		sum = checksum_add(sum, frame->iov[2].iov_base, frame->iov[2].iov_len);
	field = checksum_fold(sum);
	memcpy(t + 16, &field, sizeof(field));
}

static bool
send_segment(struct flow *f, const struct outgoing *o)
{
	const struct transmit_note note = {f, o->seq, o->kind};
	size_t lower = ETHERNET_HEADER + (f->v6 ? IPV6_HEADER : IPV4_HEADER), header;
	struct link_frame *frame;
	uint8_t *p = transmit_segment(f->stack, &note, &frame), *t, *end;

	if (p == NULL)
		return false;
	t = p + lower;
	wire_put16(t, f->key.destination_port);
	wire_put16(t + 2, f->key.guest_port);
	wire_put32(t + 4, o->seq);
	wire_put32(t + 8, (o->flags & TCP_ACK) != 0 ? f->rcv_nxt : 0);
	wire_put16(t + 14, window_field(f, (o->flags & TCP_SYN) != 0));
	wire_put32(t + 16, 0);
	end = (o->flags & TCP_SYN) != 0 ? put_syn_options(f, t + TCP_HEADER)
					: put_options(f, t + TCP_HEADER);
	header = (size_t)(end - t);
	t[12] = (uint8_t)(header / 4 << 4);
	t[13] = o->flags;
	frame->iov[0] = (struct iovec){p, lower + header};
	frame->n = 1 + ring_iov(&f->send, o->seq - f->snd_una, o->length, frame->iov + 1);
	put_checksum(f, t, header, frame, o->length);
	put_ip(f, p, header + o->length);
	f->last_ack_sent = f->rcv_nxt;
	f->unacknowledged = 0;
	f->ack_now = false;
	flow_deadline_clear(f, TCP_TIMER_DELAYED_ACK);
	return true;
}

/* ---- Deciding ---- */

static bool
may_send(const struct flow *f)
{
	return f->state == TCP_ESTABLISHED || f->state == TCP_CLOSE_WAIT ||
	       f->state == TCP_FIN_WAIT_1 || f->state == TCP_CLOSING || f->state == TCP_LAST_ACK;
}

/* Flags for a segment that ends at `end`; it may carry the FIN where fin says so. */
static uint8_t
ending_flags(const struct flow *f, uint32_t end, bool fin)
{
	uint8_t flags = TCP_ACK;

	if (end != f->snd_una + f->queued)
		return flags;
	if (f->queued > 0)
		flags |= TCP_PSH;
	return fin ? flags | TCP_FIN : flags;
}

static void
fin_goes(struct flow *f)
{
	f->fin_sent = true;
	if (f->state == TCP_ESTABLISHED)
		f->state = TCP_FIN_WAIT_1;
	else if (f->state == TCP_CLOSE_WAIT)
		f->state = TCP_LAST_ACK;
}

/* Something missing, once more.  1 sent, 0 nothing to send, -1 the link is full. */
static int
send_again(struct flow *f, uint32_t flight)
{
	struct tcp_hole *h = tcp_board_next(f);
	struct outgoing o = {.kind = TRANSMIT_AGAIN};
	uint32_t most = f->mss - options_size(f), data_end = f->snd_una + f->queued;

	if (h == NULL || (!f->repair_due && flight > 0 && flight + f->mss > f->cwnd))
		return 0;
	o.seq = h->next;
	o.length = h->end - h->next;
	if (seq_after(h->end, data_end))
		o.length = data_end - h->next; /* the rest is the FIN */
	if (o.length > most)
		o.length = most;
	o.flags = ending_flags(f, o.seq + o.length, f->fin_sent);
	if (!send_segment(f, &o))
		return -1;
	f->stack->counters.tcp_retransmitted++;
	f->repair_due = false;
	if (h->next == h->start)
		h->mark = f->snd_nxt;
	h->next += o.length + ((o.flags & TCP_FIN) != 0);
	if (seq_after(h->next, h->end))
		h->next = h->end;
	return 1;
}

/*
 * Whether a short segment waits (RFC 9293 3.7.4, 3.8.6.2.1).  While two full ones are in flight an
 * acknowledgment must come at once, and more to send may come first; otherwise nothing is held
 * back.
 */
static bool
short_waits(const struct flow *f, uint32_t length, uint32_t most, uint32_t left, bool last)
{
	if (length >= most)
		return false;
	if (length < left) /* the window cuts it: half of the largest seen is worth a frame */
		return f->snd_nxt != f->snd_una || length < f->snd_wnd_max / 2;
	return !last && f->snd_nxt - f->snd_una >= 2 * most;
}

static int
send_new(struct flow *f, uint32_t flight)
{
	struct outgoing o = {.seq = f->snd_nxt, .kind = TRANSMIT_NEW};
	uint32_t most = f->mss - options_size(f), sent = f->snd_nxt - f->snd_una;
	uint32_t left, room;

	if (f->fin_sent)
		return 0;
	left = f->queued - sent;
	room = f->snd_wnd > sent ? f->snd_wnd - sent : 0;
	o.length = left < most ? left : most;
	if (o.length > room)
		o.length = room;
	if (flight > 0 && flight + o.length > f->cwnd)
		return 0;
	o.flags = ending_flags(f, o.seq + o.length, f->fin_queued);
	if (o.length == 0 && (o.flags & TCP_FIN) == 0)
		return 0;
	if (o.length > 0 && short_waits(f, o.length, most, left, f->fin_queued))
		return 0;
	if (!send_segment(f, &o))
		return -1;
	if (!f->timing && f->recovery == TCP_OPEN) {
		f->timing = true;
		f->timed_seq = o.seq + o.length + ((o.flags & TCP_FIN) != 0);
		f->timed_at = f->stack->now;
	}
	f->snd_nxt += o.length;
	if ((o.flags & TCP_FIN) != 0) {
		f->snd_nxt++;
		fin_goes(f);
	}
	return 1;
}

/* The tail again, whatever the windows say. */
static bool
send_tail(struct flow *f)
{
	struct outgoing o = {.kind = TRANSMIT_AGAIN};
	uint32_t most = f->mss - options_size(f), data_end = f->snd_una + f->queued;
	uint32_t end = f->fin_sent ? data_end : f->snd_nxt;

	o.length = end - f->snd_una < most ? end - f->snd_una : most;
	o.seq = end - o.length;
	o.flags = ending_flags(f, end, f->fin_sent);
	f->stack->counters.tcp_probes++;
	return send_segment(f, &o);
}

/* One byte beyond a window that is shut. */
static bool
send_window_probe(struct flow *f)
{
	struct outgoing o = {f->snd_una, f->queued > 0, TCP_ACK, TRANSMIT_AGAIN};

	if (f->queued == 0) /* the FIN alone waits */
		o.seq--;
	f->probed_window = true;
	f->stack->counters.tcp_probes++;
	return send_segment(f, &o);
}

static bool
send_bare(struct flow *f, uint32_t seq, uint8_t flags)
{
	const struct outgoing o = {seq, 0, flags, TRANSMIT_ACK};

	return send_segment(f, &o);
}

static bool
send_syn(struct flow *f)
{
	if (f->rcv_edge == f->rcv_nxt)
		tcp_receive_window(f);
	if (!send_bare(f, f->iss, TCP_SYN | TCP_ACK))
		return false;
	f->syn_due = false;
	f->timing = f->retries == 0;
	f->timed_at = f->stack->now;
	flow_deadline_set(
	    f, TCP_TIMER_RETRANSMIT, f->stack->now + ((uint64_t)f->rto << f->backoff));
	return true;
}

static bool
send_reset(struct flow *f)
{
	uint32_t seq = f->state == TCP_SYN_RECEIVED ? f->iss + 1 : f->snd_nxt;

	if (!send_bare(f, seq, TCP_RST | TCP_ACK))
		return false;
	f->stack->counters.tcp_resets_out++;
	flow_done(f, f->error != 0 ? f->error : -ECONNRESET);
	return true;
}

/* The probes that timers asked for. */
static bool
send_probes(struct flow *f)
{
	if (f->probe_tail && f->snd_nxt != f->snd_una && !send_tail(f))
		return false;
	f->probe_tail = false;
	if (f->probe_window && f->snd_nxt == f->snd_una && !send_window_probe(f))
		return false;
	f->probe_window = false;
	if (f->probe_keepalive) {
		if (!send_bare(f, f->snd_una - 1, TCP_ACK))
			return false;
		f->stack->counters.tcp_probes++;
	}
	f->probe_keepalive = false;
	return true;
}

/* Bytes, missing ones first.  False where it is not done. */
static bool
send_bytes(struct flow *f)
{
	uint32_t before = f->snd_nxt, flight = tcp_board_in_flight(f);
	unsigned n;
	int r = 1;

	for (n = 0; n < QUANTUM && r > 0; n++) {
		r = f->board != NULL ? send_again(f, flight) : 0;
		if (r == 0)
			r = send_new(f, flight);
		if (r > 0)
			flight = tcp_board_in_flight(f);
	}
	if (f->snd_nxt != before || f->deadlines[TCP_TIMER_RETRANSMIT] == 0)
		tcp_retransmit_arm(f);
	return r == 0;
}

bool
tcp_output(struct flow *f)
{
	if (f->reset_due)
		return send_reset(f);
	if (f->state == TCP_CLOSED)
		return true;
	if (f->state == TCP_SYN_RECEIVED)
		return (!f->syn_due || send_syn(f)) &&
		       (!f->ack_now || send_bare(f, f->snd_nxt, TCP_ACK));
	if (!send_probes(f))
		return false;
	if (may_send(f) && !send_bytes(f))
		return false;
	return !f->ack_now || send_bare(f, f->snd_nxt, TCP_ACK);
}

void
tcp_ack_at_once(struct flow *f)
{
	f->ack_now = true;
	if (f->state == TCP_SYN_RECEIVED || !send_bare(f, f->snd_nxt, TCP_ACK))
		flow_schedule(f);
}

/* ---- What did not leave ---- */

void
tcp_unsent(struct flow *f, uint32_t seq, unsigned kind)
{
	unsigned i;

	if (f->state == TCP_CLOSED)
		return;
	f->ack_now = true;
	if (f->state == TCP_SYN_RECEIVED)
		f->syn_due = true;
	if (kind == TRANSMIT_NEW && seq_before(seq, f->snd_nxt)) {
		f->snd_nxt = seq;
		if (f->fin_sent) {
			f->fin_sent = false;
			if (f->state == TCP_FIN_WAIT_1)
				f->state = TCP_ESTABLISHED;
			else if (f->state == TCP_LAST_ACK)
				f->state = TCP_CLOSE_WAIT;
		}
		if (f->timing && seq_after(f->timed_seq, seq))
			f->timing = false;
	}
	for (i = 0; kind == TRANSMIT_AGAIN && f->board != NULL && i < f->board->n; i++) {
		struct tcp_hole *h = &f->board->holes[i];

		if (!seq_before(seq, h->start) && seq_before(seq, h->next))
			h->next = seq;
	}
	flow_schedule(f);
}

/* ---- Resets for what is not a flow's ---- */

void
tcp_reset_reply(struct stack *s, const struct packet *p, const struct tcp_segment *g)
{
	size_t lower = p->v6 ? IPV6_HEADER : IPV4_HEADER;
	uint8_t *f = transmit_frame(
	    s, ETHERNET_HEADER + lower + TCP_HEADER, p->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	uint16_t sum;
	uint8_t *t;

	if (f == NULL)
		return;
	t = f + ETHERNET_HEADER + lower;
	memcpy(t, p->payload + 2, 2);
	memcpy(t + 2, p->payload, 2);
	t[12] = TCP_HEADER / 4 << 4;
	t[13] = TCP_RST;
	if ((g->flags & TCP_ACK) != 0) {
		wire_put32(t + 4, g->ack);
	} else {
		t[13] |= TCP_ACK;
		wire_put32(t + 8,
		    g->seq + g->length + ((g->flags & TCP_SYN) != 0) + ((g->flags & TCP_FIN) != 0));
	}
	sum = checksum_fold(checksum_add(
	    pseudo_sum(p->destination, p->source, p->v6 ? 16 : 4, PROTOCOL_TCP, TCP_HEADER), t,
	    TCP_HEADER));
	memcpy(t + 16, &sum, sizeof(sum));
	if (p->v6)
		ipv6_header(f + ETHERNET_HEADER, PROTOCOL_TCP, HOP_LIMIT, p->destination, p->source,
		    TCP_HEADER);
	else
		ipv4_header(
		    f + ETHERNET_HEADER, PROTOCOL_TCP, p->destination, p->source, TCP_HEADER);
	s->counters.tcp_resets_out++;
}
