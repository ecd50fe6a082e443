/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's relay, with packet sockets in the place of /dev/fuse. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/relay.h"
#include "ipc/mount_frame.h"
#include "tests/unit/vfsd/suites.h"
#include "vfsd/transport.h"

#define MOUNTS      3u
#define DEADLINE_MS 60000

struct rig {
	pid_t pid;
	int port, devices[MOUNTS], mounted;
};

static void
run(int port, const int *devices, int mounted)
{
	struct vfs_frames frames;

	if (vfs_frames_init(&frames) < 0)
		_exit(99);
	_exit(-relay_pump(port, devices, MOUNTS, mounted, &frames));
}

static void
start(struct rig *r)
{
	int ports[2], pipes[2], pair[2], theirs[MOUNTS];
	size_t i;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC), 0);
	for (i = 0; i < MOUNTS; i++) {
		CU_ASSERT_EQUAL_FATAL(
		    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		r->devices[i] = pair[0];
		theirs[i] = pair[1];
		(void)fcntl(theirs[i], F_SETFL, O_NONBLOCK);
	}
	(void)fcntl(ports[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	r->pid = fork();
	CU_ASSERT_FATAL(r->pid >= 0);
	if (r->pid == 0) {
		close(ports[0]);
		close(pipes[1]);
		for (i = 0; i < MOUNTS; i++)
			close(r->devices[i]);
		run(ports[1], theirs, pipes[0]);
	}
	close(ports[1]);
	close(pipes[0]);
	for (i = 0; i < MOUNTS; i++)
		close(theirs[i]);
	r->port = ports[0];
	r->mounted = pipes[1];
}

/* Returns the relay's errno. */
static int
stop(struct rig *r)
{
	int status;
	size_t i;

	close(r->port);
	CU_ASSERT_EQUAL(waitpid(r->pid, &status, 0), r->pid);
	for (i = 0; i < MOUNTS; i++)
		close(r->devices[i]);
	if (r->mounted >= 0)
		close(r->mounted);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool
wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, DEADLINE_MS) == 1;
}

static bool
read_all(int fd, void *bytes, size_t n)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		if (!wait_for(fd))
			return false;
		got = read(fd, (uint8_t *)bytes + done, n - done);
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static void
say_mounted(struct rig *r)
{
	static const uint8_t ids[MOUNTS] = {2, 0, 1};

	CU_ASSERT_EQUAL(write(r->mounted, ids, sizeof(ids)), (ssize_t)sizeof(ids));
}

/* Requests of each mount become frames with its id, and replies find their way back. */
static void
test_both_ways(void)
{
	uint8_t bytes[4096], back[4096], head[VFS_FRAME_HEADER];
	uint32_t words[2];
	struct rig r;
	uint32_t i;
	size_t n;

	start(&r);
	say_mounted(&r);
	for (i = 0; i < 200; i++) {
		n = 40 + (i * 17) % 4000;
		memset(bytes, (int)i, n);
		CU_ASSERT_EQUAL(write(r.devices[i % MOUNTS], bytes, n), (ssize_t)n);
		CU_ASSERT_FATAL(read_all(r.port, words, sizeof(words)));
		CU_ASSERT_EQUAL_FATAL(words[0], n);
		CU_ASSERT_EQUAL(words[1], i % MOUNTS);
		CU_ASSERT_FATAL(read_all(r.port, back, n));
		CU_ASSERT_EQUAL(memcmp(bytes, back, n), 0);
		/* The answer, in two pieces, goes to another mount. */
		vfs_frame_encode(head, (uint32_t)n, (i + 1) % MOUNTS);
		CU_ASSERT_EQUAL(write(r.port, head, sizeof(head)), (ssize_t)sizeof(head));
		CU_ASSERT_EQUAL(write(r.port, bytes, n), (ssize_t)n);
		CU_ASSERT_FATAL(wait_for(r.devices[(i + 1) % MOUNTS]));
		CU_ASSERT_EQUAL(read(r.devices[(i + 1) % MOUNTS], back, sizeof(back)), (ssize_t)n);
		CU_ASSERT_EQUAL(memcmp(bytes, back, n), 0);
	}
	CU_ASSERT_EQUAL(stop(&r), EPIPE);
}

/* While the host takes no requests, its replies are taken all the same. */
static void
test_port_is_full(void)
{
	static uint8_t bytes[32768];
	uint8_t head[VFS_FRAME_HEADER];
	struct rig r;
	int i, error;

	start(&r);
	say_mounted(&r);
	(void)fcntl(r.devices[0], F_SETFL, O_NONBLOCK);
	/* Twice as much as all buffers hold: the rest stays with the device. */
	for (i = 0; i < 400; i++)
		if (write(r.devices[0], bytes, sizeof(bytes)) < 0) {
			struct pollfd p = {.fd = r.devices[0], .events = POLLOUT};

			if (poll(&p, 1, 200) == 0)
				break;
		}
	CU_ASSERT(i < 400);
	vfs_frame_encode(head, 16, 1);
	CU_ASSERT_EQUAL(write(r.port, head, sizeof(head)), (ssize_t)sizeof(head));
	CU_ASSERT_EQUAL(write(r.port, bytes, 16), 16);
	CU_ASSERT_FATAL(wait_for(r.devices[1]));
	CU_ASSERT_EQUAL(read(r.devices[1], bytes, sizeof(bytes)), 16);
	/* The host went away with requests unread. */
	error = stop(&r);
	CU_ASSERT_TRUE(error == EPIPE || error == ECONNRESET);
}

static void
test_broken(void)
{
	static const uint32_t heads[][2] = {{15, 0}, {FUSE_REQUEST_MAX + 1, 0}};
	uint8_t frame[VFS_FRAME_HEADER + 16] = {0};
	struct rig r;
	size_t i;

	for (i = 0; i < 2; i++) {
		start(&r);
		CU_ASSERT_EQUAL(
		    write(r.port, heads[i], sizeof(heads[i])), (ssize_t)sizeof(heads[i]));
		CU_ASSERT_FALSE(read_all(r.port, frame, 1));
		CU_ASSERT_EQUAL(stop(&r), EPROTO);
	}
	start(&r);
	vfs_frame_encode(frame, 16, MOUNTS);
	CU_ASSERT_EQUAL(write(r.port, frame, sizeof(frame)), (ssize_t)sizeof(frame));
	CU_ASSERT_FALSE(read_all(r.port, frame, 1));
	CU_ASSERT_EQUAL(stop(&r), EPROTO);
}

void
add_relay_suite(void)
{
	CU_pSuite suite = CU_add_suite("relay", NULL, NULL);

	CU_add_test(suite, "both ways", test_both_ways);
	CU_add_test(suite, "the port is full", test_port_is_full);
	CU_add_test(suite, "broken", test_broken);
}
