/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of the unit tests of egress's messages. */
#ifndef GONDOLIN_TESTS_UNIT_EGRESS_MESSAGES_SUITES_H
#define GONDOLIN_TESTS_UNIT_EGRESS_MESSAGES_SUITES_H

#include <CUnit/CUnit.h>

extern CU_TestInfo answers_tests[], requests_tests[], setup_tests[];

#endif
