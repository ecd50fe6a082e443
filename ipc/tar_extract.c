/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks hostile archives below one directory.
 *
 * Every name is resolved by the kernel beneath the directory's descriptor, without links of any
 * kind; there is no check on one name and use of another.  The directory that a name lies in stays
 * open while the next names lie in it too.  A directory that we make
 * gets its final mode and time when the archive leaves it, since a mode like 0555 would keep its
 * own files out; the ones that are still open lie on one path, so they cost no more than that path.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/log.h"
#include "ipc/tar.h"

#define COPY_SIZE 65536u
#define PATH_SIZE (2 * TAR_NAME_MAX + 2) /* a name whose first component was replaced */

/* A directory that we made and that the archive has not left. */
struct open_directory {
	size_t length; /* of its path, a prefix of extraction.path */
	mode_t mode;
	int64_t mtime;
};

struct extraction {
	int dir;
	const struct tar_extract_options *options;
	struct tar_reader *reader;
	mode_t mask; /* the process's umask, turned round */
	char path[PATH_SIZE];
	struct open_directory open[TAR_DEPTH_MAX + 1];
	size_t n_open;
	int parent; /* O_PATH of parent_path; -1 = none */
	char parent_path[PATH_SIZE];
	struct tar_entry entry;
	char target[PATH_SIZE];
	uint8_t copy[COPY_SIZE];
	char *why;
};

static int __attribute__((format(printf, 4, 5)))
fail(struct extraction *x, int error, const char *path, const char *format, ...)
{
	char name[200], text[200];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_escape(name, sizeof(name), path, strlen(path));
	snprintf(x->why, TAR_WHY_MAX, "%s: %s%s%s", name, text, error != EPROTO ? ": " : "",
	    error != EPROTO ? strerror(error) : "");
	return -error;
}

