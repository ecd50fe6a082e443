/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves out one wall after the other: the audit has to name just that one. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jail/support.h"
#include "tests/run.h"

/* Collects the walls that the audit's lines name. */
struct named {
	unsigned walls;
	unsigned lines;
};

static void
on_difference(void *ctx, const char *line)
{
	struct named *named = ctx;
	char prefix[64];
	unsigned wall;

	named->lines++;
	for (wall = 1; wall <= JAIL_ALL; wall <<= 1) {
		snprintf(prefix, sizeof(prefix), "probe: %s: ", jail_wall_name(wall));
		if (strncmp(line, prefix, strlen(prefix)) == 0) {
			named->walls |= wall;
			return;
		}
	}
	printf("unexpected line: %s\n", line);
}

/* Starts the probe with some walls, audits it against all; returns what audit returned. */
static int
audit_with(unsigned walls, struct named *named)
{
	struct jail_profile partial = probe_profile;
	struct jail_expectation e = {.profile = &probe_profile, .identity = support_identity()};
	char error[SUPPORT_TEXT_MAX];
	struct jailed j;
	int count = -EIO, status;

	*named = (struct named){0, 0};
	partial.walls = walls;
	if (support_start(&j, &partial, "hold", NULL, error) < 0) {
		printf("%s\n", error);
		return -EIO;
	}
	e.pid = j.pid;
	if (support_await_ready(&j) == 0)
		count = jail_audit(&e, on_difference, named);
	if (count < 0)
		printf("walls 0x%x: audit: %s\n", walls, strerrordesc_np(-count));
	status = support_finish(&j, error);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		printf("walls 0x%x: status 0x%x: %s\n", walls, (unsigned)status, error);
	return count;
}

static void
test_whole(void)
{
	struct named named;

	CU_ASSERT_EQUAL(audit_with(JAIL_ALL, &named), 0);
	CU_ASSERT_EQUAL(named.lines, 0);
}

/*
 * What has to be left out together, because one stands on the other: without a mount namespace
 * there is no root to change, and without no_new_privs only a capability may install a filter.
 */
static unsigned
with_dependents(unsigned wall)
{
	if (wall == JAIL_MOUNT)
		return JAIL_MOUNT | JAIL_ROOT;
	if (wall == JAIL_NO_NEW_PRIVS)
		return JAIL_NO_NEW_PRIVS | JAIL_CAPS |
		       (support_identity().root_started ? JAIL_USER : 0);
	return wall;
}

static void
test_left_out(void)
{
	const bool root_started = support_identity().root_started;
	struct named named;
	unsigned wall, out;

	for (wall = 1; wall <= JAIL_ALL; wall <<= 1) {
		/* Nobody but root can do without the user namespace: no other wall would stand. */
		if (wall == JAIL_USER && !root_started)
			continue;
		if (!(jail_walls_supported() & wall))
			continue;
		out = with_dependents(wall);
		CU_ASSERT(audit_with(JAIL_ALL & ~out, &named) > 0);
		CU_ASSERT_EQUAL(named.walls, out);
		if (named.walls != out)
			printf("without %s: named 0x%x, left out 0x%x\n", jail_wall_name(wall),
			    named.walls, out);
	}
}

/* A start without the wall that all others need must fail, not go on. */
static void
test_no_user_namespace(void)
{
	struct jail_profile partial = probe_profile;
	char error[SUPPORT_TEXT_MAX] = "";
	struct jailed j;

	if (support_identity().root_started)
		return;
	partial.walls &= ~(unsigned)JAIL_USER;
	CU_ASSERT_EQUAL(support_start(&j, &partial, "hold", NULL, error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "cannot start probe: "));
}

static void
test_gone(void)
{
	struct jail_expectation e = {.profile = &probe_profile, .identity = support_identity()};
	struct named named = {0, 0};
	char error[SUPPORT_TEXT_MAX];
	struct jailed j;
	siginfo_t info;

	CU_ASSERT_EQUAL_FATAL(support_start(&j, &probe_profile, "exit", NULL, error), 0);
	e.pid = j.pid;
	/* A zombie, and nothing at all. */
	CU_ASSERT_EQUAL(waitid(P_PID, (id_t)j.pid, &info, WEXITED | WNOWAIT), 0);
	CU_ASSERT_EQUAL(jail_audit(&e, on_difference, &named), -ESRCH);
	support_finish(&j, NULL);
	CU_ASSERT_EQUAL(jail_audit(&e, on_difference, &named), -ESRCH);
	CU_ASSERT_EQUAL(named.lines, 0);
}

/* A process that never heard of walls has none of them. */
static void
test_unjailed(void)
{
	struct jail_expectation e = {.profile = &probe_profile, .identity = support_identity()};
	struct named named = {0, 0};
	const unsigned all = JAIL_ALL & jail_walls_supported();
	int input[2];
	pid_t pid;
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe2(input, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(input[1]);
		_exit(read(input[0], &byte, 1) < 0);
	}
	close(input[0]);
	e.pid = pid;
	CU_ASSERT(jail_audit(&e, on_difference, &named) > 0);
	/* Its descriptors happen to be of the declared kinds, or not; and where we are root, the
	 * helper's uid may not look at it, dumpable or not. */
	CU_ASSERT_EQUAL(named.walls | JAIL_FDS | JAIL_NON_DUMPABLE, all);
	close(input[1]);
	waitpid(pid, NULL, 0);
}

static int
suite(void)
{
	CU_pSuite s;

	/* One that no test wants, and that only the descriptors' wall keeps from the probe. */
	if (open("/dev/zero", O_RDONLY) < 0)
		return 1;
	begin_tests();
	s = CU_add_suite("walls", NULL, NULL);
	CU_add_test(s, "all walls stand", test_whole);
	CU_add_test(s, "each wall left out is named", test_left_out);
	CU_add_test(s, "no start without a user namespace", test_no_user_namespace);
	CU_add_test(s, "a process that is gone", test_gone);
	CU_add_test(s, "a process without walls", test_unjailed);
	return run_tests();
}

int
main(int argc, char **argv)
{
	return support_main(argc, argv, suite);
}
