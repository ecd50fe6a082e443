/* SPDX-License-Identifier: Apache-2.0 */
/* Aho-Corasick over bytes and over decoded bytes. */
#include "egress/needles.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
needles_init(struct needles *s)
{
	memset(s, 0, sizeof(*s));
	s->nodes = calloc(16, sizeof(*s->nodes));
	if (s->nodes == NULL)
		abort();
	s->capacity = 16;
	s->n_nodes = 1;
}

static void
grow(struct needles *s)
{
	struct needle_node *nodes = calloc(2 * s->capacity, sizeof(*nodes));

	if (nodes == NULL)
		abort();
	memcpy(nodes, s->nodes, s->n_nodes * sizeof(*nodes));
	explicit_bzero(s->nodes, s->capacity * sizeof(*nodes));
	free(s->nodes);
	s->nodes = nodes;
	s->capacity *= 2;
}

static uint32_t
child_of(const struct needles *s, uint32_t node, uint8_t byte)
{
	uint32_t c;

	if (node == 0)
		return s->first[byte];
	for (c = s->nodes[node].child; c != 0 && s->nodes[c].byte != byte; c = s->nodes[c].sibling)
		;
	return c;
}

static uint32_t
add_child(struct needles *s, uint32_t node, uint8_t byte)
{
	uint32_t c;

	if (s->n_nodes == s->capacity)
		grow(s);
	c = (uint32_t)s->n_nodes++;
	s->nodes[c] = (struct needle_node){
	    .sibling = s->nodes[node].child, .depth = s->nodes[node].depth + 1, .byte = byte};
	s->nodes[node].child = c;
	if (node == 0)
		s->first[byte] = c;
	return c;
}

void
needles_add(struct needles *s, const void *bytes, size_t length, uint32_t tag, const void *with,
    size_t with_length)
{
	const uint8_t *b = bytes;
	uint32_t node = 0, next;
	size_t i;

	assert(length > 0 && tag < 64);
	for (i = 0; i < length; i++, node = next) {
		next = child_of(s, node, b[i]);
		if (next == 0)
			next = add_child(s, node, b[i]);
	}
	if (s->nodes[node].needle != 0)
		return;
	s->v = reallocarray(s->v, s->n + 1, sizeof(*s->v));
	if (s->v == NULL)
		abort();
	memset(&s->v[s->n], 0, sizeof(s->v[s->n]));
	s->v[s->n].tag = tag;
	buffer_add(&s->v[s->n].with, with, with_length);
	s->nodes[node].needle = (uint32_t)++s->n;
	if (length > s->longest)
		s->longest = length;
}

static uint32_t
step(const struct needles *s, uint32_t node, uint8_t byte)
{
	uint32_t c;

	for (;;) {
		c = child_of(s, node, byte);
		if (c != 0 || node == 0)
			return c;
		node = s->nodes[node].fail;
	}
}

void
needles_build(struct needles *s)
{
	uint32_t *queue = reallocarray(NULL, s->n_nodes, sizeof(*queue)), node, c;
	size_t head = 0, tail = 0;

	if (queue == NULL)
		abort();
	queue[tail++] = 0;
	while (head < tail) {
		node = queue[head++];
		for (c = s->nodes[node].child; c != 0; c = s->nodes[c].sibling) {
			s->nodes[c].fail =
			    node == 0 ? 0 : step(s, s->nodes[node].fail, s->nodes[c].byte);
			s->nodes[c].found =
			    s->nodes[c].needle != 0 ? c : s->nodes[s->nodes[c].fail].found;
			queue[tail++] = c;
		}
	}
	free(queue);
}

void
needles_clear(struct needles *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		buffer_wipe(&s->v[i].with);
	if (s->nodes != NULL)
		explicit_bzero(s->nodes, s->capacity * sizeof(*s->nodes));
	free(s->nodes);
	free(s->v);
	memset(s, 0, sizeof(*s));
}

/* ---- Streams ---- */

void
replacer_init(struct replacer *r, const struct needles *set)
{
	memset(r, 0, sizeof(*r));
	r->set = set;
	r->starts = reallocarray(NULL, set->longest + 1, sizeof(*r->starts));
	if (r->starts == NULL)
		abort();
}

void
replacer_clear(struct replacer *r)
{
	buffer_wipe(&r->held);
	free(r->starts);
	memset(r, 0, sizeof(*r));
}

static void
forget(struct replacer *r)
{
	r->raw = r->plain = 0;
	r->escape = 0;
}

