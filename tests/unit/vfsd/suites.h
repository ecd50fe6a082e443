/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of what is around vfsd's core. */
#ifndef GONDOLIN_TESTS_UNIT_VFSD_SUITES_H
#define GONDOLIN_TESTS_UNIT_VFSD_SUITES_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

void add_frame_suite(void);
void add_port_suite(void);
void add_virtqueue_suite(void);
void add_device_suite(void);
void add_relay_suite(void);
void add_map_suite(void);
void add_turns_suite(void);

#endif
