/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of egress's core. */
#include <CUnit/Basic.h>

#include "suites.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"policy", NULL, NULL, NULL, NULL, policy_tests},
	    {"address", NULL, NULL, NULL, NULL, address_tests},
	    {"request", NULL, NULL, NULL, NULL, request_tests},
	    {"scrubber", NULL, NULL, NULL, NULL, scrubber_tests},
	    {"secret", NULL, NULL, NULL, NULL, secret_tests},
	    {"decode", NULL, NULL, NULL, NULL, decode_tests},
	    {"budget", NULL, NULL, NULL, NULL, budget_tests},
	    CU_SUITE_INFO_NULL,
	};
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures() + CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	return failures == 0 ? 0 : 1;
}
