/* SPDX-License-Identifier: Apache-2.0 */
/* The store: import, selectors, list, tag, verify, remove. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/image/image_test.h"

#define ERR(f) (f)->error, sizeof((f)->error)

static int
resolve(struct fixture *f, const char *selector, struct image *i)
{
	int result = image_resolve(&f->store, selector, i, ERR(f));

	if (result < 0) {
		CU_ASSERT_PTR_NULL(i->directory);
		CU_ASSERT_EQUAL(i->fds[0], -1);
		CU_ASSERT_PTR_NULL(strchr(f->error, '\n'));
	}
	return result;
}

/* What a failing selector says, in part. */
static void
refuse(struct fixture *f, const char *selector, int code, const char *part)
{
	struct image i;

	CU_ASSERT_EQUAL(resolve(f, selector, &i), code);
	if (strstr(f->error, part) == NULL) {
		fprintf(stderr, "\n%s\n  said: %s\n  want: %s\n", selector, f->error, part);
		CU_FAIL("another message");
	}
}

static void
empty_store(void)
{
	struct fixture f;
	struct image_list list;
	struct stat st;

	fixture_make(&f);
	CU_ASSERT_EQUAL(image_list_read(&f.store, &list, ERR(&f)), 0);
	CU_ASSERT_EQUAL(list.n, 0);
	image_list_clear(&list);
	refuse(&f, "mini", -ENOENT, "no image \"mini\"");
	CU_ASSERT_EQUAL(image_remove(&f.store, "mini", false, ERR(&f)), -ENOENT);
	/* Reading made nothing. */
	CU_ASSERT_EQUAL(stat(f.store.path, &st), -1);
	fixture_remove(&f);
}

static void
selectors(void)
{
	struct fixture f;
	struct image i;
	char id[IMAGE_ID_LENGTH + 1], *objects;
	static const char *const good[] = {"made:1", "made:1"};

	fixture_make(&f);
	import(&f, 1, "made:1", id);
	for (size_t k = 0; k < 2; k++) {
		CU_ASSERT_EQUAL_FATAL(resolve(&f, good[k], &i), 0);
		CU_ASSERT_STRING_EQUAL(i.id, id);
		image_close(&i);
	}
	for (size_t n = IMAGE_PREFIX_MIN; n <= IMAGE_ID_LENGTH; n += 12) {
		char prefix[IMAGE_ID_LENGTH + 1];

		snprintf(prefix, sizeof(prefix), "%.*s", (int)n, id);
		CU_ASSERT_EQUAL_FATAL(resolve(&f, prefix, &i), 0);
		CU_ASSERT_STRING_EQUAL(i.id, id);
		CU_ASSERT_EQUAL(fcntl(i.fds[IMAGE_ROOTFS], F_GETFD), FD_CLOEXEC);
		CU_ASSERT_EQUAL(fcntl(i.fds[IMAGE_ROOTFS], F_GETFL) & O_ACCMODE, O_RDONLY);
		image_close(&i);
	}
	CU_ASSERT_EQUAL_FATAL(resolve(&f, f.source, &i), 0);
	CU_ASSERT_STRING_EQUAL(i.id, id);
	image_close(&i);
	image_close(&i);
	refuse(&f, "made", -ENOENT, "no image \"made\"");
	refuse(&f, "", -EINVAL, "is no image");
	refuse(&f, "A", -EINVAL, "is no image");
	refuse(&f, "a\nb", -EINVAL, "\"a\\x0ab\" is no image");
	refuse(&f, "/nonexistent/x", -ENOENT, "image directory /nonexistent/x");
	objects = image_format("%s/objects", f.store.path);
	refuse(&f, objects, -ENOENT, "manifest.json");
	free(objects);
	fixture_remove(&f);
}

static void
ambiguous_prefix(void)
{
	struct fixture f;
	char id[IMAGE_ID_LENGTH + 1], *twin;

	fixture_make(&f);
	import(&f, 1, NULL, id);
	twin = image_format("%s/objects/%.8s%056d", f.store.path, id, 0);
	CU_ASSERT_EQUAL(mkdir(twin, 0700), 0);
	id[8] = '\0';
	refuse(&f, id, -ENOTUNIQ, "fits more than one image");
	CU_ASSERT_EQUAL(image_remove(&f.store, id, false, ERR(&f)), -ENOTUNIQ);
	free(twin);
	fixture_remove(&f);
}

