/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a change into the host's directory: see changes.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/changes.h"
#include "ipc/file.h"
#include "ipc/log.h"

#define PART      (256u * 1024u)
#define TEMPORARY 32 /* bytes of a temporary name */

struct apply {
	const struct changes_layer *layer;
	int root;
	void (*done)(void *ctx, const struct changes_print *p);
	void *ctx;
	char *error;
	char part[PART];
};

static int
failed(struct apply *a, int rc, const char *path)
{
	char name[256];

	log_escape(name, sizeof(name), path, strlen(path));
	snprintf(a->error, CHANGES_ERROR_SIZE, "%s: %s", name,
	    rc == -ESTALE ? "changed on this host just now; look at the change again"
			  : strerror(-rc));
	return rc;
}

/* The directory that a path lies in, and its last component.  Returns the descriptor or -errno. */
static int
open_above(const struct apply *a, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char *above;
	int fd;

	*name = slash != NULL ? slash + 1 : path;
	if (slash == NULL)
		return changes_open(a->root, ".", O_RDONLY | O_DIRECTORY);
	above = strndup(path, (size_t)(slash - path));
	if (above == NULL)
		return -ENOMEM;
	fd = changes_open(a->root, above, O_RDONLY | O_DIRECTORY);
	free(above);
	/* A directory that was there at the comparison. */
	return fd == -ENOTDIR || fd == -ELOOP || fd == -ENOENT ? -ESTALE : fd;
}

/* A name that nobody else uses, for what is on its way in or out. */
static void
temporary_name(char name[TEMPORARY])
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		abort();
	snprintf(name, TEMPORARY, ".gondolin-%016llx", (unsigned long long)n);
}

/*
 * whole: the time of change too, which moving the file alters.
 */
static int
is_same(int dir, const char *name, const struct changes_print *was, bool whole)
{
	struct changes_print p;
	int fd = changes_open(dir, name, O_PATH), rc;

	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	rc = changes_print_of(fd, &p);
	close(fd);
	if (rc < 0)
		return rc;
	if (p.dev != was->dev || p.ino != was->ino || (p.mode & S_IFMT) != (was->mode & S_IFMT))
		return -ESTALE;
	if (S_ISDIR(p.mode))
		return 0;
	return p.size == was->size && memcmp(&p.mtime, &was->mtime, sizeof(p.mtime)) == 0 &&
		       (!whole || (p.mode == was->mode &&
				      memcmp(&p.ctime, &was->ctime, sizeof(p.ctime)) == 0))
		   ? 0
		   : -ESTALE;
}

/* ---- Removing ---- */

/*
 * Moved aside first, then looked at: nobody can put another file in its place between the look and
 * the removal.
 */
