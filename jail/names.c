/* SPDX-License-Identifier: Apache-2.0 */
/* Names for reports: walls, descriptors, system calls. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jail/internal.h"

/* Arrays of characters, not pointers: no relocation, so the pages stay shared. */
#define NAME_MAX_SIZE 32

static const char syscall_names[][NAME_MAX_SIZE] = {
#include "syscall_names.h"
};

static const char wall_names[][24] = {
    "user namespace or uid",
    "pid namespace",
    "mount namespace",
    "net namespace",
    "ipc namespace",
    "uts namespace",
    "root",
    "capabilities",
    "rlimits",
    "no_new_privs",
    "non-dumpable",
    "Landlock",
    "seccomp",
    "descriptors",
};
_Static_assert(
    (1u << (sizeof(wall_names) / sizeof(wall_names[0]))) - 1 == JAIL_ALL, "each wall has a name");

static const char fd_names[JAIL_FD_KINDS][24] = {
    [JAIL_FD_NULL] = "/dev/null",
    [JAIL_FD_PIPE] = "pipe",
    [JAIL_FD_SOCKET] = "socket",
    [JAIL_FD_EVENT] = "event",
    [JAIL_FD_MEMORY] = "memory",
    [JAIL_FD_FILE] = "file",
    [JAIL_FD_DIRECTORY] = "directory",
    [JAIL_FD_TERMINAL] = "terminal",
    [JAIL_FD_DEVICE] = "device",
    [JAIL_FD_PROCESS] = "process",
    [JAIL_FD_PATH] = "path",
    [JAIL_FD_RULESET] = "Landlock ruleset",
};

const char *
jail_wall_name(unsigned wall)
{
	size_t i;

	for (i = 0; i < sizeof(wall_names) / sizeof(wall_names[0]); i++)
		if (wall == 1u << i)
			return wall_names[i];
	return "unknown wall";
}

const char *
jail_fd_kind_name(enum jail_fd_kind kind)
{
	return fd_names[kind];
}

const char *
jail_syscall_name(long number)
{
	if (number < 0 || (size_t)number >= sizeof(syscall_names) / sizeof(syscall_names[0]) ||
	    syscall_names[number][0] == '\0')
		return NULL;
	return syscall_names[number];
}

static size_t
put_text(char *out, size_t size, size_t used, const char *text)
{
	while (*text != '\0' && used + 1 < size)
		out[used++] = *text++;
	return used;
}

static size_t
put_hex(char *out, size_t size, size_t used, uint64_t value)
{
	char text[2 + 16 + 1];
	size_t i = sizeof(text) - 1;

	text[i] = '\0';
	do {
		text[--i] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value != 0);
	text[--i] = 'x';
	text[--i] = '0';
	return put_text(out, size, used, text + i);
}

size_t
jail_report_format(char *out, size_t size, long number, const uint64_t args[static JAIL_ARGS])
{
	const char *name = jail_syscall_name(number);
	size_t i, used;

	if (name != NULL) {
		used = put_text(out, size, 0, name);
	} else {
		used = put_text(out, size, 0, "syscall ");
		used = put_hex(out, size, used, (uint64_t)number);
	}
	for (i = 0; i < JAIL_ARGS; i++) {
		used = put_text(out, size, used, i == 0 ? "(" : ", ");
		used = put_hex(out, size, used, args[i]);
	}
	used = put_text(out, size, used, ")");
	out[used] = '\0';
	return used;
}

int
jail_fail(struct jail_failure *f, int error, const char *format, ...)
{
	va_list ap;
	size_t used;
	int n;

	va_start(ap, format);
	n = vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
	used = n < 0 ? 0 : (size_t)n;
	if (error != EINVAL && used < sizeof(f->text))
		snprintf(f->text + used, sizeof(f->text) - used, ": %s", strerrordesc_np(error));
	return -error;
}
