/* SPDX-License-Identifier: Apache-2.0 */
/* Packets with descriptors: what fits arrives, what does not is refused and leaks nothing. */
#include "ipc/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"
#include "tests/unit/ipc/ipc_test.h"

static uint8_t buffer[IPC_MESSAGE_MAX];
static uint8_t big[IPC_MESSAGE_MAX + 1];

static void
make_pair(int pair[2])
{
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void
close_pair(int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

/* Sends without any of our checks; n descriptors, all of them `fd`. */
static void
send_raw(int to, const void *bytes, size_t length, int fd, size_t n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
	} control = {0};
	char copy[16];
	struct iovec iov = {.iov_base = copy, .iov_len = length};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	size_t i;

	if (length <= sizeof(copy))
		memcpy(copy, bytes, length);
	else
		iov.iov_base = big;
	if (n > 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		for (i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	CU_ASSERT_EQUAL(sendmsg(to, &mh, 0), (ssize_t)length);
}

static void
bytes_and_fds(void)
{
	struct ipc_packet p = {.bytes = buffer};
	unsigned before = count_fds();
	int pair[2], fds[IPC_FDS_MAX];
	size_t i;

	make_pair(pair);
	for (i = 0; i < IPC_FDS_MAX; i++)
		fds[i] = pair[0];
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), -EAGAIN);
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], "abc", 3, fds, IPC_FDS_MAX), 0);
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], "de", 2, NULL, 0), 0);
	CU_ASSERT_EQUAL_FATAL(ipc_packet_receive(pair[1], &p), 1);
	CU_ASSERT_EQUAL(p.length, 3);
	CU_ASSERT_EQUAL(memcmp(p.bytes, "abc", 3), 0);
	CU_ASSERT_EQUAL(p.n_fds, IPC_FDS_MAX);
	for (i = 0; i < IPC_FDS_MAX; i++)
		CU_ASSERT_EQUAL(fcntl(p.fds[i], F_GETFD), FD_CLOEXEC);
	/* One is taken: the others are closed, it is not. */
	fds[0] = p.fds[3];
	p.fds[3] = -1;
	ipc_packet_close_fds(&p);
	CU_ASSERT_EQUAL(count_fds(), before + 3);
	CU_ASSERT_EQUAL(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
	CU_ASSERT_EQUAL_FATAL(ipc_packet_receive(pair[1], &p), 1);
	CU_ASSERT_EQUAL(p.length, 2);
	CU_ASSERT_EQUAL(p.n_fds, 0);
	close(pair[0]);
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), 0);
	close(pair[1]);
	CU_ASSERT_EQUAL(count_fds(), before);
}

static void
too_many_fds(void)
{
	struct ipc_packet p = {.bytes = buffer};
	unsigned before;
	int pair[2];

	make_pair(pair);
	before = count_fds();
	send_raw(pair[0], "x", 1, pair[0], IPC_FDS_MAX + 1);
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), -EPROTO);
	CU_ASSERT_EQUAL(p.n_fds, 0);
	send_raw(pair[0], "x", 1, pair[0], 64);
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), -EPROTO);
	CU_ASSERT_EQUAL(count_fds(), before);
	close_pair(pair);
}

static void
too_many_bytes(void)
{
	struct ipc_packet p = {.bytes = buffer};
	unsigned before;
	int pair[2];

	make_pair(pair);
	before = count_fds();
	send_raw(pair[0], NULL, IPC_MESSAGE_MAX, pair[0], 1);
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), 1);
	CU_ASSERT_EQUAL(p.length, IPC_MESSAGE_MAX);
	ipc_packet_close_fds(&p);
	send_raw(pair[0], NULL, IPC_MESSAGE_MAX + 1, pair[0], 2);
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), -EPROTO);
	CU_ASSERT_EQUAL(count_fds(), before);
	/* An empty packet looks like the end, also with descriptors. */
	send_raw(pair[0], "", 0, pair[0], 2);
	CU_ASSERT_EQUAL(ipc_packet_receive(pair[1], &p), 0);
	CU_ASSERT_EQUAL(count_fds(), before);
	close_pair(pair);
}

static void
sending(void)
{
	int pair[2], rc = 0, i;
	int fds[IPC_FDS_MAX + 1] = {0};

	make_pair(pair);
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], "", 0, NULL, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], big, sizeof(big), NULL, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], "x", 1, fds, IPC_FDS_MAX + 1), -EMSGSIZE);
	fds[0] = 9999;
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], "x", 1, fds, 1), -EBADF);
	for (i = 0; i < 1000 && rc == 0; i++)
		rc = ipc_packet_send_bytes(pair[0], big, IPC_MESSAGE_MAX, NULL, 0);
	CU_ASSERT_EQUAL(rc, -EAGAIN);
	close(pair[1]);
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(pair[0], "x", 1, NULL, 0), -EPIPE);
	close(pair[0]);
}

void
add_packet_suite(void)
{
	CU_pSuite suite = CU_add_suite("packet", NULL, NULL);

	CU_add_test(suite, "bytes and descriptors", bytes_and_fds);
	CU_add_test(suite, "too many descriptors", too_many_fds);
	CU_add_test(suite, "too many bytes", too_many_bytes);
	CU_add_test(suite, "sending", sending);
}
