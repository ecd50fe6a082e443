/* SPDX-License-Identifier: Apache-2.0 */
/* netproxy's wall: entered by netproxy, declared and audited by others. */
#ifndef GONDOLIN_NETPROXY_PROFILE_H
#define GONDOLIN_NETPROXY_PROFILE_H

#include "jail/jail.h"

extern const struct jail_profile netproxy_profile;

#endif
