/* SPDX-License-Identifier: Apache-2.0 */
/* What the image tests share: a store in a directory of its own, and fabricated images. */
#ifndef GONDOLIN_TESTS_UNIT_IMAGE_IMAGE_TEST_H
#define GONDOLIN_TESTS_UNIT_IMAGE_IMAGE_TEST_H

#include <CUnit/Basic.h>

#include "guest/image/private.h"

/* A temporary directory with an empty store in it, and a source image in `source`. */
struct fixture {
	char *dir, *source;
	struct image_store store;
	char error[IMAGE_ERROR_SIZE];
};

void fixture_make(struct fixture *f);
void fixture_remove(struct fixture *f);

/*
 * Writes an image's directory: parts of some bytes that depend on seed, and the manifest that fits
 * them.  Fills id.
 */
void fabricate(const char *dir, int seed, char id[IMAGE_ID_LENGTH + 1]);

/* Writes text to dir/name. */
void put(const char *dir, const char *name, const char *text);

/* Imports the source image that `seed` makes.  Fails the test where that fails. */
void import(struct fixture *f, int seed, const char *tag, char id[IMAGE_ID_LENGTH + 1]);

void add_manifest_suite(void);
void add_store_suite(void);
void add_interrupted_suite(void);
void add_recipe_suite(void);
void add_parts_suite(void);
void add_command_suite(void);

#endif
