/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walls.  A process declares its wall as one `struct jail_profile` in its profile.c; the supervisor
 *starts it with jail_spawn(), which makes what only a parent can make (uid, namespaces); the
 *process prepares and then calls jail_enter(), which builds the rest in one fixed order or does not
 *return at all.
 *
 * Order, and why:
 *	spawn	user namespace (or none when started by root), pid, mount, ipc, uts and net
 *namespaces, PDEATHSIG, close-on-exec for all but the descriptors that were asked for, exec set-up
 *the process opens what needs a path or a privilege; nothing hostile is read
 *	enter	empty read-only root -> own uid and gid, no groups (root-started) -> rlimits ->
 *securebits, capability sets and bounding set emptied -> no_new_privs -> non-dumpable -> Landlock
 *(no path, where the kernel has it) -> seccomp, last, since the steps before it need calls that it
 *forbids
 */
#ifndef GONDOLIN_JAIL_JAIL_H
#define GONDOLIN_JAIL_JAIL_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

/* ---- What a profile declares ---- */

#define JAIL_CONDITIONS_MAX 3

/* One allowed system call.  Two rows for one call are or-ed; a call without conditions must have
 * just one row. */
struct jail_syscall {
	int number;
	const char *name;
	const char *why; /* its caller: the row goes when the caller goes */
	unsigned n_conditions;
	struct scmp_arg_cmp conditions[JAIL_CONDITIONS_MAX];
};

#define ALLOW(call, reason)                                              \
	{                                                                \
		.number = SCMP_SYS(call), .name = #call, .why = (reason) \
	}
#define ALLOW_IF(call, reason, ...)                                                             \
	{                                                                                       \
		.number = SCMP_SYS(call), .name = #call, .why = (reason),                       \
		.n_conditions =                                                                 \
		    sizeof((struct scmp_arg_cmp[]){__VA_ARGS__}) / sizeof(struct scmp_arg_cmp), \
		.conditions = {                                                                 \
			__VA_ARGS__                                                             \
		}                                                                               \
	}
/* Conditions for ALLOW_IF: argument `arg` (from 0) equals, or has no bit of mask set. */
#define ARG_IS(arg, value)                     \
	{                                      \
		(arg), SCMP_CMP_EQ, (value), 0 \
	}
#define ARG_LACKS(arg, mask)                         \
	{                                            \
		(arg), SCMP_CMP_MASKED_EQ, (mask), 0 \
	}

struct jail_limit {
	int resource; /* RLIMIT_* */
	const char *name;
	rlim_t value; /* soft and hard */
	const char *why;
};

/* What kind of thing a descriptor is, as /proc/PID/fd shows it. */
enum jail_fd_kind {
	JAIL_FD_NULL,   /* /dev/null */
	JAIL_FD_PIPE,   /* pipe:[...] */
	JAIL_FD_SOCKET, /* socket:[...] */
	JAIL_FD_EVENT,  /* anon_inode: eventpoll, eventfd, signalfd, timerfd */
	JAIL_FD_MEMORY, /* memfd */
	JAIL_FD_FILE,   /* a regular file */
	JAIL_FD_DIRECTORY,
	JAIL_FD_TERMINAL, /* a pty or tty */
	JAIL_FD_DEVICE,   /* another character device (kvm) */
};

/* The process holds at most `max` descriptors of that kind. */
struct jail_fd {
	enum jail_fd_kind kind;
	unsigned max;
	const char *why;
};

/* A path that a third-party program (QEMU) finds in its root, read-only; devices keep device
 * access. */
struct jail_bind {
	const char *path;   /* on the host; NULL ends the list */
	const char *target; /* in the root; NULL = the same path */
	bool optional;      /* skipped where the host has none */
};

enum jail_report {
	JAIL_REPORT_TRAP,   /* a SIGSYS handler of ours writes the report: programs that call
			       jail_enter() */
	JAIL_REPORT_NOTIFY, /* a notifier held by the supervisor: programs that are not ours */
};

/* Walls, as a bit mask: what audit counts, and what its tests leave out one by one. */
enum jail_wall {
	JAIL_USER = 1 << 0, /* user namespace or a uid of its own */
	JAIL_PID = 1 << 1,
	JAIL_MOUNT = 1 << 2, /* mount namespace */
	JAIL_NET = 1 << 3,
	JAIL_IPC = 1 << 4,
	JAIL_UTS = 1 << 5,
	JAIL_ROOT = 1 << 6, /* empty root (or its own files only) */
	JAIL_CAPS = 1 << 7,
	JAIL_RLIMITS = 1 << 8,
	JAIL_NO_NEW_PRIVS = 1 << 9,
	JAIL_NON_DUMPABLE = 1 << 10,
	JAIL_LANDLOCK = 1 << 11,
	JAIL_SECCOMP = 1 << 12,
	JAIL_FDS = 1 << 13, /* no descriptor but the declared */
	JAIL_ALL = (1 << 14) - 1,
};

