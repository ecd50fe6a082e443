/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of egress's messages: a supervisor that errs, a netproxy that was taken over. */
#include <CUnit/Basic.h>

#include "suites.h"
#include "tests/run.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"set-up", NULL, NULL, NULL, NULL, setup_tests},
	    {"requests", NULL, NULL, NULL, NULL, requests_tests},
	    {"answers", NULL, NULL, NULL, NULL, answers_tests},
	    CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
