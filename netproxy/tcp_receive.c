/* SPDX-License-Identifier: Apache-2.0 */
/* TCP's receiving half: bytes to their place, what is out of order, the window, when to
 * acknowledge. */
#include <stdlib.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define WINDOW_LEAST   (32u * 1024)
#define DELAYED_ACK_US 20000u

/* ---- What is out of order ---- */

/* Copies the bytes of [seq, end) that no range holds yet. */
static void
fill_gaps(struct flow *f, uint32_t seq, uint32_t end, const uint8_t *data)
{
	const struct tcp_reassembly *m = f->reassembly;
	uint32_t base = f->rcv_nxt - f->buffered, at = seq, gap_end;
	unsigned i;

	for (i = 0; i < m->n && seq_before(at, end); i++) {
		if (!seq_after(m->ranges[i].end, at))
			continue;
		gap_end = seq_before(m->ranges[i].start, end) ? m->ranges[i].start : end;
		if (seq_after(gap_end, at))
			ring_write(&f->receive, at - base, data + (at - seq), gap_end - at);
		at = m->ranges[i].end;
	}
	if (seq_before(at, end))
		ring_write(&f->receive, at - base, data + (at - seq), end - at);
}

/* Adds [start, end) to the ranges, joining those it touches.  False where there is no room. */
static bool
range_add(struct tcp_reassembly *m, uint32_t start, uint32_t end)
{
	unsigned first = 0, last;

	while (first < m->n && seq_before(m->ranges[first].end, start))
		first++;
	for (last = first; last < m->n && !seq_after(m->ranges[last].start, end); last++) {
		if (seq_before(m->ranges[last].start, start))
			start = m->ranges[last].start;
		if (seq_after(m->ranges[last].end, end))
			end = m->ranges[last].end;
	}
	if (last == first && m->n == TCP_RANGES_MAX)
		return false;
	memmove(&m->ranges[first + 1], &m->ranges[last], (m->n - last) * sizeof(m->ranges[0]));
	m->n = m->n - (last - first) + 1;
	m->ranges[first] = (struct tcp_range){start, end};
	m->newest = first;
	return true;
}

/* The first range begins at rcv_nxt: it is in order now. */
static void
range_take(struct flow *f)
{
	struct tcp_reassembly *m = f->reassembly;

	if (m->n == 0 || m->ranges[0].start != f->rcv_nxt)
		return;
	f->buffered += m->ranges[0].end - f->rcv_nxt;
	f->unacknowledged += m->ranges[0].end - f->rcv_nxt;
	f->rcv_nxt = m->ranges[0].end;
	m->n--;
	memmove(&m->ranges[0], &m->ranges[1], m->n * sizeof(m->ranges[0]));
	m->newest = m->newest > 0 ? m->newest - 1 : 0;
	if (m->n > 0)
		return;
	free(m);
	f->reassembly = NULL;
}

/* Whether [seq, end) lies in one range: it came before. */
static bool
range_holds(const struct tcp_reassembly *m, uint32_t seq, uint32_t end)
{
	unsigned i;

	for (i = 0; i < m->n; i++)
		if (!seq_before(seq, m->ranges[i].start) && !seq_after(end, m->ranges[i].end))
			return true;
	return false;
}

static void
duplicate(struct flow *f, uint32_t start, uint32_t end)
{
	f->stack->counters.tcp_duplicate++;
	f->duplicate_seen = f->sack_ok;
	f->duplicate = (struct tcp_range){start, end};
	f->ack_now = true;
}

/* Bytes that are ahead, or that meet bytes which were. */
static bool
store_out_of_order(struct flow *f, uint32_t seq, uint32_t end, const uint8_t *data)
{
	struct stack *s = f->stack;
	uint32_t base = f->rcv_nxt - f->buffered;
	uint32_t held = f->buffered;

	f->ack_now = true;
	if (f->reassembly == NULL) {
		f->reassembly = calloc(1, sizeof(*f->reassembly));
		if (f->reassembly == NULL)
			return false;
	}
	if (f->reassembly->n > 0)
		held = f->reassembly->ranges[f->reassembly->n - 1].end - base;
	if (range_holds(f->reassembly, seq, end)) {
		duplicate(f, seq, end);
		return true;
	}
	/* The last place is for the bytes that everything waits for. */
	if ((f->reassembly->n + 1 >= TCP_RANGES_MAX && seq != f->rcv_nxt) ||
	    ring_reserve(&s->pool, &f->receive, end - base, held) != 0)
		return false;
	fill_gaps(f, seq, end, data);
	range_add(f->reassembly, seq, end);
	s->counters.tcp_out_of_order++;
	range_take(f);
	return true;
}

static bool
store_in_order(struct flow *f, const uint8_t *data, uint32_t n)
{
	/* Without budget for more, what fits: the rest comes again. */
	if (ring_reserve(&f->stack->pool, &f->receive, f->buffered + n, f->buffered) != 0) {
		if (ring_reserve(&f->stack->pool, &f->receive, 1, 0) != 0)
			return false;
		if (n > f->receive.size - f->buffered)
			n = f->receive.size - f->buffered;
		if (n == 0)
			return false;
		f->ack_now = true;
	}
	ring_write(&f->receive, f->buffered, data, n);
	f->buffered += n;
	f->rcv_nxt += n;
	f->unacknowledged += n;
	return true;
}

/* ---- Segments ---- */

