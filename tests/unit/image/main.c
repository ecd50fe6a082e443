/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the image library. */
#include "tests/run.h"
#include "tests/unit/image/image_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_SIZE 70000

void
put(const char *dir, const char *name, const char *text)
{
	char *path = image_format("%s/%s", dir, name);

	unlink(path);
	CU_ASSERT_EQUAL_FATAL(image_put_file(AT_FDCWD, path, text, strlen(text), 0644), 0);
	free(path);
}

void
fabricate(const char *dir, int seed, char id[IMAGE_ID_LENGTH + 1])
{
	struct image_manifest m = {.arch = "x86_64",
	    .recipe = "made-up",
	    .kernel_release = "6.1.0",
	    .created = 1000 + seed};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *bytes = calloc(1, PART_SIZE), *text;
	size_t n;

	CU_ASSERT_FATAL(fd != -1 && bytes != NULL);
	for (int i = 0; i < IMAGE_PARTS; i++) {
		struct image_part *p = &m.parts[i];
		int part;

		snprintf(p->file, sizeof(p->file), "%s.bin", image_part_names[i]);
		p->size = PART_SIZE;
		/* Zeros between: what is copied gets holes. */
		bytes[0] = (char)('a' + seed);
		bytes[PART_SIZE - 1] = (char)('k' + i);
		unlinkat(fd, p->file, 0);
		CU_ASSERT_EQUAL_FATAL(image_put_file(fd, p->file, bytes, PART_SIZE, 0644), 0);
		part = openat(fd, p->file, O_RDONLY | O_CLOEXEC);
		CU_ASSERT_EQUAL_FATAL(
		    image_copy_hashed(part, -1, PART_SIZE, "", NULL, p->sha256), 0);
		close(part);
	}
	text = image_manifest_write(&m, &n);
	put(dir, "manifest.json", text);
	image_manifest_id(&m, id);
	free(text);
	free(bytes);
	close(fd);
}

void
fixture_make(struct fixture *f)
{
	char template[] = "/tmp/gondolin-image-test-XXXXXX", *path;

	*f = (struct fixture){.dir = NULL};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(template));
	f->dir = image_format("%s", template);
	f->source = image_format("%s/source", f->dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(f->source, 0700), 0);
	path = image_format("%s/a/store", f->dir);
	CU_ASSERT_EQUAL_FATAL(image_store_open(&f->store, path, f->error, sizeof(f->error)), 0);
	free(path);
}

void
fixture_remove(struct fixture *f)
{
	image_store_close(&f->store);
	CU_ASSERT_EQUAL(image_remove_tree(AT_FDCWD, f->dir), 0);
	free(f->source);
	free(f->dir);
}

void
import(struct fixture *f, int seed, const char *tag, char id[IMAGE_ID_LENGTH + 1])
{
	char wanted[IMAGE_ID_LENGTH + 1];
	int result;

	fabricate(f->source, seed, wanted);
	result = image_import(&f->store, f->source, tag, NULL, id, f->error, sizeof(f->error));
	if (result != 0)
		fprintf(stderr, "import: %s\n", f->error);
	CU_ASSERT_EQUAL_FATAL(result, 0);
	CU_ASSERT_STRING_EQUAL(id, wanted);
}

int
main(void)
{
	begin_tests();
	add_manifest_suite();
	add_store_suite();
	add_interrupted_suite();
	add_recipe_suite();
	add_parts_suite();
	add_command_suite();
	return run_tests();
}
