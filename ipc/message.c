/* SPDX-License-Identifier: Apache-2.0 */
/* Strict decoding on top of protobuf-c. */
#include "ipc/message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const void *
member(const ProtobufCMessage *m, size_t offset)
{
	return (const char *)m + offset;
}

static bool message_is_strict(const ProtobufCMessage *m);

static bool
enum_is_known(const ProtobufCFieldDescriptor *f, const void *value)
{
	int v;

	memcpy(&v, value, sizeof(v));
	return protobuf_c_enum_descriptor_get_value(f->descriptor, v) != NULL;
}

static bool
repeated_is_strict(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	size_t i, n;
	const void *const *list;

	memcpy(&n, member(m, f->quantifier_offset), sizeof(n));
	if (n > IPC_REPEATED_MAX)
		return false;
	memcpy(&list, member(m, f->offset), sizeof(list));
	for (i = 0; i < n; i++) {
		if (f->type == PROTOBUF_C_TYPE_MESSAGE && !message_is_strict(list[i]))
			return false;
		if (f->type == PROTOBUF_C_TYPE_ENUM && !enum_is_known(f, (const int *)list + i))
			return false;
	}
	return true;
}

static bool
field_is_strict(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	uint32_t chosen;
	const ProtobufCMessage *sub;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return repeated_is_strict(m, f);
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
		memcpy(&chosen, member(m, f->quantifier_offset), sizeof(chosen));
		if (chosen != f->id)
			return true;
	}
	if (f->type == PROTOBUF_C_TYPE_ENUM)
		return enum_is_known(f, member(m, f->offset));
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	memcpy(&sub, member(m, f->offset), sizeof(sub));
	return sub == NULL || message_is_strict(sub);
}

/* Recursion ends because message types never contain themselves. */
static bool
message_is_strict(const ProtobufCMessage *m)
{
	unsigned i;

	if (m->n_unknown_fields != 0)
		return false;
	for (i = 0; i < m->descriptor->n_fields; i++)
		if (!field_is_strict(m, &m->descriptor->fields[i]))
			return false;
	return true;
}

ProtobufCMessage *
ipc_message_decode(
    const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t length)
{
	ProtobufCMessage *m;

	if (length > IPC_MESSAGE_MAX)
		return NULL;
	m = protobuf_c_message_unpack(descriptor, NULL, length, bytes);
	if (m == NULL)
		return NULL;
	/*
	 * Both ends pack alike, so a message has one form.  Where a field or a case came twice, a
	 * default was written out or a varint was padded, packing again gives other bytes.
	 */
	if (!message_is_strict(m) || protobuf_c_message_get_packed_size(m) != length) {
		protobuf_c_message_free_unpacked(m, NULL);
		return NULL;
	}
	return m;
}

const ProtobufCMessage *
ipc_envelope_body(const ProtobufCMessage *envelope, uint32_t *tag)
{
	const ProtobufCMessageDescriptor *d = envelope->descriptor;
	const ProtobufCFieldDescriptor *f;
	const ProtobufCMessage *body;
	uint32_t chosen;
	unsigned i;

	for (i = 0; i < d->n_fields; i++) {
		f = &d->fields[i];
		if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
			continue;
		memcpy(&chosen, member(envelope, f->quantifier_offset), sizeof(chosen));
		if (chosen != f->id)
			continue;
		memcpy(&body, member(envelope, f->offset), sizeof(body));
		*tag = chosen;
		return body;
	}
	return NULL;
}

char *
ipc_string(const ProtobufCBinaryData *bytes)
{
	char *s = strndup((const char *)bytes->data, bytes->len);

	if (s == NULL)
		abort();
	return s;
}
