/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds any of a set of byte strings in a stream and puts other bytes in their place, in one pass,
 * wherever the stream is cut.
 *
 * The set is an Aho-Corasick automaton.  A stream runs it twice at once: over the bytes as they
 * are, and over the bytes with percent escapes decoded, so that "%73ecret" is found too, however
 * much of it is escaped.  What could still become a match is held back: at most three times the
 * longest string.  Time is linear in the stream, whoever wrote it.
 */
#ifndef GONDOLIN_EGRESS_NEEDLES_H
#define GONDOLIN_EGRESS_NEEDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egress/fields.h"

struct needle_node {
	uint32_t child, sibling, fail; /* 0 = none (child, sibling), the root (fail) */
	uint32_t found; /* the nearest node, itself included, that ends a needle; 0 = none */
	uint32_t depth;
	uint32_t needle; /* that ends here: index + 1; 0 = none */
	uint8_t byte;
};

struct needle {
	uint32_t tag;
	struct buffer with; /* what takes its place */
};

struct needles {
	struct needle_node *nodes; /* the first is the root */
	size_t n_nodes, capacity;
	uint32_t first[256]; /* the root's children */
	struct needle *v;
	size_t n;
	size_t longest;
	bool wipe; /* the strings are secret: memory is overwritten when it is given back */
};

void needles_init(struct needles *s);

/*
 * Adds a string of at least one byte; one that is there already stays as it is.  tag (below 64) is
 * what a stream remembers when it was found.
 */
void needles_add(struct needles *s, const void *bytes, size_t length, uint32_t tag,
    const void *with, size_t with_length);

/* After the last needles_add, before the first stream. */
void needles_build(struct needles *s);
void needles_clear(struct needles *s);

/* One stream. */
struct replacer {
	const struct needles *set;
	struct buffer held;  /* bytes that were not given out */
	size_t position;     /* of the next byte to look at, in held */
	uint32_t raw, plain; /* states: over the bytes, over the decoded bytes */
	size_t *starts;      /* ring: where in held the last decoded bytes began */
	size_t n_plain;      /* decoded bytes so far */
	unsigned escape;     /* bytes of a percent escape that were seen: 0, 1 or 2 */
	uint64_t tags;       /* of what was found: bit for each tag */
};

/* set stays the caller's, and must live as long. */
void replacer_init(struct replacer *r, const struct needles *set);

/* Takes n bytes and appends what is certain to out; last: all of it. */
void replacer_feed(struct replacer *r, const void *bytes, size_t n, bool last, struct buffer *out);
void replacer_clear(struct replacer *r);

#endif
