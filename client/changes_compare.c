/* SPDX-License-Identifier: Apache-2.0 */
/* A layer against the host's directory: see changes.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/changes.h"
#include "ipc/log.h"

#define PART (256u * 1024u)

struct compare {
	struct changes *out;
	size_t room;
	const struct changes_layer *layer;
	const struct changes_base *base;
	struct sha256_state digest;
	char *error;
	char ours[PART], theirs[PART];
};

int
changes_open(int dir, const char *path, int flags)
{
	const struct open_how how = {
	    .flags = (unsigned long long)(flags | O_CLOEXEC | O_NOFOLLOW),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

int
changes_print_of(int fd, struct changes_print *p)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*p = (struct changes_print){
	    st.st_dev, st.st_ino, (uint64_t)st.st_size, st.st_mtim, st.st_ctim, st.st_mode};
	return 0;
}

static int
failed(struct compare *c, int rc, const char *path, const char *what)
{
	char name[256];

	log_escape(name, sizeof(name), path, strlen(path));
	snprintf(c->error, CHANGES_ERROR_SIZE, "%s: %s: %s", name, what, strerror(-rc));
	return rc;
}

/* Returns 1 and fills p, 0 where nothing has that name, or -errno. */
static int
look(struct compare *c, const char *path, struct changes_print *p)
{
	int fd = changes_open(c->base->root, path, O_PATH), rc;

	*p = (struct changes_print){.mode = 0};
	/* ELOOP, ENOTDIR: what lies on the way is no directory (any more). */
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (fd < 0)
		return failed(c, fd, path, "cannot be looked at");
	rc = changes_print_of(fd, p);
	close(fd);
	return rc < 0 ? failed(c, rc, path, "cannot be looked at") : 1;
}

static bool
is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* By file and time of change, all that matters of what was applied. */
static int
by_change(const void *a, const void *b)
{
	const struct changes_print *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return is_later(&x->ctime, &y->ctime) - is_later(&y->ctime, &x->ctime);
}

void
changes_prints_sort(struct changes_print *v, size_t n)
{
	if (n > 0)
		qsort(v, n, sizeof(*v), by_change);
}

/*
 * A directory's times tell of every name in it: what happened to those is looked at by itself.
 */
static bool
conflicts(const struct compare *c, const struct changes_print *p)
{
	const struct changes_base *b = c->base;

	if (S_ISDIR(p->mode) || !is_later(&p->ctime, &b->opened))
		return false;
	return b->n_applied == 0 ||
	       bsearch(p, b->applied, b->n_applied, sizeof(*p), by_change) == NULL;
}

