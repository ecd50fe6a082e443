/* SPDX-License-Identifier: Apache-2.0 */
/* Suites of the configuration's tests, and what they share. */
#ifndef GONDOLIN_TESTS_UNIT_CONFIG_TEST_H
#define GONDOLIN_TESTS_UNIT_CONFIG_TEST_H

#include <CUnit/Basic.h>

#include "supervisor/config.h"

/* Parses text that must be right; NULL (and a failed assertion) where it is not. */
struct config *parse(const char *text);

/* Parses text that must be refused with just this message. */
void refuse(const char *text, const char *message);

void add_add_suite(void);
void add_values_suite(void);
void add_errors_suite(void);
void add_quote_suite(void);
void add_manual_suite(void);

#endif
