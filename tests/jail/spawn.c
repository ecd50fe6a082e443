/* SPDX-License-Identifier: Apache-2.0 */
/* What jail_spawn() promises beside the walls: descriptors, signals, death, errors, cgroups. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jail/support.h"
#include "tests/run.h"

static char error[SUPPORT_TEXT_MAX];

/* Reads /proc/PID/NAME into text (SUPPORT_TEXT_MAX). */
static void
read_proc(pid_t pid, const char *name, char *text)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, SUPPORT_TEXT_MAX - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
}

static void
test_signals(void)
{
	char status[SUPPORT_TEXT_MAX];
	struct jailed j = {.pid = -1};
	sigset_t blocked;

	/* What the starter ignores or blocks is no business of the child. */
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	CU_ASSERT_EQUAL_FATAL(support_start(&j, &probe_profile, "hold", NULL, error), 0);
	CU_ASSERT_EQUAL(support_await_ready(&j), 0);
	read_proc(j.pid, "status", status);
	CU_ASSERT_PTR_NOT_NULL(strstr(status, "\nSigBlk:\t0000000000000000\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(status, "\nSigIgn:\t0000000000000000\n"));
	CU_ASSERT_EQUAL(getsid(j.pid), j.pid);
	CU_ASSERT_EQUAL(support_finish(&j, NULL), 0);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	signal(SIGTERM, SIG_DFL);
}

/* Descriptors that lie in each other's way, and a gap. */
static void
test_descriptors(void)
{
	char program[] = "jailed", child[] = "child", name[] = "probe", walls[16],
	     action[] = "pair", text[8] = "";
	char *argv[] = {program, child, name, walls, action, NULL};
	struct jail_spawn s = {.profile = &probe_profile,
	    .program = "/proc/self/exe",
	    .argv = argv,
	    .identity = support_identity(),
	    .cgroup_fd = -1};
	int a[2] = {-1, -1}, b[2] = {-1, -1}, fds[16], pidfd, status;
	pid_t pid;
	size_t i;

	snprintf(walls, sizeof(walls), "%d", JAIL_ALL);
	CU_ASSERT(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	/* Descriptor 14 is to become 15, and 15 to become 14. */
	CU_ASSERT(dup3(a[1], 15, O_CLOEXEC) == 15 && dup3(b[1], 14, O_CLOEXEC) == 14);
	for (i = 0; i < 16; i++)
		fds[i] = -1;
	fds[STDERR_FILENO] = STDERR_FILENO;
	fds[14] = 15;
	fds[15] = 14;
	s.fds = fds;
	s.n_fds = 16;
	pid = jail_spawn(&s, &pidfd, error, sizeof(error));
	CU_ASSERT(pid > 0);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	CU_ASSERT(read(a[0], text, sizeof(text)) == 1 && text[0] == 'a');
	CU_ASSERT(read(b[0], text, sizeof(text)) == 1 && text[0] == 'b');
	close(pidfd);
	close(14);
	close(15);
	for (i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

/* The starter is killed: the helper goes too, its change of uid notwithstanding. */
static void
test_starter_dies(void)
{
	struct jailed j;
	struct pollfd p = {.events = POLLIN};
	int told[2];
	pid_t starter, helper = -1;

	CU_ASSERT_EQUAL_FATAL(pipe2(told, O_CLOEXEC), 0);
	starter = fork();
	if (starter == 0) {
		if (support_start(&j, &probe_profile, "hold", NULL, error) == 0 &&
		    support_await_ready(&j) == 0 &&
		    write(told[1], &j.pid, sizeof(j.pid)) == sizeof(j.pid))
			pause();
		_exit(EXIT_FAILURE);
	}
	CU_ASSERT(read(told[0], &helper, sizeof(helper)) == sizeof(helper));
	p.fd = pidfd_open(helper, 0);
	CU_ASSERT(p.fd >= 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
	kill(starter, SIGKILL);
	waitpid(starter, NULL, 0);
	CU_ASSERT_EQUAL(poll(&p, 1, -1), 1);
	close(p.fd);
}

static void
expect_failure(const struct jail_spawn *s, int code, const char *text)
{
	int pidfd = 0;

	CU_ASSERT_EQUAL(jail_spawn(s, &pidfd, error, sizeof(error)), code);
	CU_ASSERT_EQUAL(pidfd, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, text));
	if (strstr(error, text) == NULL)
		printf("wanted \"%s\", got \"%s\"\n", text, error);
	/* No process is left. */
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void
test_errors(void)
{
	static const struct jail_bind binds[] = {{"/no/such/file", NULL, false}, {0}};
	static const struct jail_bind optional[] = {{"/no/such/file", NULL, true}, {0}};
	char name[] = "x";
	char *argv[] = {name, NULL};
	struct jail_profile foreign = foreign_profile;
	struct jail_spawn s = {.profile = &probe_profile, .argv = argv, .cgroup_fd = -1};
	int notify_fd = 0;

	s.identity = support_identity();
	s.program = "/no/such/program";
	expect_failure(&s, -ENOENT, "cannot start probe: cannot find /no/such/program: No such");
	s.program = "/dev/null";
	expect_failure(&s, -EACCES, "cannot execute /dev/null: Permission denied");
	s.program = "/proc/self/exe";
	s.n_fds = JAIL_SPAWN_FDS_MAX + 1;
	expect_failure(&s, -EINVAL, "more than 32 descriptors");
	s.n_fds = 0;
	s.notify_fd = &notify_fd;
	expect_failure(&s, -EINVAL, "third-party programs only");
	s.profile = &foreign;
	expect_failure(&s, -ENOENT, "cannot execute /proc/self/exe in its root: No such");
	CU_ASSERT_EQUAL(notify_fd, -1);
	foreign.binds = binds;
	expect_failure(&s, -ENOENT, "cannot open /no/such/file for the program's root");
	foreign.binds = optional;
	expect_failure(&s, -ENOENT, "in its root");
	s.identity = (struct jail_identity){true, 0, 0};
	expect_failure(&s, -EINVAL, "needs a uid and a gid of its own");
}

/* A helper that is started by hand says what is wrong and does nothing. */
static void
test_by_hand(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "jailed", "child", "probe", "16383", "exit", NULL);
		_exit(EXIT_FAILURE);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 125);
}

static void
on_difference(void *ctx, const char *line)
{
	(void)ctx;
	printf("%s\n", line);
}

/* A third-party program: all its walls stand, and it runs. */
static void
test_foreign(void)
{
	struct jail_expectation e = {.profile = &foreign_profile, .identity = support_identity()};
	char *argv[] = {NULL, NULL}, report[SUPPORT_TEXT_MAX];
	struct jail_profile bound = foreign_profile;
	const struct jail_bind anything[] = {{"/tmp", NULL, false}, {0}};
	struct jailed j;
	int result = support_start_foreign(&j, &foreign_profile, argv, error);

	CU_ASSERT_EQUAL(result, 0);
	if (result < 0) {
		printf("%s\n", error);
		return;
	}
	bound.binds = anything;
	e.profile = &bound;
	e.pid = j.pid;
	CU_ASSERT_EQUAL(jail_audit(&e, on_difference, NULL), 0);
	CU_ASSERT_EQUAL(jail_notified(j.notify_fd, j.pidfd, report, sizeof(report)), 0);
	CU_ASSERT_EQUAL(support_finish(&j, NULL), 0);
}

static void
test_cgroup(void)
{
	const struct jail_cgroup_limits none = {0, 0, 0};
	char program[] = "jailed", child[] = "child", name[] = "probe", walls[] = "16383",
	     action[] = "hold", path[4096], text[SUPPORT_TEXT_MAX], id[32];
	char *argv[] = {program, child, name, walls, action, NULL};
	struct jail_spawn s = {.profile = &probe_profile,
	    .program = "/proc/self/exe",
	    .argv = argv,
	    .identity = support_identity()};
	int in[2], fds[3], pidfd, status;
	pid_t pid;

	snprintf(id, sizeof(id), "test-%d", getpid());
	s.cgroup_fd = jail_cgroup_make(id, &none, path, sizeof(path), error, sizeof(error));
	if (s.cgroup_fd < 0) {
		/* Not delegated: that is said. */
		CU_ASSERT_EQUAL(s.cgroup_fd, -EOPNOTSUPP);
		CU_ASSERT(error[0] != '\0');
		return;
	}
	CU_ASSERT_EQUAL(pipe2(in, O_CLOEXEC), 0);
	fds[0] = in[0];
	fds[1] = -1;
	fds[2] = STDERR_FILENO;
	s.fds = fds;
	s.n_fds = 3;
	pid = jail_spawn(&s, &pidfd, error, sizeof(error));
	CU_ASSERT(pid > 0);
	read_proc(pid, "cgroup", text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, id));
	/* One that is in use is not taken. */
	CU_ASSERT_EQUAL(
	    jail_cgroup_make(id, &none, path, sizeof(path), error, sizeof(error)), -EBUSY);
	CU_ASSERT_EQUAL(kill(pid, 0), 0);
	jail_cgroup_remove(path);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CU_ASSERT(access(path, F_OK) < 0 && errno == ENOENT);
	jail_cgroup_remove(path);
	close(pidfd);
	close(in[0]);
	close(in[1]);
	close(s.cgroup_fd);
	/* One that was left empty is. */
	CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
	s.cgroup_fd = jail_cgroup_make(id, &none, path, sizeof(path), error, sizeof(error));
	CU_ASSERT(s.cgroup_fd >= 0);
	jail_cgroup_remove(path);
	close(s.cgroup_fd);
}

static int
suite(void)
{
	CU_pSuite s;

	begin_tests();
	s = CU_add_suite("spawn", NULL, NULL);
	CU_add_test(s, "signals and session", test_signals);
	CU_add_test(s, "descriptors", test_descriptors);
	CU_add_test(s, "the starter dies", test_starter_dies);
	CU_add_test(s, "errors", test_errors);
	CU_add_test(s, "a helper started by hand", test_by_hand);
	CU_add_test(s, "a third-party program", test_foreign);
	CU_add_test(s, "cgroup", test_cgroup);
	return run_tests();
}

int
main(int argc, char **argv)
{
	return support_main(argc, argv, suite);
}
