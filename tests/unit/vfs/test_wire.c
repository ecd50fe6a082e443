/* SPDX-License-Identifier: Apache-2.0 */
/* The wire: requests taken apart, frames of the byte stream, ids, tables. */
#include <CUnit/Basic.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vfs/suites.h"
#include "vfsd/buckets.h"
#include "vfsd/fuse_wire.h"
#include "vfsd/table.h"
#include "vfsd/transport.h"

/* A request's bytes behind its header. */
struct shape {
	const char *what;
	uint32_t opcode;
	const char *bytes;
	size_t length;
	int expected;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct shape shapes[] = {
    {"a name", FUSE_LOOKUP, BYTES("a\0"), 0},
    {"a name in UTF-8 with blanks", FUSE_LOOKUP, BYTES("\xc3\xa4 b\0"), 0},
    {"no NUL", FUSE_LOOKUP, BYTES("a"), -EINVAL},
    {"nothing", FUSE_LOOKUP, "", 0, -EINVAL},
    {"an empty name", FUSE_LOOKUP, BYTES("\0"), -EINVAL},
    {"bytes behind the name", FUSE_LOOKUP, BYTES("a\0b"), -EINVAL},
    {"two names", FUSE_LOOKUP, BYTES("a\0b\0"), -EINVAL},
    {"a slash", FUSE_LOOKUP, BYTES("a/b\0"), -EINVAL},
    {"a slash at the end", FUSE_LOOKUP, BYTES("a/\0"), -EINVAL},
    {"dot", FUSE_LOOKUP, BYTES(".\0"), -EINVAL},
    {"dot dot", FUSE_LOOKUP, BYTES("..\0"), -EINVAL},
    {"three dots", FUSE_LOOKUP, BYTES("...\0"), 0},
    {"dot dot to make", FUSE_MKDIR, BYTES("\0\0\0\0\0\0\0\0..\0"), -EINVAL},
    {"a target with dots and slashes", FUSE_SYMLINK, BYTES("l\0../../etc\0"), 0},
    {"an empty target", FUSE_SYMLINK, BYTES("l\0\0"), -EINVAL},
    {"no target", FUSE_SYMLINK, BYTES("l\0"), -EINVAL},
    {"rename", FUSE_RENAME, BYTES("\1\0\0\0\0\0\0\0a\0b\0"), 0},
    {"rename to dot dot", FUSE_RENAME, BYTES("\1\0\0\0\0\0\0\0a\0..\0"), -EINVAL},
    {"rename with one name", FUSE_RENAME, BYTES("\1\0\0\0\0\0\0\0a\0"), -EINVAL},
    {"rename cut in its fixed part", FUSE_RENAME, BYTES("\1\0\0\0"), -EINVAL},
    {"forget", FUSE_FORGET, BYTES("\1\0\0\0\0\0\0\0"), 0},
    {"forget with a tail", FUSE_FORGET, BYTES("\1\0\0\0\0\0\0\0x"), -EINVAL},
    {"no forgets", FUSE_BATCH_FORGET, BYTES("\0\0\0\0\0\0\0\0"), 0},
    {"a forget that is missing", FUSE_BATCH_FORGET, BYTES("\1\0\0\0\0\0\0\0"), -EINVAL},
    {"forgets past all bounds", FUSE_BATCH_FORGET, BYTES("\xff\xff\xff\xff\0\0\0\0"), -EINVAL},
    {"an attribute's value that is missing", FUSE_SETXATTR, BYTES("\1\0\0\0\0\0\0\0user.a\0"),
	-EINVAL},
    {"an attribute's value", FUSE_SETXATTR, BYTES("\1\0\0\0\0\0\0\0user.a\0v"), 0},
    {"an operation that nobody knows", 63, BYTES(""), -ENOSYS},
    {"opcode zero", 0, BYTES(""), -ENOSYS},
    {"an opcode past the table", 0xffffffffu, BYTES(""), -ENOSYS},
    {"CUSE", CUSE_INIT, BYTES(""), -ENOSYS},
    {"ioctl with anything", FUSE_IOCTL, BYTES("xyz"), 0},
};

static void
test_shapes(void)
{
	uint8_t bytes[256];
	struct fuse_request r;
	size_t i;
	int error;

	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct fuse_in_header h = {.opcode = shapes[i].opcode};

		h.len = (uint32_t)(sizeof(h) + shapes[i].length);
		memcpy(bytes, &h, sizeof(h));
		memcpy(bytes + sizeof(h), shapes[i].bytes, shapes[i].length);
		CU_ASSERT_EQUAL(fuse_header_parse(bytes, h.len, &r.header), 0);
		error = fuse_request_parse(bytes, &r);
		if (error != shapes[i].expected)
			CU_FAIL(shapes[i].what);
		CU_ASSERT_EQUAL(error, shapes[i].expected);
	}
}