/* Each way in which an image's directory can lie. */
static void
broken_images(void)
{
	struct fixture f;
	char id[IMAGE_ID_LENGTH + 1], *outside, *link;

	fixture_make(&f);
	fabricate(f.source, 1, id);
	put(f.source, "rootfs.bin", "short");
	refuse(&f, f.source, -EPROTO, "another size");
	link = image_format("%s/rootfs.bin", f.source);
	unlink(link);
	refuse(&f, f.source, -ENOENT, "rootfs.bin");
	CU_ASSERT_EQUAL(mkfifo(link, 0600), 0);
	refuse(&f, f.source, -EPROTO, "no regular file");
	unlink(link);
	outside = image_format("%s/outside", f.dir);
	put(f.dir, "outside", "secret");
	CU_ASSERT_EQUAL(symlink(outside, link), 0);
	refuse(&f, f.source, -ELOOP, "rootfs.bin");
	put(f.source, "manifest.json", "{}");
	refuse(&f, f.source, -EPROTO, "lacks \"format\"");
	free(outside);
	free(link);
	fixture_remove(&f);
}

static void
changed_manifest(void)
{
	struct fixture f;
	struct image_list list;
	char id[IMAGE_ID_LENGTH + 1], other[IMAGE_ID_LENGTH + 1], *dir;

	fixture_make(&f);
	import(&f, 1, "made", id);
	dir = image_format("%s/objects/%s", f.store.path, id);
	fabricate(dir, 2, other);
	refuse(&f, "made", -EPROTO, "its manifest was changed");
	CU_ASSERT_EQUAL_FATAL(image_list_read(&f.store, &list, ERR(&f)), 0);
	CU_ASSERT_EQUAL_FATAL(list.n, 1);
	CU_ASSERT_TRUE(list.entries[0].broken);
	CU_ASSERT_EQUAL(list.entries[0].n_tags, 1);
	image_list_clear(&list);
	/* A broken image can be removed. */
	CU_ASSERT_EQUAL(image_remove(&f.store, "made", false, ERR(&f)), 0);
	refuse(&f, "made", -ENOENT, "no image");
	free(dir);
	fixture_remove(&f);
}

static void
broken_tags(void)
{
	struct fixture f;
	char id[IMAGE_ID_LENGTH + 1], *tags, *text;

	fixture_make(&f);
	import(&f, 1, "made", id);
	tags = image_format("%s/tags", f.store.path);
	put(tags, "made:latest", "../../../etc\n");
	refuse(&f, "made", -EPROTO, "broken");
	text = image_format("%s", id);
	put(tags, "made:latest", text);
	refuse(&f, "made", -EPROTO, "broken");
	free(text);
	text = image_format("%064d\n", 0);
	put(tags, "made:latest", text);
	refuse(&f, "made", -ENOENT, "image ");
	/* A tag whose image is gone can be removed. */
	CU_ASSERT_EQUAL(image_remove(&f.store, "made", false, ERR(&f)), 0);
	refuse(&f, "made", -ENOENT, "no image");
	free(text);
	free(tags);
	fixture_remove(&f);
}

static void
list_and_tags(void)
{
	struct fixture f;
	struct image_list list;
	char a[IMAGE_ID_LENGTH + 1], b[IMAGE_ID_LENGTH + 1];

	fixture_make(&f);
	import(&f, 1, "made", a);
	import(&f, 2, "made", b);
	import(&f, 2, "again:x", b);
	CU_ASSERT_EQUAL_FATAL(image_list_read(&f.store, &list, ERR(&f)), 0);
	CU_ASSERT_EQUAL_FATAL(list.n, 2);
	CU_ASSERT_STRING_EQUAL(list.entries[0].id, b);
	CU_ASSERT_EQUAL_FATAL(list.entries[0].n_tags, 2);
	CU_ASSERT_STRING_EQUAL(list.entries[0].tags[0], "again:x");
	CU_ASSERT_STRING_EQUAL(list.entries[0].tags[1], "made:latest");
	CU_ASSERT_STRING_EQUAL(list.entries[1].id, a);
	CU_ASSERT_EQUAL(list.entries[1].n_tags, 0);
	CU_ASSERT_STRING_EQUAL(list.entries[1].manifest.recipe, "made-up");
	CU_ASSERT_TRUE(list.entries[0].disk > 0);
	image_list_clear(&list);
	CU_ASSERT_EQUAL(image_tag(&f.store, a, "old", ERR(&f)), 0);
	CU_ASSERT_EQUAL(image_tag(&f.store, a, "../old", ERR(&f)), -EINVAL);
	CU_ASSERT_EQUAL(image_tag(&f.store, "feed", "old", ERR(&f)), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(image_list_read(&f.store, &list, ERR(&f)), 0);
	CU_ASSERT_STRING_EQUAL(list.entries[1].tags[0], "old:latest");
	image_list_clear(&list);
	fixture_remove(&f);
}

static void
verify(void)
{
	struct fixture f;
	struct image i;
	char id[IMAGE_ID_LENGTH + 1], *dir, *path;
	int fd;

	fixture_make(&f);
	import(&f, 1, "made", id);
	CU_ASSERT_EQUAL_FATAL(resolve(&f, "made", &i), 0);
	CU_ASSERT_EQUAL(image_verify(&i, NULL, ERR(&f)), 0);
	image_close(&i);
	dir = image_format("%s/objects/%s", f.store.path, id);
	path = image_format("%s/initramfs.bin", dir);
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, "!", 1, 4000), 1);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(resolve(&f, "made", &i), 0);
	CU_ASSERT_EQUAL(image_verify(&i, NULL, ERR(&f)), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "initramfs.bin"));
	image_close(&i);
	/* And such an image cannot be imported. */
	CU_ASSERT_EQUAL(image_import(&f.store, dir, "bad", NULL, id, ERR(&f)), -EBADMSG);
	refuse(&f, "bad", -ENOENT, "no image");
	free(path);
	free(dir);
	fixture_remove(&f);
}

