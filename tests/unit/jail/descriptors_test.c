/* SPDX-License-Identifier: Apache-2.0 */
/* The audit of a live process whose descriptors have names that a guest chose. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "tests/unit/jail/jail_test.h"

#define EVIL    "\033]0;owned\007\xc2\x9b"
#define ESCAPED "\\x1b]0;owned\\x07\\xc2\\x9b"

static const struct jail_fd fds[] = {
    {JAIL_FD_NULL, 3, "0 to 2"},
    {JAIL_FD_FILE, 1, "a file of the mount"},
    {JAIL_FD_PATH, 3, "a link, a fifo and a socket of the mount"},
};

static const struct jail_profile profile = {
    .name = "held",
    .walls = JAIL_FDS,
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
};

static char mount[64]; /* a directory as a guest may leave it */

static int
at(const char *name)
{
	int dir = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fchdir(dir) < 0)
		return -1;
	close(dir);
	return open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static bool
make_mount(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[128];
	int fd;

	snprintf(mount, sizeof(mount), "/tmp/gondolin-audit-XXXXXX");
	if (mkdtemp(mount) == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/link" EVIL, mount);
	if (symlink("x", path) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/fifo" EVIL, mount);
	if (mkfifo(path, 0600) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/memfd:" EVIL, mount);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || close(fd) < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket" EVIL, mount);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	       close(fd) == 0;
}

static void
remove_mount(void)
{
	static const char *const names[] = {"link" EVIL, "fifo" EVIL, "socket" EVIL, "memfd:" EVIL};
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", mount, names[i]);
		CU_ASSERT_EQUAL(unlink(path), 0);
	}
	CU_ASSERT_EQUAL(rmdir(mount), 0);
}

/* What vfsd has open while a guest asks of these. */
static bool
open_paths(void)
{
	return at("link" EVIL) >= 0 && at("fifo" EVIL) >= 0 && at("socket" EVIL) >= 0 &&
	       open("memfd:" EVIL, O_RDONLY) >= 0;
}

/* A pipe by its name, with data behind it: no O_PATH. */
static bool
open_fifo(void)
{
	return open_paths() && open("fifo" EVIL, O_RDWR) >= 0;
}

/* One more than is declared. */
static bool
open_more(void)
{
	return open_paths() && at("link" EVIL) >= 0;
}

/* A taken-over process names what it makes itself. */
static bool
open_memory(void)
{
	return open_paths() && memfd_create(EVIL, MFD_CLOEXEC) >= 0;
}

/* The numbers that the loop below changes a third one to. */
static bool
open_two(void)
{
	return at("link" EVIL) == 3 && open("memfd:" EVIL, O_RDONLY) == 4;
}

/* Starts a child with /dev/null and what `opens` leaves it; with `loops` that changes all the time.
 */
static pid_t
start(bool (*opens)(void), bool loops)
{
	int ready[2], i, null;
	char byte;
	pid_t pid;

	CU_ASSERT_FATAL(pipe2(ready, O_CLOEXEC) == 0);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (i = 0; i < 3; i++)
			dup2(null, i);
		/* The end of the pipe tells that the descriptors are as they will be. */
		dup2(ready[1], 3);
		close_range(4, ~0u, 0);
		fcntl(3, F_SETFD, FD_CLOEXEC);
		dup2(3, 100);
		close(3);
		if (!opens() || write(100, "x", 1) != 1)
			_exit(1);
		close(100);
		while (loops) {
			/* One number is a link and a file in turn. */
			dup2(3, 50);
			dup2(4, 50);
		}
		pause();
	}
	close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	/* Its end is closed as well. */
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	return pid;
}

static void
end(pid_t pid)
{
	CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
	CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
}

static void
keep_line(void *ctx, const char *line)
{
	snprintf(ctx, 512, "%s", line);
}

static int
audit(pid_t pid, const struct jail_profile *p, char line[512])
{
	const struct jail_expectation e = {.profile = p, .pid = pid};

	line[0] = '\0';
	return jail_audit(&e, keep_line, line);
}

static void
test_names(void)
{
	static const struct {
		bool (*opens)(void);
		int differences;
		const char *start, *end; /* of the line */
	} rows[] = {
	    {open_paths, 0, "", ""},
	    {open_fifo, 1, "held: descriptors: ", "/fifo" ESCAPED ", the 1. pipe; declared 0"},
	    {open_more, 1, "held: descriptors: ", "/link" ESCAPED ", the 4. path; declared 3"},
	    {open_memory, 1, "held: descriptors: ",
		" is /memfd:" ESCAPED " (deleted), the 1. memory; declared 0"},
	};
	char line[512];
	size_t i, length;
	pid_t pid;

	CU_ASSERT_FATAL(make_mount());
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pid = start(rows[i].opens, false);
		CU_ASSERT_EQUAL(audit(pid, &profile, line), rows[i].differences);
		length = strlen(rows[i].end);
		CU_ASSERT_EQUAL(strncmp(line, rows[i].start, strlen(rows[i].start)), 0);
		CU_ASSERT_FATAL(strlen(line) >= length);
		CU_ASSERT_STRING_EQUAL(line + strlen(line) - length, rows[i].end);
		end(pid);
	}
	remove_mount();
}

/* Two questions may meet two descriptors of one number: what both answers say is no difference. */
static void
test_busy(void)
{
	static const struct jail_fd busy_fds[] = {
	    {JAIL_FD_NULL, 3, "0 to 2"},
	    {JAIL_FD_FILE, 2, "a file of the mount, and the other one's turn"},
	    {JAIL_FD_PATH, 2, "a link of the mount, and the other one's turn"},
	};
	const struct jail_profile busy = {
	    .name = "busy",
	    .walls = JAIL_FDS,
	    .fds = busy_fds,
	    .n_fds = sizeof(busy_fds) / sizeof(busy_fds[0]),
	};
	char line[512];
	pid_t pid;
	int i;

	CU_ASSERT_FATAL(make_mount());
	pid = start(open_two, true);
	for (i = 0; i < 2000; i++) {
		CU_ASSERT_EQUAL(audit(pid, &busy, line), 0);
		CU_ASSERT_STRING_EQUAL(line, "");
	}
	end(pid);
	remove_mount();
}

void
descriptors_suite(CU_pSuite suite)
{
	CU_add_test(suite, "names that a guest chose", test_names);
	CU_add_test(suite, "a process at work", test_busy);
}
