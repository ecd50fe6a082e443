/* SPDX-License-Identifier: Apache-2.0 */
/* What a command's child does itself instead of running a program: files in and out. */
#ifndef GONDOLIN_GUEST_BUILTIN_H
#define GONDOLIN_GUEST_BUILTIN_H

#include "ipc/agent.pb-c.h"

/*
 * Unpacks descriptor 0 at path, or writes path to descriptor 1 (ipc/tar.h says how), as the user
 * and in the working directory of the process.  What goes wrong is a line on descriptor 2.
 * Returns the exit code: 0, or 1.
 */
int builtin_run(Gondolin__AgentBuiltin builtin, const char *path);

#endif
