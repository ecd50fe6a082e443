/* SPDX-License-Identifier: Apache-2.0 */
/* Suites of the network policy's tests. */
#ifndef GONDOLIN_TESTS_UNIT_NETWORK_TEST_H
#define GONDOLIN_TESTS_UNIT_NETWORK_TEST_H

void add_secrets_suite(void);

#endif
