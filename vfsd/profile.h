/* SPDX-License-Identifier: Apache-2.0 */
/* vfsd's wall: entered by vfsd, declared and audited by others. */
#ifndef GONDOLIN_VFSD_PROFILE_H
#define GONDOLIN_VFSD_PROFILE_H

#include "jail/jail.h"

/* Bytes that all mounts of a sandbox may keep in memory; RLIMIT_AS has room for them. */
#define VFSD_MEMORY_MAX (16ull << 30)

extern const struct jail_profile vfsd_profile;

#endif
