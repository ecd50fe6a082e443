/* SPDX-License-Identifier: Apache-2.0 */
/* The guard in its own wall: what it does when the supervisor dies, with a cgroup and without. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/guard.h"
#include "tests/jail/support.h"
#include "tests/run.h"

static char runtime[] = "/tmp/gondolin-guard-XXXXXX";
static char error[SUPPORT_TEXT_MAX];

/* Starts a guard; the session's descriptors are its alone then, as when the supervisor is dead. */
static void
start(struct guard *g, const char *id, const char *cgroup)
{
	struct session s;

	CU_ASSERT_EQUAL_FATAL(session_create(&s, id, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL_FATAL(guard_start(g, &s, cgroup, error, sizeof(error)), 0);
	session_close(&s);
}

/* The supervisor's end closes without a dismissal.  True where the guard did its work to the end.
 */
static bool
die(struct guard *g)
{
	int status = 0;

	close(g->pipe);
	close(g->pidfd);
	return waitpid(g->pid, &status, 0) == g->pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static bool
is_gone(const char *dir, const char *name)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) < 0 && errno == ENOENT;
}

static void
test_directory(void)
{
	struct guard g;

	start(&g, "plain", "");
	CU_ASSERT_TRUE(die(&g));
	CU_ASSERT_TRUE(is_gone(runtime, "plain"));
}

static void
test_dismissed(void)
{
	struct guard g;

	start(&g, "dismissed", "");
	guard_dismiss(&g);
	CU_ASSERT_FALSE(is_gone(runtime, "dismissed"));
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 1);
}

static void
put(const char *dir, const char *name, const char *text)
{
	char path[4200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_FATAL(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/*
 * A directory with a cgroup's files, where there is no cgroup to be had: the guard makes the same
 * calls, and waits in vain for the processes to end.
 */
static void
test_files_of_a_cgroup(void)
{
	static const char *const names[] = {"cgroup.kill", "cgroup.events"};
	char dir[64], text[8] = "";
	struct guard g;
	size_t i;
	FILE *f;

	snprintf(dir, sizeof(dir), "%s/.cgroup", runtime);
	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0700), 0);
	put(dir, names[0], "");
	put(dir, names[1], "populated 1\nfrozen 0\n");
	start(&g, "limited", dir);
	CU_ASSERT_TRUE(die(&g));
	CU_ASSERT_TRUE(is_gone(runtime, "limited"));
	snprintf(dir, sizeof(dir), "%s/.cgroup/%s", runtime, names[0]);
	f = fopen(dir, "r");
	CU_ASSERT_FATAL(f != NULL && fgets(text, sizeof(text), f) != NULL && fclose(f) == 0);
	CU_ASSERT_STRING_EQUAL(text, "1");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(dir, sizeof(dir), "%s/.cgroup/%s", runtime, names[i]);
		CU_ASSERT_EQUAL(unlink(dir), 0);
	}
	snprintf(dir, sizeof(dir), "%s/.cgroup", runtime);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* A real one, with a process that the supervisor left. */
static void
test_cgroup(void)
{
	const struct jail_cgroup_limits none = {0, 0, 0};
	char outer[4000], inner[4100], procs[4200], id[32];
	int cgroup, status;
	struct guard g;
	pid_t left;
	FILE *f;

	snprintf(id, sizeof(id), "guard-%d", getpid());
	cgroup = jail_cgroup_make(id, &none, outer, sizeof(outer), error, sizeof(error));
	if (cgroup < 0) {
		CU_ASSERT_EQUAL(cgroup, -EOPNOTSUPP);
		return;
	}
	close(cgroup);
	/* Below one of ours, as where it is delegated: a hierarchy's root is read-only but to
	 * root's capabilities, which the guard has not. */
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	CU_ASSERT_EQUAL_FATAL(mkdir(inner, 0755), 0);
	start(&g, id, inner);
	left = fork();
	if (left == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(g.pipe); /* the guard waits for its end */
		for (;;)
			pause();
	}
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", inner);
	f = fopen(procs, "w");
	CU_ASSERT_FATAL(f != NULL && fprintf(f, "%d", (int)left) > 0 && fclose(f) == 0);
	CU_ASSERT_TRUE(die(&g));
	CU_ASSERT_TRUE(waitpid(left, &status, 0) == left && WIFSIGNALED(status));
	CU_ASSERT_TRUE(is_gone(outer, "inner"));
	CU_ASSERT_TRUE(is_gone(runtime, id));
	jail_cgroup_remove(outer);
	CU_ASSERT_TRUE(is_gone(outer, ""));
}

static int
suite(void)
{
	CU_pSuite s;
	int code;

	if (mkdtemp(runtime) == NULL || setenv("GONDOLIN_RUNTIME_DIR", runtime, 1) < 0)
		return EXIT_FAILURE;
	begin_tests();
	s = CU_add_suite("guard", NULL, NULL);
	CU_add_test(s, "the session's directory", test_directory);
	CU_add_test(s, "dismissed", test_dismissed);
	CU_add_test(s, "files of a cgroup", test_files_of_a_cgroup);
	CU_add_test(s, "a cgroup", test_cgroup);
	code = run_tests();
	/* Fails where a test left something. */
	return rmdir(runtime) < 0 ? EXIT_FAILURE : code;
}

int
main(int argc, char **argv)
{
	return support_main(argc, argv, suite);
}
