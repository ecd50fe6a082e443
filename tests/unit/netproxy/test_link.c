/* SPDX-License-Identifier: Apache-2.0 */
/* The link over a socketpair. */
#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netproxy/link.h"
#include "netproxy/stack.h"
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

static bool
no_connect(void *context, const struct flow_addresses *a)
{
	(void)context;
	(void)a;
	return false;
}

/* A whole stack behind the socket: frames in by stack_input, the answers out by stack_flush. */
static void
test_stack_behind(void)
{
	/* ARP: who has 192.168.127.1, tell .3 */
	static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
	    0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 168, 127, 3, 0, 0, 0, 0, 0, 0, 192, 168,
	    127, 1};
	const struct stack_handlers h = {.connect = no_connect};
	struct stack_counters c;
	struct stack_config config;
	struct link_socket l;
	struct stack *s;
	uint8_t answer[64];
	int fds[2], i;

	pair(fds);
	stack_config_default(&config);
	CU_ASSERT_FATAL(link_socket_open(&l, fds[1], config.mtu + 14) == 0);
	CU_ASSERT_FATAL(stack_new(&s, &config, &l.link, &h, 1) == 0);
	CU_ASSERT(stack_input(s, 4, 1) == 0);
	for (i = 0; i < 100; i++)
		CU_ASSERT(send(fds[0], arp, sizeof(arp), 0) == sizeof(arp));
	CU_ASSERT(stack_input(s, 1, 1) == 1);
	CU_ASSERT(stack_input(s, 64, 1) == 0);
	CU_ASSERT(stack_flush(s, 1) == 0);
	for (i = 0; i < 100; i++)
		CU_ASSERT(recv(fds[0], answer, sizeof(answer), 0) == 42 && answer[21] == 2);
	stack_counters(s, &c);
	CU_ASSERT(c.frames_in == 100 && c.frames_out == 100 && c.bytes_out == 4200);
	close(fds[0]);
	stack_free(s);
	link_socket_close(&l);
}

CU_TestInfo link_tests[] = {
    {"frames in batches", test_batches},
    {"giants are dropped", test_giant_dropped},
    {"a full link takes none", test_full},
    {"a stack behind it", test_stack_behind},
    CU_TEST_INFO_NULL,
};
