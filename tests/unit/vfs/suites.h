/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of this binary. */
#ifndef GONDOLIN_TESTS_UNIT_VFS_SUITES_H
#define GONDOLIN_TESTS_UNIT_VFS_SUITES_H

struct test_row {
	const char *name; /* NULL ends a suite */
	void (*run)(void);
};

extern const struct test_row wire_tests[];
extern const struct test_row server_tests[];
extern const struct test_row host_tests[];
extern const struct test_row provider_tests[];
extern const struct test_row hide_tests[];
extern const struct test_row cow_tests[];
extern const struct test_row quota_tests[];

/* Makes an empty directory for one test, of which fd is open / removes it with all that is in it.
 */
struct test_dir {
	char path[64];
	int fd;
};
void test_dir_make(struct test_dir *d);
void test_dir_remove(struct test_dir *d);

#endif
