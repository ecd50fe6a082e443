/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: its steps in order. */
#include "guest/image/build.h"

#define ROOM_MIN (1u << 20) /* bytes; with fewer, that is why a step failed */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static const struct platform platforms[] = {
    {"x86_64", "linux-image-cloud-amd64"},
    {"aarch64", "linux-image-cloud-arm64"},
};

/* The parts' names in an image that is built here. */
static const char *const part_files[IMAGE_PARTS] = {"kernel", "initramfs.cpio", "rootfs.ext4"};

void
build_add_package(struct build *b, const char *name, const char *version)
{
	struct image_manifest *m = &b->manifest;

	if (m->n_packages == IMAGE_PACKAGES_MAX)
		return;
	m->packages = reallocarray(m->packages, m->n_packages + 1, sizeof(*m->packages));
	if (m->packages == NULL)
		abort();
	m->packages[m->n_packages++] = image_format("%s=%s", name, version);
}

/* SOURCE_DATE_EPOCH, or 0: then the kernel package's own date is taken. */
static int64_t
epoch_from_environment(void)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;
	long long n;

	if (text == NULL || text[0] == '\0')
		return 0;
	n = strtoll(text, &end, 10);
	return *end == '\0' && n > 0 ? n : 0;
}

static int
set_up(struct build *b, struct image_store *s)
{
	struct utsname u;
	int result;

	uname(&u);
	for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++)
		if (strcmp(platforms[i].machine, u.machine) == 0)
			b->platform = &platforms[i];
	if (b->platform == NULL)
		return log_fail(b->error, b->error_size, -ENOTSUP,
		    "images can be built on x86_64 and aarch64, not on %s", u.machine);
	b->subordinate = b->recipe.base == RECIPE_DEBIAN;
	b->runner = (struct program_runner){
	    .progress = &b->options->progress,
	    .log_fd = b->options->log_fd,
	    .stdin_fd = -1,
	    .inherited_fd = -1,
	    .epoch = epoch_from_environment(),
	};
	result = rootfs_check(b);
	if (result == 0)
		result = image_staging_begin(&b->staging, s, b->error, b->error_size);
	if (result < 0)
		return result;
	b->runner.inherited_fd = b->staging.fd;
	b->work = image_format("%s/work", b->staging.path);
	b->debs = image_format("%s/debs", b->work);
	b->kernel = image_format("%s/kernel", b->work);
	b->tree = image_format("%s/tree", b->work);
	for (int i = 0; i < IMAGE_PARTS; i++)
		snprintf(b->manifest.parts[i].file, sizeof(b->manifest.parts[i].file), "%s",
		    part_files[i]);
	snprintf(b->manifest.arch, sizeof(b->manifest.arch), "%s", b->platform->machine);
	snprintf(b->manifest.recipe, sizeof(b->manifest.recipe), "%s", b->recipe.name);
	snprintf(b->manifest.cmdline, sizeof(b->manifest.cmdline), "%s", b->recipe.cmdline);
	if (mkdir(b->work, 0700) < 0 || mkdir(b->debs, 0700) < 0 || mkdir(b->kernel, 0700) < 0)
		return -errno;
	return 0;
}

static int
make_parts(struct build *b)
{
	int result = kernel_fetch(b, b->recipe.base == RECIPE_BUSYBOX ? "busybox-static" : NULL);

	if (result == 0)
		result = kernel_unpack(b);
	if (result == 0)
		result = kernel_write(b);
	if (result == 0)
		result = initramfs_write(b);
	if (result == 0)
		result = rootfs_make_tree(b);
	if (result == 0)
		result = rootfs_write(b);
	return result;
}

/* Measures the parts that were written. */
static int
measure(struct build *b)
{
	for (int i = 0; i < IMAGE_PARTS; i++) {
		struct image_part *p = &b->manifest.parts[i];
		char *what = image_format("hashing %s", p->file);
		int fd = openat(b->staging.fd, p->file, O_RDONLY | O_CLOEXEC), result;
		struct stat st;

		if (fd == -1 || fstat(fd, &st) < 0) {
			result = -errno;
		} else {
			p->size = (uint64_t)st.st_size;
			result = image_copy_hashed(
			    fd, -1, p->size, what, &b->options->progress, p->sha256);
		}
		if (fd != -1)
			close(fd);
		free(what);
		if (result < 0)
			return result;
	}
	return 0;
}

static int
remove_work(struct build *b)
{
	return image_remove_tree(b->staging.fd, "work") < 0 ? image_remove_foreign_tree(b->work)
							    : 0;
}

static void
tear_down(struct build *b)
{
	image_staging_abort(&b->staging);
	image_manifest_clear(&b->manifest);
	recipe_clear(&b->recipe);
	free(b->modules);
	free(b->tree);
	free(b->kernel);
	free(b->debs);
	free(b->work);
}

/* Programs that found no room say many things; the least that a file system keeps for them says it
 * best. */
static void
explain_full_disk(struct build *b, const char *store)
{
	struct statvfs room;

	if (b->work != NULL && statvfs(b->work, &room) == 0 &&
	    room.f_bavail * room.f_frsize < ROOM_MIN)
		log_fail(b->error, b->error_size, -ENOSPC,
		    "the disk is full: free some space for %s, or set GONDOLIN_IMAGE_DIR", store);
}

int
image_build(struct image_store *s, const struct image_build_options *options,
    char id[IMAGE_ID_LENGTH + 1], char *error, size_t error_size)
{
	struct build b = {
	    .options = options, .staging = {.fd = -1}, .error = error, .error_size = error_size};
	char tag[IMAGE_TAG_SIZE];
	int result = recipe_read(&b.recipe, options->recipe, error, error_size);

	if (result < 0)
		return result;
	error[0] = '\0';
	if (image_tag_canonical(options->tag != NULL ? options->tag : b.recipe.name, tag) < 0)
		result = log_fail(error, error_size, -EINVAL,
		    "bad tag: use name or name:tag of a-z, 0-9, '.', '_' and '-'");
	if (result == 0)
		result = set_up(&b, s);
	if (result == 0)
		result = make_parts(&b);
	if (result < 0 && result != -EINTR)
		explain_full_disk(&b, s->path);
	if (result == 0)
		result = remove_work(&b);
	if (result == 0)
		result = measure(&b);
	b.manifest.created = epoch_from_environment() != 0 ? epoch_from_environment() : time(NULL);
	if (result == 0)
		result = image_staging_commit(&b.staging, &b.manifest, tag, id, error, error_size);
	/* Steps that fail without a line of their own: the file system said no. */
	if (result < 0 && error[0] == '\0')
		log_fail(error, error_size, result, "building %s in %s: %s", b.recipe.name, s->path,
		    strerror(-result));
	tear_down(&b);
	return result;
}
