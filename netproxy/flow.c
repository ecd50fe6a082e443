/* SPDX-License-Identifier: Apache-2.0 */
/* The flows: their table, their lists, their deadlines, and what the application does with them. */
#include "netproxy/flow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define BUFFER_LEAST (32u * 1024)

/* ---- Lists ---- */

void
flow_list_add(struct flow_list *l, struct flow *f, enum flow_list_index which)
{
	struct flow_link *link = &f->links[which];

	if (f->listed[which])
		return;
	f->listed[which] = true;
	link->next = NULL;
	link->previous = l->last;
	if (l->last != NULL)
		l->last->links[which].next = f;
	else
		l->first = f;
	l->last = f;
	l->n++;
}

void
flow_list_remove(struct flow_list *l, struct flow *f, enum flow_list_index which)
{
	struct flow_link *link = &f->links[which];

	if (!f->listed[which])
		return;
	f->listed[which] = false;
	if (link->previous != NULL)
		link->previous->links[which].next = link->next;
	else
		l->first = link->next;
	if (link->next != NULL)
		link->next->links[which].previous = link->previous;
	else
		l->last = link->previous;
	l->n--;
}

void
flow_age(struct flow *f, struct flow_list *l)
{
	if (f->age_list != NULL)
		flow_list_remove(f->age_list, f, FLOW_LIST_AGE);
	f->age_list = l;
	if (l != NULL)
		flow_list_add(l, f, FLOW_LIST_AGE);
}

void
flow_schedule(struct flow *f)
{
	flow_list_add(&f->stack->flows.ready, f, FLOW_LIST_READY);
}

void
flow_tell(struct flow *f, unsigned events)
{
	if (f->released)
		return;
	f->events |= events;
	if (f->delivered || (f->events & FLOW_OPENED) != 0)
		flow_list_add(&f->stack->flows.events, f, FLOW_LIST_EVENT);
}

void
flow_deliver(struct stack *s)
{
	struct flow_list *l = &s->flows.events;
	struct flow *f;
	unsigned events;

	while ((f = l->first) != NULL) {
		flow_list_remove(l, f, FLOW_LIST_EVENT);
		events = f->events;
		f->events = 0;
		f->delivered = true;
		s->handlers.event(s->handlers.context, f, events);
	}
}

/* ---- The table ---- */

int
flow_table_init(struct flow_table *t, uint32_t flows_max)
{
	uint32_t size = 64;

	while (size < flows_max)
		size *= 2;
	t->buckets = calloc(size, sizeof(struct flow *));
	t->mask = size - 1;
	return t->buckets != NULL ? 0 : -ENOMEM;
}

static void
release_buffers(struct flow *f)
{
	ring_release(&f->stack->pool, &f->send);
	ring_release(&f->stack->pool, &f->receive);
	free(f->reassembly);
	f->reassembly = NULL;
	tcp_board_clear(f);
	f->queued = f->buffered = 0;
}

