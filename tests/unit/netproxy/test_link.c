/* SPDX-License-Identifier: Apache-2.0 */
/* The link over a socketpair. */
#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netproxy/link.h"
#include "suites.h"

static void
pair(int fds[2])
{
	CU_ASSERT_FATAL(
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
}

static void
test_batches(void)
{
	struct link_frame out[3] = {
	    {.n = 2, .iov = {{(char[]){"head"}, 4}, {(char[]){"body"}, 4}}},
	    {.n = 1, .iov = {{(char[]){"x"}, 1}}},
	    {.n = 1, .iov = {{(char[]){"last"}, 4}}},
	};
	struct link_received in[LINK_BATCH];
	struct link_socket a, b;
	int fds[2];

	pair(fds);
	CU_ASSERT_FATAL(link_socket_open(&a, fds[0], 1514) == 0);
	CU_ASSERT_FATAL(link_socket_open(&b, fds[1], 1514) == 0);
	CU_ASSERT(a.batch == LINK_BATCH);
	CU_ASSERT(b.link.operations->receive(&b.link, in, LINK_BATCH) == 0);
	CU_ASSERT(a.link.operations->send(&a.link, out, 3) == 3);
	CU_ASSERT(b.link.operations->receive(&b.link, in, LINK_BATCH) == 3);
	CU_ASSERT(in[0].length == 8 && memcmp(in[0].bytes, "headbody", 8) == 0);
	CU_ASSERT(in[2].length == 4 && memcmp(in[2].bytes, "last", 4) == 0);
	link_socket_close(&a);
	link_socket_close(&a);
	CU_ASSERT(b.link.operations->send(&b.link, out, 1) < 0);
	link_socket_close(&b);
}

static void
test_giant_dropped(void)
{
	struct link_received in[LINK_BATCH];
	struct link_socket b;
	char giant[70000] = {0};
	int fds[2];

	pair(fds);
	CU_ASSERT_FATAL(link_socket_open(&b, fds[1], 1514) == 0);
	CU_ASSERT(send(fds[0], giant, 1515, 0) == 1515);
	CU_ASSERT(send(fds[0], giant, sizeof(giant), 0) == sizeof(giant));
	CU_ASSERT(send(fds[0], giant, 1514, 0) == 1514);
	CU_ASSERT(b.link.operations->receive(&b.link, in, LINK_BATCH) == 1);
	CU_ASSERT(in[0].length == 1514 && b.link.giants == 2);
	link_socket_close(&b);
	close(fds[0]);
}

static void
test_full(void)
{
	static char body[1400];
	struct link_frame out[LINK_BATCH];
	struct link_socket a;
	int fds[2], r, rounds = 0;
	unsigned i;

	pair(fds);
	CU_ASSERT_FATAL(link_socket_open(&a, fds[0], 1514) == 0);
	for (i = 0; i < LINK_BATCH; i++)
		out[i] = (struct link_frame){.n = 1, .iov = {{body, sizeof(body)}}};
	do {
		r = a.link.operations->send(&a.link, out, LINK_BATCH);
	} while (r > 0 && ++rounds < 100000);
	CU_ASSERT(r == 0);
	CU_ASSERT(recv(fds[1], body, sizeof(body), 0) == sizeof(body));
	link_socket_close(&a);
	close(fds[1]);
}

CU_TestInfo link_tests[] = {
    {"frames in batches", test_batches},
    {"giants are dropped", test_giant_dropped},
    {"a full link takes none", test_full},
    CU_TEST_INFO_NULL,
};
