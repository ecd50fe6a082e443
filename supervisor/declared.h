/* SPDX-License-Identifier: Apache-2.0 */
/* `gondolin-supervisor --audit`: which processes a configuration asks for, and what they may do. */
#ifndef GONDOLIN_SUPERVISOR_DECLARED_H
#define GONDOLIN_SUPERVISOR_DECLARED_H

#include <stdbool.h>

#include "ipc/session.h"
#include "supervisor/config.h"

/* Names in *info the processes that a sandbox of this configuration has, for the live audit. */
void declared_processes(const struct config *c, struct session_info *info);

/* Prints it on stdout, for people or as one JSON object.  Returns 0, or -errno where stdout cannot
 * be written. */
int declared_print(const struct config *c, bool json);

#endif