/* "" is the destination itself. */
static int
open_beneath(const struct extraction *x, const char *path, uint64_t flags)
{
	const struct open_how how = {
	    .flags = flags | O_CLOEXEC,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, x->dir, path[0] != '\0' ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* ---- Names ---- */

/* The archive's name with the first component replaced: "b/c" and "." alike become "new/c", "new".
 */
static void
place(const struct extraction *x, const char *name, char out[PATH_SIZE])
{
	const char *first = x->options->rename_first, *rest = strchr(name, '/');

	if (first != NULL)
		snprintf(out, PATH_SIZE, "%s%s", first, rest != NULL ? rest : "");
	else if (name[0] == '.' && (name[1] == '/' || name[1] == '\0'))
		snprintf(out, PATH_SIZE, "%s", rest != NULL ? rest + 1 : "");
	else
		snprintf(out, PATH_SIZE, "%s", name);
}

/* True where path is `directory` (of that length) or below it. */
static bool
is_within(const char *path, const char *directory, size_t length)
{
	return strncmp(path, directory, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

/* ---- Directories ---- */

static int
close_directory(struct extraction *x, char *path, const struct open_directory *d)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = d->mtime}};
	char cut = path[d->length];
	int fd, rc = 0;

	path[d->length] = '\0';
	fd = open_beneath(x, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		rc = fail(x, -fd, path, "cannot open the directory again");
	else if (futimens(fd, times) < 0 || fchmod(fd, d->mode) < 0)
		rc = fail(x, errno, path, "cannot set mode and time");
	path[d->length] = cut;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Leaves the directories that `path` is not within; NULL leaves them all. */
static int
leave_directories(struct extraction *x, const char *path)
{
	int rc;

	while (x->n_open > 0) {
		const struct open_directory *d = &x->open[x->n_open - 1];

		if (path != NULL && is_within(path, x->path, d->length))
			break;
		rc = close_directory(x, x->path, d);
		if (rc < 0)
			return rc;
		x->n_open--;
	}
	return 0;
}

/* Makes one directory in `parent`, to be completed later.  Returns 0, -EEXIST, or -errno. */
static int
make_directory(
    struct extraction *x, int parent, const char *base, size_t length, mode_t mode, int64_t mtime)
{
	if (mkdirat(parent, base, 0700) < 0)
		return -errno;
	/* Somebody else removed it since, or the stack would not hold it twice. */
	if (x->n_open > 0 && x->open[x->n_open - 1].length >= length)
		x->n_open--;
	x->open[x->n_open++] =
	    (struct open_directory){.length = length, .mode = mode & x->mask, .mtime = mtime};
	return 0;
}

/* The parts of x->path that an archive left out; path[length] is its last slash. */
static int
make_parents(struct extraction *x, size_t length)
{
	char *slash, *base = x->path;
	int parent, rc = 0;

	while (rc == 0 && base < x->path + length) {
		slash = strchr(base, '/');
		*slash = '\0';
		if (base > x->path)
			base[-1] = '\0';
		parent = open_beneath(x, base > x->path ? x->path : "", O_PATH | O_DIRECTORY);
		if (base > x->path)
			base[-1] = '/';
		if (parent < 0)
			rc = fail(x, -parent, x->path, "cannot open the directory above");
		else
			rc = make_directory(
			    x, parent, base, (size_t)(slash - x->path), 0777, x->entry.mtime);
		if (parent >= 0)
			close(parent);
		if (rc == -EEXIST)
			rc = 0;
		else if (rc < 0 && parent >= 0)
			rc = fail(x, -rc, x->path, "cannot make the directory");
		*slash = '/';
		base = slash + 1;
	}
	return rc;
}

/* Opens the directory that x->path lies in; *base is its last component. */
static int
open_parent(struct extraction *x, const char **base)
{
	char *slash = strrchr(x->path, '/');
	const size_t length = slash != NULL ? (size_t)(slash - x->path) : 0;
	int rc;

	*base = slash != NULL ? slash + 1 : x->path;
	if (x->parent >= 0 && strlen(x->parent_path) == length &&
	    memcmp(x->parent_path, x->path, length) == 0)
		return 0;
	if (x->parent >= 0)
		close(x->parent);
	memcpy(x->parent_path, x->path, length);
	x->parent_path[length] = '\0';
	x->parent = open_beneath(x, x->parent_path, O_PATH | O_DIRECTORY);
	if (x->parent == -ENOENT) {
		rc = make_parents(x, length);
		if (rc < 0)
			return rc;
		x->parent = open_beneath(x, x->parent_path, O_PATH | O_DIRECTORY);
	}
	return x->parent < 0 ? fail(x, -x->parent, x->parent_path, "cannot open the directory") : 0;
}

/* ---- Entries ---- */

static int
extract_directory(struct extraction *x, const char *base)
{
	struct stat st;
	int rc;

	rc = make_directory(
	    x, x->parent, base, strlen(x->path), (mode_t)(x->entry.mode & 0777), x->entry.mtime);
	if (rc != -EEXIST)
		return rc < 0 ? fail(x, -rc, x->path, "cannot make the directory") : 0;
	/* Ours or one that was there: it is filled, and keeps its mode. */
	if (fstatat(x->parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return fail(x, ENOTDIR, x->path, "cannot make the directory");
	return 0;
}

/*
 * What is in the way goes, but no directory, and nothing that stands for something else: root may
 * have said /dev/null.
 */
static int
clear_way(struct extraction *x, const char *base)
{
	struct stat st;

	if (fstatat(x->parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode))
		return fail(x, EEXIST, x->path, "a device, fifo or socket is not replaced");
	if (unlinkat(x->parent, base, 0) < 0 && errno != ENOENT)
		return fail(x, errno, x->path, "cannot replace");
	return 0;
}

static int
copy_data(struct extraction *x, int fd)
{
	ssize_t n;
	int rc;

	while ((n = tar_reader_data(x->reader, x->copy, sizeof(x->copy))) > 0) {
		rc = file_write_all(fd, x->copy, (size_t)n);
		if (rc < 0)
			return fail(x, -rc, x->path, "cannot write");
	}
	if (n == -EPROTO)
		return fail(x, EPROTO, x->path, "the archive ends in the middle of this file");
	return n < 0 ? fail(x, (int)-n, x->path, "cannot read the archive") : 0;
}

static int
extract_file(struct extraction *x, const char *base)
{
	const struct timespec times[2] = {
	    {.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)x->entry.mtime}};
	int fd, rc;

	rc = clear_way(x, base);
	if (rc < 0)
		return rc;
	/* O_EXCL: the file is the one that this call makes, whoever else is at work here. */
	fd = openat(x->parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    (mode_t)(x->entry.mode & 0777));
	if (fd < 0)
		return fail(x, errno, x->path, "cannot make the file");
	rc = copy_data(x, fd);
	if (rc == 0 && futimens(fd, times) < 0)
		rc = fail(x, errno, x->path, "cannot set the time");
	/* A full disk may show only here (NFS, quotas). */
	if (close(fd) < 0 && rc == 0)
		rc = fail(x, errno, x->path, "cannot write");
	return rc;
}

static int
extract_symlink(struct extraction *x, const char *base)
{
	const struct timespec times[2] = {
	    {.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)x->entry.mtime}};
	int rc;

	rc = clear_way(x, base);
	if (rc < 0)
		return rc;
	if (symlinkat(x->entry.target, x->parent, base) < 0 ||
	    utimensat(x->parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(x, errno, x->path, "cannot make the symbolic link");
	return 0;
}

static int
extract_hardlink(struct extraction *x, const char *base)
{
	char *slash;
	int from, rc;

	place(x, x->entry.target, x->target);
	if (strcmp(x->target, x->path) == 0)
		return fail(x, EPROTO, x->path, "a hard link to itself");
	slash = strrchr(x->target, '/');
	if (slash != NULL)
		*slash = '\0';
	from = open_beneath(x, slash != NULL ? x->target : "", O_PATH | O_DIRECTORY);
	if (from < 0)
		return fail(x, -from, x->path, "cannot find what the hard link is to");
	rc = clear_way(x, base);
	if (rc == 0 && linkat(from, slash != NULL ? slash + 1 : x->target, x->parent, base, 0) < 0)
		rc = fail(x, errno, x->path, "cannot make the hard link");
	close(from);
	return rc;
}

static const struct {
	enum tar_type type;
	int (*extract)(struct extraction *x, const char *base);
} extractors[] = {
    {TAR_FILE, extract_file},
    {TAR_DIRECTORY, extract_directory},
    {TAR_SYMLINK, extract_symlink},
    {TAR_HARDLINK, extract_hardlink},
};

static int
extract_entry(struct extraction *x, char *path)
{
	const char *base;
	size_t i;
	int rc;

	place(x, x->entry.name, path);
	rc = leave_directories(x, path);
	if (rc < 0)
		return rc;
	memcpy(x->path, path, strlen(path) + 1);
	/* The destination itself, when it is a directory's content that is unpacked. */
	if (path[0] == '\0')
		return 0;
	if (strlen(path) > TAR_NAME_MAX)
		return fail(x, ENAMETOOLONG, path, "cannot unpack");
	if (x->options->directory_only && strchr(path, '/') == NULL &&
	    x->entry.type != TAR_DIRECTORY)
		return fail(x, ENOTDIR, path, "cannot unpack");
	rc = open_parent(x, &base);
	for (i = 0; rc == 0 && i < sizeof(extractors) / sizeof(extractors[0]); i++)
		if (extractors[i].type == x->entry.type)
			return extractors[i].extract(x, base);
	return rc;
}

static int
extract_all(struct extraction *x)
{
	char path[PATH_SIZE];
	const char *wrong;
	int rc;

	while ((rc = tar_reader_next(x->reader, &x->entry, &wrong)) > 0) {
		rc = extract_entry(x, path);
		if (rc < 0)
			return rc;
	}
	if (rc == -EPROTO)
		return fail(x, EPROTO, "archive", "%s", wrong);
	if (rc < 0)
		return fail(x, -rc, "archive", "cannot read");
	return leave_directories(x, NULL);
}

/* One component that can name a file. */
static bool
is_component(const char *name)
{
	return name[0] != '\0' && strlen(name) <= NAME_MAX && strchr(name, '/') == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int
tar_extract(int dirfd, const struct tar_source *source, const struct tar_extract_options *options,
    char *why)
{
	struct extraction *x;
	mode_t mask = umask(0);
	int rc = -ENOMEM;

	umask(mask);
	why[0] = '\0';
	if (options->rename_first != NULL && !is_component(options->rename_first)) {
		snprintf(why, TAR_WHY_MAX, "a new name that is no name of a file");
		return -EINVAL;
	}
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		goto out;
	*x = (struct extraction){.dir = dirfd, .options = options, .parent = -1, .why = why};
	x->mask = (mode_t)~mask;
	x->reader = tar_reader_new(source);
	if (x->reader != NULL)
		rc = extract_all(x);
	if (x->parent >= 0)
		close(x->parent);
	tar_reader_free(x->reader);
out:
	if (rc == -ENOMEM && why[0] == '\0')
		snprintf(why, TAR_WHY_MAX, "out of memory");
	free(x);
	return rc;
}
