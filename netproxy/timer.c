/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of deadlines. */
#include "netproxy/timer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int
timer_heap_init(struct timer_heap *h, size_t capacity)
{
	h->slots = calloc(capacity + 1, sizeof(struct timer *));
	if (h->slots == NULL)
		return -ENOMEM;
	h->n = 0;
	h->capacity = capacity;
	return 0;
}

void
timer_heap_clear(struct timer_heap *h)
{
	free(h->slots);
	h->slots = NULL;
	h->n = h->capacity = 0;
}

static void
place(struct timer_heap *h, size_t i, struct timer *t)
{
	h->slots[i] = t;
	t->index = i;
}

static void
sift_up(struct timer_heap *h, size_t i, struct timer *t)
{
	for (; i > 1 && h->slots[i / 2]->deadline > t->deadline; i /= 2)
		place(h, i, h->slots[i / 2]);
	place(h, i, t);
}

static void
sift_down(struct timer_heap *h, size_t i, struct timer *t)
{
	size_t child;

	for (; (child = 2 * i) <= h->n; i = child) {
		if (child < h->n && h->slots[child + 1]->deadline < h->slots[child]->deadline)
			child++;
		if (h->slots[child]->deadline >= t->deadline)
			break;
		place(h, i, h->slots[child]);
	}
	place(h, i, t);
}

void
timer_set(struct timer_heap *h, struct timer *t, uint64_t deadline)
{
	uint64_t before = t->deadline;

	t->deadline = deadline;
	if (t->index == 0) {
		assert(h->n < h->capacity);
		sift_up(h, ++h->n, t);
	} else if (deadline < before) {
		sift_up(h, t->index, t);
	} else {
		sift_down(h, t->index, t);
	}
}

void
timer_cancel(struct timer_heap *h, struct timer *t)
{
	size_t i = t->index;
	struct timer *last;

	if (i == 0)
		return;
	t->index = 0;
	last = h->slots[h->n--];
	if (last == t)
		return;
	if (i > 1 && h->slots[i / 2]->deadline > last->deadline)
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

struct timer *
timer_first(const struct timer_heap *h)
{
	return h->n > 0 ? h->slots[1] : NULL;
}
