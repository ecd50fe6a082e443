/* SPDX-License-Identifier: Apache-2.0 */
/* Names, reports and failures. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "jail/internal.h"
#include "tests/unit/jail/jail_test.h"

static void
test_syscall_names(void)
{
	CU_ASSERT_STRING_EQUAL(jail_syscall_name(SYS_openat), "openat");
	CU_ASSERT_STRING_EQUAL(jail_syscall_name(SYS_read), "read");
	CU_ASSERT_STRING_EQUAL(jail_syscall_name(SYS_io_uring_setup), "io_uring_setup");
	CU_ASSERT_PTR_NULL(jail_syscall_name(-1));
	CU_ASSERT_PTR_NULL(jail_syscall_name(100000));
}

static void
test_wall_names(void)
{
	unsigned wall, other;

	for (wall = 1; wall <= JAIL_ALL; wall <<= 1)
		for (other = 1; other < wall; other <<= 1)
			CU_ASSERT_STRING_NOT_EQUAL(jail_wall_name(wall), jail_wall_name(other));
	CU_ASSERT_STRING_EQUAL(jail_wall_name(JAIL_SECCOMP), "seccomp");
	CU_ASSERT_STRING_EQUAL(jail_wall_name(JAIL_ALL + 1), "unknown wall");
	CU_ASSERT_STRING_EQUAL(jail_wall_name(0), "unknown wall");
}

static void
test_report(void)
{
	const uint64_t args[JAIL_ARGS] = {0xffffff9c, 0x7f0012345678, 0, 1, 16, UINT64_MAX};
	char text[JAIL_REPORT_MAX], small[12];

	jail_report_format(text, sizeof(text), SYS_openat, args);
	CU_ASSERT_STRING_EQUAL(
	    text, "openat(0xffffff9c, 0x7f0012345678, 0x0, 0x1, 0x10, 0xffffffffffffffff)");
	jail_report_format(text, sizeof(text), 0x1000, args);
	CU_ASSERT_PTR_EQUAL(strstr(text, "syscall 0x1000(0xffffff9c, "), text);
	CU_ASSERT_EQUAL(jail_report_format(small, sizeof(small), SYS_openat, args), 11);
	CU_ASSERT_STRING_EQUAL(small, "openat(0xff");
}

/* The longest name with the longest arguments fits. */
static void
test_report_longest(void)
{
	const uint64_t args[JAIL_ARGS] = {
	    UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	char text[JAIL_REPORT_MAX];
	long number;
	size_t n;

	for (number = 0; number < 1024; number++) {
		n = jail_report_format(text, sizeof(text), number, args);
		CU_ASSERT(n < sizeof(text) - 1 && text[n - 1] == ')');
	}
}

static void
test_failure(void)
{
	char longer[2 * JAIL_FAILURE_MAX];
	struct jail_failure f;

	CU_ASSERT_EQUAL(jail_fail(&f, EPERM, "cannot make %s", "x"), -EPERM);
	CU_ASSERT_STRING_EQUAL(f.text, "cannot make x: Operation not permitted");
	CU_ASSERT_EQUAL(jail_fail(&f, EINVAL, "the text says all"), -EINVAL);
	CU_ASSERT_STRING_EQUAL(f.text, "the text says all");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT_EQUAL(jail_fail(&f, EPERM, "%s", longer), -EPERM);
	CU_ASSERT_EQUAL(strlen(f.text), sizeof(f.text) - 1);
}

void
names_suite(CU_pSuite suite)
{
	CU_add_test(suite, "system calls", test_syscall_names);
	CU_add_test(suite, "walls", test_wall_names);
	CU_add_test(suite, "a report", test_report);
	CU_add_test(suite, "the longest report", test_report_longest);
	CU_add_test(suite, "a failure", test_failure);
}
