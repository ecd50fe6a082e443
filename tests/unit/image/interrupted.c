/* SPDX-License-Identifier: Apache-2.0 */
/* Makers that are killed or cancelled: nothing under a valid name, and the rest is cleaned up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/image/image_test.h"

/* Entries in the store's objects: valid ones and temporary ones. */
static void
count(const struct fixture *f, size_t *valid, size_t *temporary)
{
	char *path = image_format("%s/objects", f->store.path);
	DIR *d = opendir(path);
	struct dirent *e;

	*valid = *temporary = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d)) != NULL) {
		*valid += image_id_ok(e->d_name);
		*temporary += strncmp(e->d_name, ".tmp-", 5) == 0;
	}
	closedir(d);
	free(path);
}

/* Progress that counts down to something. */
struct fuse {
	int left;
	volatile int cancel;
	bool die;
};

static void
burn(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	struct fuse *fuse = ctx;

	(void)what;
	(void)done;
	(void)total;
	if (fuse->left-- > 0)
		return;
	if (fuse->die)
		raise(SIGKILL);
	fuse->cancel = 1;
}

static int
import_with(struct fixture *f, struct fuse *fuse)
{
	struct image_progress p = {.step = burn, .ctx = fuse, .cancel = &fuse->cancel};
	char id[IMAGE_ID_LENGTH + 1];

	return image_import(&f->store, f->source, "made", &p, id, f->error, sizeof(f->error));
}

static void
killed(void)
{
	for (int point = 0; point < IMAGE_PARTS; point++) {
		struct fixture f;
		struct image_list list;
		char id[IMAGE_ID_LENGTH + 1];
		size_t valid, temporary;
		int status;
		pid_t pid;

		fixture_make(&f);
		fabricate(f.source, 1, id);
		pid = fork();
		if (pid == 0) {
			struct fuse fuse = {.left = point, .die = true};

			import_with(&f, &fuse);
			_exit(0);
		}
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		count(&f, &valid, &temporary);
		CU_ASSERT_EQUAL(valid, 0);
		CU_ASSERT_EQUAL(temporary, 1);
		import(&f, 2, "next", id);
		count(&f, &valid, &temporary);
		CU_ASSERT_EQUAL(valid, 1);
		CU_ASSERT_EQUAL(temporary, 0);
		CU_ASSERT_EQUAL(image_list_read(&f.store, &list, f.error, sizeof(f.error)), 0);
		CU_ASSERT_EQUAL(list.n, 1);
		image_list_clear(&list);
		fixture_remove(&f);
	}
}

static void
cancelled(void)
{
	for (int point = 0; point < IMAGE_PARTS; point++) {
		struct fixture f;
		struct fuse fuse = {.left = point};
		char id[IMAGE_ID_LENGTH + 1];
		size_t valid, temporary;

		fixture_make(&f);
		fabricate(f.source, 1, id);
		CU_ASSERT_EQUAL(import_with(&f, &fuse), -EINTR);
		count(&f, &valid, &temporary);
		CU_ASSERT_EQUAL(valid, 0);
		CU_ASSERT_EQUAL(temporary, 0);
		fixture_remove(&f);
	}
}

/* A maker at work keeps its directory while others come and go. */
static void
two_makers(void)
{
	struct fixture f;
	struct image_store other;
	struct image_staging st;
	char id[IMAGE_ID_LENGTH + 1];
	size_t valid, temporary;

	fixture_make(&f);
	CU_ASSERT_EQUAL_FATAL(image_store_open(&other, f.store.path, f.error, sizeof(f.error)), 0);
	CU_ASSERT_EQUAL_FATAL(image_staging_begin(&st, &other, f.error, sizeof(f.error)), 0);
	import(&f, 1, "made", id);
	count(&f, &valid, &temporary);
	CU_ASSERT_EQUAL(valid, 1);
	CU_ASSERT_EQUAL(temporary, 1);
	CU_ASSERT_EQUAL(image_put_file(st.fd, "still-there", "x", 1, 0600), 0);
	image_staging_abort(&st);
	image_staging_abort(&st);
	count(&f, &valid, &temporary);
	CU_ASSERT_EQUAL(temporary, 0);
	image_store_close(&other);
	fixture_remove(&f);
}

/* The same image again: the one that is there stays, and nothing is left over. */
static void
same_image(void)
{
	struct fixture f;
	struct stat before, after;
	char id[IMAGE_ID_LENGTH + 1], *path;
	size_t valid, temporary;

	fixture_make(&f);
	import(&f, 1, "made", id);
	path = image_format("%s/objects/%s", f.store.path, id);
	CU_ASSERT_EQUAL(stat(path, &before), 0);
	import(&f, 1, "other", id);
	CU_ASSERT_EQUAL(stat(path, &after), 0);
	CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
	count(&f, &valid, &temporary);
	CU_ASSERT_EQUAL(valid, 1);
	CU_ASSERT_EQUAL(temporary, 0);
	free(path);
	fixture_remove(&f);
}

/* A tree of links and directories goes; what its links point to stays. */
static void
remove_tree(void)
{
	struct fixture f;
	struct stat st;
	char *deep, *outside, *link, *top;

	fixture_make(&f);
	top = image_format("%s/top", f.dir);
	deep = image_format("%s/top/deep", f.dir);
	link = image_format("%s/top/deep/link", f.dir);
	outside = image_format("%s/outside", f.dir);
	CU_ASSERT_EQUAL(mkdir(top, 0700) + mkdir(deep, 0700) + mkdir(outside, 0700), 0);
	put(outside, "kept", "x");
	put(deep, "gone", "x");
	CU_ASSERT_EQUAL(symlink(outside, link), 0);
	CU_ASSERT_EQUAL(image_remove_tree(AT_FDCWD, top), 0);
	CU_ASSERT_EQUAL(stat(top, &st), -1);
	CU_ASSERT_EQUAL(stat(outside, &st), 0);
	CU_ASSERT_EQUAL(image_remove_tree(AT_FDCWD, top), 0);
	free(top);
	free(deep);
	free(link);
	free(outside);
	fixture_remove(&f);
}

void
add_interrupted_suite(void)
{
	CU_pSuite suite = CU_add_suite("interrupted", NULL, NULL);

	CU_add_test(suite, "killed", killed);
	CU_add_test(suite, "cancelled", cancelled);
	CU_add_test(suite, "two makers", two_makers);
	CU_add_test(suite, "same image", same_image);
	CU_add_test(suite, "remove tree", remove_tree);
}
