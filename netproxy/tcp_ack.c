/* SPDX-License-Identifier: Apache-2.0 */
/* TCP's sending half, on what comes back: acknowledgments, the window, congestion control, loss. */
#include <string.h>

#include "netproxy/stack_internal.h"

#define INITIAL_WINDOW_BYTES (256u * 1024)
#define CWND_MAX             (16u * 1024 * 1024)
#define DUP_THRESHOLD        3u
#define QUICK_ACKS           16u
#define INITIAL_RTO          1000000u

/*
 * RFC 6928's ten segments are for paths that may congest.  Ours is a copy in memory that pushes
 * back when it is full.
 */
void
tcp_congestion_init(struct flow *f)
{
	f->cwnd = 10 * f->mss > INITIAL_WINDOW_BYTES ? 10 * f->mss : INITIAL_WINDOW_BYTES;
	f->ssthresh = CWND_MAX;
	f->reorder = DUP_THRESHOLD;
	f->rto = INITIAL_RTO;
	f->quick = QUICK_ACKS;
}

/* RFC 5681 3.1 with byte counting; only a window that was used grows (RFC 7661). */
static void
window_grow(struct flow *f, uint32_t acked, uint32_t flight)
{
	uint64_t step;

	if (flight + f->mss < f->cwnd || f->cwnd >= CWND_MAX)
		return;
	if (f->cwnd < f->ssthresh) {
		f->cwnd += acked;
	} else {
		step = (uint64_t)acked * f->mss / f->cwnd;
		f->cwnd += step > 0 ? (uint32_t)step : 1;
	}
}

static void
threshold_set(struct flow *f)
{
	uint32_t half = (f->snd_nxt - f->snd_una) / 2;

	f->ssthresh = half > 2 * f->mss ? half : 2 * f->mss;
}

static void
recovery_enter(struct flow *f)
{
	threshold_set(f);
	f->recovery = TCP_RECOVERY;
	f->recover = f->snd_nxt;
	f->cwnd = f->ssthresh;
	f->repair_due = true;
	f->timing = false;
}

static void
first_segment_lost(struct flow *f)
{
	uint32_t end = f->snd_una + f->mss;

	tcp_board_add(f, f->snd_una, seq_before(end, f->snd_nxt) ? end : f->snd_nxt);
}

void
tcp_loss_timeout(struct flow *f)
{
	if (f->recovery != TCP_LOSS)
		threshold_set(f);
	f->recovery = TCP_LOSS;
	f->recover = f->snd_nxt;
	f->cwnd = f->mss;
	f->duplicates = 0;
	f->timing = false;
	tcp_board_all_lost(f);
	flow_schedule(f);
}

/* ---- An acknowledgment that acknowledges something ---- */

static void
recovery_progress(struct flow *f, uint32_t acked)
{
	if (f->recovery == TCP_OPEN)
		return;
	if (!seq_before(f->snd_una, f->recover)) {
		if (f->recovery == TCP_RECOVERY)
			f->cwnd = f->ssthresh;
		f->recovery = TCP_OPEN;
		f->duplicates = 0;
		if (tcp_board_loss_seen(f))
			recovery_enter(f);
		return;
	}
	if (f->recovery == TCP_LOSS) {
		if (f->cwnd < f->ssthresh)
			f->cwnd += acked;
		return;
	}
	/* RFC 6582 3.2: a partial acknowledgment without SACK points at the next loss. */
	if (!f->sack_ok && f->board == NULL) {
		first_segment_lost(f);
		f->repair_due = true;
	}
}

