/* SPDX-License-Identifier: Apache-2.0 */
/* The paths that people give to a copy: the trusted side, where links are followed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ipc/tar.h"

static int
open_directory(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * Cuts a path, without the slashes at its end, into the directory above and the last component.
 * Returns the directory's descriptor or -errno.
 */
static int
open_above(const char *path, char *name)
{
	char above[PATH_MAX];
	size_t end = strlen(path), base;

	if (end == 0)
		return -ENOENT;
	if (end >= sizeof(above))
		return -ENAMETOOLONG;
	while (end > 1 && path[end - 1] == '/')
		end--;
	for (base = end; base > 0 && path[base - 1] != '/'; base--)
		;
	if (end - base > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, path + base, end - base);
	name[end - base] = '\0';
	if (base == 0)
		return open_directory(".");
	memcpy(above, path, base);
	above[base] = '\0';
	return open_directory(above);
}

static bool
is_directory_itself(const char *name)
{
	return name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int
tar_open_source(const char *path, int *dirfd, char *name)
{
	*dirfd = open_above(path, name);
	if (*dirfd < 0)
		return *dirfd;
	if (!is_directory_itself(name))
		return 0;
	close(*dirfd);
	memcpy(name, ".", sizeof("."));
	*dirfd = open_directory(path);
	return *dirfd < 0 ? *dirfd : 0;
}

int
tar_open_destination(const char *path, int *dirfd, struct tar_extract_options *options, char *name)
{
	*options = (struct tar_extract_options){0};
	*dirfd = open_directory(path);
	if (*dirfd >= 0)
		return 0;
	/* A file that is there, or nothing: both are the copy's own name. */
	if (*dirfd != -ENOENT && *dirfd != -ENOTDIR)
		return *dirfd;
	*dirfd = open_above(path, name);
	if (*dirfd < 0)
		return *dirfd;
	if (is_directory_itself(name)) {
		close(*dirfd);
		*dirfd = -1;
		return -ENOENT;
	}
	options->rename_first = name;
	options->directory_only = path[strlen(path) - 1] == '/';
	return 0;
}
