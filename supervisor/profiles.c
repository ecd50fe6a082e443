/* SPDX-License-Identifier: Apache-2.0 */
/* The table of profiles. */
#include "supervisor/profiles.h"

#include <string.h>

#include "egress/profile.h"
#include "netproxy/profile.h"
#include "supervisor/guard.h"
#include "vfsd/profile.h"
#include "vmrunner/profile.h"
#include "vmrunner/qemu/qemu.h"

const struct jail_profile *const profiles[] = {
    &guard_profile,
    &qemu_profile,
    &vmrunner_profile,
    &vfsd_profile,
    &netproxy_profile,
    &egress_profile,
};
const size_t n_profiles = sizeof(profiles) / sizeof(profiles[0]);

const struct jail_profile *
profile_find(const char *name)
{
	size_t i;

	for (i = 0; i < n_profiles; i++)
		if (strcmp(profiles[i]->name, name) == 0)
			return profiles[i];
	return NULL;
}
