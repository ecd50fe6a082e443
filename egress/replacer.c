/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream: its readings, the matches that they find, and what is given out.
 *
 * A reading costs nothing while it is the same as the raw bytes.  It comes apart from them where an
 * escape may begin, and joins them again once no escape is in what its state stands for.
 */
#include "egress/needles.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 4096u /* bytes that are looked at before matches are settled */

void
replacer_init(struct replacer *r, const struct needles *set)
{
	memset(r, 0, sizeof(*r));
	r->set = set;
	for (r->ring = 4; r->ring < set->longest; r->ring *= 2)
		;
}

void
replacer_clear(struct replacer *r)
{
	size_t i;

	buffer_wipe(&r->held);
	for (i = 0; i < NOTATIONS; i++)
		free(r->readings[i].starts);
	free(r->matches);
	memset(r, 0, sizeof(*r));
}

/* ---- Matches ---- */

/*
 * Matches come in the order of their ends, but for those that end in what first looked like an
 * escape: these are late by less than an escape.
 */
static void
add_match(struct replacer *r, uint64_t start, uint64_t end, uint32_t node)
{
	size_t at, to;

	/* v[at, to) begin where this one does, or later. */
	for (to = r->n_matches; to > 0 && r->matches[to - 1].end > end; to--)
		if (r->matches[to - 1].start <= start)
			return;
	if (to > 0 && r->matches[to - 1].end == end && r->matches[to - 1].start <= start)
		return;
	for (at = to; at > 0 && r->matches[at - 1].start >= start; at--)
		;
	if (r->n_matches == r->capacity) {
		r->capacity = r->capacity > 0 ? 2 * r->capacity : 16;
		r->matches = reallocarray(r->matches, r->capacity, sizeof(*r->matches));
		if (r->matches == NULL)
			abort();
	}
	memmove(&r->matches[at + 1], &r->matches[to], (r->n_matches - to) * sizeof(*r->matches));
	r->n_matches += at + 1 - to;
	r->matches[at] = (struct match){start, end, r->set->nodes[node].needle - 1};
}

/* Gives out the bytes up to an offset. */
static void
give_out(struct replacer *r, uint64_t end, struct buffer *out)
{
	if (end <= r->done)
		return;
	buffer_add(out, r->held.bytes + (r->done - r->base), end - r->done);
	r->done = end;
}

static void
replace(struct replacer *r, const struct match *m, struct buffer *out)
{
	const struct needle *n = &r->set->v[m->needle];
	uint64_t tag = UINT64_C(1) << n->tag;

	if (m->end <= r->done)
		return; /* late, and within one that was replaced already */
	if (m->start >= r->done) {
		give_out(r, m->start, out);
		r->run = 0;
	}
	if ((r->run & tag) == 0)
		buffer_add(out, n->with.bytes, n->with.length);
	r->run |= tag;
	r->tags |= tag;
	r->done = m->end;
}

/* ---- Readings ---- */

/* Where the byte began that was read `back` bytes ago; 1 is the last one. */
static uint64_t
start_of(const struct replacer *r, const struct reading *g, uint32_t back)
{
	if (back > g->n)
		return g->apart - (back - g->n);
	return g->starts[(g->n - back) & (r->ring - 1)];
}

static void
come_apart(struct replacer *r, unsigned notation)
{
	struct reading *g = &r->readings[notation];

	if (g->starts == NULL)
		g->starts = reallocarray(NULL, r->ring, sizeof(*g->starts));
	if (g->starts == NULL)
		abort();
	g->state = r->raw;
	g->apart = g->from = r->position;
	g->n = g->escaped = 0;
	r->apart |= 1u << notation;
}

/* One byte, which the stream has as [start, end). */
static void
read_byte(struct replacer *r, struct reading *g, uint8_t byte, uint64_t start, uint64_t end)
{
	uint32_t found;

	g->starts[g->n++ & (r->ring - 1)] = start;
	g->state = needles_step(r->set, g->state, byte);
	found = r->set->nodes[g->state].found;
	if (found != 0)
		add_match(r, start_of(r, g, r->set->nodes[found].depth), end, found);
}

/* Reads on up to the position; last: what begins an escape is none. */
static void
read_on(struct replacer *r, unsigned notation, bool last)
{
	struct reading *g = &r->readings[notation];
	size_t n = r->position - g->from, made = 0, i;
	enum unescaped what;
	uint8_t bytes[4];

	while (g->from < r->position) {
		what = unescape(notation, r->held.bytes + (g->from - r->base), n, bytes, &made);
		if (what == UNESCAPED_MORE && g->from + n < r->position) {
			n++;
			continue;
		}
		if (what == UNESCAPED_MORE && !last)
			return;
		if (what != UNESCAPED_WHOLE) {
			bytes[0] = r->held.bytes[g->from - r->base];
			made = n = 1;
		}
		for (i = 0; i < made; i++)
			read_byte(r, g, bytes[i], g->from, g->from + n);
		g->from += n;
		if (what == UNESCAPED_WHOLE)
			g->escaped = g->from;
		n = 1;
	}
	if (g->state == r->raw && r->position - g->escaped >= r->set->nodes[g->state].depth)
		r->apart &= ~(1u << notation);
}

