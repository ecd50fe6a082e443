/* SPDX-License-Identifier: Apache-2.0 */
/* The scoreboard: which sent bytes are missing, in the form of holes.  tcp.c tells the theory. */
#include <stdlib.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define REORDER_MAX 256u

static struct tcp_scoreboard *
board_get(struct flow *f)
{
	if (f->board == NULL) {
		f->board = malloc(sizeof(*f->board));
		if (f->board != NULL) {
			f->board->n = 0;
			f->board->forward = f->snd_una;
		}
	}
	return f->board;
}

void
tcp_board_clear(struct flow *f)
{
	free(f->board);
	f->board = NULL;
}

static bool
insert(
    struct tcp_scoreboard *b, unsigned i, uint32_t start, uint32_t end, const struct tcp_hole *of)
{
	struct tcp_hole h = {start, end, start, start};

	if (b->n == TCP_HOLES_MAX)
		return false;
	if (of != NULL) {
		h.mark = of->mark;
		if (seq_after(of->next, start))
			h.next = seq_before(of->next, end) ? of->next : end;
	}
	memmove(&b->holes[i + 1], &b->holes[i], (b->n - i) * sizeof(b->holes[0]));
	b->holes[i] = h;
	b->n++;
	return true;
}

static void delete (struct tcp_scoreboard *b, unsigned i)
{
	b->n--;
	memmove(&b->holes[i], &b->holes[i + 1], (b->n - i) * sizeof(b->holes[0]));
}

/* Bytes that we never sent again arrived late: the path reorders, so wait longer from now on. */
static void
reordered(struct flow *f, const struct tcp_hole *h)
{
	uint32_t segments = (f->board->forward - h->start) / f->mss + 1;

	if (h->next != h->start || f->recovery == TCP_LOSS)
		return;
	if (segments > REORDER_MAX)
		segments = REORDER_MAX;
	if (segments > f->reorder)
		f->reorder = segments;
}

/* Cuts [start, end) out of hole i.  Returns how far i moved on: the holes from there are untouched.
 */
static unsigned
cut(struct flow *f, unsigned i, uint32_t start, uint32_t end)
{
	struct tcp_scoreboard *b = f->board;
	struct tcp_hole *h = &b->holes[i], whole = *h;

	reordered(f, h);
	if (!seq_after(start, h->start) && !seq_before(end, h->end)) {
		delete (b, i);
		return 0;
	}
	if (!seq_after(start, h->start)) {
		h->start = end;
		if (seq_before(h->next, end))
			h->next = end;
		return 1;
	}
	if (seq_before(end, h->end) && !insert(b, i + 1, end, whole.end, &whole))
		return 1; /* no room to remember it: as if it had not been said */
	h = &b->holes[i];
	h->end = start;
	if (seq_after(h->next, start))
		h->next = start;
	return seq_before(end, whole.end) ? 2 : 1;
}

bool
tcp_board_sack(struct flow *f, uint32_t start, uint32_t end)
{
	struct tcp_scoreboard *b;
	unsigned i = 0;

	/* What is not in flight is RFC 2883's report of a duplicate, or a lie. */
	if (!seq_after(start, f->snd_una) || !seq_before(start, end) || seq_after(end, f->snd_nxt))
		return false;
	b = board_get(f);
	if (b == NULL)
		return false;
	if (seq_after(start, b->forward)) {
		/* One hole is kept free for a timeout. */
		if (b->n + 1 >= TCP_HOLES_MAX || !insert(b, b->n, b->forward, start, NULL))
			return false;
		b->forward = end;
		return true;
	}
	while (i < b->n && seq_before(b->holes[i].start, end)) {
		if (seq_after(b->holes[i].end, start))
			i += cut(f, i, start, end);
		else
			i++;
	}
	if (seq_after(end, b->forward))
		b->forward = end;
	return true;
}

void
tcp_board_advance(struct flow *f)
{
	struct tcp_scoreboard *b = f->board;

	if (b == NULL)
		return;
	while (b->n > 0 && seq_before(b->holes[0].start, f->snd_una))
		if (cut(f, 0, b->holes[0].start, f->snd_una) > 0)
			break;
	if (!seq_after(b->forward, f->snd_una))
		tcp_board_clear(f);
}

bool
tcp_board_add(struct flow *f, uint32_t start, uint32_t end)
{
	struct tcp_scoreboard *b = board_get(f);

	if (b == NULL || seq_before(start, b->forward) || !insert(b, b->n, start, end, NULL))
		return false;
	b->forward = end;
	return true;
}

void
tcp_board_all_lost(struct flow *f)
{
	struct tcp_scoreboard *b = board_get(f);
	unsigned i;

	if (b == NULL)
		return;
	/* The receiver may take back what it only selectively acknowledged (RFC 2018 8). */
	if (b->n == 0 || b->holes[0].start != f->snd_una) {
		b->n = 0;
		b->forward = f->snd_una;
	}
	if (seq_before(b->forward, f->snd_nxt)) {
		insert(b, b->n, b->forward, f->snd_nxt, NULL);
		b->forward = f->snd_nxt;
	}
	for (i = 0; i < b->n; i++)
		b->holes[i].next = b->holes[i].start;
}

/* After a timeout, and without SACK, a hole is made only where a loss is certain enough. */
static bool
is_lost(const struct flow *f, const struct tcp_hole *h)
{
	if (f->recovery == TCP_LOSS || !f->sack_ok)
		return true;
	return f->board->forward - h->end > (f->reorder - 1) * f->mss;
}

bool
tcp_board_loss_seen(const struct flow *f)
{
	return f->board != NULL && f->board->n > 0 && is_lost(f, &f->board->holes[0]);
}

uint32_t
tcp_board_in_flight(const struct flow *f)
{
	const struct tcp_scoreboard *b = f->board;
	uint32_t flight;
	unsigned i;

	if (b == NULL)
		return f->snd_nxt - f->snd_una;
	flight = f->snd_nxt - b->forward;
	for (i = 0; i < b->n; i++) {
		const struct tcp_hole *h = &b->holes[i];

		flight += is_lost(f, h) ? h->next - h->start : h->end - h->start;
	}
	return flight;
}

struct tcp_hole *
tcp_board_next(struct flow *f)
{
	struct tcp_scoreboard *b = f->board;
	unsigned i;

	for (i = 0; b != NULL && i < b->n; i++) {
		struct tcp_hole *h = &b->holes[i];

		if (!is_lost(f, h))
			continue;
		/* Bytes first sent after the repair arrived and the repair did not: again. */
		if (f->sack_ok && h->next != h->start &&
		    seq_after(b->forward, h->mark + f->reorder * f->mss))
			h->next = h->start;
		if (h->next != h->end)
			return h;
	}
	return NULL;
}
