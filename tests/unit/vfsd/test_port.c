/* SPDX-License-Identifier: Apache-2.0 */
/* vfsd as a process, without its wall: the supervisor's messages, and a guest that is not to be
 * trusted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/ipc/ipc_table.h"
#include "tests/unit/vfsd/rig.h"
#include "tests/unit/vfsd/suites.h"

static void
put_init(struct rig *r)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} m = {.h = {.len = sizeof(m), .opcode = FUSE_INIT, .unique = 2},
	    .in = {.major = 7, .minor = 38}};

	rig_put_frame(r, 0, &m, sizeof(m));
}

static void
test_serves(void)
{
	struct fuse_out_header out;
	struct mount_plan plan;
	struct rig r;
	uint32_t mount;
	long n;

	rig_start(&r, NULL);
	n = rig_take_frame(&r, &mount);
	CU_ASSERT_FATAL(n > 0);
	CU_ASSERT_EQUAL(mount, MOUNT_CONTROL);
	CU_ASSERT_EQUAL_FATAL(mount_plan_decode(r.reply, (size_t)n, &plan), 0);
	CU_ASSERT_EQUAL(plan.n, 1);
	CU_ASSERT_STRING_EQUAL(plan.paths[0], "/w");
	rig_put_owner(&r);
	put_init(&r);
	n = rig_take_frame(&r, &mount);
	CU_ASSERT_FATAL(n >= (long)sizeof(out));
	memcpy(&out, r.reply, sizeof(out));
	CU_ASSERT_EQUAL(mount, 0);
	CU_ASSERT_EQUAL(out.unique, 2);
	CU_ASSERT_EQUAL(out.error, 0);
	rig_stop(&r);
}

/* Each closes the port, and vfsd goes on for the supervisor. */
static void
test_broken(void)
{
	enum { NO_OWNER, TWO_OWNERS, WRONG_MOUNT, SHORT, LONG, NOT_FUSE, BEFORE_INIT, WAYS };
	static const uint32_t heads[][2] = {[SHORT] = {8, 0}, [LONG] = {FUSE_REQUEST_MAX + 1, 0}};
	static const uint8_t zeros[64];
	struct fuse_in_header h = {
	    .len = sizeof(h), .opcode = FUSE_GETATTR, .unique = 4, .nodeid = 1};
	struct rig r;
	uint32_t mount;
	int way;

	for (way = 0; way < WAYS; way++) {
		rig_start(&r, NULL);
		CU_ASSERT(rig_take_frame(&r, &mount) > 0);
		if (way != NO_OWNER)
			rig_put_owner(&r);
		if (way == NO_OWNER)
			put_init(&r);
		if (way == TWO_OWNERS)
			rig_put_owner(&r);
		if (way == WRONG_MOUNT)
			rig_put_frame(&r, 1, &h, sizeof(h));
		if (way == SHORT || way == LONG)
			CU_ASSERT_EQUAL(write(r.port, heads[way], sizeof(heads[way])),
			    (ssize_t)sizeof(heads[way]));
		if (way == NOT_FUSE)
			rig_put_frame(&r, 0, zeros, sizeof(zeros));
		if (way == BEFORE_INIT)
			rig_put_frame(&r, 0, &h, sizeof(h));
		CU_ASSERT_EQUAL(rig_take_frame(&r, &mount), -1);
		rig_stop(&r);
	}
}

/* A guest that asks and never reads costs one reply, and vfsd is not held up by it. */
static void
test_never_reads(void)
{
	struct fuse_in_header h = {.len = sizeof(h), .opcode = FUSE_STATFS, .nodeid = 1};
	uint8_t head[VFS_FRAME_HEADER];
	struct rig r;
	uint32_t mount;
	size_t sent = 0;

	rig_start(&r, NULL);
	CU_ASSERT(rig_take_frame(&r, &mount) > 0);
	rig_put_owner(&r);
	put_init(&r);
	CU_ASSERT(rig_take_frame(&r, &mount) > 0);
	(void)fcntl(r.port, F_SETFL, O_NONBLOCK);
	vfs_frame_encode(head, sizeof(h), 0);
	for (;;) {
		h.unique += 2;
		if (write(r.port, head, sizeof(head)) != (ssize_t)sizeof(head) ||
		    write(r.port, &h, sizeof(h)) != (ssize_t)sizeof(h))
			break;
		sent++;
		CU_ASSERT_FATAL(sent < 1000000);
	}
	CU_ASSERT_EQUAL(errno, EAGAIN);
	rig_stop(&r);
}

/* A new boot gets a new port; the one before is over. */
static void
test_second_boot(void)
{
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	struct rig r;
	uint32_t mount;
	int ports[2];

	rig_start(&r, NULL);
	CU_ASSERT(rig_take_frame(&r, &mount) > 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	rig_tell(&r, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, ports[1]);
	close(ports[1]);
	CU_ASSERT_EQUAL(rig_take_frame(&r, &mount), -1);
	close(r.port);
	r.port = ports[0];
	CU_ASSERT(rig_take_frame(&r, &mount) > 0);
	rig_put_owner(&r);
	put_init(&r);
	CU_ASSERT(rig_take_frame(&r, &mount) > 0);
	rig_stop(&r);
}

static void
test_table(void)
{
	char why[256] = "";

	CU_ASSERT_TRUE(ipc_table_covers(&supervisor_table, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "");
}

void
add_port_suite(void)
{
	CU_pSuite suite = CU_add_suite("port", NULL, NULL);

	CU_add_test(suite, "serves", test_serves);
	CU_add_test(suite, "broken in every way", test_broken);
	CU_add_test(suite, "a guest that never reads", test_never_reads);
	CU_add_test(suite, "a second boot", test_second_boot);
	CU_add_test(suite, "every message has a handler", test_table);
}
