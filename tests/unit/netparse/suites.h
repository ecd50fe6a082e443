/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of the parsers above TCP and UDP. */
#ifndef GONDOLIN_TESTS_NETPARSE_SUITES_H
#define GONDOLIN_TESTS_NETPARSE_SUITES_H

#include <CUnit/CUnit.h>

extern CU_TestInfo dns_tests[], first_bytes_tests[], http1_tests[], syntax_tests[],
    websocket_tests[];

#endif
