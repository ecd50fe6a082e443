/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of vfsd's core. */
#include <CUnit/Basic.h>
#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/run.h"
#include "tests/unit/vfs/suites.h"

void
test_dir_make(struct test_dir *d)
{
	strcpy(d->path, "/tmp/gondolin-vfs-XXXXXX");
	assert(mkdtemp(d->path) != NULL);
	d->fd = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert(d->fd >= 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
test_dir_remove(struct test_dir *d)
{
	close(d->fd);
	nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	static const struct {
		const char *name;
		const struct test_row *rows;
	} suites[] = {
	    {"wire", wire_tests},
	    {"server", server_tests},
	    {"host", host_tests},
	    {"providers", provider_tests},
	};
	const struct test_row *row;
	CU_pSuite suite;
	size_t i;

	umask(0);
	begin_tests();
	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		suite = CU_add_suite(suites[i].name, NULL, NULL);
		for (row = suites[i].rows; row->name != NULL; row++)
			CU_add_test(suite, row->name, row->run);
	}
	return run_tests();
}
