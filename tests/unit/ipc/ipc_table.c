/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a protobuf descriptor beside a dispatch table. */
#include "tests/unit/ipc/ipc_table.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8u

/* Types that are open on the way from the envelope. */
struct path {
	const ProtobufCMessageDescriptor *types[DEPTH_MAX];
	size_t depth;
	char *why;
	size_t why_size;
};

static bool
type_is_safe(struct path *p, const ProtobufCMessageDescriptor *type)
{
	size_t i;

	for (i = 0; i < p->depth; i++)
		if (p->types[i] == type || p->depth == DEPTH_MAX) {
			snprintf(p->why, p->why_size, "%s is within itself", type->name);
			return false;
		}
	p->types[p->depth++] = type;
	for (i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];

		if (f->type == PROTOBUF_C_TYPE_STRING) {
			snprintf(p->why, p->why_size, "%s.%s is a string", type->name, f->name);
			return false;
		}
		if (f->type == PROTOBUF_C_TYPE_MESSAGE && !type_is_safe(p, f->descriptor))
			return false;
	}
	p->depth--;
	return true;
}

static bool
row_is_sane(const struct ipc_row *r, const char *name)
{
	return r->name != NULL && strcmp(r->name, name) == 0 && r->handle != NULL &&
	       r->states != 0 && r->fds_min <= r->fds_max && r->fds_max <= IPC_FDS_MAX;
}

bool
ipc_table_covers(const struct ipc_table *t, char *why, size_t why_size)
{
	struct path path = {.why = why, .why_size = why_size};
	const ProtobufCMessageDescriptor *d = t->envelope;
	size_t i, j, rows;

	for (i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		rows = 0;
		for (j = 0; j < t->n_rows; j++)
			if (t->rows[j].tag == f->id && row_is_sane(&t->rows[j], f->name))
				rows++;
		if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 || rows != 1) {
			snprintf(why, why_size, "%s.%s: %zu rows, or not in the oneof", d->name,
			    f->name, rows);
			return false;
		}
	}
	if (t->n_rows != d->n_fields) {
		snprintf(why, why_size, "%s: rows without a case", d->name);
		return false;
	}
	return type_is_safe(&path, d);
}
