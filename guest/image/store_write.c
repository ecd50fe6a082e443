/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to the store.
 *
 * Theory: nothing under a valid name is ever half-made.  A maker works in objects/.tmp-XXXXXX, on
 * which it holds a flock, and one rename gives the directory its valid name.  A removal renames the
 * image back to a temporary name first.  The lock goes with its holder, so a temporary directory
 * whose lock can be had belongs to nobody and is removed by the next maker.  Programs that a
 * maker runs inherit the lock: while one of them still writes, the directory is not free.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/image/private.h"
#include "guest/image/program.h"

#define STAGING_PREFIX ".tmp-"

/* mkdir -p, mode 0700 for what is made. */
static int
make_path(const char *path)
{
	char *copy = image_format("%s", path);
	int error = 0;

	for (char *slash = strchr(copy + 1, '/'); error == 0; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			error = -errno;
		if (slash == NULL)
			break;
		*slash = '/';
	}
	free(copy);
	return error;
}

int
image_store_make(struct image_store *s, char *error, size_t error_size)
{
	static const char *const names[] = {"objects", "tags"};
	int *const fds[] = {&s->objects, &s->tags};

	for (size_t i = 0; i < 2; i++) {
		char *path;
		int result;

		if (*fds[i] != -1)
			continue;
		path = image_format("%s/%s", s->path, names[i]);
		result = make_path(path);
		if (result == 0) {
			*fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (*fds[i] == -1)
				result = -errno;
		}
		free(path);
		if (result < 0)
			return log_fail(error, error_size, result,
			    "cannot make the image store %s: %s; set GONDOLIN_IMAGE_DIR to use "
			    "another",
			    s->path, strerror(-result));
	}
	return 0;
}

int
image_store_lock(const struct image_store *s)
{
	/* A description of its own: flock belongs to it, not to the process. */
	int fd = openat(s->tags, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		int error = -errno;

		if (error == -EINTR)
			continue;
		close(fd);
		return error;
	}
	return fd;
}

static void
random_name(char out[32])
{
	uint64_t bits;

	if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		abort();
	snprintf(out, 32, STAGING_PREFIX "%016llx", (unsigned long long)bits);
}

