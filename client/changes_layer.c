/* SPDX-License-Identifier: Apache-2.0 */
/* The layer's archive, read into an ordered table. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/changes.h"
#include "ipc/log.h"
#include "vfsd/provider_cow.h"

static int __attribute__((format(printf, 4, 5)))
refuse(char *error, int rc, const char *path, const char *format, ...)
{
	char name[256], why[512];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	log_escape(name, sizeof(name), path, strlen(path));
	snprintf(error, CHANGES_ERROR_SIZE, "the changes cannot be read: %s%s%s", name,
	    name[0] != '\0' ? ": " : "", why);
	return rc;
}

int
changes_path_compare(const char *a, const char *b)
{
	unsigned char x, y;

	for (; *a == *b; a++, b++)
		if (*a == '\0')
			return 0;
	/* The end before the slash, the slash before all other bytes. */
	x = *a == '/' ? 1 : (unsigned char)*a;
	y = *b == '/' ? 1 : (unsigned char)*b;
	if (x != y)
		return x < y ? -1 : 1;
	return *a == '/' ? -1 : 1; /* against the byte 1 */
}

static int
by_path(const void *a, const void *b)
{
	const struct changes_entry *x = a, *y = b;

	return changes_path_compare(x->path, y->path);
}

const struct changes_entry *
changes_layer_find(const struct changes_layer *l, const char *path)
{
	struct changes_entry key = {.path = (char *)(uintptr_t)path};

	return l->n > 0 ? bsearch(&key, l->entries, l->n, sizeof(key), by_path) : NULL;
}

static int
add(struct changes_layer *l, size_t *room, const struct tar_entry *e)
{
	struct changes_entry *entries;

	if (l->n == *room) {
		*room = *room > 0 ? *room * 2 : 64;
		entries = reallocarray(l->entries, *room, sizeof(*entries));
		if (entries == NULL)
			return -ENOMEM;
		l->entries = entries;
	}
	l->entries[l->n] = (struct changes_entry){
	    .path = strdup(e->name),
	    .type = e->type,
	    .gone = e->type == TAR_SYMLINK && strcmp(e->target, COW_MARK) == 0,
	    .mode = e->mode & 0777,
	    .size = e->size,
	    .data = lseek(l->fd, 0, SEEK_CUR),
	    .target = strdup(e->target),
	};
	l->n++;
	return l->entries[l->n - 1].path != NULL && l->entries[l->n - 1].target != NULL ? 0
											: -ENOMEM;
}

/* The last component of a path, and the length of what is before its slash (0: nothing). */
static const char *
split(const char *path, size_t *above)
{
	const char *slash = strrchr(path, '/');

	*above = slash != NULL ? (size_t)(slash - path) : 0;
	return slash != NULL ? slash + 1 : path;
}

/* The directory that an entry lies in; NULL where there is none. */
static struct changes_entry *
directory_of(const struct changes_layer *l, const struct changes_entry *e, size_t length)
{
	char *above = strndup(e->path, length);
	const struct changes_entry *found = above != NULL ? changes_layer_find(l, above) : NULL;

	free(above);
	return found != NULL && found->type == TAR_DIRECTORY ? l->entries + (found - l->entries)
							     : NULL;
}

/* Each name once, in a directory that is there; marks of whole directories become flags. */
static int
check(struct changes_layer *l, char *error)
{
	struct changes_entry *e, *above;
	size_t i, length, kept = 0;
	const char *name;

	for (i = 0; i < l->n; i++) {
		e = &l->entries[i];
		if (i > 0 && strcmp(e[-1].path, e->path) == 0)
			return refuse(error, -EPROTO, e->path, "is there twice");
		name = split(e->path, &length);
		above = length > 0 ? directory_of(l, e, length) : NULL;
		if (length > 0 && above == NULL)
			return refuse(error, -EPROTO, e->path, "lies in no directory");
		if (strcmp(name, COW_OPAQUE_NAME) != 0)
			continue;
		if (!e->gone || above == NULL)
			return refuse(error, -EPROTO, e->path, "is no name of the guest's");
		above->opaque = true;
	}
	for (i = 0; i < l->n; i++) {
		e = &l->entries[i];
		if (strcmp(split(e->path, &length), COW_OPAQUE_NAME) != 0) {
			l->entries[kept++] = *e;
			continue;
		}
		free(e->path);
		free(e->target);
	}
	l->n = kept;
	return 0;
}

static int
read_all(struct changes_layer *l, struct tar_reader *r, struct tar_entry *e, char *error)
{
	const char *why = NULL;
	uint64_t bytes = 0;
	size_t room = 0;
	int rc;

	while ((rc = tar_reader_next(r, e, &why)) == 1) {
		if (strcmp(e->name, ".") == 0 || strncmp(e->name, "./", 2) == 0 ||
		    e->type == TAR_HARDLINK)
			return refuse(error, -EPROTO, e->name, "is not of a layer's form");
		if (l->n == CHANGES_ENTRIES_MAX)
			return refuse(error, -E2BIG, "", "more than a million files");
		/* Before any of it is read: it may be one hole. */
		if (e->size > CHANGES_BYTES_MAX - bytes)
			return refuse(error, -EFBIG, "", "more than 20 GiB in all files");
		bytes += e->size;
		rc = add(l, &room, e);
		if (rc < 0)
			return refuse(error, rc, "", "%s", strerror(-rc));
	}
	if (rc < 0)
		return refuse(error, rc, "", "%s", why != NULL ? why : strerror(-rc));
	return 0;
}

int
changes_layer_read(struct changes_layer *l, int fd, char *error)
{
	struct tar_entry *e = malloc(sizeof(*e));
	struct tar_reader *r;
	struct tar_source source;
	int rc = -ENOMEM;

	*l = (struct changes_layer){.fd = fd};
	source = tar_source_fd(&l->fd);
	r = tar_reader_new(&source);
	if (e == NULL || r == NULL)
		rc = refuse(error, rc, "", "%s", strerror(-rc));
	else if (lseek(fd, 0, SEEK_SET) < 0)
		rc = refuse(error, -errno, "", "%s", strerror(errno));
	else
		rc = read_all(l, r, e, error);
	if (rc == 0 && l->n > 0)
		qsort(l->entries, l->n, sizeof(l->entries[0]), by_path);
	if (rc == 0)
		rc = check(l, error);
	tar_reader_free(r);
	free(e);
	return rc;
}

void
changes_layer_clear(struct changes_layer *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->entries[i].path);
		free(l->entries[i].target);
	}
	free(l->entries);
	*l = (struct changes_layer){.fd = -1};
}
