/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of the unit tests of netproxy's HTTP and of its edge to egress. */
#ifndef GONDOLIN_TESTS_UNIT_NETPROXY_HTTP_SUITES_H
#define GONDOLIN_TESTS_UNIT_NETPROXY_HTTP_SUITES_H

#include <CUnit/CUnit.h>

extern CU_TestInfo http1_tests[], http2_tests[], names_tests[], messages_tests[];

#endif
