/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A third-party program for the tests: no C library, so no call but those that its arguments name.
 *	caller NUMBER ARG0 ... ARG5	makes one system call and ends with its errno as exit code
 *	caller				reads its input to the end, and ends
 */
#include <asm/unistd.h>

void start(const unsigned long *stack) __attribute__((noreturn, used));

static long
call(long number, const unsigned long args[static 6])
{
#if defined(__x86_64__)
	register unsigned long r10 __asm__("r10") = args[3];
	register unsigned long r8 __asm__("r8") = args[4];
	register unsigned long r9 __asm__("r9") = args[5];
	long result;

	__asm__ volatile(
	    "syscall"
	    : "=a"(result)
	    : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
	    : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register unsigned long x0 __asm__("x0") = args[0];
	register unsigned long x1 __asm__("x1") = args[1];
	register unsigned long x2 __asm__("x2") = args[2];
	register unsigned long x3 __asm__("x3") = args[3];
	register unsigned long x4 __asm__("x4") = args[4];
	register unsigned long x5 __asm__("x5") = args[5];

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return (long)x0;
#else
#error "say how this architecture makes a system call"
#endif
}

static unsigned long
parse(const char *text)
{
	unsigned long value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (unsigned long)(*text++ - '0');
	return value;
}

void
start(const unsigned long *stack)
{
	const unsigned long argc = stack[0];
	const char *const *argv = (const char *const *)(stack + 1);
	unsigned long args[6] = {0}, i, end[6] = {0};
	char byte[1];

	if (argc < 2) {
		args[1] = (unsigned long)byte;
		args[2] = sizeof(byte);
		while (call(__NR_read, args) > 0)
			;
	} else {
		for (i = 0; i < 6 && i + 2 < argc; i++)
			args[i] = parse(argv[i + 2]);
		end[0] = (unsigned long)-call((long)parse(argv[1]), args) & 0xff;
	}
	for (;;)
		call(__NR_exit_group, end);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl start\n");
#endif
