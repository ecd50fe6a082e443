/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the filters that profiles turn into, in an interpreter: no process has to die for a case. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "jail/internal.h"
#include "tests/unit/jail/jail_test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STATUS_FD    64

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

static const struct jail_syscall rows[] = {
    ALLOW(read, "a"),
    ALLOW_IF(mmap, "a", ARG_LACKS(2, PROT_EXEC)),
    ALLOW_IF(socket, "a", ARG_IS(0, 1), ARG_IS(1, 2)),
    ALLOW_IF(socket, "b", ARG_IS(0, 10)),
    ALLOW_IF(rt_sigaction, "a", ARG_IS_NOT(0, SIGSYS)),
    ALLOW_IF(clone, "a", ARG_HAS(0, 0x10000)),
    DENY_ERRNO(clone3, ENOSYS, "a"),
    {.number = -10001, .name = "elsewhere", .why = "another architecture's"},
};

static const struct jail_profile profile = {
    .name = "filter", .report = JAIL_REPORT_TRAP, .syscalls = rows, .n_syscalls = COUNT(rows)};

/* One step of the classic BPF that seccomp takes; returns the answer, or UINT32_MAX to go on. */
static uint32_t
step(const struct sock_filter *i, const uint8_t *data, uint32_t *a, size_t *pc)
{
	bool taken;

	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		memcpy(a, data + i->k, sizeof(*a));
		return UINT32_MAX;
	case BPF_ALU | BPF_AND | BPF_K:
		*a &= i->k;
		return UINT32_MAX;
	case BPF_RET | BPF_K:
		return i->k;
	case BPF_JMP | BPF_JA:
		*pc += i->k;
		return UINT32_MAX;
	case BPF_JMP | BPF_JEQ | BPF_K:
		taken = *a == i->k;
		break;
	case BPF_JMP | BPF_JGT | BPF_K:
		taken = *a > i->k;
		break;
	case BPF_JMP | BPF_JGE | BPF_K:
		taken = *a >= i->k;
		break;
	default:
		CU_FAIL_FATAL("an instruction that the interpreter does not know");
		return 0;
	}
	*pc += taken ? i->jt : i->jf;
	return UINT32_MAX;
}

static uint32_t
run(const struct jail_filter *filter, uint32_t arch, int number, uint64_t a0, uint64_t a1,
    uint64_t a2)
{
	const struct seccomp_data data = {.nr = number, .arch = arch, .args = {a0, a1, a2}};
	uint32_t a = 0, answer = UINT32_MAX;
	size_t pc = 0;

	while (answer == UINT32_MAX && pc < filter->n) {
		const struct sock_filter *i = &filter->code[pc++];

		answer = step(i, (const uint8_t *)&data, &a, &pc);
	}
	return answer & (SECCOMP_RET_ACTION_FULL | SECCOMP_RET_DATA);
}

static void
test_rows(void)
{
	static const struct {
		int number;
		uint32_t answer;
		uint64_t args[3];
	} cases[] = {
	    {SYS_read, SECCOMP_RET_ALLOW, {0, 0, 0}},
	    {SYS_mmap, SECCOMP_RET_ALLOW, {0, 4096, PROT_READ | PROT_WRITE}},
	    {SYS_mmap, SECCOMP_RET_TRAP, {0, 4096, PROT_READ | PROT_EXEC}},
	    {SYS_socket, SECCOMP_RET_ALLOW, {1, 2, 0}},
	    {SYS_socket, SECCOMP_RET_TRAP, {1, 1, 0}},
	    {SYS_socket, SECCOMP_RET_ALLOW, {10, 1, 0}},
	    {SYS_socket, SECCOMP_RET_TRAP, {1ull << 32 | 10, 1, 0}},
	    {SYS_rt_sigaction, SECCOMP_RET_ALLOW, {SIGTERM, 0, 0}},
	    {SYS_rt_sigaction, SECCOMP_RET_TRAP, {SIGSYS, 0, 0}},
	    {SYS_clone, SECCOMP_RET_ALLOW, {0x10f00, 0, 0}},
	    {SYS_clone, SECCOMP_RET_TRAP, {SIGCHLD, 0, 0}},
	    {SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS, {0, 0, 0}},
	    {SYS_openat, SECCOMP_RET_TRAP, {0, 0, 0}},
	    {SYS_sendmsg, SECCOMP_RET_TRAP, {STATUS_FD, 0, 0}},
	    {-1, SECCOMP_RET_TRAP, {0, 0, 0}},
	};
	struct jail_filter filter;
	struct jail_failure f;
	uint32_t answer;
	size_t i;

	CU_ASSERT_EQUAL_FATAL(jail_filter_build(&profile, -1, &filter, &f), 0);
	for (i = 0; i < COUNT(cases); i++) {
		answer = run(&filter, ARCH, cases[i].number, cases[i].args[0], cases[i].args[1],
		    cases[i].args[2]);
		CU_ASSERT_EQUAL(answer, cases[i].answer);
	}
	jail_filter_clear(&filter);
	CU_ASSERT_PTR_NULL(filter.code);
}

static void
test_foreign_conventions(void)
{
	struct jail_filter filter;
	struct jail_failure f;

	CU_ASSERT_EQUAL_FATAL(jail_filter_build(&profile, -1, &filter, &f), 0);
	CU_ASSERT_EQUAL(run(&filter, AUDIT_ARCH_I386, SYS_read, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
	CU_ASSERT_EQUAL(run(&filter, AUDIT_ARCH_ARM, SYS_read, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
#ifdef __x86_64__
	/* x32: the same architecture, a bit in the number. */
	CU_ASSERT_EQUAL(
	    run(&filter, ARCH, 0x40000000 | SYS_read, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
#endif
	jail_filter_clear(&filter);
}

static void
test_notify(void)
{
	struct jail_profile foreign = profile;
	struct jail_filter filter;
	struct jail_failure f;

	foreign.report = JAIL_REPORT_NOTIFY;
	CU_ASSERT_EQUAL_FATAL(jail_filter_build(&foreign, STATUS_FD, &filter, &f), 0);
	CU_ASSERT_EQUAL(run(&filter, ARCH, SYS_read, 0, 0, 0), SECCOMP_RET_ALLOW);
	CU_ASSERT_EQUAL(run(&filter, ARCH, SYS_execve, 0, 0, 0), SECCOMP_RET_USER_NOTIF);
	CU_ASSERT_EQUAL(run(&filter, ARCH, SYS_sendmsg, STATUS_FD, 0, 0), SECCOMP_RET_ALLOW);
	CU_ASSERT_EQUAL(run(&filter, ARCH, SYS_sendmsg, 3, 0, 0), SECCOMP_RET_USER_NOTIF);
	jail_filter_clear(&filter);
}

static void
test_load_refused(void)
{
	const struct jail_filter empty = {NULL, 0};

	CU_ASSERT_EQUAL(jail_filter_load(&empty, false), -EINVAL);
}

void
filter_suite(CU_pSuite suite)
{
	CU_add_test(suite, "rows", test_rows);
	CU_add_test(suite, "x32 and foreign architectures", test_foreign_conventions);
	CU_add_test(suite, "third-party programs", test_notify);
	CU_add_test(suite, "an empty filter is not installed", test_load_refused);
}
