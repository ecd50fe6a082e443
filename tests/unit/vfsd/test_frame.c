/* SPDX-License-Identifier: Apache-2.0 */
/* The plan and its answer: round trips, and every way of being cut or wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/mount_frame.h"
#include "tests/unit/vfsd/suites.h"

static void
test_plan(void)
{
	struct mount_plan plan = {.user = "agent",
			      .paths = {"/w", "/w/deep er", "/\xc3\xbc"},
			      .n = 3},
			  back;
	uint8_t *bytes = malloc(MOUNT_PLAN_MAX), *copy;
	size_t n, i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	n = mount_plan_encode(&plan, bytes);
	CU_ASSERT_EQUAL_FATAL(mount_plan_decode(bytes, n, &back), 0);
	CU_ASSERT_EQUAL(back.n, 3);
	CU_ASSERT_STRING_EQUAL(back.user, "agent");
	for (i = 0; i < 3; i++)
		CU_ASSERT_STRING_EQUAL(back.paths[i], plan.paths[i]);
	for (i = 0; i < n; i++) {
		/* Just as long: a read past the end shows. */
		copy = malloc(i + 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, bytes, i);
		CU_ASSERT_EQUAL(mount_plan_decode(copy, i, &back), -EPROTO);
		free(copy);
	}
	bytes[n] = 0;
	CU_ASSERT_EQUAL(mount_plan_decode(bytes, n + 1, &back), -EPROTO);
	free(bytes);
}

static void
test_plan_refused(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {{0, 0}, {4, 0}, {4, 2}, {4, 65}, {7, 1}, {8, 2}, {11, 1}, {12, 1}, {15, 1},
	    {16 + 2, 'w'}, {16 + 1, 'x'}};
	struct mount_plan plan = {.user = "u", .paths = {"/w"}, .n = 1}, back;
	uint8_t bytes[64];
	size_t i, n;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = mount_plan_encode(&plan, bytes);
		bytes[rows[i].at] = rows[i].value;
		CU_ASSERT_EQUAL(mount_plan_decode(bytes, n, &back), -EPROTO);
	}
}

static void
test_owner(void)
{
	uint8_t bytes[MOUNT_OWNER_SIZE + 1] = {0};
	uint32_t uid, gid;
	size_t i;

	mount_owner_encode(1000, UINT32_MAX - 1, bytes);
	CU_ASSERT_EQUAL(mount_owner_decode(bytes, MOUNT_OWNER_SIZE, &uid, &gid), 0);
	CU_ASSERT_EQUAL(uid, 1000);
	CU_ASSERT_EQUAL(gid, UINT32_MAX - 1);
	for (i = 0; i < MOUNT_OWNER_SIZE; i++)
		CU_ASSERT_EQUAL(mount_owner_decode(bytes, i, &uid, &gid), -EPROTO);
	CU_ASSERT_EQUAL(mount_owner_decode(bytes, MOUNT_OWNER_SIZE + 1, &uid, &gid), -EPROTO);
	mount_owner_encode(UINT32_MAX, 0, bytes);
	CU_ASSERT_EQUAL(mount_owner_decode(bytes, MOUNT_OWNER_SIZE, &uid, &gid), -EPROTO);
	mount_owner_encode(0, 0, bytes);
	bytes[15] = 1;
	CU_ASSERT_EQUAL(mount_owner_decode(bytes, MOUNT_OWNER_SIZE, &uid, &gid), -EPROTO);
}

void
add_frame_suite(void)
{
	CU_pSuite suite = CU_add_suite("frame", NULL, NULL);

	CU_add_test(suite, "plan", test_plan);
	CU_add_test(suite, "plans refused", test_plan_refused);
	CU_add_test(suite, "owner", test_owner);
}
