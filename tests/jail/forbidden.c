/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enters each real profile and makes one forbidden call of each family: the process has to die of
 * it, and the report has to name it.
 */
#include <CUnit/Basic.h>
#include <asm/unistd.h>
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jail/support.h"
#include "tests/run.h"

struct call {
	const char *name;
	long number;
	unsigned long args[6];
};

#define CALL(name, ...)             \
	{                           \
#name, __NR_##name, \
		{                   \
			__VA_ARGS__ \
		}                   \
	}

/* Arguments are those of the dangerous use; pointers are null, since no call gets as far as them.
 */
static const struct call calls[] = {
    CALL(socket, AF_INET, SOCK_STREAM, 0),
    CALL(socket, AF_UNIX, SOCK_STREAM, 0),
    CALL(socket, AF_NETLINK, SOCK_RAW, 0),
    CALL(connect, 0, 0, 0),
    CALL(sendto, 0, 0, 0, MSG_FASTOPEN, 0, 0),
    CALL(sendmsg, 0, 0, MSG_FASTOPEN),
    CALL(sendmmsg, 0, 0, 0, MSG_FASTOPEN),
    CALL(bind, 0, 0, 0),
    CALL(openat, 0, 0, 0, 0),
    CALL(openat2, 0, 0, 0, 0),
    CALL(open_by_handle_at, 0, 0, 0),
    CALL(listen, 0, 1),
    CALL(accept4, 0, 0, 0, 0),
    CALL(memfd_create, 0, 0),
    CALL(inotify_init1, 0),
    CALL(truncate, 0, 0),
    CALL(name_to_handle_at, 0, 0, 0, 0, 0),
    CALL(execve, 0, 0, 0),
    CALL(execveat, 0, 0, 0, 0, 0),
    CALL(clone, SIGCHLD),
    CALL(clone, CLONE_NEWUSER | SIGCHLD),
    CALL(clone3, 0, 0),
    CALL(ptrace, 0, 1),
    CALL(mount, 0, 0, 0),
    CALL(umount2, 0, 0),
    CALL(open_tree, 0, 0, 0),
    CALL(move_mount, 0, 0, 0, 0, 0),
    CALL(fsopen, 0, 0),
    CALL(chroot, 0),
    CALL(bpf, 0, 0, 0),
    CALL(perf_event_open, 0, 0, 0, 0, 0),
    CALL(userfaultfd, 0),
    CALL(io_uring_setup, 1, 0),
    CALL(io_uring_enter, 0, 0, 0, 0, 0),
    CALL(keyctl, 0, 0),
    CALL(add_key, 0, 0, 0, 0, 0),
    CALL(kill, 2, SIGKILL),
    CALL(tkill, 2, SIGKILL),
    CALL(pidfd_open, 2, 0),
    CALL(pidfd_getfd, 0, 0, 0),
    CALL(personality, 0x0400000),
    CALL(unshare, CLONE_NEWUSER),
    CALL(setns, 0, 0),
    CALL(setuid, 0),
    CALL(capset, 0, 0),
    CALL(process_vm_readv, 2, 0, 0, 0, 0, 0),
    CALL(process_vm_writev, 2, 0, 0, 0, 0, 0),
    CALL(mprotect, 0, 4096, PROT_READ | PROT_EXEC),
    CALL(pkey_mprotect, 0, 4096, PROT_READ | PROT_EXEC, 0),
    CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul, 0),
    CALL(rt_sigaction, SIGSYS, 0, 0, 8),
    CALL(init_module, 0, 0, 0),
    CALL(kexec_load, 0, 0, 0, 0),
    CALL(reboot, 0, 0, 0),
    CALL(syslog, 0, 0, 0),
#ifdef __NR_open
    CALL(open, 0, 0),
    CALL(fork),
    CALL(vfork),
#endif
};

