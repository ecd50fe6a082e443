/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' own profiles: as small as tests allow, with a row of each kind. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/jail/profiles.h"

static const struct jail_syscall syscalls[] = {
    ALLOW(read, "child_hold: waits for the end of its input"),
    ALLOW(write, "child_say; the report of a forbidden call"),
    ALLOW(exit_group, "child_main"),
    ALLOW_IF(mmap, "the lint's and the filter's tests", ARG_LACKS(2, PROT_EXEC)),
    ALLOW_ELSEWHERE(getcpu, "the coverage's test", "no host"),
    DENY_ERRNO(sched_setaffinity, ENOSYS, "spawn: a call that is answered"),
};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "RLIMIT_CORE", 0, "no memory in files"},
    {RLIMIT_NOFILE, "RLIMIT_NOFILE", 32, "the tests' pipes"},
    {RLIMIT_FSIZE, "RLIMIT_FSIZE", 0, "writes no file"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_PIPE, 3, "input, output, log"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct jail_profile probe_profile = {
    .name = "probe",
    .job = "stands in for a program of ours",
    .walls = JAIL_ALL,
    .report = JAIL_REPORT_TRAP,
    .syscalls = syscalls,
    .n_syscalls = COUNT(syscalls),
    .limits = limits,
    .n_limits = COUNT(limits),
    .fds = fds,
    .n_fds = COUNT(fds),
};

const struct jail_profile foreign_profile = {
    .name = "foreign",
    .job = "stands in for a third-party program",
    .walls = JAIL_ALL & ~JAIL_NON_DUMPABLE,
    .walls_why = "exec makes it dumpable again",
    .report = JAIL_REPORT_NOTIFY,
    .syscalls = syscalls,
    .n_syscalls = COUNT(syscalls),
    .limits = limits,
    .n_limits = COUNT(limits),
    .fds = fds,
    .n_fds = COUNT(fds),
};

const struct jail_profile *
profile_find(const char *name)
{
	static const struct jail_profile *const own[] = {&probe_profile, &foreign_profile};
	size_t i;

	for (i = 0; i < COUNT(own); i++)
		if (strcmp(own[i]->name, name) == 0)
			return own[i];
	for (i = 0; real_profiles[i] != NULL; i++)
		if (strcmp(real_profiles[i]->name, name) == 0)
			return real_profiles[i];
	return NULL;
}
