/* SPDX-License-Identifier: Apache-2.0 */
/* Suites of ipc's tests. */
#ifndef GONDOLIN_TESTS_UNIT_IPC_TEST_H
#define GONDOLIN_TESTS_UNIT_IPC_TEST_H

#include <CUnit/Basic.h>

void add_channel_suite(void);
void add_json_suite(void);
void add_message_suite(void);
void add_packet_suite(void);
void add_sha256_suite(void);
void add_table_suite(void);
void add_text_suite(void);

/* Descriptors that the process has open. */
unsigned count_fds(void);

#endif
