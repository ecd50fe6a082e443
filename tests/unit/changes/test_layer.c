/* SPDX-License-Identifier: Apache-2.0 */
/* The archive of a layer: what is read from it, and what is refused. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/changes/changes_test.h"

#define GONE   "/.gondolin/gone"
#define OPAQUE ".gondolin-opaque"

static void
test_order_and_marks(void)
{
	static const struct row rows[] = {
	    {TAR_DIRECTORY, "a", NULL, 0755},
	    {TAR_FILE, "a/file", "text", 04755},
	    {TAR_SYMLINK, "a/" OPAQUE, GONE, 0777},
	    {TAR_FILE, "a b", "", 0644},
	    {TAR_SYMLINK, "gone", GONE, 0777},
	    {TAR_SYMLINK, "link", "/etc/passwd", 0777},
	    {.name = NULL},
	};
	static const char *const want[] = {"a", "a/file", "a b", "gone", "link"};
	struct changes_layer l;
	char error[CHANGES_ERROR_SIZE], text[4];
	int fd = make_archive(rows);
	size_t i;

	CU_ASSERT_EQUAL_FATAL(changes_layer_read(&l, fd, error), 0);
	CU_ASSERT_EQUAL_FATAL(l.n, 5);
	for (i = 0; i < 5; i++)
		CU_ASSERT_STRING_EQUAL(l.entries[i].path, want[i]);
	CU_ASSERT_TRUE(l.entries[0].opaque);
	CU_ASSERT_TRUE(l.entries[3].gone);
	CU_ASSERT_FALSE(l.entries[4].gone);
	/* Never setuid, whatever the archive says. */
	CU_ASSERT_EQUAL(l.entries[1].mode, 0755);
	CU_ASSERT_EQUAL(pread(fd, text, 4, l.entries[1].data), 4);
	CU_ASSERT_EQUAL(memcmp(text, "text", 4), 0);
	CU_ASSERT_PTR_EQUAL(changes_layer_find(&l, "a/file"), &l.entries[1]);
	CU_ASSERT_PTR_NULL(changes_layer_find(&l, "a/none"));
	changes_layer_clear(&l);
	close(fd);
}

static void
test_refused(void)
{
	static const struct row tables[][4] = {
	    {{TAR_FILE, "twice", "1", 0644}, {TAR_FILE, "twice", "2", 0644}},
	    {{TAR_FILE, "none/file", "1", 0644}},
	    {{TAR_SYMLINK, "link", "/etc", 0777}, {TAR_FILE, "link/passwd", "x", 0644}},
	    {{TAR_SYMLINK, "gone", GONE, 0777}, {TAR_FILE, "gone/file", "x", 0644}},
	    {{TAR_FILE, "file", "", 0644}, {TAR_FILE, "file/file", "x", 0644}},
	    {{TAR_FILE, "../out", "1", 0644}},
	    {{TAR_FILE, "/out", "1", 0644}},
	    {{TAR_DIRECTORY, "./a", NULL, 0755}},
	    {{TAR_FILE, "a", "1", 0644}, {TAR_HARDLINK, "b", "a", 0644}},
	    {{TAR_FILE, OPAQUE, "1", 0644}},
	    {{TAR_SYMLINK, OPAQUE, GONE, 0777}},
	    {{TAR_DIRECTORY, "d", NULL, 0755}, {TAR_FILE, "d/" OPAQUE, "x", 0644}},
	};
	struct changes_layer l;
	char error[CHANGES_ERROR_SIZE];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		fd = make_archive(tables[i]);
		error[0] = '\0';
		CU_ASSERT_EQUAL(changes_layer_read(&l, fd, error), -EPROTO);
		CU_ASSERT_NOT_EQUAL(error[0], '\0');
		changes_layer_clear(&l);
		close(fd);
	}
}

/* Holes cost the guest nothing, and a reader its time: refused before any is read. */
static void
test_too_much(void)
{
	static const struct row rows[] = {
	    {TAR_FILE, "a", "", 0644},
	    {TAR_FILE, "b", "x", 0644},
	    {.name = NULL},
	};
	struct changes_layer l;
	char error[CHANGES_ERROR_SIZE] = "";
	int fd = make_sparse_archive(rows, CHANGES_BYTES_MAX / 2);

	CU_ASSERT_EQUAL(changes_layer_read(&l, fd, error), -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "20 GiB"));
	changes_layer_clear(&l);
	close(fd);
}

static void
test_cut(void)
{
	static const struct row rows[] = {{TAR_FILE, "a", "content", 0644}, {.name = NULL}};
	struct changes_layer l;
	char error[CHANGES_ERROR_SIZE];
	int fd = make_archive(rows);
	off_t end = lseek(fd, 0, SEEK_END);

	for (end -= TAR_BLOCK; end >= 0; end -= TAR_BLOCK) {
		CU_ASSERT_EQUAL(ftruncate(fd, end), 0);
		CU_ASSERT_EQUAL(changes_layer_read(&l, fd, error), -EPROTO);
		changes_layer_clear(&l);
	}
	close(fd);
}

void
add_layer_suite(void)
{
	CU_pSuite suite = CU_add_suite("layer", NULL, NULL);

	CU_add_test(suite, "order and marks", test_order_and_marks);
	CU_add_test(suite, "refused", test_refused);
	CU_add_test(suite, "too much", test_too_much);
	CU_add_test(suite, "cut anywhere", test_cut);
}
