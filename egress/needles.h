/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds all of a set of byte strings in a stream and puts other bytes in their place, in one pass,
 * wherever the stream is cut.
 *
 * The set is an Aho-Corasick automaton.  A stream runs it over the bytes as they are, and for each
 * notation (unescape.h) over the bytes with its escapes decoded, so that "%73ecret" is found too,
 * however much of it is escaped.
 *
 * No byte of any occurrence is given out, whatever others it overlaps.  Of occurrences that overlap
 * the one that begins first counts, and the longest of those that begin together; another that goes
 * on past its end is taken out as well, and its replacement follows, once for each tag.  Whether
 * one counts can be open until a longer one that began before it has ended or failed: what could
 * still become a match is held back, at most UNESCAPE_MAX times the longest string.  Time is linear
 * in the stream, whoever wrote it.
 */
#ifndef GONDOLIN_EGRESS_NEEDLES_H
#define GONDOLIN_EGRESS_NEEDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egress/fields.h"
#include "egress/unescape.h"

struct needle_node {
	uint32_t child, sibling, fail; /* 0 = none (child, sibling), the root (fail) */
	uint32_t found; /* the nearest node, itself included, that ends a needle; 0 = none */
	uint32_t depth;
	uint32_t open;   /* depth of the nearest node, itself included, that has a child */
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
	uint32_t first[256];  /* the root's children */
	uint8_t escapes[256]; /* unescape_begins */
	bool plain[256];      /* begins neither a needle nor an escape */
	struct needle *v;
	size_t n;
	size_t longest;
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

/* The state after one more byte. */
uint32_t needles_step(const struct needles *s, uint32_t node, uint8_t byte);

/* One reading of a stream, with the escapes of a notation decoded.  Offsets are the stream's. */
struct reading {
	uint32_t state;
	uint64_t apart;   /* where it began to differ from the raw bytes */
	uint64_t n;       /* bytes that were read since */
	uint64_t *starts; /* ring: where the last of them began; NULL until needed */
	uint64_t from;    /* the first byte that is not read yet: of an escape that is not whole */
	uint64_t escaped; /* end of the last escape */
};

struct match {
	uint64_t start, end;
	uint32_t needle; /* index */
};

/* One stream. */
struct replacer {
	const struct needles *set;
	struct buffer held; /* bytes that could be part of a match */
	uint64_t base;      /* offset of held */
	uint64_t position;  /* of the next byte to look at */
	uint32_t raw;       /* state over the bytes as they are */
	unsigned apart;     /* readings that differ from it: bit for each notation */
	struct reading readings[NOTATIONS];
	size_t ring;           /* a power of two */
	struct match *matches; /* not given out yet, none within another: by start, and by end */
	size_t n_matches, capacity;
	uint64_t done; /* offset up to which all is given out or replaced */
	uint64_t run;  /* tags whose replacement stands at done, for matches that overlap */
	uint64_t tags; /* of what was replaced: bit for each tag */
};

/* set stays the caller's, and must live as long. */
void replacer_init(struct replacer *r, const struct needles *set);

/* Takes n bytes and appends what is certain to out; last: all of it. */
void replacer_feed(struct replacer *r, const void *bytes, size_t n, bool last, struct buffer *out);
void replacer_clear(struct replacer *r);

#endif