static int
take_away(int dir, const char *name, const struct changes_print *was)
{
	char aside[TEMPORARY];
	int rc = is_same(dir, name, was, true);

	if (rc < 0)
		return rc;
	/* An empty directory is all that rmdir takes. */
	if (S_ISDIR(was->mode))
		return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
	temporary_name(aside);
	if (renameat2(dir, name, dir, aside, RENAME_NOREPLACE) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	rc = is_same(dir, aside, was, false);
	if (rc < 0) {
		(void)renameat2(dir, aside, dir, name, RENAME_NOREPLACE);
		return rc;
	}
	return unlinkat(dir, aside, 0) < 0 ? -errno : 0;
}

static int
apply_removal(struct apply *a, const struct change *c)
{
	const char *name;
	int dir = open_above(a, c->path, &name), rc;

	if (dir < 0)
		return dir;
	rc = take_away(dir, name, &c->from);
	close(dir);
	/* What was not there when the change was looked at is still in it. */
	return rc == -ENOTEMPTY ? -ESTALE : rc;
}

/* ---- Making ---- */

static int
write_content(struct apply *a, const struct changes_entry *e, int fd)
{
	uint64_t at;
	ssize_t n;
	int rc = 0;

	for (at = 0; at < e->size && rc == 0; at += (uint64_t)n) {
		n = pread(a->layer->fd, a->part,
		    e->size - at < PART ? (size_t)(e->size - at) : PART, e->data + (off_t)at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		rc = file_write_sparse(fd, a->part, (size_t)n);
	}
	/* What ends in zeros has its size from here. */
	if (rc == 0 && ftruncate(fd, (off_t)e->size) < 0)
		rc = -errno;
	if (rc == 0 && fchmod(fd, e->mode) < 0)
		rc = -errno;
	return rc;
}

/* The new file, whole, under a temporary name. */
static int
make_aside(struct apply *a, int dir, const char *aside, const struct changes_entry *e)
{
	int fd, rc;

	if (e->type == TAR_SYMLINK)
		return symlinkat(e->target, dir, aside) < 0 ? -errno : 0;
	fd = openat(dir, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = write_content(a, e, fd);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(dir, aside, 0);
	return rc;
}

/* Puts the new file in the place of the old one, which then goes; or of nothing (was NULL). */
static int
move_in(int dir, const char *aside, const char *name, const struct changes_print *was)
{
	int rc;

	if (was == NULL) {
		if (renameat2(dir, aside, dir, name, RENAME_NOREPLACE) == 0)
			return 0;
		return errno == EEXIST ? -ESTALE : -errno;
	}
	rc = is_same(dir, name, was, true);
	if (rc < 0)
		return rc;
	if (renameat2(dir, aside, dir, name, RENAME_EXCHANGE) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	rc = is_same(dir, aside, was, false);
	if (rc < 0) {
		(void)renameat2(dir, aside, dir, name, RENAME_EXCHANGE);
		return rc;
	}
	return unlinkat(dir, aside, 0) < 0 ? -errno : 0;
}

static void
tell(struct apply *a, int dir, const char *name)
{
	struct changes_print p;
	int fd = changes_open(dir, name, O_PATH);

	if (fd < 0)
		return;
	if (changes_print_of(fd, &p) == 0)
		a->done(a->ctx, &p);
	close(fd);
}

static int
apply_file(struct apply *a, const struct change *c, int dir, const char *name)
{
	char aside[TEMPORARY];
	int rc;

	temporary_name(aside);
	rc = make_aside(a, dir, aside, c->to);
	if (rc < 0)
		return rc;
	rc = move_in(dir, aside, name, c->kind == CHANGES_CHANGED ? &c->from : NULL);
	if (rc < 0)
		(void)unlinkat(dir, aside, 0);
	else
		tell(a, dir, name);
	return rc;
}

/* A mode alone, of a file that is proved first; O_PATH cannot be changed on older kernels. */
static int
apply_mode(struct apply *a, const struct change *c, int dir, const char *name)
{
	struct changes_print p;
	int fd = changes_open(dir, name, O_RDONLY | O_NONBLOCK), rc;

	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP ? -ESTALE : fd;
	rc = changes_print_of(fd, &p);
	if (rc == 0 && (p.dev != c->from.dev || p.ino != c->from.ino || p.mode != c->from.mode))
		rc = -ESTALE;
	if (rc == 0 && fchmod(fd, c->to->mode) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0)
		tell(a, dir, name);
	return rc;
}

static int
apply_making(struct apply *a, const struct change *c)
{
	const char *name;
	int dir = open_above(a, c->path, &name), rc;

	if (dir < 0)
		return dir;
	if (c->to->type == TAR_DIRECTORY) {
		/* Open to us until what belongs in it is there. */
		rc = c->kind == CHANGES_CHANGED      ? 0
		     : mkdirat(dir, name, 0700) == 0 ? 0
		     : errno == EEXIST               ? -ESTALE
						     : -errno;
	} else if (c->content) {
		rc = apply_file(a, c, dir, name);
	} else {
		rc = apply_mode(a, c, dir, name);
	}
	close(dir);
	return rc;
}

/* Directories get their modes last, from the inside out: one may close them to us. */
static int
apply_directory_mode(struct apply *a, const struct change *c)
{
	struct changes_print p;
	int fd = changes_open(a->root, c->path, O_RDONLY | O_DIRECTORY), rc;

	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR ? -ESTALE : fd;
	rc = changes_print_of(fd, &p);
	if (rc == 0 && c->kind == CHANGES_CHANGED && (p.dev != c->from.dev || p.ino != c->from.ino))
		rc = -ESTALE;
	if (rc == 0 && fchmod(fd, c->to->mode) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static bool
is_directory(const struct change *c)
{
	return c->to != NULL && c->to->type == TAR_DIRECTORY;
}

int
changes_apply(const struct changes *c, const struct changes_layer *l, int root,
    void (*done)(void *ctx, const struct changes_print *p), void *ctx, size_t *n_done, char *error)
{
	struct apply *a = malloc(sizeof(*a));
	const struct change *at = NULL;
	size_t i;
	int rc = 0;

	*n_done = 0;
	if (a == NULL)
		abort();
	a->layer = l;
	a->root = root;
	a->done = done;
	a->ctx = ctx;
	a->error = error;
	for (i = c->n; i > 0 && rc == 0; i--) {
		at = &c->v[i - 1];
		if (at->kind != CHANGES_REMOVED)
			continue;
		rc = apply_removal(a, at);
		*n_done += rc == 0;
	}
	for (i = 0; i < c->n && rc == 0; i++) {
		at = &c->v[i];
		if (at->kind == CHANGES_REMOVED)
			continue;
		rc = apply_making(a, at);
		*n_done += rc == 0 && !is_directory(at);
	}
	for (i = c->n; i > 0 && rc == 0; i--) {
		at = &c->v[i - 1];
		if (!is_directory(at))
			continue;
		rc = apply_directory_mode(a, at);
		*n_done += rc == 0;
	}
	if (rc < 0)
		rc = failed(a, rc, at->path);
	free(a);
	return rc;
}
