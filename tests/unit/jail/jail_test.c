/* SPDX-License-Identifier: Apache-2.0 */
/* jail without walls: what can be tried without entering one. */
#include "tests/unit/jail/jail_test.h"
#include "tests/run.h"

#include <CUnit/Basic.h>

int
main(void)
{
	begin_tests();
	audit_suite(CU_add_suite("audit", NULL, NULL));
	declared_suite(CU_add_suite("declared", NULL, NULL));
	descriptors_suite(CU_add_suite("descriptors", NULL, NULL));
	filter_suite(CU_add_suite("filter", NULL, NULL));
	names_suite(CU_add_suite("names", NULL, NULL));
	return run_tests();
}
