/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A third-party program for the tests: no C library, so no call but those that its arguments name.
 *	caller NUMBER ARG0 ... ARG5	makes one system call and ends with its errno as exit code
 *	caller				reads its input to the end, and ends
 */
#include <asm/unistd.h>

void start(const unsigned long *stack) __attribute__((noreturn, used));

/* Makes a system call; the kernel's own answer, errors as -errno. */
long call(long number, const unsigned long args[static 6]);

#if defined(__x86_64__)
__asm__("call:\n"
	"	mov %rdi, %rax\n"
	"	mov 0(%rsi), %rdi\n"
	"	mov 16(%rsi), %rdx\n"
	"	mov 24(%rsi), %r10\n"
	"	mov 32(%rsi), %r8\n"
	"	mov 40(%rsi), %r9\n"
	"	mov 8(%rsi), %rsi\n"
	"	syscall\n"
	"	ret\n"
	".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");
#elif defined(__aarch64__)
__asm__("call:\n"
	"	mov x8, x0\n"
	"	mov x9, x1\n"
	"	ldp x0, x1, [x9]\n"
	"	ldp x2, x3, [x9, #16]\n"
	"	ldp x4, x5, [x9, #32]\n"
	"	svc 0\n"
	"	ret\n"
	".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl start\n");
#else
#error "say how this architecture makes a system call"
#endif

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