struct jail_profile {
	const char *name; /* folder, log tag, man page: "vmrunner" */
	const char *job;  /* one line for the audit */
	unsigned walls;   /* JAIL_ALL, less what the process's job forbids (egress: JAIL_NET) */
	enum jail_report report;
	const struct jail_syscall *syscalls;
	size_t n_syscalls;
	const struct jail_limit *limits;
	size_t n_limits;
	const struct jail_fd *fds;
	size_t n_fds;
	const struct jail_bind *binds; /* NULL: an empty root */
};

/* ---- Starting a process (the supervisor) ---- */

/* Where the processes' identities come from. */
struct jail_identity {
	bool root_started; /* true: uid and gid below; false: a user namespace of the invoking user
			    */
	uid_t uid;
	gid_t gid;
};

struct jail_spawn {
	const struct jail_profile *profile;
	struct jail_identity identity;
	const char *program; /* path of the executable, opened before the walls */
	char *const *argv;
	char *const *envp; /* NULL: an empty environment */
	const int *fds;    /* fds[i] becomes descriptor i of the child; -1 = /dev/null */
	size_t n_fds;
	int cgroup_fd; /* a cgroup v2 directory to start in, or -1 */
	/*
	 * JAIL_REPORT_NOTIFY only: the program enters its whole wall before exec, and *notify_fd is
	 * set to the seccomp notifier (the caller's).
	 */
	int *notify_fd;
};

/*
 * Starts the process in its namespaces.  On success returns its pid (in the caller's pid namespace,
 * where it is a direct child) and sets *pidfd (the caller's).  On failure returns -errno and fills
 * error with one line that says which step failed and what to do.  The child dies (SIGKILL) with
 * the caller.
 */
pid_t jail_spawn(const struct jail_spawn *s, int *pidfd, char *error, size_t error_size);

/*
 * One notification of a JAIL_REPORT_NOTIFY process is waiting on notify_fd.  execve is let through
 * once (*exec_seen); anything else is a violation: fills report with "name(arg, ...)" and returns
 * 1; the caller kills the process.  Returns 0 where there is nothing to do, -errno where the
 * notifier is at its end.
 */
int jail_notified(int notify_fd, bool *exec_seen, char *report, size_t report_size);

/* ---- Entering (the process itself) ---- */

/*
 * Builds the rest of the wall, or writes one line to descriptor 2 and ends the process (exit 125):
 * there is no half-jailed return.  identity says how the process was started (jail_identity_get).
 */
void jail_enter(const struct jail_profile *profile);

/* ---- cgroups ---- */

struct jail_cgroup_limits {
	unsigned long long memory; /* bytes; 0 = not limited */
	double cpu;                /* cores; 0 = not limited */
	unsigned pids;             /* 0 = not limited */
};

/*
 * Makes a cgroup v2 for one sandbox below the caller's own where that is delegated, with the
 * limits.  On success returns a directory descriptor and fills path; returns -errno (-EOPNOTSUPP:
 * no delegated cgroup or a controller is missing) with the reason in error.
 */
int jail_cgroup_make(const char *id, const struct jail_cgroup_limits *limits, char *path,
    size_t path_size, char *error, size_t error_size);

/* Kills what is left in it and removes it.  Safe where it is gone. */
void jail_cgroup_remove(const char *path);

/* ---- Reading walls back ---- */

/* How a live process was meant to be started, from the session's file. */
struct jail_expectation {
	const struct jail_profile *profile;
	struct jail_identity identity; /* uid: the one that it must have, seen from the caller */
	pid_t pid;
};

/*
 * Compares a live process with its profile by /proc.  Calls `differs` for each difference with one
 * line ("vmrunner: seccomp: mode 0, declared 2").  Returns the number of differences, or -errno
 * where /proc cannot be read (-ESRCH: gone).
 */
int jail_audit(
    const struct jail_expectation *e, void (*differs)(void *ctx, const char *line), void *ctx);

/* The walls that this kernel can build at all (Landlock may be missing). */
unsigned jail_walls_supported(void);

/* Names for reports: "user namespace", "seccomp", ...  wall is one bit. */
const char *jail_wall_name(unsigned wall);

#endif
