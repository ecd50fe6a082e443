/* SPDX-License-Identifier: Apache-2.0 */
/* The automaton (Aho and Corasick, 1975). */
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

uint32_t
needles_step(const struct needles *s, uint32_t node, uint8_t byte)
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
	unsigned byte;

	if (queue == NULL)
		abort();
	queue[tail++] = 0;
	while (head < tail) {
		node = queue[head++];
		for (c = s->nodes[node].child; c != 0; c = s->nodes[c].sibling) {
			s->nodes[c].fail =
			    node == 0 ? 0 : needles_step(s, s->nodes[node].fail, s->nodes[c].byte);
			s->nodes[c].found =
			    s->nodes[c].needle != 0 ? c : s->nodes[s->nodes[c].fail].found;
			s->nodes[c].open = s->nodes[c].child != 0 ? s->nodes[c].depth
								  : s->nodes[s->nodes[c].fail].open;
			queue[tail++] = c;
		}
	}
	free(queue);
	for (byte = 0; byte < 256; byte++) {
		s->escapes[byte] = (uint8_t)unescape_begins((uint8_t)byte);
		s->plain[byte] = s->first[byte] == 0 && s->escapes[byte] == 0;
	}
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
