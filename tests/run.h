/* SPDX-License-Identifier: Apache-2.0 */
/* How a CUnit program begins and ends. */
#ifndef GONDOLIN_TESTS_RUN_H
#define GONDOLIN_TESTS_RUN_H

#include <stdio.h>
#include <stdlib.h>

#include <CUnit/Basic.h>

/* Before the first CU_add_suite(). */
static inline void
begin_tests(void)
{
	if (CU_initialize_registry() == CUE_SUCCESS)
		return;
	fprintf(stderr, "CUnit: %s\n", CU_get_error_msg());
	exit(2);
}

/* Runs what was added.  Returns main's exit code: a suite that could not be set up has failed, too.
 */
static inline int
run_tests(void)
{
	unsigned failures;

	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures() + CU_get_number_of_tests_failed() +
		   CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	return failures == 0 ? 0 : 1;
}

/* Both of the above for a table that ends with CU_SUITE_INFO_NULL. */
static inline int
run_suites(CU_SuiteInfo *suites)
{
	begin_tests();
	if (CU_register_suites(suites) == CUE_SUCCESS)
		return run_tests();
	fprintf(stderr, "CUnit: %s\n", CU_get_error_msg());
	return 2;
}

#endif
