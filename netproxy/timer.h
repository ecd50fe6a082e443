/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines in one binary heap.  Times are microseconds of the caller's monotonic clock. */
#ifndef GONDOLIN_NETPROXY_TIMER_H
#define GONDOLIN_NETPROXY_TIMER_H

#include <stddef.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

/* Lives in what it belongs to; index is its place in the heap, 0 where it is not armed. */
struct timer {
	uint64_t deadline;
	size_t index;
};

struct timer_heap {
	struct timer **slots; /* from 1 */
	size_t n, capacity;
};

/* Makes room for `capacity` armed timers.  Returns 0 or -ENOMEM. */
int timer_heap_init(struct timer_heap *h, size_t capacity);
void timer_heap_clear(struct timer_heap *h);

/* Arms t, or moves it. */
void timer_set(struct timer_heap *h, struct timer *t, uint64_t deadline);

/* Disarms t; harmless where it is not armed. */
void timer_cancel(struct timer_heap *h, struct timer *t);

/* The earliest timer, or NULL; it stays armed. */
struct timer *timer_first(const struct timer_heap *h);

#endif
