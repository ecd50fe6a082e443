/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the suites of the network stack. */
#include <CUnit/Basic.h>

#include "suites.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"base", NULL, NULL, NULL, NULL, base_tests},
	    {"link", NULL, NULL, NULL, NULL, link_tests},
	    {"lan", NULL, NULL, NULL, NULL, lan_tests},
	    {"dhcp", NULL, NULL, NULL, NULL, dhcp_tests},
	    {"tcp states", NULL, NULL, NULL, NULL, tcp_state_tests},
	    {"tcp data", NULL, NULL, NULL, NULL, tcp_data_tests},
	    {"tcp hostile", NULL, NULL, NULL, NULL, tcp_hostile_tests},
	    CU_SUITE_INFO_NULL,
	};
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
