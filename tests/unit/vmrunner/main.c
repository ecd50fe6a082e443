/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of vmrunner. */
#include <CUnit/Basic.h>

#include <sys/resource.h>

#include "tests.h"
#include "tests/run.h"

int
main(void)
{
	CU_SuiteInfo suites[] = {
	    {"agent", NULL, NULL, NULL, NULL, agent_tests},
	    {"control", NULL, NULL, NULL, NULL, control_tests},
	    {"detach", NULL, NULL, NULL, NULL, detach_tests},
	    {"exec", NULL, NULL, NULL, NULL, exec_tests},
	    {"machine", NULL, NULL, NULL, NULL, machine_tests},
	    {"network", NULL, NULL, NULL, NULL, network_tests},
	    {"qmp", NULL, NULL, NULL, NULL, qmp_tests},
	    {"loopback", NULL, NULL, NULL, NULL, loopback_tests},
	    CU_SUITE_INFO_NULL,
	};
	struct rlimit files;

	/* Both ends of 256 commands are in this process. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return run_suites(suites);
}
