/* SPDX-License-Identifier: Apache-2.0 */
/* Lints every real profile, and shows that the lint finds what it is there for. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/jail/lint.h"
#include "tests/jail/profiles.h"
#include "tests/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_good(void)
{
	size_t i;

	CU_ASSERT_EQUAL(lint_profile(&probe_profile, stdout), 0);
	CU_ASSERT_EQUAL(lint_profile(&foreign_profile, stdout), 0);
	for (i = 0; real_profiles[i] != NULL; i++)
		CU_ASSERT_EQUAL(lint_profile(real_profiles[i], stdout), 0);
}

/* The lint's lines about a profile must be just the one that holds `text`. */
static void
expect(const struct jail_profile *p, const char *text)
{
	char *lines = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&lines, &size);
	unsigned n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	n = lint_profile(p, out);
	fclose(out);
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, text));
	if (n != 1 || strstr(lines, text) == NULL)
		printf("wanted \"%s\", got: %s\n", text, lines);
	free(lines);
}

static void
expect_rows(const struct jail_syscall *rows, size_t n, const char *text)
{
	struct jail_profile p = probe_profile;

	p.syscalls = rows;
	p.n_syscalls = n;
	expect(&p, text);
}

static void
test_bad_rows(void)
{
	static const struct jail_syscall both[] = {
	    ALLOW(write, "a"),
	    ALLOW(mmap, "a"),
	    ALLOW_IF(mmap, "a", ARG_LACKS(2, PROT_EXEC)),
	};
	static const struct jail_syscall twice[] = {
	    ALLOW(write, "a"),
	    ALLOW_IF(mmap, "a", ARG_LACKS(2, PROT_EXEC)),
	    ALLOW_IF(mmap, "b", ARG_LACKS(2, PROT_EXEC)),
	};
	static const struct jail_syscall silent[] = {ALLOW(write, "a"), ALLOW(read, "")};
	static const struct jail_syscall mute[] = {ALLOW(read, "a")};
	static const struct jail_syscall handler[] = {
	    ALLOW(write, "a"), ALLOW_IF(rt_sigaction, "a", ARG_IS_NOT(0, SIGTERM))};

	expect_rows(both, COUNT(both), "mmap is there with and without conditions");
	expect_rows(twice, COUNT(twice), "mmap is there twice");
	expect_rows(silent, COUNT(silent), "read has no reason");
	expect_rows(mute, COUNT(mute), "write is missing");
	expect_rows(handler, COUNT(handler), "rt_sigaction may replace");
}

static void
test_bad_rest(void)
{
	static const struct jail_limit core[] = {{RLIMIT_NOFILE, "RLIMIT_NOFILE", 8, "a"}};
	static const struct jail_limit files[] = {{RLIMIT_CORE, "RLIMIT_CORE", 0, "a"}};
	static const struct jail_fd silent[] = {{JAIL_FD_PIPE, 1, NULL}};
	static const struct jail_bind relative[] = {{"bin/sh", NULL, false}, {NULL, NULL, false}};
	struct jail_profile p = probe_profile;

	p.limits = core;
	p.n_limits = 1;
	expect(&p, "RLIMIT_CORE is not 0");
	p.limits = files;
	expect(&p, "RLIMIT_NOFILE is missing");
	p = probe_profile;
	p.fds = silent;
	p.n_fds = 1;
	expect(&p, "pipe descriptors have no reason");
	p = probe_profile;
	p.walls &= ~(unsigned)JAIL_NET;
	expect(&p, "needs a reason");
	p = foreign_profile;
	p.binds = relative;
	expect(&p, "is not an absolute path");
	p = probe_profile;
	p.job = "";
	expect(&p, "no name or no job");
}

/* Calls of one family, by the name that a row would have. */
static const char *const opening[] = {"socket", "socketpair", "connect", "bind", "listen", "accept",
    "accept4", "io_uring_setup", NULL};
static const char *const files[] = {"open", "openat", "openat2", "open_by_handle_at", "creat",
    "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents64", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link",
    "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "mknod", "mknodat", "chmod", "fchmodat",
    "chown", "fchownat", "truncate", "chdir", "inotify_init1", "memfd_create", "io_uring_setup",
    NULL};

static void
expect_no_row(const struct jail_profile *p, const char *const *family)
{
	size_t i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (; *family != NULL; family++)
		for (i = 0; i < p->n_syscalls; i++)
			if (strcmp(p->syscalls[i].name, *family) == 0) {
				printf("%s may call %s\n", p->name, *family);
				CU_FAIL("a row that its job does not need");
			}
}

/* Each row of that call demands a family of addresses. */
static void
expect_families(const struct jail_profile *p, const char *call, const int *families, size_t n)
{
	size_t i, j, rows = 0;

	for (i = 0; i < p->n_syscalls; i++) {
		const struct jail_syscall *r = &p->syscalls[i];

		if (strcmp(r->name, call) != 0)
			continue;
		CU_ASSERT(r->n_conditions > 0 && r->conditions[0].arg == 0 &&
			  r->conditions[0].op == SCMP_CMP_EQ);
		for (j = 0; j < n && r->conditions[0].datum_a != (scmp_datum_t)families[j]; j++)
			;
		CU_ASSERT(j < n);
		rows++;
	}
	CU_ASSERT_EQUAL(rows, n);
}

/* What stands between a guest's frames, the world and this host. */
static void
test_network(void)
{
	static const int internet[] = {AF_INET, AF_INET6}, own[] = {AF_UNIX};
	const struct jail_profile *egress = profile_find("egress");

	expect_no_row(profile_find("netproxy"), opening);
	expect_no_row(profile_find("netproxy"), files);
	expect_no_row(egress, files);
	expect_families(egress, "socket", internet, COUNT(internet));
	expect_families(egress, "socketpair", own, COUNT(own));
}

int
main(void)
{
	CU_pSuite s;

	begin_tests();
	s = CU_add_suite("lint", NULL, NULL);
	CU_add_test(s, "every profile keeps the rules", test_good);
	CU_add_test(s, "bad rows are found", test_bad_rows);
	CU_add_test(s, "bad limits, descriptors and walls are found", test_bad_rest);
	CU_add_test(s, "netproxy opens nothing, egress no file", test_network);
	return run_tests();
}