/* True where `name` in dir is still the directory that fd is. */
static bool
is_still(int dir, const char *name, int fd)
{
	struct stat by_name, by_fd;

	return fstatat(dir, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &by_fd) == 0 &&
	       by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

/*
 * Opens and locks a temporary directory.  Returns the descriptor; -EWOULDBLOCK where its maker
 * lives; -ENOENT where it went meanwhile.
 */
static int
lock_staging(int objects, const char *name)
{
	int fd = openat(objects, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int error = 0;

	if (fd == -1)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		error = -errno;
	else if (!is_still(objects, name, fd))
		error = -ENOENT;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* What a dead maker left.  What cannot be removed stays for the next time: it harms nobody. */
static void
remove_stale(const struct image_store *s)
{
	int fd = openat(s->objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		int lock;

		if (strncmp(e->d_name, STAGING_PREFIX, strlen(STAGING_PREFIX)) != 0)
			continue;
		lock = lock_staging(s->objects, e->d_name);
		if (lock < 0)
			continue;
		if (image_remove_tree(s->objects, e->d_name) < 0) {
			char *path = image_format("%s/objects/%s", s->path, e->d_name);

			image_remove_foreign_tree(path);
			free(path);
		}
		close(lock);
	}
	closedir(d);
}

int
image_staging_begin(struct image_staging *st, struct image_store *s, char *error, size_t error_size)
{
	int result = image_store_make(s, error, error_size);

	*st = (struct image_staging){.store = s, .fd = -1};
	if (result < 0)
		return result;
	remove_stale(s);
	do {
		random_name(st->name);
		if (mkdirat(s->objects, st->name, 0700) < 0)
			st->fd = -errno;
		else
			st->fd = lock_staging(s->objects, st->name);
		/* Another maker may have taken it for a dead one's before it was locked. */
	} while (st->fd == -EEXIST || st->fd == -ENOENT || st->fd == -EWOULDBLOCK);
	if (st->fd < 0) {
		result = st->fd;
		st->fd = -1;
		return log_fail(error, error_size, result, "cannot write to the image store %s: %s",
		    s->path, strerror(-result));
	}
	st->path = image_format("%s/objects/%s", s->path, st->name);
	return 0;
}

void
image_staging_abort(struct image_staging *st)
{
	if (st->fd == -1)
		return;
	if (image_remove_tree(st->store->objects, st->name) < 0)
		image_remove_foreign_tree(st->path);
	close(st->fd);
	free(st->path);
	st->path = NULL;
	st->fd = -1;
}

/* Makes a part read-only and its bytes durable. */
static int
seal_part(int dir, const char *file)
{
	int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int error = 0;

	if (fd == -1)
		return -errno;
	if (fchmod(fd, 0444) < 0 || fsync(fd) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int
point_tag(const struct image_store *s, const char *tag, const char *id)
{
	static const char temporary[] = ".tmp";
	char text[IMAGE_ID_LENGTH + 2];
	int error;

	snprintf(text, sizeof(text), "%s\n", id);
	/* The store's lock is held: nobody else uses this name, and a dead writer's is replaced. */
	error = image_put_file(s->tags, temporary, text, strlen(text), 0644);
	if (error == 0)
		error = seal_part(s->tags, temporary);
	if (error == 0 && renameat(s->tags, temporary, s->tags, tag) < 0)
		error = -errno;
	if (error == 0 && fsync(s->tags) < 0)
		error = -errno;
	return error;
}

/* Writes and syncs all that the temporary directory must hold. */
static int
complete(struct image_staging *st, const struct image_manifest *m)
{
	size_t n;
	char *text = image_manifest_write(m, &n);
	int error = image_put_file(st->fd, "manifest.json", text, n, 0444);

	free(text);
	if (error == 0)
		error = seal_part(st->fd, "manifest.json");
	for (int i = 0; i < IMAGE_PARTS && error == 0; i++)
		error = seal_part(st->fd, m->parts[i].file);
	if (error == 0 && (fchmod(st->fd, 0755) < 0 || fsync(st->fd) < 0))
		error = -errno;
	return error;
}

/* Under the store's lock: gives the directory its name, and points the tag. */
static int
publish(struct image_staging *st, const char *tag, const char *id)
{
	struct image_store *s = st->store;
	int error = 0;

	if (renameat2(s->objects, st->name, s->objects, id, RENAME_NOREPLACE) == 0) {
		close(st->fd);
		free(st->path);
		st->path = NULL;
		st->fd = -1;
		if (fsync(s->objects) < 0)
			error = -errno;
	} else if (errno != EEXIST) {
		error = -errno;
	}
	if (error == 0 && tag != NULL)
		error = point_tag(s, tag, id);
	return error;
}

int
image_staging_commit(struct image_staging *st, const struct image_manifest *m, const char *tag,
    char id[IMAGE_ID_LENGTH + 1], char *error, size_t error_size)
{
	char canonical[IMAGE_TAG_SIZE];
	int result = 0, lock;

	if (tag != NULL && image_tag_canonical(tag, canonical) < 0)
		return log_fail(error, error_size, -EINVAL,
		    "bad tag: use name or name:tag of a-z, 0-9, '.', '_' and '-'");
	image_manifest_id(m, id);
	result = complete(st, m);
	lock = result < 0 ? result : image_store_lock(st->store);
	if (lock >= 0) {
		result = publish(st, tag != NULL ? canonical : NULL, id);
		close(lock);
	} else {
		result = lock;
	}
	if (result < 0)
		return log_fail(error, error_size, result, "cannot write to the image store %s: %s",
		    st->store->path, strerror(-result));
	image_staging_abort(st);
	return 0;
}

int
image_tag(struct image_store *s, const char *id, const char *tag, char *error, size_t error_size)
{
	char canonical[IMAGE_TAG_SIZE];
	struct stat st;
	int result = 0, lock;

	if (image_tag_canonical(tag, canonical) < 0)
		return log_fail(error, error_size, -EINVAL,
		    "bad tag: use name or name:tag of a-z, 0-9, '.', '_' and '-'");
	result = image_store_make(s, error, error_size);
	if (result < 0)
		return result;
	lock = image_store_lock(s);
	if (lock < 0)
		result = lock;
	else if (!image_id_ok(id) || fstatat(s->objects, id, &st, AT_SYMLINK_NOFOLLOW) < 0)
		result = -ENOENT;
	else
		result = point_tag(s, canonical, id);
	if (lock >= 0)
		close(lock);
	if (result < 0)
		return log_fail(error, error_size, result, "cannot tag %s: %s", canonical,
		    result == -ENOENT ? "the image is not in the store; import it first"
				      : strerror(-result));
	return 0;
}

/* Takes the image's valid name away, then its files. */
static int
remove_object(const struct image_store *s, const char *id)
{
	char name[32];
	int lock, error;

	random_name(name);
	/* Locked before it has a temporary name: a maker that meets it waits for nobody. */
	lock = openat(s->objects, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (lock == -1)
		return -errno;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0 || renameat(s->objects, id, s->objects, name) < 0)
		error = -errno;
	else
		error = image_remove_tree(s->objects, name);
	close(lock);
	return error;
}

/* Under the store's lock. */
static int
remove_entry(const struct image_store *s, const struct image_entry *e, const char *tag, bool force,
    char *error, size_t error_size)
{
	int result = 0;

	if (tag != NULL && e->n_tags > 1 && !force) {
		if (unlinkat(s->tags, tag, 0) < 0)
			return log_fail(error, error_size, -errno, "cannot remove the tag %s", tag);
		return 0;
	}
	if (tag == NULL && e->n_tags > 0 && !force)
		return log_fail(error, error_size, -EBUSY,
		    "image %.12s is tagged %s: remove it by its tag, or use --force", e->id,
		    e->tags[0]);
	/* Tags first: one that points to nothing must not be seen. */
	for (size_t i = 0; i < e->n_tags && result == 0; i++)
		if (unlinkat(s->tags, e->tags[i], 0) < 0 && errno != ENOENT)
			result = -errno;
	if (result == 0)
		result = remove_object(s, e->id);
	if (result < 0)
		return log_fail(error, error_size, result, "cannot remove image %.12s: %s", e->id,
		    strerror(-result));
	return 0;
}

/* The entry of the list that the selector names; *tag is it, canonical, or "" where it is an id. */
static const struct image_entry *
select_entry(const struct image_store *s, const struct image_list *list, const char *selector,
    char tag[IMAGE_TAG_SIZE], int *why)
{
	const struct image_entry *found = NULL;
	char id[IMAGE_ID_LENGTH + 1] = "";
	size_t n = strlen(selector);

	*why = -ENOENT;
	if (image_tag_canonical(selector, tag) == 0 && image_tag_read(s, tag, id) == 0)
		n = IMAGE_ID_LENGTH;
	else
		tag[0] = '\0';
	if (n < IMAGE_PREFIX_MIN)
		return NULL;
	for (size_t i = 0; i < list->n; i++) {
		if (strncmp(list->entries[i].id, tag[0] != '\0' ? id : selector, n) != 0)
			continue;
		if (found != NULL) {
			*why = -ENOTUNIQ;
			return NULL;
		}
		found = &list->entries[i];
	}
	return found;
}

static int
remove_locked(
    struct image_store *s, const char *selector, bool force, char *error, size_t error_size)
{
	char tag[IMAGE_TAG_SIZE];
	struct image_list list;
	const struct image_entry *e;
	int result = image_list_read(s, &list, error, error_size), why;

	if (result < 0)
		return result;
	e = select_entry(s, &list, selector, tag, &why);
	if (e != NULL)
		result = remove_entry(s, e, tag[0] != '\0' ? tag : NULL, force, error, error_size);
	else if (tag[0] != '\0' && why == -ENOENT && unlinkat(s->tags, tag, 0) == 0)
		result = 0; /* a tag whose image is gone */
	else
		result = log_fail(error, error_size, why, "%s image \"%s\" in %s",
		    why == -ENOTUNIQ ? "more than one" : "no", selector, s->path);
	image_list_clear(&list);
	return result;
}

int
image_remove(
    struct image_store *s, const char *selector, bool force, char *error, size_t error_size)
{
	int lock, result;

	if (s->objects == -1 || s->tags == -1)
		return log_fail(
		    error, error_size, -ENOENT, "no image \"%s\" in %s", selector, s->path);
	lock = image_store_lock(s);
	if (lock < 0)
		return log_fail(error, error_size, lock, "cannot lock the image store %s: %s",
		    s->path, strerror(-lock));
	result = remove_locked(s, selector, force, error, error_size);
	close(lock);
	return result;
}

/* Copies one part, and fails unless the copied bytes have the manifest's hash. */
static int
import_part(struct image_staging *st, const struct image *i, int kind,
    const struct image_progress *progress, char *error, size_t error_size)
{
	const struct image_part *p = &i->manifest.parts[kind];
	char sha256[IMAGE_ID_LENGTH + 1] = "";
	char *what = image_format("copying %s", p->file);
	int out = openat(st->fd, p->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int result = out == -1
			 ? -errno
			 : image_copy_hashed(i->fds[kind], out, p->size, what, progress, sha256);

	free(what);
	if (out != -1 && close(out) < 0 && result == 0)
		result = -errno;
	if (result < 0 && result != -EBADMSG)
		return log_fail(
		    error, error_size, result, "copying %s: %s", i->paths[kind], strerror(-result));
	if (strcmp(sha256, p->sha256) != 0)
		return log_fail(error, error_size, -EBADMSG,
		    "%s does not have the hash of its manifest: get it again", i->paths[kind]);
	return 0;
}

int
image_import(struct image_store *s, const char *directory, const char *tag,
    const struct image_progress *progress, char id[IMAGE_ID_LENGTH + 1], char *error,
    size_t error_size)
{
	/* A name without a slash is a directory here all the same. */
	char *path = strchr(directory, '/') != NULL ? image_format("%s", directory)
						    : image_format("./%s", directory);
	struct image_staging st = {.fd = -1};
	struct image i;
	int result = image_resolve(s, path, &i, error, error_size);

	free(path);
	if (result < 0)
		return result;
	result = image_staging_begin(&st, s, error, error_size);
	for (int kind = 0; kind < IMAGE_PARTS && result == 0; kind++)
		result = import_part(&st, &i, kind, progress, error, error_size);
	if (result == 0)
		result = image_staging_commit(&st, &i.manifest, tag, id, error, error_size);
	image_staging_abort(&st);
	image_close(&i);
	return result;
}
