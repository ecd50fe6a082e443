/* SPDX-License-Identifier: Apache-2.0 */
/* Providers to test: see the header. */
#include "tests/unit/vfs/trees.h"

#include <CUnit/Basic.h>

#include "tests/unit/vfs/guest.h"
#include "vfsd/layer_hide.h"
#include "vfsd/provider_cow.h"
#include "vfsd/provider_host.h"
#include "vfsd/provider_memory.h"

struct vfs_provider *
tree_memory(uint64_t bytes)
{
	struct vfs_memory_config config = {.bytes = bytes, .mode = 0755};
	struct vfs_provider *p = NULL;

	CU_ASSERT_EQUAL_FATAL(vfs_memory_new(&config, &p), 0);
	return p;
}

struct vfs_provider *
tree_host(struct test_dir *d)
{
	struct vfs_host_config config = {.squash = true};
	struct vfs_provider *p = NULL;

	config.root = d->fd;
	CU_ASSERT_EQUAL_FATAL(vfs_host_new(&config, &p), 0);
	return p;
}

struct vfs_provider *
tree_cow(struct vfs_provider *lower, struct vfs_provider *upper)
{
	struct vfs_provider *p = NULL;

	CU_ASSERT_EQUAL_FATAL(vfs_cow_new(lower, upper, &p), 0);
	return p;
}

struct vfs_provider *
tree_hide(struct vfs_provider *lower, uint64_t scratch, const char *a, const char *b)
{
	const char *patterns[] = {a, b};
	struct vfs_hide_config config = {
	    .patterns = patterns, .n_patterns = b != NULL ? 2 : 1, .scratch = scratch};
	struct vfs_provider *p = NULL;

	CU_ASSERT_EQUAL_FATAL(vfs_hide_new(&config, lower, &p), 0);
	return p;
}

struct vfs_provider *
tree_with_secrets(void)
{
	struct vfs_provider *p = tree_memory(TREE_BYTES);
	struct fuse_entry_out e;
	struct guest g;
	uint64_t d;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_put(&g, 1, ".env", "secret"), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "conf", 0755, &d), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, "key", "secret"), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, ".env", "secret"), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, "plain", "open"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, ".env", &e), 0);
	CU_ASSERT_EQUAL(guest_link(&g, e.nodeid, 1, "alias"), 0);
	guest_close(&g);
	return p;
}