static void
test_header(void)
{
	struct fuse_in_header h = {.len = sizeof(h)}, out;
	uint8_t bytes[sizeof(h) + 1] = {0};

	memcpy(bytes, &h, sizeof(h));
	CU_ASSERT_EQUAL(fuse_header_parse(bytes, sizeof(h), &out), 0);
	CU_ASSERT_EQUAL(fuse_header_parse(bytes, sizeof(h) - 1, &out), -EPROTO);
	CU_ASSERT_EQUAL(fuse_header_parse(bytes, sizeof(h) + 1, &out), -EPROTO);
	CU_ASSERT_EQUAL(fuse_header_parse(bytes, 0, &out), -EPROTO);
	CU_ASSERT_EQUAL(fuse_header_parse(bytes, (size_t)FUSE_REQUEST_MAX + 1, &out), -EPROTO);
}

static void
test_long_names(void)
{
	uint8_t bytes[512];
	struct fuse_in_header h = {.opcode = FUSE_LOOKUP};
	struct fuse_request r;
	size_t length;

	for (length = 254; length < 258; length++) {
		h.len = (uint32_t)(sizeof(h) + length + 1);
		memcpy(bytes, &h, sizeof(h));
		memset(bytes + sizeof(h), 'n', length);
		bytes[sizeof(h) + length] = 0;
		r.header = h;
		CU_ASSERT_EQUAL(fuse_request_parse(bytes, &r), length <= 255 ? 0 : -ENAMETOOLONG);
	}
}

/* Three frames, given in pieces of every size, come out whole. */
static void
test_frames(void)
{
	uint8_t stream[3 * (VFS_FRAME_HEADER + 40)], *space;
	const uint8_t *payload;
	struct vfs_frames f;
	size_t piece, at, n, room, length;
	uint32_t mount, i;

	for (i = 0; i < 3; i++) {
		uint8_t *frame = stream + i * (VFS_FRAME_HEADER + 40);

		vfs_frame_encode(frame, 40, i);
		memset(frame + VFS_FRAME_HEADER, (int)('a' + i), 40);
	}
	CU_ASSERT_EQUAL_FATAL(vfs_frames_init(&f), 0);
	for (piece = 1; piece <= sizeof(stream); piece++) {
		for (at = 0, i = 0; at < sizeof(stream); at += n) {
			n = sizeof(stream) - at < piece ? sizeof(stream) - at : piece;
			space = vfs_frames_space(&f, &room);
			CU_ASSERT_FATAL(room >= n);
			memcpy(space, stream + at, n);
			vfs_frames_filled(&f, n);
			while (vfs_frames_next(&f, &mount, &payload, &length) == 1) {
				CU_ASSERT_EQUAL(mount, i);
				CU_ASSERT_EQUAL(length, 40);
				CU_ASSERT_EQUAL(payload[39], 'a' + i);
				i++;
			}
		}
		CU_ASSERT_EQUAL(i, 3);
	}
	vfs_frames_clear(&f);
}

