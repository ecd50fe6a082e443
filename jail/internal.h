/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of jail/ tell each other; nobody else includes it but their tests. */
#ifndef GONDOLIN_JAIL_INTERNAL_H
#define GONDOLIN_JAIL_INTERNAL_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jail/jail.h"

#define JAIL_FAILURE_MAX 256u
#define JAIL_ARGS        6
#define JAIL_REPORT_MAX  192u /* bytes of "name(arg, ...)", NUL included */

/* One line that says which step failed, why, and where there is something to do, what. */
struct jail_failure {
	char text[JAIL_FAILURE_MAX];
};

/*
 * Fills f with the formatted text, ": " and the error's description (not for EINVAL, where the text
 * says it all); returns -error (error > 0).
 */
int jail_fail(struct jail_failure *f, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- names.c ---- */

/* "openat", or NULL for a number without a name.  Async-signal-safe. */
const char *jail_syscall_name(long number);

/* "pipe", "socket", ... */
const char *jail_fd_kind_name(enum jail_fd_kind kind);

/* "name(0x1, 0x2, ...)", all six arguments, always NUL-terminated.  Returns its length.
 * Async-signal-safe. */
size_t
jail_report_format(char *out, size_t size, long number, const uint64_t args[static JAIL_ARGS]);

/* ---- The steps, in their order.  Each returns 0, or -errno with f filled. ---- */

/* Securebits locked and bounding set emptied.  Needs /proc. */
int jail_caps_bound(struct jail_failure *f);

/*
 * An empty root, or one with just the binds, read-only.  Needs a mount namespace of its own, whose
 * propagation is private.  Descriptors of the old root stay usable.
 */
int jail_root_build(const struct jail_bind *binds, struct jail_failure *f);

/* Takes uid and gid and drops all groups; for a root-started process. */
int jail_identity_take(const struct jail_identity *id, struct jail_failure *f);

int jail_limits_apply(const struct jail_limit *limits, size_t n, struct jail_failure *f);

/* Permitted, effective, inheritable and ambient sets emptied. */
int jail_caps_drop(struct jail_failure *f);

struct jail_grants {
	const struct jail_grant *v;
	size_t n;
};

/*
 * A ruleset for the current root: no path but the binds and what is beneath the grants, no port
 * unless keeps_net.  Returns its
 * descriptor (not close-on-exec: it stays open as the sign by which audit knows), -ENOSYS without a
 * line where the kernel has no Landlock, or -errno.
 */
int jail_landlock_prepare(const struct jail_bind *binds, struct jail_grants grants, bool keeps_net,
    struct jail_failure *f);

/* Enforces it on this thread and checks that it holds.  Needs no_new_privs. */
int jail_landlock_enforce(int ruleset, struct jail_failure *f);

/* ---- seccomp.c ---- */

struct jail_filter {
	struct sock_filter *code; /* the filter's */
	size_t n;
};

/*
 * Translates the profile's rows.  status_fd >= 0 adds sendmsg on just that descriptor, by which a
 * JAIL_REPORT_NOTIFY child sends its notifier away.  Allocates; makes calls that no profile lists.
 */
int jail_filter_build(const struct jail_profile *profile, int status_fd, struct jail_filter *filter,
    struct jail_failure *f);
void jail_filter_clear(struct jail_filter *filter);

/*
 * Installs the filter on this thread.  Returns 0, with listener the notifier's descriptor
 * (close-on-exec), or -errno.
 */
int jail_filter_load(const struct jail_filter *filter, bool listener);

/* ---- trap.c ---- */

/* Installs the SIGSYS handler of JAIL_REPORT_TRAP.  Before the filter. */
int jail_trap_install(struct jail_failure *f);

/* ---- notify.c ---- */

struct jail_notification {
	uint64_t id; /* the kernel's; never 0 */
	long number;
	uint64_t args[JAIL_ARGS];
};

/* Returns 1 with *out (zeroed by the caller) filled; 0 where no call waits; -ENOENT where no
 * process with this filter is left; another -errno. */
int jail_notify_receive(int notify_fd, struct jail_notification *out);

/* Lets the kernel make the call.  Returns 0 or -errno. */
int jail_notify_continue(int notify_fd, uint64_t id);

/* ---- declared.c ---- */

#define JAIL_CONDITIONS_TEXT_MAX 160u

/* "arg2 & 0x4 == 0x0 and arg0 == 0x1"; empty for a row without conditions. */
void jail_conditions_format(const struct jail_syscall *row, char *out, size_t size);

/* ---- cgroup.c ---- */

/*
 * The directory of the process's cgroup v2, from the text of /proc/self/mountinfo and of
 * /proc/self/cgroup (both are cut up).  Returns 0, -ENOENT where there is none that is mounted, or
 * -ENAMETOOLONG.
 */
int jail_cgroup_find(char *mountinfo, char *cgroup, char *path, size_t size);

/* ---- enter.c ---- */

/*
 * All steps but seccomp, for a process that has its namespaces already; only those whose bit is in
 * profile->walls.
 */
int jail_walls_build(const struct jail_profile *profile, const struct jail_identity *id,
    struct jail_grants grants, struct jail_failure *f);

/*
 * Asks for SIGKILL when the parent dies, and makes sure that it has not died before.  stat_fd is
 * /proc/self/stat (opened by this process, so that it works without /proc too).
 */
int jail_die_with_parent(int stat_fd, pid_t parent, struct jail_failure *f);

/* The parent's pid as the mounted /proc numbers it (getppid() is 0 for a namespace's pid 1). */
pid_t jail_parent_pid(int stat_fd);

#endif
