/* SPDX-License-Identifier: Apache-2.0 */
/* Containers. */
#include "egress/fields.h"

#include <stdlib.h>
#include <string.h>

void
buffer_add(struct buffer *b, const void *bytes, size_t n)
{
	size_t capacity = b->capacity > 0 ? b->capacity : 256;

	if (n == 0)
		return;
	while (capacity - b->length < n)
		capacity *= 2;
	if (capacity != b->capacity) {
		b->bytes = realloc(b->bytes, capacity);
		if (b->bytes == NULL)
			abort();
		b->capacity = capacity;
	}
	memcpy(b->bytes + b->length, bytes, n);
	b->length += n;
}

void
buffer_drop(struct buffer *b, size_t n)
{
	if (n < b->length)
		memmove(b->bytes, b->bytes + n, b->length - n);
	b->length -= n;
}

void
buffer_clear(struct buffer *b)
{
	free(b->bytes);
	memset(b, 0, sizeof(*b));
}

void
buffer_wipe(struct buffer *b)
{
	if (b->bytes != NULL)
		explicit_bzero(b->bytes, b->capacity);
	buffer_clear(b);
}

void
fields_add(struct fields *f, const void *name, size_t name_length, const void *value, size_t length)
{
	struct field_span *s;

	if (f->n == f->capacity) {
		f->capacity = f->capacity > 0 ? 2 * f->capacity : 16;
		f->v = reallocarray(f->v, f->capacity, sizeof(*f->v));
		if (f->v == NULL)
			abort();
	}
	s = &f->v[f->n++];
	s->name = f->bytes.length;
	s->name_length = name_length;
	buffer_add(&f->bytes, name, name_length);
	s->value = f->bytes.length;
	s->value_length = length;
	buffer_add(&f->bytes, value, length);
}

struct field
fields_get(const struct fields *f, size_t i)
{
	const struct field_span *s = &f->v[i];
	const char *bytes = f->bytes.bytes != NULL ? (const char *)f->bytes.bytes : "";

	return (struct field){bytes + s->name, bytes + s->value, s->name_length, s->value_length};
}

bool
field_is(const struct field *f, const char *name)
{
	return strlen(name) == f->name_length && memcmp(f->name, name, f->name_length) == 0;
}

bool
fields_find(const struct fields *f, const char *name, struct field *out)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		*out = fields_get(f, i);
		if (field_is(out, name))
			return true;
	}
	return false;
}

size_t
fields_size(const struct fields *f)
{
	return f->bytes.length + 16 * f->n;
}

void
fields_reset(struct fields *f)
{
	f->n = 0;
	f->bytes.length = 0;
}

void
fields_clear(struct fields *f)
{
	free(f->v);
	buffer_wipe(&f->bytes);
	memset(f, 0, sizeof(*f));
}
