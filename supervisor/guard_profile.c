/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's wall: it waits, and may then remove the session's cgroup and directory. */
#include "supervisor/guard.h"

#define DELEGATED "hosts that delegate a cgroup v2; tests/jail/guard.c"

static const struct jail_syscall syscalls[] = {
    ALLOW(read, "waits for the supervisor"),
    ALLOW(write, "log_line; jail_cgroup_remove"),
    ALLOW(openat, "session_remove, jail_cgroup_remove"),
    ALLOW(newfstatat, "session_remove"),
    ALLOW_ELSEWHERE(fstat, "session_remove", "the libraries of other releases"),
    ALLOW(getdents64, "session_remove"),
    ALLOW(unlinkat, "session_remove"),
    ALLOW_ELSEWHERE(pread64, "jail_cgroup_remove: whether a process is left", DELEGATED),
#ifdef __x86_64__
    ALLOW_ELSEWHERE(poll, "jail_cgroup_remove: until none is", DELEGATED),
#else
    ALLOW_ELSEWHERE(ppoll, "jail_cgroup_remove: until none is", DELEGATED),
#endif
    ALLOW_ELSEWHERE(rmdir, "jail_cgroup_remove", DELEGATED),
    ALLOW(fcntl, "fdopendir"),
    ALLOW(close, "session_remove"),
    ALLOW(brk, "malloc"),
    ALLOW(exit_group, "the end"),
};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "core", 0, "nothing of the supervisor's memory reaches a disk"},
    {RLIMIT_NOFILE, "nofile", 64, "the session's directory and cgroup"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_PIPE, 2, "the supervisor; stderr"},
    {JAIL_FD_TERMINAL, 1, "stderr"},
    {JAIL_FD_FILE, 2, "the session's lock; stderr"},
    {JAIL_FD_NULL, 1, "stderr"},
    {JAIL_FD_SOCKET, 1, "stderr"},
    {JAIL_FD_DIRECTORY, 2, "the session's directory and its parent"},
};

const struct jail_profile guard_profile = {
    .name = "guard",
    .job = "removes the session's cgroup and directory when the supervisor was killed",
    .walls = JAIL_CAPS | JAIL_RLIMITS | JAIL_NO_NEW_PRIVS | JAIL_SECCOMP | JAIL_FDS,
    .walls_why = "it reads nothing but the end of a pipe, must outlive its parent as the invoking "
		 "user, and holds nothing that this user's audit may not read",
    .report = JAIL_REPORT_TRAP,
    .syscalls = syscalls,
    .n_syscalls = sizeof(syscalls) / sizeof(syscalls[0]),
    .limits = limits,
    .n_limits = sizeof(limits) / sizeof(limits[0]),
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
};
