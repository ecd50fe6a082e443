/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a file or a directory tree as a tar archive. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/log.h"
#include "ipc/tar_private.h"

#define BUFFER_SIZE 65536u

struct writer {
	const struct tar_sink *sink;
	const struct tar_write_options *options;
	int sink_error;  /* at which everything stops */
	int first_error; /* of a file that was left out */
	size_t used;
	struct tar_entry entry;
	uint8_t head[TAR_ENTRY_MAX];
	uint8_t buffer[BUFFER_SIZE];
};

static int
write_fd(void *ctx, const void *bytes, size_t n)
{
	return file_write_all(*(int *)ctx, bytes, n);
}

struct tar_sink
tar_sink_fd(int *fd)
{
	return (struct tar_sink){write_fd, fd};
}

/* Says what is wrong with entry.name; error 0 = nothing that the caller has to know. */
static void
warn(struct writer *w, int error, const char *what)
{
	char name[200], line[TAR_WHY_MAX];

	if (error != 0 && w->first_error == 0)
		w->first_error = -error;
	if (w->options->warn == NULL)
		return;
	log_escape(name, sizeof(name), w->entry.name, strlen(w->entry.name));
	snprintf(line, sizeof(line), "%s: %s%s%s", name, what, error != 0 ? ": " : "",
	    error != 0 ? strerror(error) : "");
	w->options->warn(w->options->ctx, line);
}

static bool
flush(struct writer *w)
{
	if (w->sink_error == 0 && w->used > 0)
		w->sink_error = w->sink->write(w->sink->ctx, w->buffer, w->used);
	w->used = 0;
	return w->sink_error == 0;
}

static bool
put(struct writer *w, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t part;

	while (n > 0) {
		part = BUFFER_SIZE - w->used < n ? BUFFER_SIZE - w->used : n;
		memcpy(w->buffer + w->used, p, part);
		w->used += part;
		p += part;
		n -= part;
		if (w->used == BUFFER_SIZE && !flush(w))
			return false;
	}
	return true;
}

static bool
put_zeros(struct writer *w, uint64_t n)
{
	static const uint8_t zeros[4096];
	size_t part;

	for (; n > 0; n -= part) {
		part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		if (!put(w, zeros, part))
			return false;
	}
	return true;
}

static bool
put_header(struct writer *w)
{
	return put(w, w->head, tar_header_encode(&w->entry, w->head));
}

/* The header has promised a size: a file that shrank is filled up, one that grew is cut. */
static bool
put_data(struct writer *w, int fd)
{
	uint64_t left = w->entry.size;
	size_t room;
	ssize_t n;

	while (left > 0) {
		room = BUFFER_SIZE - w->used;
		n = read(fd, w->buffer + w->used, left < room ? (size_t)left : room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			warn(
			    w, n < 0 ? errno : EIO, "the file shrank or cannot be read to its end");
			break;
		}
		w->used += (size_t)n;
		left -= (uint64_t)n;
		if (w->used == BUFFER_SIZE && !flush(w))
			return false;
	}
	return put_zeros(w, left + tar_padding(w->entry.size));
}

static void
describe(struct tar_entry *e, enum tar_type type, const struct stat *st)
{
	e->type = type;
	e->target[0] = '\0';
	e->size = type == TAR_FILE ? (uint64_t)st->st_size : 0;
	e->mode = st->st_mode & 07777;
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	e->mtime = st->st_mtim.tv_sec;
}

static void
write_symlink(struct writer *w, int dir, const char *name, const struct stat *st)
{
	ssize_t n;

	describe(&w->entry, TAR_SYMLINK, st);
	n = readlinkat(dir, name, w->entry.target, sizeof(w->entry.target));
	if (n < 0 || (size_t)n == sizeof(w->entry.target)) {
		warn(w, n < 0 ? errno : ENAMETOOLONG, "cannot read the link");
		return;
	}
	w->entry.target[n] = '\0';
	put_header(w);
}

static void
write_file(struct writer *w, int dir, const char *name)
{
	struct stat st;
	int fd;

	/* O_NONBLOCK: a fifo that took the file's place must not hang us. */
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		warn(w, errno, "cannot open");
	} else if (!S_ISREG(st.st_mode)) {
		warn(w, EIO, "changed while it was read");
	} else {
		describe(&w->entry, TAR_FILE, &st);
		if (put_header(w))
			put_data(w, fd);
	}
	if (fd >= 0)
		close(fd);
}

static void write_any(struct writer *w, int dir, const char *name, unsigned depth);

static void
write_children(struct writer *w, DIR *stream, unsigned depth)
{
	const size_t length = strlen(w->entry.name);
	struct dirent *d;
	size_t n;

	while (w->sink_error == 0 && (d = readdir(stream)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		n = strlen(d->d_name);
		if (length + 1 + n > TAR_NAME_MAX || depth + 1 >= TAR_DEPTH_MAX) {
			warn(w, ENAMETOOLONG, "what is below it is too deep");
			continue;
		}
		w->entry.name[length] = '/';
		memcpy(w->entry.name + length + 1, d->d_name, n + 1);
		write_any(w, dirfd(stream), d->d_name, depth + 1);
		w->entry.name[length] = '\0';
	}
}

static void
write_directory(struct writer *w, int dir, const char *name, unsigned depth)
{
	struct stat st;
	DIR *stream = NULL;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		stream = fdopendir(fd);
	if (stream == NULL || fstat(fd, &st) < 0) {
		warn(w, errno, "cannot open the directory");
		if (stream == NULL && fd >= 0)
			close(fd);
	} else {
		describe(&w->entry, TAR_DIRECTORY, &st);
		if (put_header(w))
			write_children(w, stream, depth);
	}
	if (stream != NULL)
		closedir(stream);
}

/* Recursion ends at TAR_DEPTH_MAX, which is also what the descriptors of a process allow for. */
static void
write_any(struct writer *w, int dir, const char *name, unsigned depth)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		warn(w, errno, "cannot open");
	else if (S_ISDIR(st.st_mode))
		write_directory(w, dir, name, depth);
	else if (S_ISREG(st.st_mode))
		write_file(w, dir, name);
	else if (S_ISLNK(st.st_mode))
		write_symlink(w, dir, name, &st);
	else
		warn(w, 0, "left out: a socket, fifo or device");
}

int
tar_write_tree(int dirfd, const char *name, const char *as, const struct tar_sink *sink,
    const struct tar_write_options *options)
{
	struct writer *w;
	int rc;

	if (strlen(as) > TAR_NAME_MAX)
		return -ENAMETOOLONG;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->sink = sink;
	w->options = options;
	memcpy(w->entry.name, as, strlen(as) + 1);
	write_any(w, dirfd, name, 1);
	if (put_zeros(w, 2 * TAR_BLOCK))
		flush(w);
	rc = w->sink_error != 0 ? w->sink_error : w->first_error;
	free(w);
	return rc;
}
