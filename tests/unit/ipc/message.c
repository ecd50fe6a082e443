/* SPDX-License-Identifier: Apache-2.0 */
/* Strict decoding: bytes that protobuf-c takes and we refuse. */
#include "ipc/message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/control.pb-c.h"
#include "ipc/vmrunner.pb-c.h"
#include "tests/unit/ipc/ipc_test.h"

static ProtobufCMessage *
decode(const ProtobufCMessageDescriptor *d, const void *bytes, size_t n)
{
	/* Just as long as the message: a read past it shows. */
	uint8_t *exact = malloc(n != 0 ? n : 1);
	ProtobufCMessage *m;

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	memcpy(exact, bytes, n);
	m = ipc_message_decode(d, exact, n);
	free(exact);
	return m;
}

static bool
accepts(const ProtobufCMessageDescriptor *d, const void *bytes, size_t n)
{
	ProtobufCMessage *m = decode(d, bytes, n);

	if (m == NULL)
		return false;
	protobuf_c_message_free_unpacked(m, NULL);
	return true;
}

#define SUP         (&gondolin__sup_to_vmrunner__descriptor)
#define VM          (&gondolin__vmrunner_to_sup__descriptor)
#define CTRL        (&gondolin__client_to_vmrunner__descriptor)
#define BYTES(text) (text), sizeof(text) - 1

static void
good_ones(void)
{
	CU_ASSERT_TRUE(accepts(SUP, BYTES("\x0a\x00")));          /* setup {} */
	CU_ASSERT_TRUE(accepts(SUP, BYTES("\x0a\x03\x0a\x01x"))); /* setup { session_id } */
	CU_ASSERT_TRUE(accepts(SUP, BYTES("\x12\x02\x08\x01")));  /* machine { attempt } */
	CU_ASSERT_TRUE(accepts(VM, BYTES("\x12\x02\x08\x01")));   /* machine_state { ALIVE } */
}

static void
malformed(void)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
	    {BYTES("\x0a")},                     /* no length */
	    {BYTES("\x0a\x01")},                 /* shorter than its length */
	    {BYTES("\x0a\x03\x0a\x05x")},        /* inner length past the outer */
	    {BYTES("\x0a\xff\xff\xff\xff\x0f")}, /* 4 GiB */
	    {BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}, /* 2^64 - 1 */
	    {BYTES("\x0b\x00")},                                     /* a group */
	    {BYTES("\x08\x01")},         /* a number where a message belongs */
	    {BYTES("\x02\x00")},         /* field 0 */
	    {BYTES("\x12\x03\x08\x81")}, /* a varint that does not end */
	    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_FALSE(accepts(SUP, rows[i].bytes, rows[i].n));
}

static void
unknown_fields(void)
{
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x7a\x00")));                 /* no such case */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x0a\x00\x78\x01")));         /* beside the body */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x0a\x02\x78\x01")));         /* in the body */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x0a\x04\x12\x02\x78\x01"))); /* in its defaults */
	/* Known number, other wire type: protobuf-c keeps it as unknown. */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x0a\x02\x08\x01")));
}

static void
unknown_enums(void)
{
	CU_ASSERT_FALSE(accepts(VM, BYTES("\x12\x02\x08\x63")));
	CU_ASSERT_FALSE(accepts(VM, BYTES("\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")));
	CU_ASSERT_FALSE(accepts(CTRL, BYTES("\x0a\x02\x50\x63"))); /* builtin of exec */
}

/* One meaning, one form: what would be merged or shortened when it is read is refused. */
static void
not_canonical(void)
{
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x0a\x00\x12\x02\x08\x01")));           /* two cases */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x0a\x03\x0a\x01x\x0a\x03\x0a\x01y"))); /* one twice */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x12\x04\x08\x01\x08\x02"))); /* a field twice */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x12\x03\x08\x81\x00")));     /* a longer varint */
	CU_ASSERT_FALSE(accepts(SUP, BYTES("\x12\x02\x08\x00")));         /* a default, written */
}

/* exec { argv x n }, each of one byte. */
static size_t
many_words(uint8_t *out, size_t n)
{
	size_t body = n * 3, at = 0, i;

	out[at++] = 0x0a;
	for (; body >= 0x80; body >>= 7)
		out[at++] = (uint8_t)(body | 0x80);
	out[at++] = (uint8_t)body;
	for (i = 0; i < n; i++) {
		memcpy(out + at, "\x0a\x01w", 3);
		at += 3;
	}
	return at;
}

static void
caps(void)
{
	static uint8_t bytes[IPC_MESSAGE_MAX + 1];
	size_t n;

	n = many_words(bytes, IPC_REPEATED_MAX);
	CU_ASSERT_TRUE(accepts(CTRL, bytes, n));
	n = many_words(bytes, IPC_REPEATED_MAX + 1);
	CU_ASSERT_FALSE(accepts(CTRL, bytes, n));
	/* exec { cwd } of just the largest size, and one byte more. */
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "\x0a\xfc\xff\x03\x22\xf8\xff\x03", 8);
	CU_ASSERT_TRUE(accepts(CTRL, bytes, IPC_MESSAGE_MAX));
	memcpy(bytes, "\x0a\xfd\xff\x03\x22\xf9\xff\x03", 8);
	CU_ASSERT_FALSE(accepts(CTRL, bytes, IPC_MESSAGE_MAX + 1));
}

/* Every prefix of a message and every flipped bit: refused or taken, never a crash. */
static void
mutations(void)
{
	char text[] = "\x0a\x26\x0a\x04sess\x12\x1c\x0a\x04root\x12\x05/work\x1a\x03"
		      "A=b\x1a\x05"
		      "C=def\x20\xe8\x07\x18\x01";
	size_t i, n = sizeof(text) - 1, bit;

	CU_ASSERT_TRUE(accepts(SUP, text, n));
	for (i = 0; i < n; i++) {
		accepts(SUP, text, i);
		for (bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ (1 << bit));
			accepts(SUP, text, n);
			text[i] = (char)(text[i] ^ (1 << bit));
		}
	}
}

static void
bodies(void)
{
	ProtobufCMessage *m = decode(SUP, BYTES("\x12\x02\x08\x05"));
	const Gondolin__VmrunnerMachine *machine;
	uint32_t tag = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	machine = (const Gondolin__VmrunnerMachine *)ipc_envelope_body(m, &tag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(machine);
	CU_ASSERT_EQUAL(tag, GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE);
	CU_ASSERT_EQUAL(machine->attempt, 5);
	protobuf_c_message_free_unpacked(m, NULL);
	m = decode(SUP, "", 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_PTR_NULL(ipc_envelope_body(m, &tag));
	protobuf_c_message_free_unpacked(m, NULL);
}

void
add_message_suite(void)
{
	CU_pSuite suite = CU_add_suite("message", NULL, NULL);

	CU_add_test(suite, "good ones", good_ones);
	CU_add_test(suite, "malformed", malformed);
	CU_add_test(suite, "unknown fields", unknown_fields);
	CU_add_test(suite, "unknown enum values", unknown_enums);
	CU_add_test(suite, "not canonical", not_canonical);
	CU_add_test(suite, "caps", caps);
	CU_add_test(suite, "mutations", mutations);
	CU_add_test(suite, "bodies", bodies);
}
