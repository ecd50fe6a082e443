/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of this binary. */
#ifndef GONDOLIN_TESTS_VMRUNNER_TESTS_H
#define GONDOLIN_TESTS_VMRUNNER_TESTS_H

#include <CUnit/CUnit.h>

extern CU_TestInfo agent_tests[];
extern CU_TestInfo control_tests[];
extern CU_TestInfo detach_tests[];
extern CU_TestInfo exec_tests[];
extern CU_TestInfo loopback_tests[];
extern CU_TestInfo machine_tests[];
extern CU_TestInfo network_tests[];
extern CU_TestInfo qmp_tests[];

#endif
