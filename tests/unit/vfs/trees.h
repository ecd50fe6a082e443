/* SPDX-License-Identifier: Apache-2.0 */
/* Providers to test, each ended by the test. */
#ifndef GONDOLIN_TESTS_UNIT_VFS_TREES_H
#define GONDOLIN_TESTS_UNIT_VFS_TREES_H

#include "tests/unit/vfs/suites.h"
#include "vfsd/provider.h"

#define TREE_BYTES (4u << 20)

struct vfs_provider *tree_memory(uint64_t bytes);
struct vfs_provider *tree_host(struct test_dir *d);
struct vfs_provider *tree_cow(struct vfs_provider *lower, struct vfs_provider *upper);

/* scratch: bytes, 0 = deny; b may be NULL. */
struct vfs_provider *
tree_hide(struct vfs_provider *lower, uint64_t scratch, const char *a, const char *b);

/* In memory, made behind a layer's back: .env, its other name "alias", conf/key, conf/.env. */
struct vfs_provider *tree_with_secrets(void);

#endif
