/* SPDX-License-Identifier: Apache-2.0 */
/* Names asked over TCP, by a guest that need not read what it asked for. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "guest.h"
#include "netproxy/conn.h"
#include "suites.h"

/* RFC 1035 4.1: a question for the addresses of a.test, with its length before it (RFC 7766). */
#define QUERY                                                          \
	"\x00\x18\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01" \
	"a\x04test\x00\x00\x01\x00\x01"
#define QUERY_N (sizeof(QUERY) - 1)

static void
type_queries(unsigned n)
{
	static char queries[256 * QUERY_N];
	unsigned i;

	for (i = 0; i < n; i++)
		memcpy(queries + i * QUERY_N, QUERY, QUERY_N);
	guest_type(queries, n * QUERY_N);
}

static void
test_in_turn(void)
{
	guest_open(names_tcp_start);
	type_queries(3);
	CU_ASSERT_FALSE(guest.c->dead);
	CU_ASSERT_EQUAL(proxy_flow.out_n, 3 * QUERY_N);
	CU_ASSERT_EQUAL(memcmp(proxy_flow.out, "\x00\x18\x12\x34", 4), 0);
	CU_ASSERT_EQUAL(proxy_flow.out[5] & 0xf, 5); /* REFUSED: nothing is allowed */
	guest_close();
}

/* It ends with the first answer that does not fit, whatever else was asked. */
static void
test_that_are_not_read(void)
{
	guest_open(names_tcp_start);
	guest.room = 5 * QUERY_N;
	type_queries(256);
	CU_ASSERT_TRUE(guest.c->dead);
	CU_ASSERT_TRUE(proxy_flow.aborted);
	CU_ASSERT_TRUE(proxy_flow.out_n <= guest.room);
	guest_close();
}

/* A length that no query of ours has, and one that is cut. */
static void
test_lengths(void)
{
	guest_open(names_tcp_start);
	guest_type("\xff\xff", 2);
	CU_ASSERT_TRUE(guest.c->dead);
	guest_close();

	guest_open(names_tcp_start);
	guest_type("\x00\x00", 2);
	CU_ASSERT_TRUE(guest.c->dead);
	guest_close();

	guest_open(names_tcp_start);
	guest_type(QUERY, QUERY_N - 1);
	CU_ASSERT_FALSE(guest.c->dead);
	CU_ASSERT_EQUAL(proxy_flow.out_n, 0);
	proxy_flow.stays = false;
	guest_turn();
	CU_ASSERT_TRUE(proxy_flow.closed);
	guest_close();
}

CU_TestInfo names_tests[] = {
    {"questions in turn", test_in_turn},
    {"answers that are not read", test_that_are_not_read},
    {"lengths", test_lengths},
    CU_TEST_INFO_NULL,
};
