/* SPDX-License-Identifier: Apache-2.0 */
/* The host provider on a directory of its own, against the one in memory. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/vfs_pair.h"
#include "vfsd/provider_host.h"
#include "vfsd/provider_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct vfs_memory_config memory = {.bytes = 64u << 20, .mode = 0755};
	struct vfs_host_config config = {.squash = true};
	char path[] = "/tmp/gondolin-fuzz-XXXXXX";
	struct vfs_provider *model, *tested;

	umask(0);
	if (mkdtemp(path) == NULL)
		abort();
	config.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (vfs_memory_new(&memory, &model) != 0 || vfs_host_new(&config, &tested) != 0)
		abort();
	vfs_pair_run(model, tested, bytes, length);
	tested->ops->free(tested);
	model->ops->free(model);
	close(config.root);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
