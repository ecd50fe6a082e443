/* SPDX-License-Identifier: Apache-2.0 */
/* A list of header or trailer fields, and a growing buffer: plain containers. */
#ifndef GONDOLIN_EGRESS_FIELDS_H
#define GONDOLIN_EGRESS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *bytes;
	size_t length, capacity;
};

/* Appends, growing as needed.  Out of memory ends the process. */
void buffer_add(struct buffer *b, const void *bytes, size_t n);

/* Drops the first n bytes. */
void buffer_drop(struct buffer *b, size_t n);
void buffer_clear(struct buffer *b);

/* The same, and nothing of it stays in memory. */
void buffer_wipe(struct buffer *b);

/* Names are lower case.  Neither is NUL-terminated; both live until the list changes. */
struct field {
	const char *name, *value;
	size_t name_length, value_length;
};

struct fields {
	struct field_span {
		size_t name, name_length, value, value_length;
	} * v;
	size_t n, capacity;
	struct buffer bytes;
};

void fields_add(
    struct fields *f, const void *name, size_t name_length, const void *value, size_t length);
struct field fields_get(const struct fields *f, size_t i);

/* The first of that name.  Returns false where there is none. */
bool fields_find(const struct fields *f, const char *name, struct field *out);

/* What OUTBOUND_HEAD_MAX counts. */
size_t fields_size(const struct fields *f);

/* Forgets the fields, keeps the memory / frees it. */
void fields_reset(struct fields *f);
void fields_clear(struct fields *f);

/* True where the field has this name. */
bool field_is(const struct field *f, const char *name);

#endif
