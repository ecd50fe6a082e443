/* SPDX-License-Identifier: Apache-2.0 */
/* Suites of the client's tests. */
#ifndef GONDOLIN_TESTS_UNIT_CLIENT_TEST_H
#define GONDOLIN_TESTS_UNIT_CLIENT_TEST_H

void add_library_suite(void);
void add_options_suite(void);
void add_relay_suite(void);
void add_terminal_suite(void);

#endif