static void
digest_number(struct compare *c, uint64_t n)
{
	uint8_t bytes[8];
	size_t i;

	for (i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(n >> (8 * i));
	sha256_add(&c->digest, bytes, sizeof(bytes));
}

static void
digest_text(struct compare *c, const char *text)
{
	digest_number(c, strlen(text));
	sha256_add(&c->digest, text, strlen(text));
}

static void
digest_print(struct compare *c, const struct changes_print *p)
{
	digest_number(c, p->dev);
	digest_number(c, p->ino);
	digest_number(c, p->mode);
	if (S_ISDIR(p->mode))
		return;
	digest_number(c, p->size);
	digest_number(c, (uint64_t)p->mtime.tv_sec);
	digest_number(c, (uint64_t)p->mtime.tv_nsec);
	digest_number(c, (uint64_t)p->ctime.tv_sec);
	digest_number(c, (uint64_t)p->ctime.tv_nsec);
}

static int
digest_content(struct compare *c, const struct changes_entry *e)
{
	uint64_t at;
	ssize_t n;

	for (at = 0; at < e->size; at += (uint64_t)n) {
		n = pread(c->layer->fd, c->ours,
		    e->size - at < PART ? (size_t)(e->size - at) : PART, e->data + (off_t)at);
		if (n <= 0)
			return failed(
			    c, n < 0 ? -errno : -EIO, e->path, "the change cannot be read");
		sha256_add(&c->digest, c->ours, (size_t)n);
	}
	return 0;
}

static int
digest_change(struct compare *c, const struct change *change)
{
	const struct changes_entry *e = change->to;

	digest_number(c, change->kind);
	digest_text(c, change->path);
	if (change->kind != CHANGES_ADDED)
		digest_print(c, &change->from);
	if (e == NULL)
		return 0;
	digest_number(c, e->type);
	digest_number(c, e->mode);
	digest_text(c, e->target);
	digest_number(c, e->size);
	return digest_content(c, e);
}

/* from NULL: nothing is there. */
static int
note(struct compare *c, enum changes_kind kind, const char *path, const struct changes_entry *to,
    const struct changes_print *from, bool content, bool mode)
{
	struct changes *out = c->out;
	struct change *v = out->v;

	if (out->n == CHANGES_ENTRIES_MAX)
		return failed(c, -E2BIG, path, "more than a million changes");
	if (out->n == c->room) {
		c->room = c->room > 0 ? c->room * 2 : 64;
		v = reallocarray(v, c->room, sizeof(*v));
		if (v == NULL)
			return failed(c, -ENOMEM, path, "cannot be kept");
		out->v = v;
	}
	v += out->n;
	*v = (struct change){
	    .kind = kind, .path = strdup(path), .to = to, .content = content, .mode = mode};
	if (v->path == NULL)
		return failed(c, -ENOMEM, path, "cannot be kept");
	if (from != NULL) {
		v->from = *from;
		v->conflict = conflicts(c, from);
	}
	out->conflicts += v->conflict;
	out->n++;
	return digest_change(c, v);
}

static int removed(struct compare *c, const char *path, const struct changes_print *p, int depth);

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a host directory, in order, so that an id does not depend on the disk's. */
static int
read_names(int dir, char ***names, size_t *n)
{
	DIR *stream = fdopendir(dir);
	struct dirent *d;
	size_t room = 0;
	char **more;

	*names = NULL;
	*n = 0;
	if (stream == NULL) {
		close(dir);
		return -ENOMEM;
	}
	while ((d = readdir(stream)) != NULL && *n < CHANGES_ENTRIES_MAX) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (*n == room) {
			room = room > 0 ? room * 2 : 32;
			more = reallocarray(*names, room, sizeof(*more));
			if (more == NULL)
				break;
			*names = more;
		}
		(*names)[*n] = strdup(d->d_name);
		if ((*names)[*n] == NULL)
			break;
		++*n;
	}
	closedir(stream);
	if (d != NULL)
		return -ENOMEM;
	if (*n > 0)
		qsort(*names, *n, sizeof(**names), by_name);
	return 0;
}

/* Everything in a host directory but what the layer has under the same name. */
static int
removed_below(struct compare *c, const char *path, bool spare, int depth)
{
	int dir = changes_open(c->base->root, path, O_RDONLY | O_DIRECTORY), rc;
	char **names, *child;
	struct changes_print p;
	size_t i, n;

	if (dir < 0)
		return failed(c, dir, path, "cannot be read");
	rc = read_names(dir, &names, &n);
	if (rc < 0)
		rc = failed(c, rc, path, "cannot be read");
	for (i = 0; i < n; i++) {
		if (rc == 0 && asprintf(&child, "%s/%s", path, names[i]) < 0)
			rc = failed(c, -ENOMEM, path, "cannot be kept");
		else if (rc == 0) {
			if (!spare || changes_layer_find(c->layer, child) == NULL) {
				rc = look(c, child, &p);
				rc = rc == 1 ? removed(c, child, &p, depth) : rc;
			}
			free(child);
		}
		free(names[i]);
	}
	free(names);
	return rc;
}

static int
removed(struct compare *c, const char *path, const struct changes_print *p, int depth)
{
	int rc;

	if (depth == 0)
		return failed(c, -ELOOP, path, "is too deep");
	rc = note(c, CHANGES_REMOVED, path, NULL, p, false, false);
	return rc == 0 && S_ISDIR(p->mode) ? removed_below(c, path, false, depth - 1) : rc;
}

