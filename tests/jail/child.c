/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jailed program of the tests: child PROFILE WALLS ACTION [ARG].
 *	hold	says "ready", then reads its input to the end
 *	exit	ends at once
 *	pair	writes "a" to descriptor 14, "b" to 15
 *	call	makes one system call: ARG is "NUMBER ARG0 ... ARG5"; exit code 0, or the errno
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/jail/support.h"

static void
child_say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(EXIT_FAILURE);
}

static int
child_hold(const char *arg)
{
	char byte;

	(void)arg;
	child_say("ready\n");
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

static int
child_exit(const char *arg)
{
	(void)arg;
	return 0;
}

static int
child_pair(const char *arg)
{
	(void)arg;
	return write(14, "a", 1) != 1 || write(15, "b", 1) != 1;
}

static int
child_call(const char *arg)
{
	unsigned long a[7] = {0};
	char *rest;
	size_t i;

	for (i = 0; i < sizeof(a) / sizeof(a[0]); i++, arg = rest)
		a[i] = strtoul(arg, &rest, 10);
	return syscall((long)a[0], a[1], a[2], a[3], a[4], a[5], a[6]) == -1 ? errno : 0;
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} actions[] = {
    {"hold", child_hold},
    {"exit", child_exit},
    {"pair", child_pair},
    {"call", child_call},
};

int
child_main(int argc, char **argv)
{
	enum { PROFILE = 2, WALLS, ACTION, ARG };
	struct jail_profile profile;
	size_t i;

	if (argc <= ACTION)
		return EXIT_FAILURE;
	profile = *profile_find(argv[PROFILE]);
	profile.walls = (unsigned)strtoul(argv[WALLS], NULL, 10);
	jail_enter(&profile);
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, argv[ACTION]) == 0)
			/* exit() would run what the C library wants to do, and a profile not. */
			_exit(actions[i].run(argc > ARG ? argv[ARG] : ""));
	return EXIT_FAILURE;
}
