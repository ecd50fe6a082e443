/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the store: opening it, and finding images in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/image/private.h"
#include "ipc/log.h"

#define TAG_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789"

/* The default store's path, or NULL where the environment does not say where home is. */
static char *
default_path(void)
{
	const char *dir = getenv("GONDOLIN_IMAGE_DIR");

	if (dir != NULL && dir[0] != '\0')
		return image_format("%s", dir);
	if (geteuid() == 0)
		return image_format("/var/lib/gondolin/images");
	dir = getenv("XDG_DATA_HOME");
	/* XDG base directory specification: a relative path is to be ignored. */
	if (dir != NULL && dir[0] == '/')
		return image_format("%s/gondolin/images", dir);
	dir = getenv("HOME");
	if (dir != NULL && dir[0] == '/')
		return image_format("%s/.local/share/gondolin/images", dir);
	return NULL;
}

static char *
absolute_path(char *path)
{
	char cwd[PATH_MAX], *out;

	if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		return path;
	out = image_format("%s/%s", cwd, path);
	free(path);
	return out;
}

/* Opens a directory below the store; a missing one is -1 and no error. */
static int
open_part(const char *store, const char *name, int *fd)
{
	char *path = image_format("%s/%s", store, name);
	int error = 0;

	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd == -1 && errno != ENOENT)
		error = -errno;
	free(path);
	return error;
}

int
image_store_open(struct image_store *s, const char *path, char *error, size_t error_size)
{
	int result;

	*s = (struct image_store){.objects = -1, .tags = -1};
	s->path = path != NULL ? image_format("%s", path) : default_path();
	if (s->path == NULL)
		return log_fail(error, error_size, -ENOENT,
		    "no image store: set HOME, XDG_DATA_HOME or GONDOLIN_IMAGE_DIR");
	s->path = absolute_path(s->path);
	result = open_part(s->path, "objects", &s->objects);
	if (result == 0)
		result = open_part(s->path, "tags", &s->tags);
	if (result < 0) {
		log_fail(error, error_size, result,
		    "cannot open the image store %s: %s; set GONDOLIN_IMAGE_DIR to use another",
		    s->path, strerror(-result));
		image_store_close(s);
	}
	return result;
}

void
image_store_close(struct image_store *s)
{
	if (s->path == NULL)
		return;
	if (s->objects != -1)
		close(s->objects);
	if (s->tags != -1)
		close(s->tags);
	free(s->path);
	*s = (struct image_store){.objects = -1, .tags = -1};
}

static bool
tag_word_ok(const char *word, size_t n)
{
	return n >= 1 && n <= IMAGE_NAME_MAX && strspn(word, TAG_LETTERS "._-") >= n &&
	       strchr("._-", word[0]) == NULL;
}

int
image_tag_canonical(const char *tag, char out[IMAGE_TAG_SIZE])
{
	size_t n = strcspn(tag, ":");
	const char *second = tag[n] == ':' ? tag + n + 1 : "latest";

	if (!tag_word_ok(tag, n) || !tag_word_ok(second, strlen(second)))
		return -EINVAL;
	snprintf(out, IMAGE_TAG_SIZE, "%.*s:%s", (int)n, tag, second);
	return 0;
}

int
image_tag_read(const struct image_store *s, const char *tag, char id[IMAGE_ID_LENGTH + 1])
{
	char *text;
	size_t n;
	int error =
	    s->tags == -1 ? -ENOENT : image_get_file(s->tags, tag, IMAGE_ID_LENGTH + 1, &text, &n);

	if (error == -ENOENT)
		return error;
	if (error < 0)
		return -EPROTO;
	if (n == IMAGE_ID_LENGTH + 1 && text[IMAGE_ID_LENGTH] == '\n') {
		text[IMAGE_ID_LENGTH] = '\0';
		memcpy(id, text, IMAGE_ID_LENGTH + 1);
	} else {
		id[0] = '\0';
	}
	free(text);
	return image_id_ok(id) ? 0 : -EPROTO;
}

/* Finds the one image whose id begins with prefix. */
static int
find_prefix(const struct image_store *s, const char *prefix, char id[IMAGE_ID_LENGTH + 1])
{
	int fd =
	    s->objects == -1 ? -1 : openat(s->objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = strlen(prefix), found = 0;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return -ENOENT;
	}
	while ((e = readdir(d)) != NULL)
		if (image_id_ok(e->d_name) && strncmp(e->d_name, prefix, n) == 0) {
			memcpy(id, e->d_name, IMAGE_ID_LENGTH + 1);
			found++;
		}
	closedir(d);
	return found == 0 ? -ENOENT : found == 1 ? 0 : -ENOTUNIQ;
}

