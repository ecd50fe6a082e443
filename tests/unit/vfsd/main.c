/* SPDX-License-Identifier: Apache-2.0 */
/* The process around vfsd's core, the guest's relay, and how owners are mapped. */
#include <signal.h>

#include "tests/unit/vfsd/suites.h"

int
main(void)
{
	unsigned failures;

	(void)signal(SIGPIPE, SIG_IGN);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	add_frame_suite();
	add_port_suite();
	add_relay_suite();
	add_map_suite();
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures > 0;
}