static void
advance(struct flow *f, uint32_t ack)
{
	struct stack *s = f->stack;
	uint32_t acked = ack - f->snd_una, flight = tcp_board_in_flight(f);
	uint32_t bytes = acked < f->queued ? acked : f->queued;
	bool fin = acked > f->queued;

	ring_drop(&f->send, bytes);
	f->queued -= bytes;
	f->snd_una = ack;
	if (f->queued == 0)
		ring_release(&s->pool, &f->send);
	if (f->timing && !seq_before(ack, f->timed_seq)) {
		f->timing = false;
		tcp_rtt_sample(f, (uint32_t)(s->now - f->timed_at));
	}
	f->retries = f->backoff = 0;
	f->probed_tail = false;
	if (f->recovery == TCP_OPEN)
		window_grow(f, acked, flight);
	f->duplicates = 0;
	tcp_board_advance(f);
	recovery_progress(f, acked);
	/* Told of room when it is worth a call: at a third of the ring. */
	if (f->want_room && tcp_send_room(f) > f->queued / 2) {
		f->want_room = false;
		flow_tell(f, FLOW_WRITABLE);
	}
	tcp_retransmit_arm(f);
	flow_schedule(f);
	if (fin)
		tcp_fin_acknowledged(f);
}

/* ---- One that does not ---- */

/* RFC 5681 2: nothing new at all, while something is in flight. */
static bool
is_duplicate(const struct flow *f, const struct tcp_segment *g, uint32_t window)
{
	return g->ack == f->snd_una && g->length == 0 && (g->flags & (TCP_SYN | TCP_FIN)) == 0 &&
	       window == f->snd_wnd && f->snd_nxt != f->snd_una;
}

static void
duplicate(struct flow *f)
{
	if (f->sack_ok)
		return;
	f->duplicates++;
	if (f->recovery == TCP_OPEN && f->duplicates == DUP_THRESHOLD) {
		recovery_enter(f);
		first_segment_lost(f);
	} else if (f->recovery == TCP_RECOVERY) {
		f->cwnd += f->mss; /* something left the network */
	}
	flow_schedule(f);
}

static void
sack_input(struct flow *f, const struct tcp_segment *g)
{
	bool news = false;
	unsigned i;

	for (i = 0; i < g->options.n_sack; i++)
		news |= tcp_board_sack(f, g->options.sack[i].start, g->options.sack[i].end);
	if (!news)
		return;
	if (f->recovery == TCP_OPEN && tcp_board_loss_seen(f))
		recovery_enter(f);
	flow_schedule(f);
}

/* ---- The window ---- */

static void
window_update(struct flow *f, const struct tcp_segment *g, uint32_t window)
{
	/* RFC 9293 3.10.7.4: only from a segment that is newer than the last. */
	if (seq_before(g->seq, f->snd_wl1) ||
	    (g->seq == f->snd_wl1 && seq_before(g->ack, f->snd_wl2)))
		return;
	f->snd_wl1 = g->seq;
	f->snd_wl2 = g->ack;
	if (window == f->snd_wnd)
		return;
	f->snd_wnd = window;
	if (window > f->snd_wnd_max)
		f->snd_wnd_max = window;
	if (f->wait == TCP_WAIT_WINDOW && window > 0) {
		f->probe_window = false;
		f->backoff = 0;
		flow_deadline_clear(f, TCP_TIMER_RETRANSMIT);
	}
	flow_schedule(f);
}

/* RFC 5961 5.2: not of the future, and not older than any window that was. */
static bool
in_range(const struct flow *f, uint32_t ack)
{
	return !seq_after(ack, f->snd_nxt) && !seq_before(ack, f->snd_una - f->snd_wnd_max);
}

void
tcp_acknowledge(struct flow *f, const struct tcp_segment *g)
{
	uint32_t window = g->window << f->snd_scale;

	/* The byte of a window probe was taken. */
	if (f->probed_window && f->snd_nxt == f->snd_una && g->ack == f->snd_una + 1 &&
	    f->queued > 0)
		f->snd_nxt++;
	if (!in_range(f, g->ack)) {
		tcp_challenge(f);
		return;
	}
	if (f->snd_wnd == 0)
		f->retries = 0; /* alive, only slow (RFC 9293 3.8.6.1) */
	if (is_duplicate(f, g, window))
		duplicate(f);
	window_update(f, g, window);
	if (seq_after(g->ack, f->snd_una)) {
		f->probed_window = false;
		advance(f, g->ack);
	}
	/* After that: what the same segment acknowledges was never a hole. */
	if (f->sack_ok && g->options.n_sack > 0 && f->snd_nxt != f->snd_una)
		sack_input(f, g);
}
