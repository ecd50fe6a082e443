/* SPDX-License-Identifier: Apache-2.0 */
/* A layer against a directory, and into it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/changes/changes_test.h"

#define HOLE ((64u << 20) + 1)

struct fixture {
	char path[64];
	int root, archive;
	struct changes_layer layer;
	struct changes changes;
	struct changes_base base;
	char error[CHANGES_ERROR_SIZE];
	struct changes_print applied[16];
	size_t n_done;
};

static void
put(struct fixture *f, const char *name, const char *text)
{
	int fd = openat(f->root, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
expect(struct fixture *f, const char *name, const char *text)
{
	char bytes[64] = "";
	int fd = openat(f->root, name, O_RDONLY | O_NOFOLLOW);

	CU_ASSERT_EQUAL(fd >= 0, text != NULL);
	if (fd < 0)
		return;
	CU_ASSERT(read(fd, bytes, sizeof(bytes) - 1) >= 0);
	CU_ASSERT_STRING_EQUAL(bytes, text);
	close(fd);
}

static void
start(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->path, "/tmp/gondolin-changes-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->path));
	f->root = open(f->path, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_FATAL(f->root >= 0);
	f->base.root = f->root;
	f->base.applied = f->applied;
	f->base.opened.tv_sec = INT32_MAX; /* no change is later, unless a test says so */
	f->archive = -1;
}

/* Takes the archive. */
static int
compare_archive(struct fixture *f, int archive)
{
	changes_clear(&f->changes);
	changes_layer_clear(&f->layer);
	if (f->archive >= 0)
		close(f->archive);
	f->archive = archive;
	CU_ASSERT_EQUAL_FATAL(changes_layer_read(&f->layer, f->archive, f->error), 0);
	return changes_compare(&f->changes, &f->layer, &f->base, "/w", f->error);
}

static int
compare(struct fixture *f, const struct row *rows)
{
	return compare_archive(f, make_archive(rows));
}

static void
note(void *ctx, const struct changes_print *p)
{
	struct fixture *f = ctx;

	if (f->base.n_applied < 16)
		f->applied[f->base.n_applied++] = *p;
}

static int
apply(struct fixture *f)
{
	int rc = changes_apply(&f->changes, &f->layer, f->root, note, f, &f->n_done, f->error);

	changes_prints_sort(f->applied, f->base.n_applied);
	return rc;
}

static int
drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void
end(struct fixture *f)
{
	changes_clear(&f->changes);
	changes_layer_clear(&f->layer);
	close(f->archive);
	close(f->root);
	nftw(f->path, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void
test_conflicts(void)
{
	static const struct row rows[] = {
	    {TAR_FILE, "f", "guest", 0644}, {TAR_FILE, "same", "same", 0644}, {.name = NULL}};
	struct fixture f;

	start(&f);
	put(&f, "f", "host");
	put(&f, "same", "same");
	f.base.opened.tv_sec = 1;
	CU_ASSERT_EQUAL(compare(&f, rows), 0);
	CU_ASSERT_EQUAL_FATAL(f.changes.n, 1);
	CU_ASSERT_EQUAL(f.changes.conflicts, 1);
	/* What apply left is nobody else's change. */
	CU_ASSERT_EQUAL(apply(&f), 0);
	CU_ASSERT_EQUAL(compare(&f, rows), 0);
	CU_ASSERT_EQUAL(f.changes.n, 0);
	put(&f, "same", "other");
	CU_ASSERT_EQUAL(compare(&f, rows), 0);
	CU_ASSERT_EQUAL(f.changes.conflicts, 1);
	end(&f);
}

static void
test_id(void)
{
	static const struct row one[] = {{TAR_FILE, "f", "guest", 0644}, {.name = NULL}};
	static const struct row other[] = {{TAR_FILE, "f", "Guest", 0644}, {.name = NULL}};
	char id[SHA256_HEX_SIZE];
	struct fixture f;

	start(&f);
	put(&f, "f", "host");
	CU_ASSERT_EQUAL(compare(&f, one), 0);
	memcpy(id, f.changes.id, sizeof(id));
	CU_ASSERT_EQUAL(compare(&f, one), 0);
	CU_ASSERT_STRING_EQUAL(id, f.changes.id);
	CU_ASSERT_EQUAL(compare(&f, other), 0);
	CU_ASSERT_STRING_NOT_EQUAL(id, f.changes.id);
	put(&f, "f", "hosT");
	CU_ASSERT_EQUAL(compare(&f, one), 0);
	CU_ASSERT_STRING_NOT_EQUAL(id, f.changes.id);
	end(&f);
}

/* The host changes a file between the look and the change. */
static void
test_late_change(void)
{
	static const struct row rows[] = {{TAR_FILE, "f", "guest", 0644},
	    {TAR_SYMLINK, "g", "/.gondolin/gone", 0777}, {TAR_FILE, "n", "new", 0644},
	    {.name = NULL}};
	static const char *const names[] = {"f", "g", "n"};
	struct fixture f;
	size_t i;

	start(&f);
	for (i = 0; i < 3; i++) {
		put(&f, "f", "host");
		put(&f, "g", "host");
		unlinkat(f.root, "n", 0);
		CU_ASSERT_EQUAL(compare(&f, rows), 0);
		CU_ASSERT_EQUAL(f.changes.n, 3);
		put(&f, names[i], "host again");
		CU_ASSERT_EQUAL(apply(&f), -ESTALE);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.error, names[i]));
		expect(&f, names[i], "host again");
	}
	end(&f);
}

