/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of netproxy's HTTP servers, with a hostile guest at one end and a hostile egress at
 * the other. */
#include <CUnit/Basic.h>

#include "suites.h"
#include "tests/run.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"http1", NULL, NULL, NULL, NULL, http1_tests},
	    {"http2", NULL, NULL, NULL, NULL, http2_tests},
	    {"names", NULL, NULL, NULL, NULL, names_tests},
	    {"messages", NULL, NULL, NULL, NULL, messages_tests},
	    CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
