/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of jail's unit tests; each adds its tests to the registry. */
#ifndef GONDOLIN_TESTS_UNIT_JAIL_TEST_H
#define GONDOLIN_TESTS_UNIT_JAIL_TEST_H

#include <CUnit/CUnit.h>

void audit_suite(CU_pSuite suite);
void declared_suite(CU_pSuite suite);
void descriptors_suite(CU_pSuite suite);
void filter_suite(CU_pSuite suite);
void names_suite(CU_pSuite suite);

#endif
