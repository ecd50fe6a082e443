/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells which call a JAIL_REPORT_TRAP process died of.  SECCOMP_RET_KILL_PROCESS would not: the
 * parent sees SIGSYS and no number.  So the filter answers with SECCOMP_RET_TRAP, and the handler
 * below writes the line; then it repeats the very call.  The disposition is the default by then
 * (SA_RESETHAND), so this time the kernel kills.  The kernel forces SIGSYS: a process that blocked
 * or ignored it dies all the same, only without the line.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "jail/internal.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

static void
call_arguments(const ucontext_t *context, uint64_t args[static JAIL_ARGS])
{
#if defined(__x86_64__)
	static const int registers[JAIL_ARGS] = {
	    REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
	size_t i;

	for (i = 0; i < JAIL_ARGS; i++)
		args[i] = (uint64_t)context->uc_mcontext.gregs[registers[i]];
#elif defined(__aarch64__)
	size_t i;

	for (i = 0; i < JAIL_ARGS; i++)
		args[i] = context->uc_mcontext.regs[i];
#else
#error "say where this architecture keeps the arguments of a system call"
#endif
}

static void
on_sigsys(int signal, siginfo_t *info, void *context)
{
	static const char before[] = "seccomp: ", after[] = " is not in the profile\n";
	char line[sizeof(before) + JAIL_REPORT_MAX + sizeof(after)];
	uint64_t args[JAIL_ARGS];
	size_t used = sizeof(before) - 1;
	ssize_t written;

	(void)signal;
	if (info->si_code != SYS_SECCOMP)
		__builtin_trap();
	call_arguments(context, args);
	memcpy(line, before, used);
	used += jail_report_format(line + used, JAIL_REPORT_MAX, info->si_syscall, args);
	memcpy(line + used, after, sizeof(after) - 1);
	/* A full pipe loses the line; the death stays. */
	written = write(STDERR_FILENO, line, used + sizeof(after) - 1);
	(void)written;
	syscall(info->si_syscall, args[0], args[1], args[2], args[3], args[4], args[5]);
	__builtin_trap();
}

int
jail_trap_install(struct jail_failure *f)
{
	struct sigaction action = {
	    .sa_sigaction = on_sigsys, .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND)};

	if (sigaction(SIGSYS, &action, NULL) < 0)
		return jail_fail(f, errno, "cannot install the SIGSYS handler");
	return 0;
}
