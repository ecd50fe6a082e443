/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of every process: does a dispatch table fit its envelope? */
#ifndef GONDOLIN_TESTS_UNIT_IPC_TABLE_H
#define GONDOLIN_TESTS_UNIT_IPC_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/dispatch.h"

/*
 * True where each case of the envelope has just one row with a handler, a state and sane descriptor
 * counts, no row is without a case, and the message types are ones that we decode safely: nothing
 * beside the oneof, no type within itself, no `string` (an embedded NUL hides in it).  Otherwise
 * why says what is wrong.
 */
bool ipc_table_covers(const struct ipc_table *t, char *why, size_t why_size);

#endif
