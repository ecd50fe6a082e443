/* SPDX-License-Identifier: Apache-2.0 */
/* egress's wall: entered by egress, declared and audited by others. */
#ifndef GONDOLIN_EGRESS_PROFILE_H
#define GONDOLIN_EGRESS_PROFILE_H

#include "jail/jail.h"

extern const struct jail_profile egress_profile;

#endif