/* Gives out what is held before start, then what takes the place of held[start, end). */
static void
replace(struct replacer *r, uint32_t node, size_t start, size_t end, struct buffer *out)
{
	const struct needle *n = &r->set->v[r->set->nodes[node].needle - 1];

	buffer_add(out, r->held.bytes, start);
	buffer_add(out, n->with.bytes, n->with.length);
	r->tags |= UINT64_C(1) << n->tag;
	buffer_drop(&r->held, end);
	r->position = 0;
	forget(r);
}

/*
 * One decoded byte, which lies in held[start, end).  Returns true where it ended a needle, which
 * was replaced: the stream goes on after it.
 */
static bool
plain_byte(struct replacer *r, uint8_t byte, size_t start, size_t end, struct buffer *out)
{
	size_t size = r->set->longest + 1;
	uint32_t found;

	r->starts[r->n_plain++ % size] = start;
	r->plain = step(r->set, r->plain, byte);
	found = r->set->nodes[r->plain].found;
	if (found == 0)
		return false;
	replace(r, found, r->starts[(r->n_plain - r->set->nodes[found].depth) % size], end, out);
	return true;
}

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The escape that was begun is none: its bytes stand for themselves.  True as plain_byte. */
static bool
unescape(struct replacer *r, struct buffer *out)
{
	size_t at = r->position - r->escape, n = r->escape, i;

	r->escape = 0;
	for (i = 0; i < n; i++)
		if (plain_byte(r, r->held.bytes[at + i], at + i, at + i + 1, out))
			return true;
	return false;
}

/* Looks at the byte at `position` in the decoded stream.  True as plain_byte. */
static bool
decoded(struct replacer *r, struct buffer *out)
{
	size_t at = r->position;
	uint8_t byte = r->held.bytes[at];
	int digit = hex(byte);

	if (r->escape == 2 && digit >= 0) {
		r->escape = 0;
		return plain_byte(
		    r, (uint8_t)(hex(r->held.bytes[at - 1]) * 16 + digit), at - 2, at + 1, out);
	}
	if (r->escape == 1 && digit >= 0) {
		r->escape = 2;
		return false;
	}
	if (r->escape > 0 && unescape(r, out))
		return true;
	if (byte == '%') {
		r->escape = 1;
		return false;
	}
	return plain_byte(r, byte, at, at + 1, out);
}

/* True as plain_byte. */
static bool
look(struct replacer *r, struct buffer *out)
{
	size_t at = r->position;
	uint32_t found;

	r->raw = step(r->set, r->raw, r->held.bytes[at]);
	found = r->set->nodes[r->raw].found;
	if (found != 0) {
		replace(r, found, at + 1 - r->set->nodes[found].depth, at + 1, out);
		return true;
	}
	return decoded(r, out);
}

/* The first byte of held that could still be part of a match. */
static size_t
undecided(const struct replacer *r)
{
	size_t from = r->position - r->set->nodes[r->raw].depth, depth, start;

	depth = r->set->nodes[r->plain].depth;
	if (depth > 0) {
		start = r->starts[(r->n_plain - depth) % (r->set->longest + 1)];
		from = start < from ? start : from;
	}
	start = r->position - r->escape;
	return start < from ? start : from;
}

static void
give_out(struct replacer *r, struct buffer *out)
{
	size_t from = undecided(r), size = r->set->longest + 1, depth, i;

	buffer_add(out, r->held.bytes, from);
	buffer_drop(&r->held, from);
	r->position -= from;
	depth = r->set->nodes[r->plain].depth;
	for (i = 1; i <= depth; i++)
		r->starts[(r->n_plain - i) % size] -= from;
}

/* In both start states bytes that begin nothing go straight through. */
static size_t
skip(const struct replacer *r, const uint8_t *b, size_t n)
{
	size_t i;

	if (r->held.length > 0)
		return 0;
	for (i = 0; i < n && b[i] != '%' && r->set->first[b[i]] == 0; i++)
		;
	return i;
}

void
replacer_feed(struct replacer *r, const void *bytes, size_t n, bool last, struct buffer *out)
{
	const uint8_t *b = bytes;
	size_t skipped;

	while (n > 0 || r->position < r->held.length) {
		if (r->position < r->held.length) {
			if (!look(r, out))
				r->position++;
			continue;
		}
		if (r->raw == 0 && r->plain == 0 && r->escape == 0)
			give_out(r, out);
		skipped = skip(r, b, n);
		buffer_add(out, b, skipped);
		b += skipped;
		n -= skipped;
		if (n > 0) {
			buffer_add(&r->held, b++, 1);
			n--;
		}
	}
	if (last && r->escape > 0 && unescape(r, out))
		replacer_feed(r, NULL, 0, true, out); /* what came after the match; ever less */
	if (last)
		forget(r);
	give_out(r, out);
}
