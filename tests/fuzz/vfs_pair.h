/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two providers that must behave alike: the same requests to both, made from fuzzed bytes, and any
 * difference that the guest could see ends the program.
 */
#ifndef GONDOLIN_TESTS_FUZZ_VFS_PAIR_H
#define GONDOLIN_TESTS_FUZZ_VFS_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "vfsd/provider.h"

/* Serves both, works through the bytes, compares, ends the servers.  The providers stay. */
void vfs_pair_run(
    struct vfs_provider *model, struct vfs_provider *tested, const uint8_t *bytes, size_t length);

/* Makes the same small tree in a provider. */
void vfs_pair_populate(struct vfs_provider *p);

#endif
