/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the suite's other programs. */
#include "client/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int
beside(const char *name, char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;
	size_t room;

	if (n <= 0)
		return -ENOENT;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return -ENOENT;
	room = size - (size_t)(slash + 1 - path);
	if ((size_t)snprintf(slash + 1, room, "%s", name) >= room || access(path, X_OK) < 0)
		return -ENOENT;
	return 0;
}

int
program_find(const char *name, char *path, size_t size)
{
	static const char *const folders[] = {GONDOLIN_LIBEXECDIR, GONDOLIN_BINDIR};
	size_t i;

	if (beside(name, path, size) == 0)
		return 0;
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if ((size_t)snprintf(path, size, "%s/%s", folders[i], name) < size &&
		    access(path, X_OK) == 0)
			return 0;
	return -ENOENT;
}
