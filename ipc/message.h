/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict protobuf: what protobuf-c lets through and we do not.
 *
 * protobuf-c keeps unknown fields silently, decodes empty input to an empty message, and takes any
 * number for an enum.  Envelopes are messages with exactly one oneof, `body`; message types never
 * nest themselves (a recursive type overflows the stack of protobuf-c's decoder).
 */
#ifndef GONDOLIN_IPC_MESSAGE_H
#define GONDOLIN_IPC_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define IPC_MESSAGE_MAX  65536u /* bytes of a packed message */
#define IPC_REPEATED_MAX 1024u  /* elements of a repeated field */

/*
 * Decodes one packed message of `descriptor`'s type.  Returns the message, to be freed with
 * protobuf_c_message_free_unpacked(m, NULL), or NULL where the bytes are not that message:
 * malformed, over IPC_MESSAGE_MAX, an unknown field at any level, an enum value without a name, too
 * many elements, another form than the one that packing gives (a field twice, two cases at once).
 */
ProtobufCMessage *ipc_message_decode(
    const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t length);

/*
 * The member of an envelope's oneof.  Sets *tag to its field number and returns it, or returns NULL
 * where the envelope is empty.
 */
const ProtobufCMessage *ipc_envelope_body(const ProtobufCMessage *envelope, uint32_t *tag);

/* Bytes as a message's field.  They stay the caller's: protobuf-c's type is not const, but packing
 * only reads. */
static inline ProtobufCBinaryData
ipc_bytes(const void *bytes, size_t n)
{
	return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)bytes};
}

/* The same of a string without its NUL; NULL is no bytes. */
static inline ProtobufCBinaryData
ipc_text(const char *s)
{
	return ipc_bytes(s, s != NULL ? strlen(s) : 0);
}

/* A field's bytes as a string of its own, which ends at the first NUL among them; to be freed.  Out
 * of memory is fatal. */
char *ipc_string(const ProtobufCBinaryData *bytes);

#endif