static void
acknowledge_soon(struct flow *f)
{
	struct stack *s = f->stack;

	if (f->quick > 0) {
		f->quick--;
		f->ack_now = true;
	}
	if (f->unacknowledged >= 2 * f->mss)
		f->ack_now = true;
	if (!f->ack_now && f->deadlines[TCP_TIMER_DELAYED_ACK] == 0)
		flow_deadline_set(f, TCP_TIMER_DELAYED_ACK, s->now + DELAYED_ACK_US);
	if (!f->ack_now)
		return;
	/* Without SACK the sender counts duplicates (RFC 5681 3.2): none may be merged. */
	if (!f->sack_ok && f->reassembly != NULL)
		tcp_ack_at_once(f);
	else
		flow_schedule(f);
}

static void
store(struct flow *f, uint32_t seq, uint32_t end, const uint8_t *data)
{
	uint32_t before = f->rcv_nxt;
	bool stored;

	if (seq == f->rcv_nxt && f->reassembly == NULL)
		stored = store_in_order(f, data, end - seq);
	else
		stored = store_out_of_order(f, seq, end, data);
	if (!stored) {
		f->stack->counters.tcp_no_buffer++;
		if (f->reassembly != NULL && f->reassembly->n == 0) {
			free(f->reassembly);
			f->reassembly = NULL;
		}
		f->ack_now = true;
	}
	if (f->rcv_nxt != before)
		flow_tell(f, FLOW_READABLE);
}

/* Cuts the segment to what is new and in the window, and keeps that. */
static void
data_input(struct flow *f, const struct tcp_segment *g)
{
	uint32_t seq = g->seq, end = g->seq + g->length;
	const uint8_t *data = g->data;

	if (seq_before(seq, f->rcv_nxt)) {
		duplicate(f, seq, seq_before(end, f->rcv_nxt) ? end : f->rcv_nxt);
		data += f->rcv_nxt - seq;
		seq = f->rcv_nxt;
	}
	if (seq_after(end, f->rcv_edge)) {
		end = f->rcv_edge;
		f->ack_now = true;
	}
	if (f->fin_seen && seq_after(end, f->fin_seq))
		end = f->fin_seq; /* nothing comes after the end */
	if (seq_before(seq, end))
		store(f, seq, end, data);
}

void
tcp_receive(struct flow *f, const struct tcp_segment *g)
{
	uint32_t fin = g->seq + g->length;

	if (f->fin_taken) {
		f->ack_now = true;
		flow_schedule(f);
		return;
	}
	if (g->length > 0)
		data_input(f, g);
	if ((g->flags & TCP_FIN) != 0 && !f->fin_seen && !seq_before(fin, f->rcv_nxt) &&
	    !seq_after(fin, f->rcv_edge) &&
	    (f->reassembly == NULL ||
		!seq_after(f->reassembly->ranges[f->reassembly->n - 1].end, fin))) {
		f->fin_seen = true;
		f->fin_seq = fin;
	}
	if (f->fin_seen && f->rcv_nxt == f->fin_seq) {
		f->fin_taken = true;
		f->rcv_nxt++;
		if (seq_before(f->rcv_edge, f->rcv_nxt))
			f->rcv_edge = f->rcv_nxt;
		f->ack_now = true;
		tcp_fin_received(f);
	}
	acknowledge_soon(f);
}

/* ---- The window ---- */

static uint32_t
window_limit(const struct flow *f)
{
	uint32_t limit =
	    ring_pool_share(&f->stack->pool, WINDOW_LEAST, f->stack->config.receive_max);

	return !f->scale_ok && limit > 0xffff ? 0xffff : limit;
}

/*
 * How far the window may open: to the flow's share less what waits for the application, and by at
 * least a segment or half of the share, or not at all (RFC 9293 3.8.6.2.2).  It never goes back.
 */
static uint32_t
window_best(const struct flow *f, uint32_t limit)
{
	uint32_t offered = f->rcv_edge - f->rcv_nxt;
	uint32_t room = limit > f->buffered ? limit - f->buffered : 0;
	uint32_t step = f->mss < limit / 2 ? f->mss : limit / 2;

	return room >= offered + step ? room : offered;
}

uint32_t
tcp_receive_window(struct flow *f)
{
	uint32_t best;

	if (f->fin_taken)
		return 0;
	best = window_best(f, window_limit(f)) & ~(((uint32_t)1 << f->rcv_scale) - 1);
	if (seq_after(f->rcv_nxt + best, f->rcv_edge))
		f->rcv_edge = f->rcv_nxt + best;
	return f->rcv_edge - f->rcv_nxt;
}

/* Tells the guest of room when half of the window was used up: news that is worth a frame. */
void
tcp_receive_consumed(struct flow *f)
{
	uint32_t limit = window_limit(f), offered = f->rcv_edge - f->rcv_nxt;

	if (f->fin_taken || offered >= limit / 2 || window_best(f, limit) == offered)
		return;
	f->ack_now = true;
	flow_schedule(f);
}

unsigned
tcp_sack_ranges(struct flow *f, struct tcp_range out[4], unsigned max)
{
	const struct tcp_reassembly *m = f->reassembly;
	unsigned i, n = 0;

	if (!f->sack_ok)
		return 0;
	if (f->duplicate_seen && n < max)
		out[n++] = f->duplicate;
	f->duplicate_seen = false;
	if (m == NULL)
		return n;
	/* RFC 2018 4: the newest first. */
	for (i = 0; i < m->n && n < max; i++)
		out[n++] = m->ranges[(m->newest + i) % m->n];
	return n;
}
