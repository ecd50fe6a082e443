/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swaps directories of a mount's host side with links to the outside, as fast as it can.
 *
 *	escape_race INSIDE OUTSIDE SECONDS
 *
 * INSIDE holds the directories "d0" to "d3"; OUTSIDE is no part of the mount.  In turn each one is
 * moved aside and replaced by an absolute link, a relative one, a chain of links, or a link through
 * "..", and put back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DIRECTORIES 4u
#define KINDS       5u

static void
must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

/* Puts one kind of link at `name`. */
static void
put_link(int dir, const char *name, const char *outside, unsigned kind)
{
	char target[4200];
	const char *base = strrchr(outside, '/');

	switch (kind) {
	case 0:
		must(symlinkat(outside, dir, name), "symlink");
		return;
	case 1:
		snprintf(target, sizeof(target), "..%s", base);
		break;
	case 2:
		(void)unlinkat(dir, "chain", 0);
		must(symlinkat(outside, dir, "chain"), "symlink");
		snprintf(target, sizeof(target), "chain");
		break;
	case 3:
		snprintf(target, sizeof(target), "aside/../..%s", base);
		break;
	default:
		snprintf(target, sizeof(target), "/proc/self/root%s", outside);
		break;
	}
	must(symlinkat(target, dir, name), "symlink");
}

int
main(int argc, char **argv)
{
	unsigned long round = 0;
	char name[8];
	time_t end;
	int dir;

	if (argc != 4) {
		fprintf(stderr, "usage: escape_race INSIDE OUTSIDE SECONDS\n");
		return 2;
	}
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir, argv[1]);
	end = time(NULL) + strtol(argv[3], NULL, 10);
	for (; time(NULL) < end; round++) {
		snprintf(name, sizeof(name), "d%lu", round % DIRECTORIES);
		must(renameat(dir, name, dir, "aside"), "move aside");
		put_link(dir, name, argv[2], (unsigned)(round / DIRECTORIES % KINDS));
		must(unlinkat(dir, name, 0), "unlink");
		must(renameat(dir, "aside", dir, name), "put back");
	}
	printf("%lu\n", round);
	return 0;
}
