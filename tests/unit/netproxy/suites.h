/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of this test; each ends with a row without a name. */
#ifndef GONDOLIN_TESTS_NETPROXY_SUITES_H
#define GONDOLIN_TESTS_NETPROXY_SUITES_H

#include <CUnit/CUnit.h>

extern CU_TestInfo base_tests[], lan_tests[], dhcp_tests[], tcp_state_tests[], tcp_data_tests[],
    tcp_hostile_tests[], link_tests[];

#endif