/* Returns 1 where the contents are the same, 0 where not, or -errno. */
static int
same_content(struct compare *c, const struct changes_entry *e, const struct changes_print *p)
{
	uint64_t at;
	ssize_t n = 0;
	int fd, rc = 1;

	if (e->size != p->size)
		return 0;
	fd = changes_open(c->base->root, e->path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return failed(c, fd, e->path, "cannot be read");
	for (at = 0; at < e->size && rc == 1; at += (uint64_t)n) {
		n = pread(fd, c->theirs, PART, (off_t)at);
		if (n <= 0 || (uint64_t)n > e->size - at)
			rc = n < 0 ? failed(c, -errno, e->path, "cannot be read") : 0;
		else if (pread(c->layer->fd, c->ours, (size_t)n, e->data + (off_t)at) != n)
			rc = failed(c, -EIO, e->path, "the change cannot be read");
		else if (memcmp(c->ours, c->theirs, (size_t)n) != 0)
			rc = 0;
	}
	close(fd);
	return rc;
}

static int
same_target(struct compare *c, const struct changes_entry *e)
{
	int fd = changes_open(c->base->root, e->path, O_PATH);
	ssize_t n;

	if (fd < 0)
		return failed(c, fd, e->path, "cannot be read");
	n = readlinkat(fd, "", c->theirs, PART);
	close(fd);
	if (n < 0)
		return failed(c, -errno, e->path, "cannot be read");
	return (size_t)n == strlen(e->target) && memcmp(c->theirs, e->target, (size_t)n) == 0;
}

static uint32_t
type_of(const struct changes_entry *e)
{
	return e->type == TAR_FILE ? S_IFREG : e->type == TAR_DIRECTORY ? S_IFDIR : S_IFLNK;
}

static int
compare_one(struct compare *c, const struct changes_entry *e)
{
	struct changes_print p;
	bool mode, content;
	int rc = look(c, e->path, &p);

	if (rc < 0)
		return rc;
	if (e->gone)
		return rc == 1 ? removed(c, e->path, &p, TAR_DEPTH_MAX) : 0;
	if (rc == 0)
		return note(c, CHANGES_ADDED, e->path, e, NULL, true, true);
	if ((p.mode & S_IFMT) != type_of(e)) {
		rc = removed(c, e->path, &p, TAR_DEPTH_MAX);
		return rc < 0 ? rc : note(c, CHANGES_ADDED, e->path, e, NULL, true, true);
	}
	rc = e->type == TAR_FILE      ? same_content(c, e, &p)
	     : e->type == TAR_SYMLINK ? same_target(c, e)
				      : 1;
	if (rc < 0)
		return rc;
	content = rc == 0;
	mode = e->type != TAR_SYMLINK && (p.mode & 0777) != e->mode;
	rc = content || mode ? note(c, CHANGES_CHANGED, e->path, e, &p, content, mode) : 0;
	return rc == 0 && e->opaque ? removed_below(c, e->path, true, TAR_DEPTH_MAX) : rc;
}

int
changes_compare(struct changes *out, const struct changes_layer *l, const struct changes_base *base,
    const char *mount, char *error)
{
	struct compare *c = malloc(sizeof(*c));
	uint8_t digest[SHA256_SIZE];
	size_t i;
	int rc = 0;

	*out = (struct changes){.n = 0};
	if (c == NULL)
		abort();
	c->out = out;
	c->room = 0;
	c->layer = l;
	c->base = base;
	c->error = error;
	sha256_begin(&c->digest);
	digest_text(c, mount);
	for (i = 0; i < l->n && rc == 0; i++)
		rc = compare_one(c, &l->entries[i]);
	sha256_end(&c->digest, digest);
	sha256_hex(digest, out->id);
	free(c);
	return rc;
}

void
changes_clear(struct changes *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free(c->v[i].path);
	free(c->v);
	*c = (struct changes){.n = 0};
}
