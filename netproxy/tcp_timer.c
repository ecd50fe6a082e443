/* SPDX-License-Identifier: Apache-2.0 */
/* TCP's deadlines: retransmission (RFC 6298), probes, keep-alive, delayed ACKs, the end. */
#include <errno.h>

#include "netproxy/stack_internal.h"

#define SECOND          1000000ull
#define RTO_MIN         200000u
#define RTO_MAX         (60u * 1000000u)
#define RETRIES_MAX     12u
#define SYN_RETRIES_MAX 4u
#define TAIL_MIN        10000u /* the link is far faster; a busy machine is not */
#define TAIL_ONE        50000u /* one segment: the peer may delay its ACK */
#define ORPHAN_LIMIT    (60 * SECOND)

void
tcp_rtt_sample(struct flow *f, uint32_t us)
{
	uint32_t delta;

	if (us == 0)
		us = 1;
	if (f->srtt == 0) {
		f->srtt = us;
		f->rttvar = us / 2;
	} else {
		delta = us > f->srtt ? us - f->srtt : f->srtt - us;
		f->rttvar = f->rttvar - f->rttvar / 4 + delta / 4;
		f->srtt = f->srtt - f->srtt / 8 + us / 8;
		if (f->srtt == 0)
			f->srtt = 1;
	}
	f->rto = f->srtt + 4 * f->rttvar;
	if (f->rto < RTO_MIN)
		f->rto = RTO_MIN;
	if (f->rto > RTO_MAX)
		f->rto = RTO_MAX;
}

static uint64_t
backed_off(const struct flow *f)
{
	uint64_t us = (uint64_t)f->rto << (f->backoff < 16 ? f->backoff : 16);

	return us < RTO_MAX ? us : RTO_MAX;
}

/* Arms for what is in flight, or for a window that is shut in front of bytes; or disarms. */
void
tcp_retransmit_arm(struct flow *f)
{
	uint64_t tail, wait = backed_off(f);

	if (f->snd_nxt == f->snd_una) {
		f->wait = TCP_WAIT_WINDOW;
		if (f->queued == 0 && (!f->fin_queued || f->fin_sent))
			flow_deadline_clear(f, TCP_TIMER_RETRANSMIT);
		else
			flow_deadline_set(f, TCP_TIMER_RETRANSMIT, f->stack->now + wait);
		return;
	}
	f->wait = TCP_WAIT_TIMEOUT;
	tail = 2 * (uint64_t)f->srtt + (f->snd_nxt - f->snd_una <= f->mss ? TAIL_ONE : TAIL_MIN);
	if (f->sack_ok && f->recovery == TCP_OPEN && !f->probed_tail && f->srtt > 0 &&
	    tail < wait) {
		f->wait = TCP_WAIT_TAIL;
		wait = tail;
	}
	flow_deadline_set(f, TCP_TIMER_RETRANSMIT, f->stack->now + wait);
}

static void
handshake_timeout(struct flow *f)
{
	if (++f->retries > SYN_RETRIES_MAX) {
		flow_done(f, -ETIMEDOUT);
		return;
	}
	f->backoff++;
	f->syn_due = true;
	flow_schedule(f);
}

/* An application that left does not wait for a guest that takes nothing. */
static void
orphan_limit(struct flow *f)
{
	if (f->released && f->deadlines[TCP_TIMER_END] == 0)
		flow_deadline_set(f, TCP_TIMER_END, f->stack->now + ORPHAN_LIMIT);
}

static void
retransmit_timeout(struct flow *f)
{
	struct stack *s = f->stack;

	if (f->state == TCP_SYN_RECEIVED) {
		handshake_timeout(f);
		return;
	}
	if (f->wait == TCP_WAIT_TAIL) {
		f->probe_tail = f->probed_tail = true;
		f->timing = false;
	} else if (f->wait == TCP_WAIT_WINDOW) {
		f->probe_window = true;
		f->backoff++;
		orphan_limit(f);
	} else {
		s->counters.tcp_timeouts++;
		if (++f->retries > RETRIES_MAX) {
			flow_done(f, -ETIMEDOUT);
			return;
		}
		f->backoff++;
		orphan_limit(f);
		tcp_loss_timeout(f);
	}
	tcp_retransmit_arm(f);
	flow_schedule(f);
}

void
tcp_keepalive_arm(struct flow *f)
{
	const struct stack_config *c = &f->stack->config;

	if (c->keepalive_idle_s == 0)
		return;
	flow_deadline_set(f, TCP_TIMER_KEEPALIVE,
	    (f->keepalive_sent > 0 ? f->stack->now + c->keepalive_interval_s * SECOND
				   : f->heard_at + c->keepalive_idle_s * SECOND));
}

/* RFC 9293 3.8.4: the timer is armed once and looks at when the guest was heard. */
static void
keepalive(struct flow *f)
{
	const struct stack_config *c = &f->stack->config;

	if (f->keepalive_sent == 0 && f->heard_at + c->keepalive_idle_s * SECOND > f->stack->now) {
		tcp_keepalive_arm(f);
		return;
	}
	if (f->keepalive_sent >= c->keepalive_probes) {
		f->reset_due = true;
		f->error = -ETIMEDOUT;
		flow_schedule(f);
		return;
	}
	f->keepalive_sent++;
	f->probe_keepalive = true;
	tcp_keepalive_arm(f);
	flow_schedule(f);
}

static void
delayed_ack(struct flow *f)
{
	f->ack_now = true;
	flow_schedule(f);
}

static void
end(struct flow *f)
{
	if (f->state == TCP_TIME_WAIT || f->state == TCP_FIN_WAIT_2) {
		flow_done(f, 0);
		return;
	}
	f->reset_due = true;
	flow_schedule(f);
}

void
tcp_timer_fired(struct flow *f)
{
	static void (*const handlers[TCP_TIMERS])(struct flow *) = {
	    [TCP_TIMER_RETRANSMIT] = retransmit_timeout,
	    [TCP_TIMER_DELAYED_ACK] = delayed_ack,
	    [TCP_TIMER_KEEPALIVE] = keepalive,
	    [TCP_TIMER_END] = end,
	};
	struct stack *s = f->stack;
	uint64_t first = TIMER_NEVER;
	unsigned t;

	for (t = 0; t < TCP_TIMERS && f->state != TCP_CLOSED; t++)
		if (f->deadlines[t] != 0 && f->deadlines[t] <= s->now) {
			f->deadlines[t] = 0;
			handlers[t](f);
		}
	if (f->state == TCP_CLOSED)
		return;
	for (t = 0; t < TCP_TIMERS; t++)
		if (f->deadlines[t] != 0 && f->deadlines[t] < first)
			first = f->deadlines[t];
	if (first != TIMER_NEVER)
		timer_set(&s->timers, &f->timer, first);
	else
		timer_cancel(&s->timers, &f->timer);
}
