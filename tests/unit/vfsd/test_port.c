/* SPDX-License-Identifier: Apache-2.0 */
/* vfsd as a process, without its wall: the supervisor's messages, and a guest that is not to be
 * trusted. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ipc/ipc_table.h"
#include "tests/unit/vfsd/suites.h"
#include "vfsd/vfsd.h"

#define DEADLINE_MS 60000

struct rig {
	pid_t pid;
	int supervisor, port;
	uint8_t *reply; /* VFS_FRAME_MAX */
};

static void
serve(int fd)
{
	struct vfsd *v = calloc(1, sizeof(*v));
	int rc = 0;

	while (rc == 0 && !v->confined)
		rc = ipc_receive_now(fd, &supervisor_table, v, SUPERVISOR_SETUP);
	if (rc < 0)
		_exit(99);
	vfsd_init(v);
	vfsd_serve(v, ev_loop_new(EVFLAG_NOENV), fd);
	_exit(v->exit_code);
}

static void
tell(struct rig *r, Gondolin__SupToVfsd__BodyCase kind, void *body, int fd)
{
	Gondolin__SupToVfsd m = GONDOLIN__SUP_TO_VFSD__INIT;

	m.body_case = kind;
	m.mount = body;
	CU_ASSERT_EQUAL_FATAL(ipc_packet_send(r->supervisor, &m.base, &fd, fd >= 0 ? 1 : 0), 0);
}

static void
start(struct rig *r)
{
	Gondolin__VfsdMount mount = GONDOLIN__VFSD_MOUNT__INIT;
	Gondolin__VfsdConfine confine = GONDOLIN__VFSD_CONFINE__INIT;
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	int sup[2], ports[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sup), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	r->reply = malloc(VFS_FRAME_MAX);
	r->pid = fork();
	CU_ASSERT_FATAL(r->pid >= 0);
	if (r->pid == 0) {
		close(sup[0]);
		close(ports[0]);
		close(ports[1]);
		serve(sup[1]);
	}
	close(sup[1]);
	r->supervisor = sup[0];
	r->port = ports[0];
	mount.path = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "/w"};
	mount.provider = GONDOLIN__VFSD_MOUNT__PROVIDER__MEMORY;
	mount.memory = 1 << 20;
	tell(r, GONDOLIN__SUP_TO_VFSD__BODY_MOUNT, &mount, -1);
	tell(r, GONDOLIN__SUP_TO_VFSD__BODY_CONFINE, &confine, -1);
	tell(r, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, ports[1]);
	close(ports[1]);
}

/* Ends as the supervisor's end makes it end: quietly. */
static void
stop(struct rig *r)
{
	int status;

	close(r->supervisor);
	close(r->port);
	CU_ASSERT_EQUAL(waitpid(r->pid, &status, 0), r->pid);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	free(r->reply);
}

static void
put_frame(struct rig *r, uint32_t mount, const void *bytes, size_t n)
{
	uint8_t head[VFS_FRAME_HEADER];

	vfs_frame_encode(head, (uint32_t)n, mount);
	CU_ASSERT_EQUAL(write(r->port, head, sizeof(head)), (ssize_t)sizeof(head));
	CU_ASSERT_EQUAL(write(r->port, bytes, n), (ssize_t)n);
}

static bool
read_all(struct rig *r, void *bytes, size_t n)
{
	struct pollfd p = {.fd = r->port, .events = POLLIN};
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		if (poll(&p, 1, DEADLINE_MS) != 1)
			return false;
		got = read(r->port, (uint8_t *)bytes + done, n - done);
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

/* The next frame's length, or -1 where the port was closed. */
static long
take_frame(struct rig *r, uint32_t *mount)
{
	uint32_t head[2];

	if (!read_all(r, head, sizeof(head)) || head[0] > FUSE_REPLY_MAX ||
	    !read_all(r, r->reply, head[0]))
		return -1;
	*mount = head[1];
	return head[0];
}

static void
put_owner(struct rig *r)
{
	uint8_t owner[MOUNT_OWNER_SIZE];

	mount_owner_encode(0, 0, owner);
	put_frame(r, MOUNT_CONTROL, owner, sizeof(owner));
}

static void
put_init(struct rig *r)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} m = {.h = {.len = sizeof(m), .opcode = FUSE_INIT, .unique = 2},
	    .in = {.major = 7, .minor = 38}};

	put_frame(r, 0, &m, sizeof(m));
}

static void
test_serves(void)
{
	struct fuse_out_header out;
	struct mount_plan plan;
	struct rig r;
	uint32_t mount;
	long n;

	start(&r);
	n = take_frame(&r, &mount);
	CU_ASSERT_FATAL(n > 0);
	CU_ASSERT_EQUAL(mount, MOUNT_CONTROL);
	CU_ASSERT_EQUAL_FATAL(mount_plan_decode(r.reply, (size_t)n, &plan), 0);
	CU_ASSERT_EQUAL(plan.n, 1);
	CU_ASSERT_STRING_EQUAL(plan.paths[0], "/w");
	put_owner(&r);
	put_init(&r);
	n = take_frame(&r, &mount);
	CU_ASSERT_FATAL(n >= (long)sizeof(out));
	memcpy(&out, r.reply, sizeof(out));
	CU_ASSERT_EQUAL(mount, 0);
	CU_ASSERT_EQUAL(out.unique, 2);
	CU_ASSERT_EQUAL(out.error, 0);
	stop(&r);
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
		start(&r);
		CU_ASSERT(take_frame(&r, &mount) > 0);
		if (way != NO_OWNER)
			put_owner(&r);
		if (way == NO_OWNER)
			put_init(&r);
		if (way == TWO_OWNERS)
			put_owner(&r);
		if (way == WRONG_MOUNT)
			put_frame(&r, 1, &h, sizeof(h));
		if (way == SHORT || way == LONG)
			CU_ASSERT_EQUAL(write(r.port, heads[way], sizeof(heads[way])),
			    (ssize_t)sizeof(heads[way]));
		if (way == NOT_FUSE)
			put_frame(&r, 0, zeros, sizeof(zeros));
		if (way == BEFORE_INIT)
			put_frame(&r, 0, &h, sizeof(h));
		CU_ASSERT_EQUAL(take_frame(&r, &mount), -1);
		stop(&r);
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

	start(&r);
	CU_ASSERT(take_frame(&r, &mount) > 0);
	put_owner(&r);
	put_init(&r);
	CU_ASSERT(take_frame(&r, &mount) > 0);
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
	stop(&r);
}

/* A new boot gets a new port; the one before is over. */
static void
test_second_boot(void)
{
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	struct rig r;
	uint32_t mount;
	int ports[2];

	start(&r);
	CU_ASSERT(take_frame(&r, &mount) > 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	tell(&r, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, ports[1]);
	close(ports[1]);
	CU_ASSERT_EQUAL(take_frame(&r, &mount), -1);
	close(r.port);
	r.port = ports[0];
	CU_ASSERT(take_frame(&r, &mount) > 0);
	put_owner(&r);
	put_init(&r);
	CU_ASSERT(take_frame(&r, &mount) > 0);
	stop(&r);
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
