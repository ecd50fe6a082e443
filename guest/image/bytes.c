/* SPDX-License-Identifier: Apache-2.0 */
/* Files and small helpers of the image library. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/image/private.h"

#define TREE_DEPTH 256u

char *
image_format(const char *format, ...)
{
	char *out;
	va_list ap;

	va_start(ap, format);
	int n = vasprintf(&out, format, ap);
	va_end(ap);
	if (n < 0)
		abort();
	return out;
}

bool
image_cancelled(const struct image_progress *p)
{
	return p != NULL && p->cancel != NULL && *p->cancel != 0;
}

void
image_step(const struct image_progress *p, const char *what, uint64_t done, uint64_t total)
{
	if (p != NULL && p->step != NULL)
		p->step(p->ctx, what, done, total);
}

int
image_put_file(int dir, const char *name, const void *bytes, size_t n, unsigned mode)
{
	int fd =
	    openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
	int error;

	if (fd == -1)
		return -errno;
	error = file_write_all(fd, bytes, n);
	/* The mode is meant, whatever the caller's umask is. */
	if (error == 0 && fchmod(fd, (mode_t)mode) < 0)
		error = -errno;
	if (close(fd) < 0 && error == 0)
		error = -errno;
	return error;
}

int
image_get_file(int dir, const char *name, size_t max, char **bytes, size_t *n)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int error = 0;
	ssize_t have = 0;
	char *text = NULL;

	if (fd == -1)
		return -errno;
	if (fstat(fd, &st) < 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode))
		error = -EINVAL;
	else if ((uintmax_t)st.st_size > max)
		error = -E2BIG;
	if (error < 0)
		goto out;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		abort();
	have = file_read_all(fd, text, (size_t)st.st_size);
	if (have < 0)
		error = (int)have;
	else
		text[have] = '\0';
out:
	close(fd);
	if (error < 0) {
		free(text);
		return error;
	}
	*bytes = text;
	*n = (size_t)have;
	return 0;
}

static int remove_children(int fd, unsigned depth);

static int
remove_entry(int dir, const char *name, unsigned depth)
{
	int fd, error;

	if (unlinkat(dir, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth == 0)
		return -ELOOP;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	error = remove_children(fd, depth - 1);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && error == 0)
		error = -errno;
	return error;
}

/* Takes fd. */
static int
remove_children(int fd, unsigned depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int error = 0;

	if (d == NULL) {
		error = -errno;
		close(fd);
		return error;
	}
	while ((e = readdir(d)) != NULL) {
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = remove_entry(dirfd(d), e->d_name, depth);
		if (error == 0)
			error = r;
	}
	closedir(d);
	return error;
}

int
image_remove_tree(int dir, const char *name)
{
	int error = remove_entry(dir, name, TREE_DEPTH);

	return error == -ENOENT ? 0 : error;
}
