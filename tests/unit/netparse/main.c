/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the suites of the parsers above TCP and UDP. */
#include <CUnit/Basic.h>

#include "suites.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"syntax", NULL, NULL, NULL, NULL, syntax_tests},
	    {"http1", NULL, NULL, NULL, NULL, http1_tests},
	    {"first bytes", NULL, NULL, NULL, NULL, first_bytes_tests},
	    {"dns", NULL, NULL, NULL, NULL, dns_tests},
	    {"websocket", NULL, NULL, NULL, NULL, websocket_tests},
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
