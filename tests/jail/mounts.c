/* SPDX-License-Identifier: Apache-2.0 */
/* What a vfsd that was taken over has of a host directory: that directory, and no way up. */
#include "supervisor/mounts.h"

#include <CUnit/Basic.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/jail/support.h"
#include "tests/run.h"

static char place[] = "/tmp/gondolin-mounts-XXXXXX";

/* place has "private", which nobody grants, and "shared" with "inner/file". */
static void
make_tree(void)
{
	static const char *const folders[] = {"", "/shared", "/shared/inner"};
	static const char *const files[] = {"/private", "/shared/inner/file"};
	char path[64];
	size_t i;
	int fd;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place));
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", place, folders[i]);
		CU_ASSERT_TRUE(mkdir(path, 0755) == 0 || i == 0);
		CU_ASSERT_EQUAL(chmod(path, 0755), 0);
	}
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", place, files[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		CU_ASSERT_TRUE_FATAL(fd >= 0);
		close(fd);
	}
}

static void
remove_tree(void)
{
	static const char *const names[] = {
	    "/shared/inner/file", "/shared/inner/made", "/shared/inner", "/shared", "/private", ""};
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", place, names[i]);
		(void)remove(path);
	}
	memcpy(place + strlen(place) - 6, "XXXXXX", 6);
}

static unsigned
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
open_shared(enum config_mount_mode mode)
{
	char host[64], error[512], workspace[] = "/workspace";
	struct config_mount c = {.path = workspace, .host = host, .mode = mode};
	struct mounts_row row = {.config = &c, .dir = -1};
	const struct jail_identity id = support_identity();
	const unsigned before = count_fds();

	(void)snprintf(host, sizeof(host), "%s/shared", place);
	CU_ASSERT_EQUAL_FATAL(mounts_open(&row, "test.conf", &id, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(count_fds(), before + 1);
	return row.dir;
}

/* Nothing above it has a name. */
static void
test_no_way_up(void)
{
	static const char *const above[] = {
	    "../private", "inner/../../private", "../../../../../../etc/passwd"};
	static const char *const up[] = {"..", "../..", "inner/../../.."};
	struct stat here, there;
	size_t i;
	int dir;

	make_tree();
	dir = open_shared(CONFIG_MOUNT_RW);
	CU_ASSERT_EQUAL(fstat(dir, &here), 0);
	for (i = 0; i < sizeof(above) / sizeof(above[0]); i++) {
		CU_ASSERT_EQUAL(openat(dir, above[i], O_PATH | O_CLOEXEC), -1);
		CU_ASSERT_EQUAL(errno, ENOENT);
		CU_ASSERT_EQUAL(fchmodat(dir, above[i], 0777, 0), -1);
		CU_ASSERT_EQUAL(errno, ENOENT);
	}
	for (i = 0; i < sizeof(up) / sizeof(up[0]); i++) {
		CU_ASSERT_EQUAL(fstatat(dir, up[i], &there, 0), 0);
		CU_ASSERT_EQUAL(there.st_dev, here.st_dev);
		CU_ASSERT_EQUAL(there.st_ino, here.st_ino);
	}
	close(dir);
	remove_tree();
}

/* What the guest may only read, its server may only read as well; so for a copy-on-write mount. */
static void
test_read_only(void)
{
	static const enum config_mount_mode modes[] = {CONFIG_MOUNT_RO, CONFIG_MOUNT_COW};
	size_t i;
	int dir;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		make_tree();
		dir = open_shared(modes[i]);
		CU_ASSERT_EQUAL(openat(dir, "inner/made", O_WRONLY | O_CREAT, 0644), -1);
		CU_ASSERT_EQUAL(errno, EROFS);
		CU_ASSERT_EQUAL(fchmodat(dir, "inner/file", 0777, 0), -1);
		CU_ASSERT_EQUAL(errno, EROFS);
		CU_ASSERT_EQUAL(unlinkat(dir, "inner/file", 0), -1);
		CU_ASSERT_EQUAL(errno, EROFS);
		CU_ASSERT_EQUAL(faccessat(dir, "inner/file", R_OK, 0), 0);
		close(dir);
		remove_tree();
	}
}

/* It is the directory itself, not a copy. */
static void
test_writable(void)
{
	char path[64];
	int dir, fd;

	make_tree();
	dir = open_shared(CONFIG_MOUNT_RW);
	if (!support_identity().root_started) {
		fd = openat(dir, "inner/made", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		CU_ASSERT_TRUE(fd >= 0);
		close(fd);
		(void)snprintf(path, sizeof(path), "%s/shared/inner/made", place);
		CU_ASSERT_EQUAL(access(path, F_OK), 0);
	}
	close(dir);
	remove_tree();
}

static int
suite(void)
{
	CU_pSuite s;

	begin_tests();
	s = CU_add_suite("mounts", NULL, NULL);
	CU_add_test(s, "no way up", test_no_way_up);
	CU_add_test(s, "read-only where the guest only reads", test_read_only);
	CU_add_test(s, "the directory itself", test_writable);
	return run_tests();
}

int
main(int argc, char **argv)
{
	return support_main(argc, argv, suite);
}