/* A tag or a build id to a build id. */
static int
find_id(const struct image_store *s, const char *selector, char id[IMAGE_ID_LENGTH + 1],
    char *error, size_t error_size)
{
	char tag[IMAGE_TAG_SIZE], shown[128];
	size_t n = strlen(selector);
	int result;

	log_escape(shown, sizeof(shown), selector, n);
	if (image_tag_canonical(selector, tag) < 0)
		return log_fail(error, error_size, -EINVAL,
		    "\"%s\" is no image: give a tag (name or name:tag), a build id or a directory",
		    shown);
	result = image_tag_read(s, tag, id);
	if (result == -EPROTO)
		return log_fail(error, error_size, result,
		    "the tag %s in %s is broken: set it again with `gondolin image tag`", tag,
		    s->path);
	if (result == 0)
		return 0;
	if (n >= IMAGE_PREFIX_MIN && n <= IMAGE_ID_LENGTH &&
	    strspn(selector, "0123456789abcdef") == n)
		result = find_prefix(s, selector, id);
	if (result == -ENOTUNIQ)
		return log_fail(error, error_size, result,
		    "\"%s\" fits more than one image: give more digits of the build id", shown);
	if (result < 0)
		return log_fail(error, error_size, result,
		    "no image \"%s\" in %s: `gondolin image ls` lists, `gondolin image build` "
		    "builds",
		    shown, s->path);
	return 0;
}

static int
open_image_part(int dir, struct image *i, int kind, char *error, size_t error_size)
{
	const struct image_part *p = &i->manifest.parts[kind];
	struct stat st;
	/* O_NONBLOCK: a FIFO under a part's name must not make the open wait. */
	int fd = openat(dir, p->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd == -1 || fstat(fd, &st) < 0) {
		int result = -errno;

		if (fd != -1)
			close(fd);
		return log_fail(error, error_size, result, "%s of image %s: %s", p->file,
		    i->directory, strerror(-result));
	}
	i->fds[kind] = fd;
	if (!S_ISREG(st.st_mode))
		return log_fail(error, error_size, -EPROTO, "%s of image %s is no regular file",
		    p->file, i->directory);
	if ((uint64_t)st.st_size != p->size)
		return log_fail(error, error_size, -EPROTO,
		    "%s of image %s has another size than its manifest says: build it again",
		    p->file, i->directory);
	i->paths[kind] = image_format("%s/%s", i->directory, p->file);
	return 0;
}

/* Opens what i->directory holds; wanted is the id that it must have, or NULL. */
static int
open_directory(struct image *i, const char *wanted, char *error, size_t error_size)
{
	char reason[IMAGE_ERROR_SIZE / 2];
	int dir = open(i->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (dir == -1) {
		result = -errno;
		return log_fail(
		    error, error_size, result, "image %s: %s", i->directory, strerror(-result));
	}
	result = image_manifest_load(dir, &i->manifest, reason, sizeof(reason));
	if (result < 0) {
		log_fail(error, error_size, result, "image %s: %s", i->directory, reason);
		goto out;
	}
	image_manifest_id(&i->manifest, i->id);
	if (wanted != NULL && strcmp(wanted, i->id) != 0) {
		result = log_fail(error, error_size, -EPROTO,
		    "image %s: its manifest was changed (it hashes to %.12s): build it again",
		    i->directory, i->id);
		goto out;
	}
	for (int kind = 0; kind < IMAGE_PARTS && result == 0; kind++)
		result = open_image_part(dir, i, kind, error, error_size);
out:
	close(dir);
	return result;
}

int
image_resolve(const struct image_store *s, const char *selector, struct image *out, char *error,
    size_t error_size)
{
	char id[IMAGE_ID_LENGTH + 1];
	const char *wanted = NULL;
	int result;

	*out = (struct image){.fds = {-1, -1, -1}};
	if (strchr(selector, '/') != NULL || strcmp(selector, ".") == 0 ||
	    strcmp(selector, "..") == 0) {
		out->directory = realpath(selector, NULL);
		if (out->directory == NULL) {
			result = -errno;
			return log_fail(error, error_size, result, "image directory %s: %s",
			    selector, strerror(-result));
		}
	} else {
		result = find_id(s, selector, id, error, error_size);
		if (result < 0)
			return result;
		out->directory = image_format("%s/objects/%s", s->path, id);
		wanted = id;
	}
	result = open_directory(out, wanted, error, error_size);
	if (result < 0)
		image_close(out);
	return result;
}

void
image_close(struct image *i)
{
	if (i->directory == NULL)
		return;
	for (int kind = 0; kind < IMAGE_PARTS; kind++) {
		if (i->fds[kind] != -1)
			close(i->fds[kind]);
		free(i->paths[kind]);
	}
	image_manifest_clear(&i->manifest);
	free(i->directory);
	*i = (struct image){.fds = {-1, -1, -1}};
}
