/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile archive against tar_extract, in a directory of its own.  The first byte chooses the
 * options; nothing may be made in the directory above.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/tar_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static ssize_t
read_input(void *ctx, void *bytes, size_t n)
{
	struct input *in = ctx;

	if (n > in->left)
		n = in->left;
	if (n > 0)
		memcpy(bytes, in->at, n);
	in->at += n;
	in->left -= n;
	return (ssize_t)n;
}

/* An archive may leave directories behind that their owner cannot read. */
static void
remove_tree(int above, const char *name)
{
	struct dirent *d;
	struct stat st;
	DIR *stream;
	int fd;

	if (unlinkat(above, name, 0) == 0)
		return;
	/* A link would lead the change of mode out of here. */
	if (fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
	    fchmodat(above, name, 0700, 0) < 0)
		abort();
	fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	stream = fd >= 0 ? fdopendir(fd) : NULL;
	if (stream == NULL)
		abort();
	while ((d = readdir(stream)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			remove_tree(fd, d->d_name);
	closedir(stream);
	if (unlinkat(above, name, AT_REMOVEDIR) < 0)
		abort();
}

/* Random changes almost never keep a checksum right, and would get no further than that. */
static void
fix_checksums(uint8_t *bytes, size_t size)
{
	const size_t from = offsetof(struct tar_header, checksum);
	struct tar_header *h;
	unsigned sum;
	size_t at, i;

	for (at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		h = (struct tar_header *)(bytes + at);
		if (memcmp(h->magic, "ustar", 6) != 0)
			continue;
		for (i = 0, sum = 0; i < TAR_BLOCK; i++)
			sum += i >= from && i < from + sizeof(h->checksum) ? ' ' : bytes[at + i];
		snprintf(h->checksum, sizeof(h->checksum), "%06o", sum);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char base[] = "/tmp/gondolin-fuzz-XXXXXX", path[64], why[TAR_WHY_MAX];
	struct tar_extract_options options = {0};
	struct input in;
	const struct tar_source source = {read_input, &in};
	struct stat st;
	uint8_t *copy;
	int dir;

	if (size == 0 || mkdtemp(base) == NULL)
		return 0;
	options.rename_first = (data[0] & 1) != 0 ? "renamed" : NULL;
	options.directory_only = (data[0] & 2) != 0;
	copy = malloc(size);
	if (copy == NULL)
		abort();
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & 4) == 0)
		fix_checksums(copy, size - 1);
	in = (struct input){copy, size - 1};
	snprintf(path, sizeof(path), "%s/in", base);
	if (mkdir(path, 0700) < 0)
		abort();
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		abort();
	/* A way out that is there already, under a name that the corpus knows. */
	if (symlinkat("..", dir, "up") < 0)
		abort();
	(void)tar_extract(dir, &source, &options, why);
	free(copy);
	close(dir);
	/* "." , ".." and "in": nothing was made above. */
	if (stat(base, &st) < 0 || st.st_nlink != 3)
		abort();
	remove_tree(AT_FDCWD, base);
	return 0;
}
