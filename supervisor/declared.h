/* SPDX-License-Identifier: Apache-2.0 */
/* `gondolin-supervisor --audit`: what a configuration's processes may do, without starting one. */
#ifndef GONDOLIN_SUPERVISOR_DECLARED_H
#define GONDOLIN_SUPERVISOR_DECLARED_H

#include <stdbool.h>

#include "supervisor/config.h"

/* Prints it on stdout, for people or as one JSON object.  Returns 0, or -errno where stdout cannot
 * be written. */
int declared_print(const struct config *c, bool json);

#endif
