/* SPDX-License-Identifier: Apache-2.0 */
/* vmrunner's wall: entered by vmrunner, declared and audited by others. */
#ifndef GONDOLIN_VMRUNNER_PROFILE_H
#define GONDOLIN_VMRUNNER_PROFILE_H

#include "jail/jail.h"

extern const struct jail_profile vmrunner_profile;

#endif
