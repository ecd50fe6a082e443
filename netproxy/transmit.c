/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on their way out.  They are queued for the length of one call and handed to the link in
 * batches; a flow's frames refer to its send ring, which does not move meanwhile.  Nothing stays
 * queued when the link is full: what belongs to a flow goes back to it (it is sent again from the
 * ring when the link has room), everything else is dropped, as any network may do.
 */
#include <string.h>

#include "netproxy/stack_internal.h"

/* The link took the first `sent` frames and no more. */
static void
take_back(struct stack *s, unsigned sent)
{
	struct transmit *t = &s->transmit;
	unsigned i;

	for (i = sent; i < t->n; i++)
		if (t->notes[i].flow != NULL)
			tcp_unsent(t->notes[i].flow, t->notes[i].seq, t->notes[i].kind);
		else
			s->counters.link_dropped++;
	t->blocked = true;
	s->counters.link_full++;
}

static void
count(struct stack *s, unsigned from, unsigned to)
{
	unsigned i, piece;

	s->counters.frames_out += to - from;
	for (i = from; i < to; i++)
		for (piece = 0; piece < s->transmit.frames[i].n; piece++)
			s->counters.bytes_out += s->transmit.frames[i].iov[piece].iov_len;
}

void
transmit_flush(struct stack *s)
{
	struct transmit *t = &s->transmit;
	unsigned sent = 0;
	int r;

	while (sent < t->n) {
		r = s->link->operations->send(s->link, t->frames + sent, t->n - sent);
		if (r < 0)
			t->error = r;
		if (r <= 0) {
			take_back(s, sent);
			break;
		}
		count(s, sent, sent + (unsigned)r);
		sent += (unsigned)r;
	}
	t->n = 0;
	t->arena_used = 0;
}

/* Makes room for one more frame of the flows, or `arena` bytes.  False where the link is full. */
static bool
room(struct stack *s, size_t arena)
{
	struct transmit *t = &s->transmit;

	if (t->n == LINK_BATCH || arena > sizeof(t->arena) - t->arena_used)
		transmit_flush(s);
	return !t->blocked;
}

uint8_t *
transmit_frame(struct stack *s, size_t n, uint16_t ethertype)
{
	struct transmit *t = &s->transmit;
	uint8_t *p;

	if (n > s->config.mtu + ETHERNET_HEADER || !room(s, n)) {
		s->counters.link_dropped++;
		return NULL;
	}
	p = t->arena + t->arena_used;
	t->arena_used += n;
	t->notes[t->n] = (struct transmit_note){NULL, 0, TRANSMIT_CONTROL};
	t->frames[t->n].n = 1;
	t->frames[t->n].iov[0] = (struct iovec){p, n};
	t->n++;
	memset(p, 0, n);
	ethernet_header(s, p, ethertype);
	return p;
}

uint8_t *
transmit_segment(struct stack *s, const struct transmit_note *note, struct link_frame **frame)
{
	struct transmit *t = &s->transmit;

	if (!room(s, 0))
		return NULL;
	t->notes[t->n] = *note;
	*frame = &t->frames[t->n];
	return t->headers[t->n++];
}
