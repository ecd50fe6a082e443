/* SPDX-License-Identifier: Apache-2.0 */
/* jail without walls: what can be tried without entering one. */
#include "tests/unit/jail/jail_test.h"

#include <CUnit/Basic.h>

int
main(void)
{
	unsigned failures;

	CU_initialize_registry();
	audit_suite(CU_add_suite("audit", NULL, NULL));
	declared_suite(CU_add_suite("declared", NULL, NULL));
	filter_suite(CU_add_suite("filter", NULL, NULL));
	names_suite(CU_add_suite("names", NULL, NULL));
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures > 0;
}
