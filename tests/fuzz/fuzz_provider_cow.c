/* SPDX-License-Identifier: Apache-2.0 */
/* Copy on write over a small tree, against a plain copy of that tree. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/tar.h"
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

/* What is exported is an archive that our own reader takes. */
static void
check_export(struct vfs_provider *p)
{
	int fd = memfd_create("layer", MFD_CLOEXEC), rc;
	const struct tar_source source = tar_source_fd(&fd);
	struct tar_reader *r = tar_reader_new(&source);
	static struct tar_entry e;
	const char *why;

	if (fd < 0 || r == NULL || vfs_cow_export(p, fd) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	do
		rc = tar_reader_next(r, &e, &why);
	while (rc == 1);
	if (rc != 0)
		abort();
	tar_reader_free(r);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct vfs_provider *model = memory(), *lower = memory(), *upper = memory(), *tested;

	vfs_pair_populate(model);
	vfs_pair_populate(lower);
	if (vfs_cow_new(lower, upper, &tested) != 0)
		abort();
	vfs_pair_run(model, tested, bytes, length);
	check_export(tested);
	tested->ops->free(tested);
	model->ops->free(model);
	return 0;
}
