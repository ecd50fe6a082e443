/* SPDX-License-Identifier: Apache-2.0 */
/* What gondolin diff and gondolin apply make of a layer. */
#include "tests/unit/changes/changes_test.h"

int
main(void)
{
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	add_layer_suite();
	add_host_suite();
	add_text_suite();
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures > 0;
}