/* A job that is forbidden to all others, and why it is this process's. */
static const struct {
	const char *profile, *call, *why;
	long first; /* argument; -1 = any */
} exceptions[] = {
    {"egress", "socket", "it is the way out", AF_INET},
    {"egress", "connect", "it is the way out", -1},
    {"egress", "sendto", "it is the way out", -1},
    {"egress", "sendmsg", "it is the way out", -1},
    {"guard", "openat", "empties the session's directory, as the invoking user", -1},
    {"qemu", "memfd_create", "guest memory, translated code", -1},
    {"qemu", "openat", "/dev/kvm and its own files; the root and Landlock hold nothing else", -1},
    {"qemu", "open", "the same, for libraries that still use it", -1},
    {"qemu", "mprotect", "TCG makes code", -1},
    {"qemu", "mmap", "TCG makes code", -1},
    {"qemu", "rt_sigaction", "its death is reported by the notifier, not by a handler", -1},
    {"qemu", "sendto", "no socket of a network is ever its", -1},
    {"qemu", "sendmsg", "no socket of a network is ever its", -1},
    {"vmrunner", "sendmsg", "no socket of a network is ever its", -1},
    {"vfsd", "sendmsg", "no socket of a network is ever its", -1},
    {"vfsd", "openat2", "beneath the mounts; the root is empty and Landlock holds nothing else",
	-1},
    {"vfsd", "accept4", "clients that ask what a layer changed, on the session's socket", -1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_exception(const struct jail_profile *p, const struct call *c)
{
	size_t i;

	for (i = 0; i < COUNT(exceptions); i++)
		if (strcmp(exceptions[i].profile, p->name) == 0 &&
		    strcmp(exceptions[i].call, c->name) == 0 &&
		    (exceptions[i].first < 0 || exceptions[i].first == (long)c->args[0]))
			return true;
	return false;
}

/* The errno by which the profile answers the call, or 0. */
static int
declared_errno(const struct jail_profile *p, const struct call *c)
{
	size_t i;

	for (i = 0; i < p->n_syscalls; i++)
		if (p->syscalls[i].number == c->number && p->syscalls[i].error != 0)
			return p->syscalls[i].error;
	return 0;
}

/* Runs the third-party program until it ends or waits on its notifier, which ends it. */
static int
watch_foreign(struct jailed *j, char *report)
{
	struct pollfd p[] = {
	    {.fd = j->notify_fd, .events = POLLIN}, {.fd = j->pidfd, .events = POLLIN}};

	report[0] = '\0';
	while (poll(p, 2, -1) > 0 && !(p[1].revents & POLLIN))
		if (jail_notified(j->notify_fd, j->pidfd, report, SUPPORT_TEXT_MAX) == 1)
			break;
	return support_finish(j, NULL);
}

/* Makes the call under the profile.  Returns the wait status; report is what was said. */
static int
make_call(const struct jail_profile *p, const struct call *c, char *report)
{
	char words[7][24], arg[7 * 24], error[SUPPORT_TEXT_MAX];
	char *argv[9] = {NULL};
	struct jailed j;
	size_t i;
	int result;

	snprintf(words[0], sizeof(words[0]), "%ld", c->number);
	for (i = 0; i < 6; i++)
		snprintf(words[i + 1], sizeof(words[0]), "%lu", c->args[i]);
	for (i = 0; i < COUNT(words); i++)
		argv[i + 1] = words[i];
	snprintf(arg, sizeof(arg), "%s %s %s %s %s %s %s", words[0], words[1], words[2], words[3],
	    words[4], words[5], words[6]);
	result = p->report == JAIL_REPORT_NOTIFY ? support_start_foreign(&j, p, argv, error)
						 : support_start(&j, p, "call", arg, error);
	if (result < 0) {
		printf("%s\n", error);
		return -1;
	}
	return p->report == JAIL_REPORT_NOTIFY ? watch_foreign(&j, report)
					       : support_finish(&j, report);
}

static bool
check_call(const struct jail_profile *p, const struct call *c)
{
	const bool notify = p->report == JAIL_REPORT_NOTIFY;
	const int answer = declared_errno(p, c), signal = notify ? SIGKILL : SIGSYS;
	char report[SUPPORT_TEXT_MAX], wanted[64];
	int status;

	if (is_exception(p, c))
		return true;
	status = make_call(p, c, report);
	snprintf(
	    wanted, sizeof(wanted), "%s%s(0x%lx, ", notify ? "" : "seccomp: ", c->name, c->args[0]);
	if (answer != 0 && WIFEXITED(status) && WEXITSTATUS(status) == answer)
		return true;
	if (WIFSIGNALED(status) && WTERMSIG(status) == signal &&
	    strncmp(report, wanted, strlen(wanted)) == 0)
		return true;
	printf("%s: %s: status 0x%x, report \"%s\"\n", p->name, c->name, (unsigned)status, report);
	return false;
}

static void
test_profile(const struct jail_profile *p)
{
	size_t i;

	for (i = 0; i < COUNT(calls); i++)
		CU_ASSERT(check_call(p, &calls[i]));
}

static void
test_own(void)
{
	test_profile(&probe_profile);
	test_profile(&foreign_profile);
}

static void
test_real(void)
{
	size_t i;

	for (i = 0; real_profiles[i] != NULL; i++)
		test_profile(real_profiles[i]);
}

/* Foreign calling conventions are killed at once: there is nobody to report them to. */
static void
test_x32(void)
{
#ifdef __x86_64__
	const struct call c = {"x32 getpid", 0x40000000 | __NR_getpid, {0}};
	const struct jail_profile *profiles[] = {&probe_profile, &foreign_profile};
	char report[SUPPORT_TEXT_MAX];
	size_t i;
	int status;

	for (i = 0; i < COUNT(profiles); i++) {
		status = make_call(profiles[i], &c, report);
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
		CU_ASSERT_STRING_EQUAL(report, "");
	}
	for (i = 0; real_profiles[i] != NULL; i++) {
		status = make_call(real_profiles[i], &c, report);
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	}
#endif
}

static void
test_answered(void)
{
	const struct call c = {"sched_setaffinity", __NR_sched_setaffinity, {0}};
	char report[SUPPORT_TEXT_MAX];
	int status = make_call(&probe_profile, &c, report);

	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS);
	status = make_call(&foreign_profile, &c, report);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS);
}

static int
suite(void)
{
	CU_pSuite s;

	begin_tests();
	s = CU_add_suite("forbidden", NULL, NULL);
	CU_add_test(s, "the tests' own profiles", test_own);
	CU_add_test(s, "each real profile", test_real);
	CU_add_test(s, "x32", test_x32);
	CU_add_test(s, "a call that is answered with an errno", test_answered);
	return run_tests();
}

int
main(int argc, char **argv)
{
	return support_main(argc, argv, suite);
}
