/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walls.  A process declares its wall as one `struct jail_profile` in its profile.c.  The
 * supervisor starts it with jail_spawn(), which makes what only a parent can make (uid map,
 * namespaces); the process prepares and then calls jail_enter(), which builds the rest in one fixed
 * order or does not return at all.
 *
 * Order, and why:
 *	spawn	user namespace (none when started by root), pid, mount, ipc, uts and net namespaces;
 *		PDEATHSIG; a session of its own, so that a terminal's Ctrl-C does not reach it;
 *		default signal dispositions; close-on-exec for all but the wanted descriptors; exec
 *	set-up	the process opens what needs a path or a privilege; nothing hostile is read
 *	enter	securebits and bounding set, while there is a /proc and CAP_SETPCAP
 *		empty read-only root
 *		own uid and gid, no groups (root-started)
 *		rlimits
 *		capability sets emptied
 *		no_new_privs
 *		non-dumpable, after the change of uid, which touches the same flag
 *		Landlock (no path but below granted directories, no port, no signal; where the
 *		kernel has it)
 *		seccomp, last, since the steps before it need calls that it forbids
 *
 * The process is pid 1 of its pid namespace.  So signals of default disposition that are sent to it
 * (SIGTERM, SIGINT, ...) are ignored: a helper ends by closed sockets, by a handler of its own, or
 * by SIGKILL from outside.  abort() cannot end it by SIGABRT either, and tries calls that few
 * profiles list: it shows as a SIGSYS or SIGSEGV death.  When it ends, the kernel kills all that is
 * left in the namespace.  Unprivileged, the invoker's supplementary groups stay (a user namespace
 * made without privilege may not drop them); there is no path that they could open.
 */
#ifndef GONDOLIN_JAIL_JAIL_H
#define GONDOLIN_JAIL_JAIL_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

/* seccomp.h brings elf.h, whose EV_NONE is a macro; libev's is an enum constant of that name. */
#undef EV_NONE

/* ---- What a profile declares ---- */

#define JAIL_CONDITIONS_MAX 3

/*
 * One system call.  Two rows for one call are or-ed, so a call with an unconditional row must have
 * just that row.  Conditions compare all 64 bits of an argument: for one that the kernel reads as
 * an int, compare only values that are not negative.
 */
struct jail_syscall {
	int number; /* negative: this architecture has no such call, the row is ignored */
	const char *name;
	const char *why;       /* its caller: the row goes when the caller goes */
	const char *elsewhere; /* NULL, or why no test on the usual host makes this call */
	int error;             /* 0: let through; else not made, and answered with this errno */
	unsigned n_conditions;
	struct scmp_arg_cmp conditions[JAIL_CONDITIONS_MAX];
};

#define ALLOW(call, reason)                                              \
	{                                                                \
		.number = SCMP_SYS(call), .name = #call, .why = (reason) \
	}
/*
 * For a call that another machine, C library, kernel or version of a program makes than the tests'
 * usual host has: coverage prints `where` instead of asking for a test.
 */
