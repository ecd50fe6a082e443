/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of vfsd's core. */
#include <CUnit/Basic.h>
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
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

/* By names in their own directories: some tests make paths that no call takes whole. */
static void
remove_tree(int above, const char *name)
{
	struct dirent *entry;
	DIR *stream;
	int fd;

	if (unlinkat(above, name, 0) == 0)
		return;
	fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	stream = fd >= 0 ? fdopendir(fd) : NULL;
	assert(stream != NULL);
	while ((entry = readdir(stream)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_tree(fd, entry->d_name);
	closedir(stream);
	CU_ASSERT_EQUAL(unlinkat(above, name, AT_REMOVEDIR), 0);
}

void
test_dir_remove(struct test_dir *d)
{
	close(d->fd);
	remove_tree(AT_FDCWD, d->path);
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
	    {"quotas", quota_tests},
	    {"host", host_tests},
	    {"providers", provider_tests},
	    {"hide", hide_tests},
	    {"cow", cow_tests},
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
