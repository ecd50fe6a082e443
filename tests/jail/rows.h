/* SPDX-License-Identifier: Apache-2.0 */
/* Names the rows of profiles, and finds the rows that a system call uses. */
#ifndef GONDOLIN_TESTS_JAIL_ROWS_H
#define GONDOLIN_TESTS_JAIL_ROWS_H

#include <stdint.h>

#include "tests/jail/profiles.h"

#define ROW_KEY_MAX 256u

/* True where the row applies to this call (with six arguments). */
bool row_matches(const struct jail_syscall *row, uint64_t number, const uint64_t *args);

/* "vmrunner mmap arg2 & 0x4 == 0x0": the same for the same row in every build. */
void row_key(const struct jail_profile *p, const struct jail_syscall *row, char *out, size_t size);

#endif
