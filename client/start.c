/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting gondolin-supervisor.
 *
 * It gets what is to be added to its configuration as a memfd and one end of a SOCK_SEQPACKET
 * socketpair, the lifeline. On that it says `ready <id> <directory>` or `failed <message>`; we say
 * `release`, or close it, which is how it learns that we ended, however we ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "client/program.h"

#define CONFIG_MAX          (1u << 20)
#define PACKET_MAX          8192
#define CHILD_CONFIG        3 /* descriptors of the supervisor */
#define CHILD_LIFELINE      4
#define CHILD_CONFIG_TEXT   "3"
#define CHILD_LIFELINE_TEXT "4"
#define SUPERVISOR          "gondolin-supervisor"

extern char **environ;

/* A descriptor that no CHILD_ number can clobber. */
static int
raise_fd(int fd)
{
	int high;

	if (fd < 0)
		return -errno;
	high = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_LIFELINE + 1);
	if (high < 0)
		high = -errno;
	close(fd);
	return high;
}

static int
config_memfd(const char *text, size_t length)
{
	int fd = raise_fd(memfd_create("sandbox.conf", MFD_CLOEXEC));
	size_t done = 0;
	ssize_t n;

	while (fd >= 0 && done < length) {
		n = pwrite(fd, text + done, length - done, (off_t)done);
		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		done += (size_t)n;
	}
	return fd;
}

static int
find_supervisor(const char *given, char *path, size_t size)
{
	if (given == NULL)
		given = secure_getenv("GONDOLIN_SUPERVISOR");
	if (given == NULL)
		return program_find(SUPERVISOR, path, size);
	return (size_t)snprintf(path, size, "%s", given) < size ? 0 : -ENAMETOOLONG;
}

/* ---- Starting it ---- */

struct child {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
};

/* 0 or a positive errno, as posix_spawn(3) has it. */
static int
child_prepare(struct child *c, int config, int lifeline)
{
	const short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t all, none;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	if ((rc = posix_spawn_file_actions_adddup2(&c->actions, config, CHILD_CONFIG)) != 0 ||
	    (rc = posix_spawn_file_actions_adddup2(&c->actions, lifeline, CHILD_LIFELINE)) != 0 ||
	    (rc = posix_spawn_file_actions_addopen(
		 &c->actions, STDIN_FILENO, "/dev/null", O_RDWR, 0)) != 0 ||
	    (rc = posix_spawn_file_actions_adddup2(&c->actions, STDIN_FILENO, STDOUT_FILENO)) !=
		0 ||
	    (rc = posix_spawn_file_actions_addclosefrom_np(&c->actions, CHILD_LIFELINE + 1)) != 0 ||
	    (rc = posix_spawnattr_setsigdefault(&c->attributes, &all)) != 0 ||
	    (rc = posix_spawnattr_setsigmask(&c->attributes, &none)) != 0 ||
	    (rc = posix_spawnattr_setflags(&c->attributes, flags)) != 0)
		return rc;
	return 0;
}

#define ARGUMENTS_MAX 9

/* The words of the supervisor's command line; nothing writes to them. */
static void
arguments(const struct gondolin_start_options *o, char *argv[ARGUMENTS_MAX])
{
	const char *words[ARGUMENTS_MAX] = {SUPERVISOR};
	size_t n = 1;

	if (o->config_path != NULL) {
		words[n++] = "--config";
		words[n++] = o->config_path;
	}
	if (o->config_length > 0 || o->config_path == NULL) {
		words[n++] = "--options";
		words[n++] = CHILD_CONFIG_TEXT;
	}
	words[n++] = "--lifeline";
	words[n++] = CHILD_LIFELINE_TEXT;
	if (o->console)
		words[n++] = "--console";
	words[n] = NULL;
	memcpy(argv, words, sizeof(words));
}

