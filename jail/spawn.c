/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a process in its namespaces.
 *
 * The child talks to us over a socketpair that exec closes: a packet with text is a failed step, a
 * packet with a descriptor is the seccomp notifier of a third-party program, the end is the exec.
 *
 * A third-party program gets its filter before exec, and the filter forbids all that it does not
 * list, sendmsg to us included.  So the child's end of the socketpair lies at a number that no
 * descriptor of the program can ever have (at or above its RLIMIT_NOFILE), and the filter lets
 * sendmsg through on that number.  Its exec is forbidden as well, and waits on the notifier; we let
 * just this one through.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/internal.h"

#define EXIT_SANDBOX 125
#define STDIO_FDS    3u

struct start {
	const struct jail_spawn *s;
	int program_fd; /* O_PATH; -1 for a third-party program */
	int status_fd;  /* the child's end */
	pid_t parent;
	uid_t uid; /* the invoker's */
	gid_t gid;
};

static const struct {
	unsigned wall;
	uint64_t flag;
} namespaces[] = {
    {JAIL_USER, CLONE_NEWUSER},
    {JAIL_PID, CLONE_NEWPID},
    {JAIL_MOUNT, CLONE_NEWNS},
    {JAIL_NET, CLONE_NEWNET},
    {JAIL_IPC, CLONE_NEWIPC},
    {JAIL_UTS, CLONE_NEWUTS},
};

/* ---- In the child ---- */

