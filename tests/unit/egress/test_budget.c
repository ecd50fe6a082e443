/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets. */
#include <stdio.h>

#include "egress/budget.h"
#include "suites.h"

static void
test_requests(void)
{
	const struct budget_limits sandbox = {.requests = 10}, host = {.requests = 2};
	struct budget_host *a, *b;
	struct budget budget;
	bool full;
	int i;

	budget_init(&budget, &sandbox, &host);
	a = budget_host(&budget, "a", 100, &full);
	b = budget_host(&budget, "b", 100, &full);
	CU_ASSERT(a != NULL && b != NULL && a != b && !full);
	CU_ASSERT_PTR_EQUAL(budget_host(&budget, "a", 100, &full), a);
	CU_ASSERT_PTR_NULL(budget_request(&budget, a, 100));
	CU_ASSERT_PTR_NULL(budget_request(&budget, a, 100));
	CU_ASSERT_PTR_NOT_NULL(budget_request(&budget, a, 100));
	CU_ASSERT_PTR_NULL(budget_request(&budget, b, 100));
	CU_ASSERT_PTR_NULL(budget_request(&budget, a, 100.5));
	CU_ASSERT_PTR_NOT_NULL(budget_request(&budget, a, 100.5));
	for (i = 0; i < 100; i++)
		(void)budget_request(&budget, NULL, 101);
	CU_ASSERT_PTR_NOT_NULL(budget_request(&budget, NULL, 101));
	CU_ASSERT_PTR_NOT_NULL(budget_request(&budget, NULL, 50)); /* a clock that went back */
	budget_clear(&budget);
}

static void
test_connections_and_bytes(void)
{
	const struct budget_limits sandbox = {.connections = 2, .bytes_in = 100},
				   host = {.bytes_out = 9};
	struct budget_host *h;
	struct budget budget;
	bool full;

	budget_init(&budget, &sandbox, &host);
	h = budget_host(&budget, "h", 0, &full);
	CU_ASSERT_PTR_NULL(budget_connection(&budget, h));
	CU_ASSERT_FALSE(budget_connections_are_scarce(&budget, NULL));
	CU_ASSERT_PTR_NULL(budget_connection(&budget, h));
	CU_ASSERT_TRUE(budget_connections_are_scarce(&budget, NULL));
	CU_ASSERT_PTR_NOT_NULL(budget_connection(&budget, h));
	budget_connection_closed(&budget, h);
	CU_ASSERT_PTR_NULL(budget_connection(&budget, h));
	CU_ASSERT_PTR_NULL(budget_bytes(&budget, h, 100, 9));
	CU_ASSERT_PTR_NOT_NULL(budget_bytes(&budget, h, 0, 1));
	CU_ASSERT_PTR_NOT_NULL(budget_request(&budget, h, 1));
	CU_ASSERT_PTR_NULL(budget_request(&budget, NULL, 1));
	CU_ASSERT_PTR_NOT_NULL(budget_bytes(&budget, NULL, 1, 0));
	budget_clear(&budget);
}

static void
test_hosts(void)
{
	const struct budget_limits none = {0}, host = {.requests = 1};
	struct budget budget;
	char name[16];
	bool full;
	unsigned i;

	budget_init(&budget, &none, &none);
	CU_ASSERT_PTR_NULL(budget_host(&budget, "a", 0, &full));
	CU_ASSERT(!full);
	CU_ASSERT_PTR_NULL(budget_request(&budget, NULL, 0));
	budget_clear(&budget);
	budget_init(&budget, &none, &host);
	for (i = 0; i < BUDGET_HOSTS_MAX; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		CU_ASSERT_PTR_NOT_NULL(budget_host(&budget, name, 0, &full));
	}
	CU_ASSERT_PTR_NULL(budget_host(&budget, "one more", 0, &full));
	CU_ASSERT(full);
	budget_clear(&budget);
}

CU_TestInfo budget_tests[] = {
    {"requests", test_requests},
    {"connections and bytes", test_connections_and_bytes},
    {"hosts", test_hosts},
    CU_TEST_INFO_NULL,
};
