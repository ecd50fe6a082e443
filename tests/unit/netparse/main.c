/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the suites of the parsers above TCP and UDP. */
#include <CUnit/Basic.h>

#include "suites.h"
#include "tests/run.h"

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

	return run_suites(suites);
}
