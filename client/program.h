/* SPDX-License-Identifier: Apache-2.0 */
/* Where the suite's other programs are. */
#ifndef GONDOLIN_CLIENT_PROGRAM_H
#define GONDOLIN_CLIENT_PROGRAM_H

#include <stddef.h>

/*
 * Finds a program: beside the running one, else where this tree is installed (libexec, then bin).
 * Returns 0, or -ENOENT.
 */
int program_find(const char *name, char *path, size_t size);

#endif