static void
removal(void)
{
	struct fixture f;
	struct image i;
	struct image_list list;
	char id[IMAGE_ID_LENGTH + 1], byte;

	fixture_make(&f);
	import(&f, 1, "one", id);
	import(&f, 1, "two", id);
	CU_ASSERT_EQUAL(image_remove(&f.store, id, false, ERR(&f)), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "--force"));
	CU_ASSERT_EQUAL(image_remove(&f.store, "one", false, ERR(&f)), 0);
	refuse(&f, "one", -ENOENT, "no image");
	CU_ASSERT_EQUAL_FATAL(resolve(&f, "two", &i), 0);
	CU_ASSERT_EQUAL(image_remove(&f.store, "two", false, ERR(&f)), 0);
	refuse(&f, "two", -ENOENT, "no image");
	refuse(&f, id, -ENOENT, "no image");
	/* Who had it open goes on reading. */
	CU_ASSERT_EQUAL(pread(i.fds[IMAGE_KERNEL], &byte, 1, 0), 1);
	image_close(&i);
	import(&f, 1, "one", id);
	import(&f, 1, "two", id);
	CU_ASSERT_EQUAL(image_remove(&f.store, id, true, ERR(&f)), 0);
	import(&f, 1, NULL, id);
	CU_ASSERT_EQUAL(image_remove(&f.store, id, false, ERR(&f)), 0);
	CU_ASSERT_EQUAL_FATAL(image_list_read(&f.store, &list, ERR(&f)), 0);
	CU_ASSERT_EQUAL(list.n, 0);
	image_list_clear(&list);
	fixture_remove(&f);
}

/* What is copied has the bytes, and holes where they are zero. */
static void
sparse_copy(void)
{
	struct fixture f;
	struct stat st;
	char id[IMAGE_ID_LENGTH + 1], sha[IMAGE_ID_LENGTH + 1], copy[IMAGE_ID_LENGTH + 1], *a, *b;
	int in, out;

	fixture_make(&f);
	fabricate(f.source, 1, id);
	a = image_format("%s/a", f.dir);
	b = image_format("%s/b", f.dir);
	in = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	out = open(b, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(pwrite(in, "end", 3, 8 << 20), 3);
	CU_ASSERT_EQUAL(image_copy_hashed(in, out, (8 << 20) + 3, "", NULL, sha), 0);
	CU_ASSERT_EQUAL(image_copy_hashed(out, -1, (8 << 20) + 3, "", NULL, copy), 0);
	CU_ASSERT_STRING_EQUAL(sha, copy);
	CU_ASSERT_EQUAL(fstat(out, &st), 0);
	CU_ASSERT_TRUE(st.st_blocks * 512 < 1 << 20);
	CU_ASSERT_EQUAL(image_copy_hashed(in, -1, (8 << 20) + 4, "", NULL, copy), -EBADMSG);
	close(in);
	close(out);
	free(a);
	free(b);
	fixture_remove(&f);
}

void
add_store_suite(void)
{
	CU_pSuite suite = CU_add_suite("store", NULL, NULL);

	CU_add_test(suite, "empty store", empty_store);
	CU_add_test(suite, "selectors", selectors);
	CU_add_test(suite, "ambiguous prefix", ambiguous_prefix);
	CU_add_test(suite, "broken images", broken_images);
	CU_add_test(suite, "changed manifest", changed_manifest);
	CU_add_test(suite, "broken tags", broken_tags);
	CU_add_test(suite, "list and tags", list_and_tags);
	CU_add_test(suite, "verify", verify);
	CU_add_test(suite, "removal", removal);
	CU_add_test(suite, "sparse copy", sparse_copy);
}
