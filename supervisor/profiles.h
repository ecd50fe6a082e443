/* SPDX-License-Identifier: Apache-2.0 */
/* The walls of all processes that a session's file may name: what `audit` compares with. */
#ifndef GONDOLIN_SUPERVISOR_PROFILES_H
#define GONDOLIN_SUPERVISOR_PROFILES_H

#include <stddef.h>

#include "jail/jail.h"

/* In the order of their starts. */
extern const struct jail_profile *const profiles[];
extern const size_t n_profiles;

/* The profile of that name, or NULL. */
const struct jail_profile *profile_find(const char *name);

#endif
