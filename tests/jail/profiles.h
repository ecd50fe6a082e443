/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles that the tests know. */
#ifndef GONDOLIN_TESTS_JAIL_PROFILES_H
#define GONDOLIN_TESTS_JAIL_PROFILES_H

#include "jail/jail.h"

/* Those of the suite's processes; NULL ends the list. */
extern const struct jail_profile *const real_profiles[];

/* The tests' own: a program of ours, and a third-party program (without binds). */
extern const struct jail_profile probe_profile;
extern const struct jail_profile foreign_profile;

/* By name, among all of the above; NULL where there is none. */
const struct jail_profile *profile_find(const char *name);

#endif
