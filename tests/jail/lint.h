/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that every profile keeps. */
#ifndef GONDOLIN_TESTS_JAIL_LINT_H
#define GONDOLIN_TESTS_JAIL_LINT_H

#include "jail/jail.h"

/* Writes one line for each rule that the profile breaks; returns how many. */
unsigned lint_profile(const struct jail_profile *p, FILE *out);

#endif