/* A directory on the way becomes a link out of the root. */
static void
test_links(void)
{
	static const struct row rows[] = {{TAR_DIRECTORY, "d", NULL, 0755},
	    {TAR_FILE, "d/f", "guest", 0644}, {TAR_FILE, "d/n", "guest", 0644}, {.name = NULL}};
	struct fixture f, outside;

	start(&f);
	start(&outside);
	CU_ASSERT_EQUAL(mkdirat(f.root, "d", 0755), 0);
	put(&f, "d/f", "host");
	put(&outside, "f", "outside");
	CU_ASSERT_EQUAL(compare(&f, rows), 0);
	CU_ASSERT_EQUAL(f.changes.n, 2);
	CU_ASSERT_EQUAL(renameat(f.root, "d", f.root, "was"), 0);
	CU_ASSERT_EQUAL(symlinkat(outside.path, f.root, "d"), 0);
	CU_ASSERT_EQUAL(apply(&f), -ESTALE);
	expect(&outside, "f", "outside");
	expect(&outside, "n", NULL);
	/* Looked at anew, the link itself is what goes. */
	CU_ASSERT_EQUAL(compare(&f, rows), 0);
	CU_ASSERT_EQUAL(apply(&f), 0);
	expect(&f, "d/f", "guest");
	expect(&outside, "f", "outside");
	expect(&outside, "n", NULL);
	end(&outside);
	end(&f);
}

static void
test_directory_modes(void)
{
	static const struct row rows[] = {{TAR_DIRECTORY, "closed", NULL, 0555},
	    {TAR_FILE, "closed/f", "guest", 0400}, {TAR_DIRECTORY, "old", NULL, 0700},
	    {.name = NULL}};
	struct stat st;
	struct fixture f;

	start(&f);
	CU_ASSERT_EQUAL(mkdirat(f.root, "old", 0755), 0);
	CU_ASSERT_EQUAL(compare(&f, rows), 0);
	CU_ASSERT_EQUAL(apply(&f), 0);
	CU_ASSERT_EQUAL(f.n_done, 3);
	expect(&f, "closed/f", "guest");
	CU_ASSERT_EQUAL(fstatat(f.root, "closed", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0555);
	CU_ASSERT_EQUAL(fstatat(f.root, "old", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL(fchmodat(f.root, "closed", 0755, 0), 0);
	end(&f);
}

/* A hole in the layer is one on the host, wherever in the file it is. */
static void
test_holes(void)
{
	static const struct row rows[] = {
	    {TAR_FILE, "behind", "content", 0644}, {TAR_FILE, "empty", "", 0644}, {.name = NULL}};
	char text[8] = "";
	struct fixture f;
	struct stat st;
	int fd;

	start(&f);
	CU_ASSERT_EQUAL(compare_archive(&f, make_sparse_archive(rows, HOLE)), 0);
	CU_ASSERT_EQUAL(apply(&f), 0);
	CU_ASSERT_EQUAL(fstatat(f.root, "empty", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_size, HOLE);
	CU_ASSERT_TRUE(st.st_blocks < 2048);
	CU_ASSERT_EQUAL(fstatat(f.root, "behind", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_size, HOLE + 7);
	CU_ASSERT_TRUE(st.st_blocks < 2048);
	fd = openat(f.root, "behind", O_RDONLY);
	CU_ASSERT_EQUAL(pread(fd, text, 8, HOLE - 1), 8);
	CU_ASSERT_EQUAL(memcmp(text, "\0content", 8), 0);
	close(fd);
	/* And the same bytes: nothing is left to change. */
	CU_ASSERT_EQUAL(compare_archive(&f, make_sparse_archive(rows, HOLE)), 0);
	CU_ASSERT_EQUAL(f.changes.n, 0);
	end(&f);
}

void
add_host_suite(void)
{
	CU_pSuite suite = CU_add_suite("host", NULL, NULL);

	CU_add_test(suite, "conflicts", test_conflicts);
	CU_add_test(suite, "the id covers both sides", test_id);
	CU_add_test(suite, "a late change on the host", test_late_change);
	CU_add_test(suite, "links on the way", test_links);
	CU_add_test(suite, "modes of directories", test_directory_modes);
	CU_add_test(suite, "holes", test_holes);
}