static void
look(struct replacer *r)
{
	uint8_t byte = r->held.bytes[r->position - r->base];
	unsigned begin = r->set->escapes[byte] & ~r->apart, i;
	uint32_t found;

	for (i = 0; begin >> i != 0; i++)
		if ((begin >> i & 1) != 0)
			come_apart(r, i);
	r->raw = needles_step(r->set, r->raw, byte);
	r->position++;
	found = r->set->nodes[r->raw].found;
	if (found != 0)
		add_match(r, r->position - r->set->nodes[found].depth, r->position, found);
	for (i = 0; r->apart >> i != 0; i++)
		if ((r->apart >> i & 1) != 0)
			read_on(r, i, false);
}

/* ---- The stream ---- */

/* The first byte that could still be part of a match that is not known. */
static uint64_t
undecided(const struct replacer *r)
{
	const struct needle_node *nodes = r->set->nodes;
	uint64_t from = r->position - nodes[r->raw].open, start;
	const struct reading *g;
	unsigned i;

	for (i = 0; r->apart >> i != 0; i++) {
		g = &r->readings[i];
		if ((r->apart >> i & 1) == 0)
			continue;
		start = nodes[g->state].open > 0 ? start_of(r, g, nodes[g->state].open) : g->from;
		from = start < from ? start : from;
	}
	return from;
}

/* Gives out what nothing can change any more. */
static void
settle(struct replacer *r, uint64_t until, struct buffer *out)
{
	size_t n, drop = until - r->base;

	for (n = 0; n < r->n_matches && r->matches[n].start < until; n++)
		replace(r, &r->matches[n], out);
	if (n > 0) {
		r->n_matches -= n;
		memmove(r->matches, &r->matches[n], r->n_matches * sizeof(*r->matches));
	}
	give_out(r, until, out);
	/* Not each time: what is kept has to be moved. */
	if (drop == r->held.length || drop > r->held.length / 2) {
		buffer_drop(&r->held, drop);
		r->base = until;
	}
}

/* The length of an escape where neither it nor what it stands for begins a needle; else 0. */
static size_t
plain_escape(const struct needles *set, const uint8_t *b, size_t n)
{
	enum notation notation = (enum notation)__builtin_ctz(set->escapes[b[0]]);
	size_t k = 0, made = 0, i;
	enum unescaped what;
	uint8_t bytes[4];

	do {
		if (k == n || set->first[b[k]] != 0)
			return 0;
		what = unescape(notation, b, ++k, bytes, &made);
	} while (what == UNESCAPED_MORE);
	if (what == UNESCAPED_NONE)
		return 1;
	for (i = 0; i < made; i++)
		if (set->first[bytes[i]] != 0)
			return 0;
	return k;
}

/* Bytes that begin nothing; where nothing is begun they need not be looked at. */
static size_t
plain(const struct replacer *r, const uint8_t *b, size_t n)
{
	const struct needles *set = r->set;
	size_t i = 0, k;

	if (r->raw != 0 || r->apart != 0)
		return 0;
	while (i < n) {
		if (set->plain[b[i]]) {
			i++;
			continue;
		}
		k = set->first[b[i]] == 0 ? plain_escape(set, b + i, n - i) : 0;
		if (k == 0)
			break;
		i += k;
	}
	return i;
}

static void
feed_piece(struct replacer *r, const uint8_t *b, size_t n, struct buffer *out)
{
	uint64_t end = r->position + n;

	buffer_add(&r->held, b, n);
	while (r->position < end) {
		r->position += plain(r, r->held.bytes + (r->position - r->base), end - r->position);
		if (r->position < end)
			look(r);
	}
	settle(r, undecided(r), out);
}

void
replacer_feed(struct replacer *r, const void *bytes, size_t n, bool last, struct buffer *out)
{
	const uint8_t *b = bytes;
	unsigned i;
	size_t k;

	while (n > 0) {
		if (r->held.length == 0) {
			k = plain(r, b, n);
			buffer_add(out, b, k);
			r->base = r->done = r->position += k;
			b += k;
			n -= k;
		}
		k = n < PIECE ? n : PIECE;
		if (k > 0)
			feed_piece(r, b, k, out);
		b += k;
		n -= k;
	}
	if (!last)
		return;
	for (i = 0; i < NOTATIONS; i++)
		if ((r->apart >> i & 1) != 0)
			read_on(r, i, true);
	r->raw = 0;
	r->apart = 0;
	settle(r, r->position, out);
}
