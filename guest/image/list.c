/* SPDX-License-Identifier: Apache-2.0 */
/* What the store holds, for people and for removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/image/private.h"

static uint64_t
bytes_on_disk(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	uint64_t sum = 0;
	struct dirent *e;
	struct stat st;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return 0;
	}
	while ((e = readdir(d)) != NULL)
		if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += (uint64_t)st.st_blocks * 512;
	closedir(d);
	return sum;
}

static void
read_entry(const struct image_store *s, const char *id, struct image_entry *entry)
{
	char reason[IMAGE_ERROR_SIZE], found[IMAGE_ID_LENGTH + 1];
	int dir = openat(s->objects, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	*entry = (struct image_entry){.broken = true};
	memcpy(entry->id, id, IMAGE_ID_LENGTH + 1);
	if (dir == -1)
		return;
	entry->disk = bytes_on_disk(dir);
	if (image_manifest_load(dir, &entry->manifest, reason, sizeof(reason)) == 0) {
		image_manifest_id(&entry->manifest, found);
		entry->broken = strcmp(found, id) != 0;
		if (entry->broken)
			image_manifest_clear(&entry->manifest);
	}
	close(dir);
}

static int
compare_entries(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;

	if (x->broken != y->broken)
		return x->broken ? 1 : -1;
	if (x->manifest.created != y->manifest.created)
		return x->manifest.created < y->manifest.created ? 1 : -1;
	return strcmp(x->id, y->id);
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void *
grow(void *array, size_t n, size_t size)
{
	void *larger = reallocarray(array, n + 1, size);

	if (larger == NULL)
		abort();
	return larger;
}

/* Calls each for every name in the directory fd; a directory that is not there has none. */
static int
for_each_name(int dir, void (*each)(void *ctx, const char *name), void *ctx)
{
	int fd = dir == -1 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d;
	struct dirent *e;

	if (fd == -1)
		return dir == -1 ? 0 : -errno;
	d = fdopendir(fd);
	if (d == NULL)
		abort();
	while ((e = readdir(d)) != NULL)
		each(ctx, e->d_name);
	closedir(d);
	return 0;
}

struct listing {
	const struct image_store *store;
	struct image_list *list;
};

static void
add_image(void *ctx, const char *name)
{
	struct listing *l = ctx;

	if (!image_id_ok(name))
		return;
	l->list->entries = grow(l->list->entries, l->list->n, sizeof(*l->list->entries));
	read_entry(l->store, name, &l->list->entries[l->list->n++]);
}

static void
add_tag(void *ctx, const char *name)
{
	struct listing *l = ctx;
	char tag[IMAGE_TAG_SIZE], id[IMAGE_ID_LENGTH + 1];

	if (image_tag_canonical(name, tag) < 0 || strcmp(tag, name) != 0 ||
	    image_tag_read(l->store, tag, id) < 0)
		return;
	for (size_t i = 0; i < l->list->n; i++) {
		struct image_entry *e = &l->list->entries[i];

		if (strcmp(e->id, id) != 0)
			continue;
		e->tags = grow(e->tags, e->n_tags, sizeof(*e->tags));
		e->tags[e->n_tags++] = image_format("%s", tag);
	}
}

int
image_list_read(const struct image_store *s, struct image_list *out, char *error, size_t error_size)
{
	struct listing l = {.store = s, .list = out};
	int result;

	*out = (struct image_list){0};
	result = for_each_name(s->objects, add_image, &l);
	if (result == 0)
		result = for_each_name(s->tags, add_tag, &l);
	if (result < 0) {
		image_list_clear(out);
		return log_fail(error, error_size, result, "cannot read the image store %s: %s",
		    s->path, strerror(-result));
	}
	if (out->n > 0)
		qsort(out->entries, out->n, sizeof(*out->entries), compare_entries);
	for (size_t i = 0; i < out->n; i++)
		if (out->entries[i].n_tags > 0)
			qsort(out->entries[i].tags, out->entries[i].n_tags, sizeof(char *),
			    compare_strings);
	return 0;
}

void
image_list_clear(struct image_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct image_entry *e = &list->entries[i];

		for (size_t k = 0; k < e->n_tags; k++)
			free(e->tags[k]);
		free(e->tags);
		image_manifest_clear(&e->manifest);
	}
	free(list->entries);
	*list = (struct image_list){0};
}