static void
reset_signals(void)
{
	const struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;
	int i;

	/* SIGKILL, SIGSTOP and the C library's own two refuse, and need none. */
	for (i = 1; i < NSIG; i++)
		sigaction(i, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
write_text(const char *path, const char *text, struct jail_failure *f)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return jail_fail(f, errno, "cannot open %s", path);
	if (write(fd, text, strlen(text)) < 0)
		error = jail_fail(f, errno, "cannot write %s", path);
	close(fd);
	return error;
}

/* 0 inside is the invoker outside, and nobody else is anybody (user_namespaces(7)). */
static int
map_ids(const struct start *st, struct jail_failure *f)
{
	char uids[32], gids[32];
	int error;

	/* A non-dumpable starter's copy could not open its own /proc files. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return jail_fail(f, errno, "cannot become dumpable for the uid map");
	snprintf(uids, sizeof(uids), "0 %u 1", st->uid);
	snprintf(gids, sizeof(gids), "0 %u 1", st->gid);
	error = write_text("/proc/self/setgroups", "deny", f);
	if (error == 0)
		error = write_text("/proc/self/uid_map", uids, f);
	if (error == 0)
		error = write_text("/proc/self/gid_map", gids, f);
	return error;
}

/* Moves *fd to a number that is at least `above`. */
static int
move_above(int *fd, int above, struct jail_failure *f)
{
	const int moved = fcntl(*fd, F_DUPFD_CLOEXEC, above);

	if (moved < 0)
		return jail_fail(
		    f, errno, "cannot move a descriptor to %d (raise the limit: ulimit -n)", above);
	*fd = moved;
	return 0;
}

static int
place_fds(struct start *st, struct jail_failure *f)
{
	const size_t n = st->s->n_fds < STDIO_FDS ? STDIO_FDS : st->s->n_fds;
	int from[JAIL_SPAWN_FDS_MAX], null_fd, error;
	size_t i;

	/* First everything out of the way, then each into its place. */
	error = st->program_fd >= 0 ? move_above(&st->program_fd, (int)n, f) : 0;
	if (error == 0)
		error = move_above(&st->status_fd, (int)n, f);
	if (error < 0)
		return error;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return jail_fail(f, errno, "cannot open /dev/null");
	for (i = 0; i < n; i++) {
		from[i] = i < st->s->n_fds && st->s->fds[i] >= 0 ? st->s->fds[i] : null_fd;
		error = move_above(&from[i], (int)n, f);
		if (error < 0)
			return error;
	}
	for (i = 0; i < n; i++)
		if (dup2(from[i], (int)i) < 0)
			return jail_fail(f, errno, "cannot place descriptor %zu", i);
	if (st->s->profile->walls & JAIL_FDS &&
	    close_range((unsigned)n, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return jail_fail(f, errno, "cannot close the other descriptors");
	return 0;
}

static int
prepare(struct start *st, struct jail_failure *f)
{
	const struct jail_profile *profile = st->s->profile;
	struct mount_attr private = {.propagation = MS_PRIVATE};
	int stat_fd, error;

	stat_fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (stat_fd < 0)
		return jail_fail(f, errno, "cannot read /proc/self/stat (is /proc mounted?)");
	error = jail_die_with_parent(stat_fd, st->parent, f);
	close(stat_fd);
	if (error == 0 && setsid() < 0)
		error = jail_fail(f, errno, "cannot make a session");
	reset_signals();
	if (error == 0 && profile->walls & JAIL_USER && !st->s->identity.root_started)
		error = map_ids(st, f);
	if (error == 0 && profile->walls & JAIL_MOUNT &&
	    mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)) < 0)
		error = jail_fail(f, errno,
		    "cannot make the mounts private (where the system restricts user namespaces, "
		    "allow them: kernel.apparmor_restrict_unprivileged_userns=0)");
	if (error == 0)
		error = place_fds(st, f);
	return error;
}

/* Sends text, or a descriptor, or both. */
static void
send_status(int status_fd, const struct jail_failure *f, int error, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec parts[] = {
	    {&error, sizeof(error)},
	    {(void *)(uintptr_t)f->text, strlen(f->text) + 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	/* A starter that is gone takes us with it. */
	sendmsg(status_fd, &message, MSG_NOSIGNAL);
}

/* The caller's environment and JAIL_VARIABLE. */
static int
exec_own(const struct start *st, struct jail_failure *f)
{
	const struct jail_spawn *s = st->s;
	char variable[64];
	char **env;
	size_t n = 0;

	while (s->envp != NULL && s->envp[n] != NULL)
		n++;
	env = calloc(n + 2, sizeof(env[0]));
	if (env == NULL)
		return jail_fail(f, ENOMEM, "cannot make the environment");
	if (n > 0)
		memcpy(env, s->envp, n * sizeof(env[0]));
	if (s->identity.root_started)
		snprintf(variable, sizeof(variable), JAIL_VARIABLE "=%u:%u", s->identity.uid,
		    s->identity.gid);
	else
		snprintf(variable, sizeof(variable), JAIL_VARIABLE "=user");
	env[n] = variable;
	execveat(st->program_fd, "", s->argv, env, AT_EMPTY_PATH);
	free(env);
	return jail_fail(f, errno, "cannot execute %s", s->program);
}

static rlim_t
fds_limit(const struct jail_profile *profile)
{
	size_t i;

	for (i = 0; i < profile->n_limits; i++)
		if (profile->limits[i].resource == RLIMIT_NOFILE)
			return profile->limits[i].value;
	return 0;
}

/* After the filter, only sendmsg on status_fd and execve: all else would wait for ever. */
static int
exec_foreign(struct start *st, struct jail_failure *f)
{
	const struct jail_spawn *s = st->s;
	char *const no_env[] = {NULL};
	struct jail_filter filter;
	int listener, error;

	error = move_above(&st->status_fd, (int)fds_limit(s->profile), f);
	if (error == 0)
		error = jail_filter_build(s->profile, st->status_fd, &filter, f);
	if (error == 0)
		error =
		    jail_walls_build(s->profile, &s->identity, (struct jail_grants){NULL, 0}, f);
	if (error < 0)
		return error;
	if (s->profile->walls & JAIL_SECCOMP) {
		listener = jail_filter_load(&filter, true);
		if (listener < 0)
			return jail_fail(f, -listener, "cannot install the seccomp filter");
		f->text[0] = '\0';
		send_status(st->status_fd, f, 0, listener);
	}
	execve(s->program, s->argv, s->envp != NULL ? s->envp : no_env);
	return jail_fail(f, errno, "cannot execute %s in its root", s->program);
}

static _Noreturn void
run_child(struct start *st)
{
	struct jail_failure f = {""};
	int error = prepare(st, &f);

	if (error == 0)
		error = st->s->profile->report == JAIL_REPORT_NOTIFY ? exec_foreign(st, &f)
								     : exec_own(st, &f);
	send_status(st->status_fd, &f, -error, -1);
	_exit(EXIT_SANDBOX);
}

/* ---- In the starter ---- */

static pid_t
clone_child(const struct start *st, int *pidfd, struct jail_failure *f)
{
	struct clone_args args = {
	    .flags = CLONE_PIDFD, .pidfd = (uintptr_t)pidfd, .exit_signal = SIGCHLD};
	const struct jail_spawn *s = st->s;
	size_t i;
	long pid;

	for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (s->profile->walls & namespaces[i].wall)
			args.flags |= namespaces[i].flag;
	if (s->identity.root_started)
		args.flags &= ~(uint64_t)CLONE_NEWUSER;
	if (s->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)s->cgroup_fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid >= 0)
		return (pid_t)pid;
	if ((errno == EPERM || errno == ENOSPC) && args.flags & CLONE_NEWUSER)
		return jail_fail(f, errno,
		    "cannot make a user namespace (allow them: user.max_user_namespaces, "
		    "kernel.unprivileged_userns_clone=1; or start as root)");
	return jail_fail(f, errno, "cannot make the process and its namespaces");
}

/* Returns 1, 0 at the end of the connection, or -errno. */
static int
receive_status(int status, int *error, struct jail_failure *f, int *fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec parts[] = {{error, sizeof(*error)}, {f->text, sizeof(f->text)}};
	struct msghdr message = {.msg_iov = parts,
	    .msg_iovlen = 2,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	ssize_t n;

	*error = 0;
	do
		n = recvmsg(status, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	f->text[sizeof(f->text) - 1] = '\0';
	c = CMSG_FIRSTHDR(&message);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return 1;
}

/* The notifier is readable before exec: lets one exec through, and nothing else. */
static int
pass_exec(int notify_fd, bool *passed, struct jail_failure *f)
{
	struct jail_notification n = {0};
	char call[JAIL_REPORT_MAX];
	int got = jail_notify_receive(notify_fd, &n);

	if (got < 0)
		return jail_fail(f, -got, "cannot read the seccomp notifier");
	if (got == 0)
		return 0;
	if (n.number != SYS_execve || *passed) {
		jail_report_format(call, sizeof(call), n.number, n.args);
		return jail_fail(f, EPERM, "%s before exec", call);
	}
	*passed = true;
	got = jail_notify_continue(notify_fd, n.id);
	return got < 0 ? jail_fail(f, -got, "cannot let the exec through") : 0;
}

/* Waits for exec.  Sets *notify_fd where the child sends one. */
static int
await_exec(int status, int *notify_fd, struct jail_failure *f)
{
	bool passed = false;
	int error, got;

	for (;;) {
		struct pollfd p[] = {
		    {.fd = status, .events = POLLIN}, {.fd = *notify_fd, .events = POLLIN}};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return jail_fail(f, errno, "cannot wait for the exec");
		if (p[0].revents != 0) {
			got = receive_status(status, &error, f, notify_fd);
			if (got == 0)
				return 0;
			if (got < 0)
				return jail_fail(f, -got, "cannot hear from the new process");
			if (error != 0)
				return -error;
		} else if (p[1].revents != 0) {
			error = pass_exec(*notify_fd, &passed, f);
			if (error < 0)
				return error;
		}
	}
}

static int
check_request(const struct jail_spawn *s, struct jail_failure *f)
{
	if (s->n_fds > JAIL_SPAWN_FDS_MAX)
		return jail_fail(f, EINVAL, "more than %u descriptors", JAIL_SPAWN_FDS_MAX);
	if ((s->profile->report == JAIL_REPORT_NOTIFY) != (s->notify_fd != NULL))
		return jail_fail(f, EINVAL, "a notifier is for third-party programs only");
	if (s->identity.root_started && (s->identity.uid == 0 || s->identity.gid == 0))
		return jail_fail(
		    f, EINVAL, "a root-started process needs a uid and a gid of its own");
	return 0;
}

/* Forks with all signals blocked: a handler of ours may not run in the child. */
static pid_t
start_child(struct start *st, int *pidfd, struct jail_failure *f)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone_child(st, pidfd, f);
	if (pid == 0)
		run_child(st);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static void
end_child(pid_t pid, int *pidfd, int *notify_fd)
{
	pidfd_send_signal(*pidfd, SIGKILL, NULL, 0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(*pidfd);
	*pidfd = -1;
	if (*notify_fd >= 0)
		close(*notify_fd);
	*notify_fd = -1;
}

static void
close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

pid_t
jail_spawn(const struct jail_spawn *s, int *pidfd, char *error, size_t error_size)
{
	struct start st = {
	    .s = s, .program_fd = -1, .parent = getpid(), .uid = geteuid(), .gid = getegid()};
	struct jail_failure f = {""};
	int ends[2] = {-1, -1}, notify_fd = -1, result;
	pid_t pid = -1;

	*pidfd = -1;
	result = check_request(s, &f);
	if (result < 0)
		goto out;
	/* A third-party program is a path of its root only. */
	if (s->profile->report != JAIL_REPORT_NOTIFY)
		st.program_fd = open(s->program, O_PATH | O_CLOEXEC);
	if (st.program_fd < 0 && s->profile->report != JAIL_REPORT_NOTIFY) {
		result = jail_fail(&f, errno, "cannot find %s", s->program);
		goto out;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		result = jail_fail(&f, errno, "cannot make a socketpair");
		goto out;
	}
	st.status_fd = ends[1];
	result = pid = start_child(&st, pidfd, &f);
	if (pid < 0)
		goto out;
	close(ends[1]);
	ends[1] = -1;
	result = await_exec(ends[0], &notify_fd, &f);
	if (result < 0)
		end_child(pid, pidfd, &notify_fd);
out:
	if (result < 0)
		snprintf(error, error_size, "cannot start %s: %s", s->profile->name, f.text);
	if (s->notify_fd != NULL)
		*s->notify_fd = notify_fd;
	close_if_open(st.program_fd);
	close_if_open(ends[0]);
	close_if_open(ends[1]);
	return result < 0 ? result : pid;
}
