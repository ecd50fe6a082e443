/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of the changes share. */
#ifndef GONDOLIN_TESTS_CHANGES_TEST_H
#define GONDOLIN_TESTS_CHANGES_TEST_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

#include "client/changes.h"

/* An entry of an archive; text is a file's content or a link's target. */
struct row {
	enum tar_type type;
	const char *name, *text;
	unsigned mode;
};

/* An archive of these rows, up to one without a name.  The descriptor is the caller's. */
int make_archive(const struct row *rows);

/* The same with a hole of so many bytes before each file's content. */
int make_sparse_archive(const struct row *rows, uint64_t hole);

void add_layer_suite(void);
void add_host_suite(void);
void add_text_suite(void);

#endif
