/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.json: what is read, what is refused and why, and the id. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/image/image_test.h"

#define HASH_A           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PART(name, file) "\"" name "\":{\"file\":\"" file "\",\"size\":5,\"sha256\":\"" HASH_A "\"}"
#define PARTS \
	"\"parts\":{" PART("kernel", "k") "," PART("initramfs", "i") "," PART("rootfs", "r") "}"
#define HEAD "{\"format\":1,\"arch\":\"x86_64\",\"created\":7,"

static void
whole(void)
{
	static const char text[] =
	    HEAD PARTS ",\"recipe\":\"mini\",\"kernel_release\":\"6.1\","
		       "\"cmdline\":\"quiet a=b\",\"packages\":[\"a=1\",\"b=2\"]}";
	char error[IMAGE_ERROR_SIZE] = "", id[IMAGE_ID_LENGTH + 1], again[IMAGE_ID_LENGTH + 1];
	struct image_manifest m, copy;
	char *written;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(
	    image_manifest_parse(&m, text, strlen(text), error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(m.arch, "x86_64");
	CU_ASSERT_STRING_EQUAL(m.recipe, "mini");
	CU_ASSERT_STRING_EQUAL(m.kernel_release, "6.1");
	CU_ASSERT_STRING_EQUAL(m.cmdline, "quiet a=b");
	CU_ASSERT_EQUAL(m.created, 7);
	CU_ASSERT_EQUAL(m.parts[IMAGE_ROOTFS].size, 5);
	CU_ASSERT_STRING_EQUAL(m.parts[IMAGE_INITRAMFS].file, "i");
	CU_ASSERT_EQUAL_FATAL(m.n_packages, 2);
	CU_ASSERT_STRING_EQUAL(m.packages[1], "b=2");
	written = image_manifest_write(&m, &n);
	CU_ASSERT_EQUAL(n, strlen(written));
	CU_ASSERT_EQUAL_FATAL(image_manifest_parse(&copy, written, n, error, sizeof(error)), 0);
	image_manifest_id(&m, id);
	image_manifest_id(&copy, again);
	CU_ASSERT_STRING_EQUAL(id, again);
	CU_ASSERT_EQUAL(copy.n_packages, 2);
	free(written);
	image_manifest_clear(&copy);
	image_manifest_clear(&m);
	image_manifest_clear(&m);
}

static void
refused(void)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
	    {"", "the manifest is not valid JSON"},
	    {"[]", "the manifest is not an object"},
	    {"{}", "the manifest lacks \"format\""},
	    {"{\"format\":1,\"format\":1}", "the manifest is not valid JSON"},
	    {HEAD PARTS "}x", "the manifest is not valid JSON"},
	    {"{\"format\":2}", "the manifest has a bad \"format\""},
	    {"{\"format\":1.0}", "the manifest has a bad \"format\""},
	    {HEAD PARTS ",\"extra\":1}", "the manifest has an unknown member \"extra\""},
	    {HEAD PARTS ",\"\\u0000\":1}", "the manifest is not valid JSON"},
	    {HEAD "\"recipe\":\"m\"}", "the manifest lacks \"parts\""},
	    {"{\"arch\":\"x86/64\"}", "the manifest has a bad \"arch\""},
	    {"{\"arch\":\"\"}", "the manifest has a bad \"arch\""},
	    {"{\"arch\":1}", "the manifest has a bad \"arch\""},
	    {"{\"created\":-1}", "the manifest has a bad \"created\""},
	    {"{\"created\":\"now\"}", "the manifest has a bad \"created\""},
	    {"{\"recipe\":\"a b\"}", "the manifest has a bad \"recipe\""},
	    {"{\"cmdline\":\"a\\nb\"}", "the manifest has a bad \"cmdline\""},
	    {"{\"cmdline\":\"\\u0000\"}", "the manifest has a bad \"cmdline\""},
	    {"{\"cmdline\":\"\\u00e9\"}", "the manifest has a bad \"cmdline\""},
	    {"{\"packages\":{}}", "the manifest has a bad \"packages\""},
	    {"{\"packages\":[1]}", "the manifest has a bad \"packages\""},
	    {"{\"packages\":[\"\"]}", "the manifest has a bad \"packages\""},
	    {"{\"packages\":[\"a\",\"b c\"]}", "the manifest has a bad \"packages\""},
	    {"{\"parts\":[]}", "\"parts\" is not an object"},
	    {"{\"parts\":{}}", "\"parts\" lacks \"kernel\""},
	    {"{\"parts\":{\"disk\":{}}}", "\"parts\" has an unknown member \"disk\""},
	    {"{\"parts\":{\"kernel\":1}}", "kernel is not an object"},
	    {"{\"parts\":{\"kernel\":{\"file\":\"k\"}}}", "kernel lacks \"size\""},
	    {"{\"parts\":{\"kernel\":{\"file\":\"../k\"}}}", "kernel has a bad \"file\""},
	    {"{\"parts\":{\"kernel\":{\"file\":\"/k\"}}}", "kernel has a bad \"file\""},
	    {"{\"parts\":{\"kernel\":{\"file\":\".k\"}}}", "kernel has a bad \"file\""},
	    {"{\"parts\":{\"kernel\":{\"file\":\"\"}}}", "kernel has a bad \"file\""},
	    {"{\"parts\":{\"kernel\":{\"size\":0}}}", "kernel has a bad \"size\""},
	    {"{\"parts\":{\"kernel\":{\"size\":1099511627777}}}", "kernel has a bad \"size\""},
	    {"{\"parts\":{\"kernel\":{\"sha256\":\"AA\"}}}", "kernel has a bad \"sha256\""},
	    {HEAD "\"parts\":{" PART("kernel", "k") "," PART("initramfs", "k") "," PART(
		 "rootfs", "r") "}}",
		"two parts have the same file name"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[IMAGE_ERROR_SIZE] = "";
		struct image_manifest m;

		CU_ASSERT_EQUAL(image_manifest_parse(
				    &m, rows[i].text, strlen(rows[i].text), error, sizeof(error)),
		    -EPROTO);
		if (strcmp(error, rows[i].error) != 0) {
			fprintf(stderr, "\n%s\n  said: %s\n  want: %s\n", rows[i].text, error,
			    rows[i].error);
			CU_FAIL("another message");
		}
		CU_ASSERT_PTR_NULL(m.packages);
	}
}

static void
too_large(void)
{
	char error[IMAGE_ERROR_SIZE] = "";
	struct image_manifest m;
	char *text = calloc(1, IMAGE_MANIFEST_MAX + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, ' ', IMAGE_MANIFEST_MAX + 1);
	CU_ASSERT_EQUAL(
	    image_manifest_parse(&m, text, IMAGE_MANIFEST_MAX + 1, error, sizeof(error)), -E2BIG);
	free(text);
}

/* The id of the header's definition, computed by hand: sha256 of the six lines. */
static void
id(void)
{
	static const char expected[] =
	    "fbeec5723d0d56b3c1f6a36e26ebcc062e2e641c53fb02c25f984eb592be76ff";
	static const char text[] = HEAD PARTS "}";
	char error[IMAGE_ERROR_SIZE], found[IMAGE_ID_LENGTH + 1], other[IMAGE_ID_LENGTH + 1];
	struct image_manifest m;

	CU_ASSERT_EQUAL_FATAL(
	    image_manifest_parse(&m, text, strlen(text), error, sizeof(error)), 0);
	image_manifest_id(&m, found);
	CU_ASSERT_STRING_EQUAL(found, expected);
	m.created++;
	snprintf(m.recipe, sizeof(m.recipe), "other");
	image_manifest_id(&m, other);
	CU_ASSERT_STRING_EQUAL(found, other);
	m.parts[IMAGE_KERNEL].size++;
	image_manifest_id(&m, other);
	CU_ASSERT_STRING_NOT_EQUAL(found, other);
}

static void
tags(void)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
	    {"mini", "mini:latest"},
	    {"mini:2", "mini:2"},
	    {"a.b_c-d:1.2", "a.b_c-d:1.2"},
	    {"", NULL},
	    {":x", NULL},
	    {"x:", NULL},
	    {"x:y:z", NULL},
	    {"-x", NULL},
	    {".x", NULL},
	    {"..", NULL},
	    {"x/y", NULL},
	    {"X", NULL},
	    {"x:../y", NULL},
	    {"x y", NULL},
	    {"x\n", NULL},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[IMAGE_TAG_SIZE] = "";
		int result = image_tag_canonical(rows[i].text, out);

		CU_ASSERT_EQUAL(result, rows[i].canonical != NULL ? 0 : -EINVAL);
		if (rows[i].canonical != NULL)
			CU_ASSERT_STRING_EQUAL(out, rows[i].canonical);
	}
}

void
add_manifest_suite(void)
{
	CU_pSuite suite = CU_add_suite("manifest", NULL, NULL);

	CU_add_test(suite, "whole", whole);
	CU_add_test(suite, "refused", refused);
	CU_add_test(suite, "too large", too_large);
	CU_add_test(suite, "id", id);
	CU_add_test(suite, "tags", tags);
}