/* A closed flow that the application still holds is in no table: the age lists know every other. */
void
flow_table_clear(struct stack *s)
{
	struct flow_table *t = &s->flows;
	struct flow *f, *next;
	uint32_t i;

	for (i = 0; t->buckets != NULL && i <= t->mask; i++)
		for (f = t->buckets[i]; f != NULL; f = next) {
			next = f->hash_next;
			release_buffers(f);
			free(f);
		}
	for (f = t->dead.first; f != NULL; f = next) {
		next = f->links[FLOW_LIST_AGE].next;
		release_buffers(f);
		free(f);
	}
	for (f = t->free; f != NULL; f = next) {
		next = f->hash_next;
		free(f);
	}
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

void
flow_key_make(struct flow_key *k, const struct flow_addresses *a)
{
	memcpy(k->guest, a->guest.address, 16);
	memcpy(k->destination, a->destination.address, 16);
	k->guest_port = a->guest.port;
	k->destination_port = a->destination.port;
}

static struct flow **
bucket(struct stack *s, const struct flow_key *k)
{
	uint64_t h = siphash(s->config.key, k, sizeof(*k));

	return &s->flows.buckets[h & s->flows.mask];
}

struct flow *
flow_find(struct stack *s, const struct flow_key *k)
{
	struct flow *f = s->flows.latest;

	if (f != NULL && memcmp(&f->key, k, sizeof(*k)) == 0)
		return f;
	for (f = *bucket(s, k); f != NULL; f = f->hash_next)
		if (memcmp(&f->key, k, sizeof(*k)) == 0) {
			s->flows.latest = f;
			return f;
		}
	return NULL;
}

/*
 * Makes room by giving up what matters least: the oldest half-open flow where these are too many;
 * where all are, one in TIME_WAIT before one that is half-open.
 */
static bool
evict(struct stack *s)
{
	struct flow_table *t = &s->flows;

	if (t->half_open.n < s->config.half_open_max && t->time_wait.first != NULL) {
		flow_done(t->time_wait.first, 0);
	} else if (t->half_open.first != NULL) {
		s->counters.tcp_half_open_evicted++;
		flow_done(t->half_open.first, -ETIMEDOUT);
	}
	flow_reap(s);
	return t->n < s->config.flows_max;
}

struct flow *
flow_add(struct stack *s, const struct flow_key *k)
{
	struct flow_table *t = &s->flows;
	struct flow *f, **b;

	if ((t->n >= s->config.flows_max || t->half_open.n >= s->config.half_open_max) && !evict(s))
		return NULL;
	f = t->free;
	if (f != NULL) {
		t->free = f->hash_next;
		memset(f, 0, sizeof(*f));
	} else {
		f = calloc(1, sizeof(*f));
	}
	if (f == NULL)
		return NULL;
	f->stack = s;
	f->key = *k;
	f->v6 = !stack_address_is_v4(k->guest);
	b = bucket(s, k);
	f->hash_next = *b;
	*b = f;
	f->hashed = true;
	t->n++;
	return f;
}

static void
unhash(struct flow *f)
{
	struct flow_table *t = &f->stack->flows;
	struct flow **p;

	if (!f->hashed)
		return;
	for (p = bucket(f->stack, &f->key); *p != f; p = &(*p)->hash_next)
		assert(*p != NULL);
	*p = f->hash_next;
	f->hash_next = NULL;
	f->hashed = false;
	if (t->latest == f)
		t->latest = NULL;
}

/*
 * What was received before an orderly end stays readable; after a reset it does not (RFC 9293
 * 3.10.7.4 flushes the queues).
 */
void
flow_done(struct flow *f, int error)
{
	unsigned t;

	if (f->state == TCP_CLOSED)
		return;
	f->state = TCP_CLOSED;
	f->error = error;
	unhash(f);
	for (t = 0; t < TCP_TIMERS; t++)
		f->deadlines[t] = 0;
	timer_cancel(&f->stack->timers, &f->timer);
	flow_list_remove(&f->stack->flows.ready, f, FLOW_LIST_READY);
	flow_age(f, &f->stack->flows.dead);
	ring_release(&f->stack->pool, &f->send);
	f->queued = 0;
	tcp_board_clear(f);
	if (error != 0 || f->released)
		release_buffers(f);
	if (!f->closed_told) {
		f->closed_told = true;
		flow_tell(f, FLOW_CLOSED);
	}
	/* Nobody was told of it: nobody will give it back. */
	if (!f->delivered && (f->events & FLOW_OPENED) == 0)
		f->released = true;
}

void
flow_reap(struct stack *s)
{
	struct flow_table *t = &s->flows;
	struct flow *f, *next;

	/* Frames that are queued name their flows. */
	if (t->dead.first != NULL && s->transmit.n > 0)
		transmit_flush(s);
	for (f = t->dead.first; f != NULL; f = next) {
		next = f->links[FLOW_LIST_AGE].next;
		if (!f->released)
			continue;
		flow_list_remove(&t->events, f, FLOW_LIST_EVENT);
		flow_age(f, NULL);
		release_buffers(f);
		f->hash_next = t->free;
		t->free = f;
		t->n--;
	}
}

/* ---- Deadlines ---- */

/*
 * The heap's deadline may be earlier than any of the flow's: moving one to later, which every
 * acknowledgment does, costs nothing then.
 */
void
flow_deadline_set(struct flow *f, enum tcp_timer t, uint64_t deadline)
{
	f->deadlines[t] = deadline;
	if (f->timer.index == 0 || f->timer.deadline > deadline)
		timer_set(&f->stack->timers, &f->timer, deadline);
}

void
flow_deadline_clear(struct flow *f, enum tcp_timer t)
{
	f->deadlines[t] = 0;
}

/* ---- The application's side ---- */

void
flow_addresses(const struct flow *f, struct flow_addresses *a)
{
	memcpy(a->guest.address, f->key.guest, 16);
	memcpy(a->destination.address, f->key.destination, 16);
	a->guest.port = f->key.guest_port;
	a->destination.port = f->key.destination_port;
}

void
flow_set_context(struct flow *f, void *context)
{
	f->context = context;
}

void *
flow_context(const struct flow *f)
{
	return f->context;
}

size_t
flow_peek(const struct flow *f, struct iovec iov[2], unsigned *pieces)
{
	*pieces = ring_iov(&f->receive, 0, f->buffered, iov);
	return f->buffered;
}

void
flow_consume(struct flow *f, size_t n)
{
	assert(n <= f->buffered);
	ring_drop(&f->receive, (uint32_t)n);
	f->buffered -= (uint32_t)n;
	if (f->buffered == 0 && f->reassembly == NULL)
		ring_release(&f->stack->pool, &f->receive);
	if (f->state != TCP_CLOSED)
		tcp_receive_consumed(f);
}

bool
flow_ended(const struct flow *f)
{
	return f->fin_taken && f->buffered == 0;
}

static bool
can_write(const struct flow *f)
{
	return !f->fin_queued && (f->state == TCP_ESTABLISHED || f->state == TCP_CLOSE_WAIT);
}

size_t
flow_reserve(struct flow *f, size_t want, struct iovec iov[2], unsigned *pieces)
{
	uint32_t room;
	size_t ring;

	*pieces = 0;
	if (!can_write(f))
		return 0;
	room = tcp_send_room(f);
	if (want > room) {
		f->want_room = true;
		want = room;
	}
	if (want == 0)
		return 0;
	ring = f->queued + want;
	if (ring_reserve(&f->stack->pool, &f->send, ring, f->queued) != 0) {
		/* The budget is used up: what the ring has, or the smallest. */
		f->want_room = true;
		if (ring_reserve(&f->stack->pool, &f->send, 1, 0) != 0)
			return 0;
		if (want > f->send.size - f->queued)
			want = f->send.size - f->queued;
	}
	*pieces = ring_iov(&f->send, f->queued, want, iov);
	return want;
}

void
flow_commit(struct flow *f, size_t n)
{
	assert(f->queued + n <= f->send.size);
	f->queued += (uint32_t)n;
	if (n > 0)
		flow_schedule(f);
}

size_t
flow_write(struct flow *f, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	struct iovec iov[2];
	unsigned i, pieces;
	size_t got = flow_reserve(f, n, iov, &pieces);

	for (i = 0; i < pieces; i++) {
		memcpy(iov[i].iov_base, p, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	flow_commit(f, got);
	return got;
}

void
flow_shutdown(struct flow *f)
{
	if (!can_write(f))
		return;
	f->fin_queued = true;
	tcp_closed_by_application(f);
}

static void
give_back(struct flow *f)
{
	assert(!f->released);
	f->released = true;
	f->context = NULL;
	f->events = 0;
	flow_list_remove(&f->stack->flows.events, f, FLOW_LIST_EVENT);
}

void
flow_close(struct flow *f)
{
	bool unread = f->buffered > 0 || f->reassembly != NULL;

	if (f->state != TCP_CLOSED && unread) {
		flow_abort(f);
		return;
	}
	give_back(f);
	if (f->state == TCP_CLOSED)
		return;
	if (can_write(f))
		f->fin_queued = true;
	tcp_closed_by_application(f);
}

void
flow_abort(struct flow *f)
{
	give_back(f);
	if (f->state == TCP_CLOSED)
		return;
	if (f->state == TCP_TIME_WAIT)
		return;
	f->reset_due = true;
	flow_schedule(f);
}

int
flow_error(const struct flow *f)
{
	return f->error;
}

size_t
flow_unacknowledged(const struct flow *f)
{
	return f->queued;
}

/*
 * Twice what may be on the wire keeps it busy while the application refills; more would only push
 * the bytes out of the processor's caches.  A recovery shrinks the window but not this: what was
 * sent stays in the ring until it ends.
 */
uint32_t
tcp_send_room(struct flow *f)
{
	uint32_t wire = 2 * (f->cwnd < f->snd_wnd ? f->cwnd : f->snd_wnd);
	uint32_t share = ring_pool_share(&f->stack->pool, BUFFER_LEAST, f->stack->config.send_max);

	if (f->room_limit < 4 * f->mss)
		f->room_limit = 4 * f->mss;
	if (f->room_limit < BUFFER_LEAST)
		f->room_limit = BUFFER_LEAST;
	if (f->room_limit < wire)
		f->room_limit = wire;
	if (share > f->room_limit)
		share = f->room_limit;
	return share > f->queued ? share - f->queued : 0;
}
