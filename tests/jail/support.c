/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jail/support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED      77
#define ORDINARY_UID 65534u
#define HELPER_UID   64321u
#define DEADLINE_S   240u

/* Where the third-party program lies, outside and inside. */
static char caller_dir[] = "/tmp/gondolin-jail-XXXXXX";
static char caller_path[sizeof(caller_dir) + sizeof("/caller")];
static bool root_started;

struct jail_identity
support_identity(void)
{
	if (root_started)
		return (struct jail_identity){true, HELPER_UID, HELPER_UID};
	return (struct jail_identity){false, geteuid(), getegid()};
}

/* The build's folder may be closed to the ordinary user that we become: the program is copied. */
static int
copy_caller(void)
{
	const char *from = getenv("JAIL_CALLER");
	int in = -1, out = -1, error = -1;
	struct stat st;

	if (from == NULL || mkdtemp(caller_dir) == NULL || chmod(caller_dir, 0755) < 0)
		return -1;
	snprintf(caller_path, sizeof(caller_path), "%s/caller", caller_dir);
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(caller_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (in >= 0 && out >= 0 && fstat(in, &st) == 0 && fchmod(out, 0755) == 0 &&
	    sendfile(out, in, NULL, (size_t)st.st_size) == st.st_size)
		error = 0;
	close(in);
	close(out);
	return error;
}

static int
become_ordinary(void)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID) < 0 ||
	    setresuid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID) < 0)
		return -1;
	/* As a process that was started by that user would be. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* In a child, so that what root made can be removed by root. */
static int
run_suite(int (*suite)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(DEADLINE_S);
		if (!root_started && become_ordinary() < 0) {
			perror("cannot become an ordinary user");
			exit(EXIT_FAILURE);
		}
		exit(suite());
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return EXIT_FAILURE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int
support_main(int argc, char **argv, int (*suite)(void))
{
	int code;

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_main(argc, argv);
	root_started = argc > 1 && strcmp(argv[1], "root") == 0;
	if (root_started && geteuid() != 0) {
		printf("skipped: starting helpers as root needs root\n");
		return SKIPPED;
	}
	if (copy_caller() < 0) {
		perror("cannot copy the program that JAIL_CALLER names");
		return EXIT_FAILURE;
	}
	code = run_suite(suite);
	unlink(caller_path);
	rmdir(caller_dir);
	return code;
}

/* Makes the pipes and starts. */
static int
start(struct jailed *j, struct jail_spawn *s, char *error)
{
	int in[2], out[2], log[2], fds[3];
	pid_t pid;

	*j = (struct jailed){-1, -1, -1, -1, -1, -1};
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(log, O_CLOEXEC) < 0)
		return -errno;
	fds[0] = in[0];
	fds[1] = out[1];
	fds[2] = log[1];
	s->identity = support_identity();
	s->fds = fds;
	s->n_fds = 3;
	s->cgroup_fd = -1;
	j->in = in[1];
	j->out = out[0];
	j->log = log[0];
	s->notify_fd = s->profile->report == JAIL_REPORT_NOTIFY ? &j->notify_fd : NULL;
	pid = j->pid = jail_spawn(s, &j->pidfd, error, SUPPORT_TEXT_MAX);
	s->fds = NULL;
	s->notify_fd = NULL;
	close(in[0]);
	close(out[1]);
	close(log[1]);
	if (pid < 0) {
		close(j->in);
		close(j->out);
		close(j->log);
	}
	return pid < 0 ? pid : 0;
}

int
support_start(struct jailed *j, const struct jail_profile *profile, const char *action,
    const char *arg, char *error)
{
	char program[] = "jailed", child[] = "child", name[64], walls[16], action_text[16],
	     arg_text[256];
	char *argv[] = {program, child, name, walls, action_text, arg_text, NULL};
	struct jail_spawn s = {.profile = profile, .program = "/proc/self/exe", .argv = argv};

	snprintf(name, sizeof(name), "%s", profile->name);
	snprintf(walls, sizeof(walls), "%u", profile->walls);
	snprintf(action_text, sizeof(action_text), "%s", action);
	snprintf(arg_text, sizeof(arg_text), "%s", arg != NULL ? arg : "");
	return start(j, &s, error);
}

int
support_start_foreign(
    struct jailed *j, const struct jail_profile *profile, char *argv[], char *error)
{
	const struct jail_bind binds[] = {{caller_path, NULL, false}, {NULL, NULL, false}};
	struct jail_profile here = *profile;
	struct jail_spawn s = {.profile = &here, .program = caller_path, .argv = argv};

	here.binds = binds;
	argv[0] = caller_path;
	return start(j, &s, error);
}

int
support_await_ready(const struct jailed *j)
{
	char byte;

	return read(j->out, &byte, 1) == 1 ? 0 : -EPIPE;
}

int
support_finish(struct jailed *j, char *text)
{
	char rest[SUPPORT_TEXT_MAX];
	size_t used = 0;
	int status = -1;
	ssize_t n;

	close(j->in);
	if (text == NULL)
		text = rest;
	do {
		n = read(j->log, text + used, SUPPORT_TEXT_MAX - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	text[used] = '\0';
	waitpid(j->pid, &status, 0);
	close(j->pidfd);
	close(j->out);
	close(j->log);
	if (j->notify_fd >= 0)
		close(j->notify_fd);
	return status;
}
