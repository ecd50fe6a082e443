/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of egress's unit tests. */
#ifndef GONDOLIN_TESTS_UNIT_EGRESS_SUITES_H
#define GONDOLIN_TESTS_UNIT_EGRESS_SUITES_H

#include <CUnit/CUnit.h>

extern CU_TestInfo address_tests[], budget_tests[], decode_tests[], policy_tests[], request_tests[],
    resolver_tests[], scrubber_tests[], secret_tests[];

#endif