static void
test_frame_lengths(void)
{
	static const struct {
		uint32_t length;
		int expected;
	} rows[] = {
	    {0, -EPROTO},
	    {15, -EPROTO},
	    {16, 0},
	    {FUSE_REQUEST_MAX, 0},
	    {FUSE_REQUEST_MAX + 1, -EPROTO},
	    {0xffffffffu, -EPROTO},
	};
	const uint8_t *payload;
	struct vfs_frames f;
	size_t i, room, length;
	uint32_t mount;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(vfs_frames_init(&f), 0);
		vfs_frame_encode(vfs_frames_space(&f, &room), rows[i].length, 0);
		vfs_frames_filled(&f, VFS_FRAME_HEADER);
		CU_ASSERT_EQUAL(vfs_frames_next(&f, &mount, &payload, &length), rows[i].expected);
		vfs_frames_clear(&f);
	}
}

static void
test_table(void)
{
	struct vfs_table t;
	uint64_t first, id, again;
	int things[3];

	vfs_table_init(&t, 2);
	CU_ASSERT_PTR_NULL(vfs_table_get(&t, 0));
	CU_ASSERT_PTR_NULL(vfs_table_get(&t, 1));
	CU_ASSERT_PTR_NOT_NULL(vfs_table_add(&t, &things[0], &first));
	CU_ASSERT_EQUAL(first, 1);
	CU_ASSERT_PTR_NOT_NULL(vfs_table_add(&t, &things[1], &id));
	CU_ASSERT_PTR_NULL(vfs_table_add(&t, &things[2], &again));
	vfs_table_remove(&t, id);
	CU_ASSERT_PTR_NULL(vfs_table_get(&t, id));
	CU_ASSERT_PTR_NOT_NULL(vfs_table_add(&t, &things[2], &again));
	CU_ASSERT_NOT_EQUAL(id, again);
	CU_ASSERT_PTR_NULL(vfs_table_get(&t, id));
	CU_ASSERT_PTR_EQUAL(vfs_table_get(&t, again)->thing, &things[2]);
	CU_ASSERT_PTR_NULL(vfs_table_get(&t, UINT64_MAX));
	vfs_table_clear(&t);
}

struct thing {
	uint32_t key;
	struct vfs_link link;
};

#define THING(l) VFS_LINKED(l, struct thing, link)

static uint32_t
thing_hash(const struct vfs_link *link)
{
	return THING(link)->key / 3; /* three of each hash */
}

static struct thing *
thing_find(const struct vfs_buckets *b, uint32_t key)
{
	struct vfs_link *link = vfs_buckets_first(b, key / 3);

	while (link != NULL && THING(link)->key != key)
		link = link->next;
	return link != NULL ? THING(link) : NULL;
}

static void
thing_end(void *ctx, struct vfs_link *link)
{
	vfs_buckets_remove(ctx, link);
	free(THING(link));
}

/* Everything is found through every doubling, and nothing that was taken out. */
static void
test_buckets(void)
{
	const uint32_t n = 1000;
	struct vfs_buckets b;
	struct thing *t;
	uint32_t i;

	vfs_buckets_init(&b, thing_hash);
	CU_ASSERT_PTR_NULL(vfs_buckets_first(&b, 0));
	vfs_buckets_drain(&b, thing_end, &b);
	for (i = 0; i < n; i++) {
		CU_ASSERT_FATAL(vfs_buckets_reserve(&b));
		t = calloc(1, sizeof(*t));
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		t->key = i;
		vfs_buckets_add(&b, &t->link);
		CU_ASSERT_PTR_EQUAL(thing_find(&b, i), t);
		CU_ASSERT_PTR_NOT_NULL(thing_find(&b, i / 2));
	}
	for (i = 0; i < n; i += 2)
		thing_end(&b, &thing_find(&b, i)->link);
	CU_ASSERT_EQUAL(b.used, n / 2);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(thing_find(&b, i) != NULL, i % 2 == 1);
	vfs_buckets_drain(&b, thing_end, &b);
	CU_ASSERT_EQUAL(b.used, 0);
	vfs_buckets_clear(&b);
	CU_ASSERT_PTR_NULL(vfs_buckets_first(&b, 1));
}

const struct test_row wire_tests[] = {
    {"requests of every shape", test_shapes},
    {"headers that are none", test_header},
    {"names at the limit", test_long_names},
    {"frames in pieces", test_frames},
    {"frame lengths", test_frame_lengths},
    {"ids and generations", test_table},
    {"linked things", test_buckets},
    {NULL, NULL},
};