#define ALLOW_ELSEWHERE(call, reason, where)                                                   \
	{                                                                                      \
		.number = SCMP_SYS(call), .name = #call, .why = (reason), .elsewhere = (where) \
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
#define ALLOW_IF_ELSEWHERE(call, reason, where, ...)                                            \
	{                                                                                       \
		.number = SCMP_SYS(call), .name = #call, .why = (reason), .elsewhere = (where), \
		.n_conditions =                                                                 \
		    sizeof((struct scmp_arg_cmp[]){__VA_ARGS__}) / sizeof(struct scmp_arg_cmp), \
		.conditions = {                                                                 \
			__VA_ARGS__                                                             \
		}                                                                               \
	}
/*
 * Not made, but answered with an errno (positive) instead of death: for a call that a library tries
 * first and can do without.
 */
#define DENY_ERRNO(call, errno_value, reason)                                                    \
	{                                                                                        \
		.number = SCMP_SYS(call), .name = #call, .why = (reason), .error = (errno_value) \
	}
/*
 * Conditions for ALLOW_IF: argument `arg` (from 0) equals, differs from, has no bit of mask set, or
 * has all of them set.
 */
#define ARG_IS(arg, value)                     \
	{                                      \
		(arg), SCMP_CMP_EQ, (value), 0 \
	}
#define ARG_IS_NOT(arg, value)                 \
	{                                      \
		(arg), SCMP_CMP_NE, (value), 0 \
	}
#define ARG_HAS(arg, mask)                                \
	{                                                 \
		(arg), SCMP_CMP_MASKED_EQ, (mask), (mask) \
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
	JAIL_FD_PROCESS,  /* a pidfd, a seccomp notifier */
	JAIL_FD_PATH,     /* O_PATH of a link, fifo, socket or device: names it, and does no more */
	JAIL_FD_RULESET,  /* the Landlock ruleset that jail_enter leaves open; never declared */
	JAIL_FD_KINDS,
};

/* The process holds at most `max` descriptors of that kind. */
struct jail_fd {
	enum jail_fd_kind kind;
	unsigned max;
	const char *why;
};

/*
 * A path that a third-party program (QEMU) finds in its root, read-only, nosuid, and nodev unless
 * it is a device.  A directory comes with all that is below it.  Landlock lets the program read and
 * execute just these.
 */
struct jail_bind {
	const char *path;   /* on the host; NULL ends the list; "" = known at the start only */
	const char *target; /* in the root; NULL = the same path */
	bool optional;      /* skipped where the host has none */
};

enum jail_report {
	/*
	 * Programs that call jail_enter(): a SIGSYS handler writes one line to descriptor 2 and
	 * repeats the call, of which the kernel then kills the process (SIGSYS).  The profile must
	 * list write, and rt_sigaction at most with a condition that excludes SIGSYS.
	 */
	JAIL_REPORT_TRAP,
	/*
	 * Programs that are not ours (QEMU): the whole wall is there before exec, and the starter
	 * holds a notifier (jail_notified).  Exec makes a process dumpable again, so these profiles
	 * leave JAIL_NON_DUMPABLE out.
	 */
	JAIL_REPORT_NOTIFY,
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
	JAIL_CAPS =
	    1 << 7, /* all sets empty; but the bounding set of an ordinary user without JAIL_USER */
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
	const char *walls_why; /* why some are missing; NULL where none is */
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

/* Where a process's identity comes from. */
struct jail_identity {
	/* true: it takes uid and gid below, not 0; false: a user namespace of the invoking user */
	bool root_started;
	uid_t uid;
	gid_t gid;
};

#define JAIL_SPAWN_FDS_MAX 32u

struct jail_spawn {
	const struct jail_profile *profile;
	struct jail_identity identity;
	/*
	 * The executable: opened before the walls.  JAIL_REPORT_NOTIFY: its path in the program's
	 * root, where one of the binds puts it.
	 */
	const char *program;
	char *const *argv;
	char *const *envp; /* NULL: an empty environment */
	const int *fds;    /* fds[i] becomes descriptor i of the child; -1 = /dev/null */
	size_t n_fds;   /* at most JAIL_SPAWN_FDS_MAX; 0 to 2 are /dev/null where it ends before */
	int cgroup_fd;  /* a cgroup v2 directory to start in, or -1 */
	int *notify_fd; /* JAIL_REPORT_NOTIFY only: set to the seccomp notifier (the caller's) */
};

/*
 * Starts the process in its namespaces and returns once its exec was done or has failed.  On
 * success returns its pid (in the caller's pid namespace, where it is a direct child) and sets
 * *pidfd (the caller's).  On failure returns -errno, sets *pidfd to -1 and fills error with one
 * line that says which step failed and what to do; no process is left.  The child dies (SIGKILL)
 * with the calling thread.  The caller must be single-threaded: the child runs its code before
 * exec.
 *
 * The program's environment gets one more variable, JAIL_VARIABLE, by which jail_enter() knows how
 * it was started (not with JAIL_REPORT_NOTIFY).
 */
pid_t jail_spawn(const struct jail_spawn *s, int *pidfd, char *error, size_t error_size);

#define JAIL_VARIABLE "GONDOLIN_JAIL"

/*
 * notify_fd of a JAIL_REPORT_NOTIFY process is readable.  Where a call waits there, it is a
 * violation: the process is killed by its pidfd, report is filled with "name(arg, ...)", and 1 is
 * returned.  Returns 0 where nothing waits (any more), -ENOENT where the process has ended, another
 * -errno where the notifier cannot be read.  Keep notify_fd open until the process has ended: a
 * call that waits on a closed notifier returns ENOSYS to its caller.
 */
int jail_notified(int notify_fd, int pidfd, char *report, size_t report_size);

/* ---- Entering (the process itself) ---- */

/*
 * Builds the rest of the wall, or writes one line to descriptor 2 and ends the process (exit 125):
 * there is no half-jailed return.  Only for a process that jail_spawn() started with this profile,
 * with one thread, and once.
 */
void jail_enter(const struct jail_profile *profile);

/*
 * A directory that the process was handed and works beneath.  Landlock lets it read and execute
 * there, with `write` change everything but device nodes; without a grant it would open nothing.
 * Which descriptor it is, is known only at run time, so it is no part of the profile.
 */
struct jail_grant {
	int fd; /* O_PATH will do; the caller's */
	bool write;
};

/* The same with access beneath n directories. */
void
jail_enter_granting(const struct jail_profile *profile, const struct jail_grant *grants, size_t n);

/*
 * The same for a process that was forked without jail_spawn(), and stays its invoker in its
 * invoker's namespaces: the profile's walls name no namespace and no root.
 */
void jail_confine(const struct jail_profile *profile);

/* ---- cgroups ---- */

struct jail_cgroup_limits {
	unsigned long long memory; /* bytes; 0 = not limited */
	double cpu;                /* cores; 0 = not limited */
	unsigned pids;             /* 0 = not limited */
};

/*
 * Makes a cgroup v2 for one sandbox below the caller's own where that is delegated, with the
 * limits; an empty one of that id is made anew.  On success returns a directory descriptor and
 * fills path; returns -errno (-EOPNOTSUPP: no delegated cgroup or a controller is missing; -EBUSY:
 * processes are in one of that id) with the reason in error.
 */
int jail_cgroup_make(const char *id, const struct jail_cgroup_limits *limits, char *path,
    size_t path_size, char *error, size_t error_size);

/* Kills what is left in it and removes it.  Safe where it is gone. */
void jail_cgroup_remove(const char *path);

/* ---- The declared policy ---- */

struct json_writer;

/* Writes what a profile declares, for people: several lines. */
void jail_declare(const struct jail_profile *p, const struct jail_identity *id, FILE *out);

/*
 * The same as one JSON object: name, job, user_namespace, uid, gid, capabilities, walls, root,
 * limits, descriptors, syscalls.  identity is the one that the process gets; without root, the
 * invoker's ids.
 */
void jail_declare_json(
    const struct jail_profile *p, const struct jail_identity *id, struct json_writer *w);

/* ---- Reading walls back ---- */

/* How a live process was meant to be started, from the session's file. */
struct jail_expectation {
	const struct jail_profile *profile;
	struct jail_identity identity; /* as seen by the caller; without root, the invoker's ids */
	pid_t pid;
};

/*
 * Compares a live process with its profile by /proc.  Calls `differs` for each difference with one
 * line ("vmrunner: seccomp: Seccomp of 71 is 0x0, declared 0x2"), in which names that the process
 * chose are escaped.  For root and for the user who
 * started the process; in the namespaces of the starter.  Returns the number of differences, or
 * -errno where /proc cannot be read (-ESRCH: the process is gone; -EPERM, -EACCES: another user's).
 */
int jail_audit(
    const struct jail_expectation *e, void (*differs)(void *ctx, const char *line), void *ctx);

/* The walls that this kernel can build at all (Landlock may be missing). */
unsigned jail_walls_supported(void);

/* Names for reports: "user namespace", "seccomp", ...  wall is one bit. */
const char *jail_wall_name(unsigned wall);

#endif
