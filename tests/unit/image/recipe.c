/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes and sizes. */
#include "guest/image/recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/image/image_test.h"

static int
read_text(struct fixture *f, const char *text, struct recipe *r)
{
	char *path = image_format("%s/own.conf", f->dir);
	int result;

	put(f->dir, "own.conf", text);
	result = recipe_read(r, path, f->error, sizeof(f->error));
	free(path);
	return result;
}

static void
whole(void)
{
	struct fixture f;
	struct recipe r;
	char *source;

	fixture_make(&f);
	CU_ASSERT_EQUAL_FATAL(read_text(&f,
				  "base = debian\nsize = \"512M\"\npackages = {\"git\", \"g++\"}\n"
				  "modules = {\"virtio_pci\"}\ncmdline = \"quiet\"\n"
				  "file \"/etc/motd\" { source = \"motd\" }\n"
				  "file \"/bin/x\" { source = \"/y\"  mode = \"0755\" }\n"
				  "run = {'echo \"${HOME}\"'}\n",
				  &r),
	    0);
	source = image_format("%s/motd", f.dir);
	CU_ASSERT_STRING_EQUAL(r.name, "own");
	CU_ASSERT_EQUAL(r.base, RECIPE_DEBIAN);
	CU_ASSERT_EQUAL(r.size, 512u << 20);
	CU_ASSERT_STRING_EQUAL(r.packages[1], "g++");
	CU_ASSERT_PTR_NULL(r.packages[2]);
	CU_ASSERT_STRING_EQUAL(r.modules[0], "virtio_pci");
	CU_ASSERT_STRING_EQUAL(r.cmdline, "quiet");
	CU_ASSERT_EQUAL_FATAL(r.n_files, 2);
	CU_ASSERT_STRING_EQUAL(r.files[0].source, source);
	CU_ASSERT_EQUAL(r.files[0].mode, 0644);
	CU_ASSERT_STRING_EQUAL(r.files[1].source, "/y");
	CU_ASSERT_EQUAL(r.files[1].mode, 0755);
	CU_ASSERT_STRING_EQUAL(r.run[0], "echo \"${HOME}\"");
	recipe_clear(&r);
	recipe_clear(&r);
	free(source);
	fixture_remove(&f);
}

static void
refused(void)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
	    {"", "base is busybox or debian"},
	    {"base = suse\n", "base is busybox or debian"},
	    {"base = busybox\ncolour = red\n", "own.conf:2: no such option 'colour'"},
	    {"base = busybox\nsize = 1\n", "size is a number"},
	    {"base = busybox\npackages = {\"git\"}\n", "packages need base = debian"},
	    {"base = debian\npackages = {\"-o\"}\n", "\"-o\" is no package name"},
	    {"base = debian\npackages = {\"a,b\"}\n", "\"a,b\" is no package name"},
	    {"base = debian\nmodules = {\"../x\"}\n", "\"../x\" is no module name"},
	    {"base = debian\ncmdline = \"a\\nb\"\n", "cmdline is one line"},
	    {"base = debian\nfile \"etc/x\" { source = \"x\" }\n", "give an absolute path"},
	    {"base = debian\nfile \"/etc/../../x\" { source = \"x\" }\n", "give an absolute path"},
	    {"base = debian\nfile \"/x\" { }\n", "needs a source"},
	    {"base = debian\nfile \"/x\" { source = \"x\" mode = \"0888\" }\n", "mode is octal"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		struct recipe r;

		fixture_make(&f);
		CU_ASSERT_EQUAL(read_text(&f, rows[i].text, &r), -EINVAL);
		if (strstr(f.error, rows[i].error) == NULL) {
			fprintf(stderr, "\n%s\n  said: %s\n  want: %s\n", rows[i].text, f.error,
			    rows[i].error);
			CU_FAIL("another message");
		}
		fixture_remove(&f);
	}
}

static void
missing(void)
{
	char error[IMAGE_ERROR_SIZE] = "";
	struct recipe r;

	CU_ASSERT_EQUAL(recipe_read(&r, "nowhere", error, sizeof(error)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "mini and debian"));
	CU_ASSERT_EQUAL(recipe_read(&r, "/tmp/UPPER.conf", error, sizeof(error)), -EINVAL);
}

static void
installed(void)
{
	static const char *const names[] = {"mini", "debian"};

	for (size_t i = 0; i < 2; i++) {
		char error[IMAGE_ERROR_SIZE] = "";
		struct recipe r;

		CU_ASSERT_EQUAL_FATAL(recipe_read(&r, names[i], error, sizeof(error)), 0);
		CU_ASSERT_STRING_EQUAL(r.name, names[i]);
		recipe_clear(&r);
	}
}

static void
sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
	    {"16M", 16u << 20},
	    {"2G", 2ull << 30},
	    {"1T", 1ull << 40},
	    {"16777216", 16u << 20},
	    {"65536K", 64u << 20},
	    {"", 0},
	    {"M", 0},
	    {"-2G", 0},
	    {" 2G", 0},
	    {"2g", 0},
	    {"2GB", 0},
	    {"15M", 0},
	    {"2T", 0},
	    {"18446744073709551617", 0},
	    {"17179869184G", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes = 0;

		CU_ASSERT_EQUAL(
		    recipe_size(rows[i].text, &bytes), rows[i].bytes != 0 ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(bytes, rows[i].bytes);
	}
}

void
add_recipe_suite(void)
{
	CU_pSuite suite = CU_add_suite("recipe", NULL, NULL);

	CU_add_test(suite, "whole", whole);
	CU_add_test(suite, "refused", refused);
	CU_add_test(suite, "missing", missing);
	CU_add_test(suite, "installed", installed);
	CU_add_test(suite, "sizes", sizes);
}
