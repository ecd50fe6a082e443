/* SPDX-License-Identifier: Apache-2.0 */
/* Copy on write over a small tree, against a plain copy of that tree. */
#include <stdlib.h>

#include "tests/fuzz/vfs_pair.h"
#include "vfsd/provider_cow.h"
#include "vfsd/provider_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct vfs_provider *
memory(void)
{
	struct vfs_memory_config config = {.bytes = 64u << 20, .mode = 0755};
	struct vfs_provider *p;

	if (vfs_memory_new(&config, &p) != 0)
		abort();
	return p;
}

static int
count(void *ctx, enum vfs_cow_kind kind, const char *path, const struct vfs_attr *attr)
{
	(void)kind;
	(void)path;
	(void)attr;
	++*(size_t *)ctx;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct vfs_provider *model = memory(), *lower = memory(), *upper = memory(), *tested;
	size_t changes = 0;

	vfs_pair_populate(model);
	vfs_pair_populate(lower);
	if (vfs_cow_new(lower, upper, &tested) != 0)
		abort();
	vfs_pair_run(model, tested, bytes, length);
	if (vfs_cow_changes(tested, count, &changes) != 0)
		abort();
	tested->ops->free(tested);
	model->ops->free(model);
	return 0;
}
