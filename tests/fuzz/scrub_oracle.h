/* SPDX-License-Identifier: Apache-2.0 */
/* What a scrubber has to make of a text, found slowly: all of it in memory, every place tried. */
#ifndef GONDOLIN_TESTS_SCRUB_ORACLE_H
#define GONDOLIN_TESTS_SCRUB_ORACLE_H

#include "egress/fields.h"

struct scrub_needle {
	const char *bytes;
	unsigned tag;
	const char *with;
};

/* Appends to out; *tags gets a bit for each tag that was replaced. */
void scrub_oracle(const struct scrub_needle *v, size_t n, const uint8_t *text, size_t length,
    struct buffer *out, uint64_t *tags);

#endif