static int
spawn(
    const char *path, const struct gondolin_start_options *o, int config, int lifeline, pid_t *pid)
{
	char *argv[ARGUMENTS_MAX];
	struct child c;
	int rc;

	arguments(o, argv);
	posix_spawn_file_actions_init(&c.actions);
	posix_spawnattr_init(&c.attributes);
	rc = child_prepare(&c, config, lifeline);
	if (rc == 0)
		rc = posix_spawn(
		    pid, path, &c.actions, &c.attributes, argv, o->env != NULL ? o->env : environ);
	posix_spawnattr_destroy(&c.attributes);
	posix_spawn_file_actions_destroy(&c.actions);
	return -rc;
}

int
client_reap(pid_t supervisor)
{
	int status = 0;
	pid_t pid;

	do
		pid = waitpid(supervisor, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid != supervisor)
		return 0; /* the caller ignores SIGCHLD: gone without a word */
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- Waiting until it takes commands ---- */

/* Reads the supervisor's first packet.  Returns 0 with id filled. */
static int
await_ready(int lifeline, char id[SESSION_ID_SIZE], struct gondolin_error *error)
{
	static const char ready[] = "ready ", failed[] = "failed ";
	char packet[PACKET_MAX + 1];
	size_t length;
	ssize_t n;

	do
		n = recv(lifeline, packet, PACKET_MAX, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return client_fail_reported(
		    error, -ECHILD, "the sandbox failed before it was ready");
	packet[n] = '\0';
	packet[strcspn(packet, "\n")] = '\0';
	if (strncmp(packet, failed, sizeof(failed) - 1) == 0)
		return client_fail_reported(error, -ECHILD, packet + sizeof(failed) - 1);
	if (strncmp(packet, ready, sizeof(ready) - 1) != 0)
		return client_fail(
		    error, -EPROTO, SUPERVISOR " is not of this version: it said \"%s\"", packet);
	length = strcspn(packet + sizeof(ready) - 1, " ");
	if (length >= SESSION_ID_SIZE)
		return client_fail(error, -EPROTO, SUPERVISOR " named no session");
	memcpy(id, packet + sizeof(ready) - 1, length);
	id[length] = '\0';
	return 0;
}

/* Takes the lifeline and the child over into a handle. */
static int
adopt(int lifeline, pid_t pid, struct gondolin_session **session, struct gondolin_error *error)
{
	char id[SESSION_ID_SIZE];
	int rc, status;

	rc = await_ready(lifeline, id, error);
	if (rc == 0)
		rc = gondolin_session_open(id, session, error);
	if (rc == 0) {
		(*session)->lifeline = lifeline;
		(*session)->supervisor = pid;
		return 0;
	}
	close(lifeline);
	status = client_reap(pid);
	if (status < 0)
		return client_fail(error, -ECHILD,
		    SUPERVISOR " died (signal %d) before the sandbox was ready", -status);
	return rc;
}

int
gondolin_session_start(const struct gondolin_start_options *o, struct gondolin_session **session,
    struct gondolin_error *error)
{
	char path[SESSION_PATH_SIZE];
	int rc, config = -1, pair[2] = {-1, -1};
	pid_t pid = 0;

	*session = NULL;
	if (error != NULL)
		*error = (struct gondolin_error){.code = 0};
	if (o->config_length > CONFIG_MAX)
		return client_fail(error, -EINVAL, "a configuration has at most 1 MiB");
	rc = find_supervisor(o->supervisor, path, sizeof(path));
	if (rc < 0)
		return client_fail(error, rc,
		    SUPERVISOR " was not found beside this program nor in " GONDOLIN_LIBEXECDIR
			       "; install it or set GONDOLIN_SUPERVISOR");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		rc = -errno;
		goto out;
	}
	pair[1] = raise_fd(pair[1]);
	config = config_memfd(o->config, o->config_length);
	rc = pair[1] < 0 ? pair[1] : config;
	if (rc >= 0)
		rc = spawn(path, o, config, pair[1], &pid);
out:
	client_close(&config);
	client_close(&pair[1]);
	if (rc < 0) {
		client_close(&pair[0]);
		return client_fail(error, rc, "cannot start %s: %s", path, strerror(-rc));
	}
	return adopt(pair[0], pid, session, error);
}
