/* SPDX-License-Identifier: Apache-2.0 */
/* Where the suite's own programs are. */
#ifndef GONDOLIN_SUPERVISOR_PROGRAMS_H
#define GONDOLIN_SUPERVISOR_PROGRAMS_H

#include <stddef.h>

/*
 * The path of a program of the suite: beside the running one (a build tree), or in the libexec
 * folder that it was installed with. Returns 0, or -ENOENT with a line in error.
 */
int program_path(const char *name, char *path, size_t size, char *error, size_t error_size);

#endif
