/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the suites of the network stack. */
#include <CUnit/Basic.h>

#include "suites.h"
#include "tests/run.h"

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

	return run_suites(suites);
}
