/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the client's suites. */
#include <CUnit/Basic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "tests/unit/client/client_test.h"

int
main(void)
{
	unsigned failures;

	signal(SIGPIPE, SIG_IGN); /* the tests play the part of vmrunner, which ignores it */
	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	add_options_suite();
	add_library_suite();
	add_relay_suite();
	add_terminal_suite();
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
