/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of egress's core. */
#include <CUnit/Basic.h>

#include "suites.h"
#include "tests/run.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"policy", NULL, NULL, NULL, NULL, policy_tests},
	    {"address", NULL, NULL, NULL, NULL, address_tests},
	    {"request", NULL, NULL, NULL, NULL, request_tests},
	    {"resolver", NULL, NULL, NULL, NULL, resolver_tests},
	    {"scrubber", NULL, NULL, NULL, NULL, scrubber_tests},
	    {"secret", NULL, NULL, NULL, NULL, secret_tests},
	    {"decode", NULL, NULL, NULL, NULL, decode_tests},
	    {"budget", NULL, NULL, NULL, NULL, budget_tests},
	    CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
