/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail_hold MODE PROFILE [WALL...]: a process in a profile's walls but the named ones, for tests of
 * the audit.  Writes its pid and uid, and ends it with its own input's end.  MODE is "user" or
 * "root" (support.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/jail/support.h"

/* support_main() takes a function without arguments. */
static char **words;

static unsigned
wall_find(const char *name)
{
	unsigned wall;

	for (wall = 1; wall <= JAIL_ALL; wall <<= 1)
		if (strcmp(jail_wall_name(wall), name) == 0)
			return wall;
	fprintf(stderr, "%s: no such wall\n", name);
	exit(EXIT_FAILURE);
}

static int
hold(void)
{
	const struct jail_profile *whole = profile_find(words[0]);
	char error[SUPPORT_TEXT_MAX], byte;
	struct jail_profile partial;
	struct jailed j;
	size_t i;

	if (whole == NULL)
		return EXIT_FAILURE;
	partial = *whole;
	for (i = 1; words[i] != NULL; i++)
		partial.walls &= ~wall_find(words[i]);
	/* One that no profile wants, and that only the descriptors' wall keeps from the process. */
	if (open("/dev/zero", O_RDONLY) < 0)
		return EXIT_FAILURE;
	if (support_start(&j, &partial, "hold", NULL, error) < 0) {
		fprintf(stderr, "%s\n", error);
		return EXIT_FAILURE;
	}
	if (support_await_ready(&j) < 0) {
		support_finish(&j, error);
		fprintf(stderr, "%s\n", error);
		return EXIT_FAILURE;
	}
	printf("%d %u\n", (int)j.pid, support_identity().uid);
	fflush(stdout);
	alarm(0); /* the test decides */
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return support_finish(&j, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return EXIT_FAILURE;
	words = argv + 2;
	return support_main(argc, argv, hold);
}
