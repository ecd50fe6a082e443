/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process 1's reaping and shutdown, as process 1 of a pid namespace of its own.  That process
 * reports with its exit code: 0, or the number of the step that failed.
 */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/init.h"
#include "tests/run.h"

/* Runs body as process 1 of a new pid namespace; returns its exit code, or -1. */
static int
in_namespace(int (*body)(void))
{
	pid_t maker, init;
	int status;

	fflush(NULL);
	maker = fork();
	if (maker == 0) {
		if (unshare(CLONE_NEWPID | (geteuid() != 0 ? CLONE_NEWUSER : 0)) < 0)
			_exit(254);
		init = fork();
		if (init == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(body());
		}
		if (init < 0 || waitpid(init, &status, 0) != init)
			_exit(253);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 252);
	}
	if (maker < 0 || waitpid(maker, &status, 0) != maker || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool
no_children(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* An agent that leaves orphans of orphans behind; the last of them outlive it. */
static int
reap_body(void)
{
	pid_t agent = fork();
	int i, status, orphans = 0;

	if (agent == 0) {
		for (i = 0; i < 20; i++)
			if (fork() == 0) {
				if (fork() == 0)
					_exit(0);
				_exit(0);
			}
		_exit(7);
	}
	if (agent < 0)
		return 1;
	if (init_reap_until(agent, 0, &status) != agent)
		return 4;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
		return 2;
	while (waitpid(-1, NULL, 0) > 0)
		orphans++;
	return orphans <= 40 && no_children() ? 0 : 3;
}

static int
signal_body(void)
{
	pid_t agent = fork();
	int status;

	if (agent == 0) {
		raise(SIGKILL);
		_exit(0);
	}
	if (init_reap_until(agent, 0, &status) != agent)
		return 4;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1;
}

/* One child goes at SIGTERM and says so, one ignores it: it gets SIGKILL after the grace. */
static int note[2];

static void
on_term(int s)
{
	(void)s;
	if (write(note[1], "t", 1) == 1)
		_exit(0);
}

static void
wait_ready(void)
{
	char c;

	if (read(note[0], &c, 1) != 1)
		_exit(9);
}

static int
shutdown_body(void)
{
	char c = 0;

	if (pipe(note) < 0)
		return 1;
	if (fork() == 0) {
		signal(SIGTERM, on_term);
		if (write(note[1], "r", 1) == 1)
			for (;;)
				pause();
	}
	wait_ready();
	if (fork() == 0) {
		signal(SIGTERM, SIG_IGN);
		setsid();
		if (write(note[1], "r", 1) == 1)
			for (;;)
				pause();
	}
	wait_ready();
	shutdown_processes(300, 0);
	if (!no_children())
		return 2;
	return read(note[0], &c, 1) == 1 && c == 't' ? 0 : 3;
}

static int
shutdown_of_nothing_body(void)
{
	shutdown_processes(60000, 0);
	shutdown_processes(0, 0);
	return no_children() ? 0 : 1;
}

static void
test_reap(void)
{
	CU_ASSERT_EQUAL(in_namespace(reap_body), 0);
}

static void
test_signal(void)
{
	CU_ASSERT_EQUAL(in_namespace(signal_body), 0);
}

static void
test_shutdown(void)
{
	CU_ASSERT_EQUAL(in_namespace(shutdown_body), 0);
	CU_ASSERT_EQUAL(in_namespace(shutdown_of_nothing_body), 0);
}

static void
test_module_words(void)
{
	static const struct {
		const char *words, *word;
		bool has;
	} rows[] = {
	    {"", "fuse", false},
	    {"fs-fuse fuse", "fuse", true},
	    {"fs-fuse fuse", "fs-fuse", true},
	    {"fs-fuse fuse", "fs", false},
	    {"fs-fuse fuse", "fs-fuse fuse", false},
	    {"  late  ", "late", true},
	    {"virtio:1", "virtio:16", false},
	    {"virtio:16", "virtio:1", false},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(modules_line_has(rows[i].words, rows[i].word), rows[i].has);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
	    {"orphans are reaped", test_reap},
	    {"an agent that dies of a signal", test_signal},
	    {"shutdown", test_shutdown},
	    {"when a module is loaded", test_module_words},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"init", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	return run_suites(suites);
}
