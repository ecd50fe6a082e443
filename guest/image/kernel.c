/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel: from the distribution's package, unpacked and never installed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/image/build.h"

#define SHOW_MAX        (1u << 20)   /* bytes of apt-cache's answer */
#define KERNEL_MAX      (512u << 20) /* bytes of a kernel image */

#define HEADER_MAGIC    0x202 /* "HdrS" */
#define HEADER_VERSION  0x206
#define PAYLOAD_OFFSET  0x248
#define PAYLOAD_LENGTH  0x24c
#define PAYLOAD_VERSION 0x208 /* boot protocol that has the two above */

#define PVH_NOTE        18u /* XEN_ELFNOTE_PHYS32_ENTRY */

static uint32_t
le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t
le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* The options under which apt uses package lists of our own. */
static int
add_apt_options(struct build *b, struct program_words *w, bool private_lists)
{
	static const char *const dirs[] = {"apt", "apt/lists", "apt/lists/partial", "apt/cache",
	    "apt/cache/archives", "apt/cache/archives/partial"};

	/* Its sandbox user cannot enter the build's directory. */
	if (geteuid() == 0)
		program_add(w, "-o", "APT::Sandbox::User=root");
	if (!private_lists)
		return 0;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path = image_format("%s/%s", b->work, dirs[i]);
		int made = mkdir(path, 0700);

		free(path);
		if (made < 0 && errno != EEXIST)
			return -errno;
	}
	program_add(w, "-o");
	program_word(w, "Dir::State::Lists=%s/apt/lists", b->work);
	program_add(w, "-o");
	program_word(w, "Dir::Cache=%s/apt/cache", b->work);
	return 0;
}

/* The first "linux-image-..." that the package's record depends on; the caller frees. */
static char *
find_dependency(const char *record)
{
	const char *line = strstr(record, "\nDepends:"), *end, *name;
	size_t n;

	if (line == NULL)
		return NULL;
	line++;
	end = strchr(line, '\n');
	name = strstr(line, "linux-image-");
	if (name == NULL || (end != NULL && name > end))
		return NULL;
	n = strcspn(name, " ,(|\n");
	return n > IMAGE_NAME_MAX ? NULL : image_format("%.*s", (int)n, name);
}

/* Asks apt which versioned package the kernel's package means, and notes its release. */
static int
find_kernel(struct build *b, bool private_lists)
{
	struct program_words w = {.n = 0};
	char *path = image_format("%s/show", b->work), *record = NULL, *name = NULL;
	size_t n;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int result = fd == -1 ? -errno : 0;

	program_add(&w, "apt-cache");
	if (result == 0)
		result = add_apt_options(b, &w, private_lists);
	program_add(&w, "show", "--no-all-versions", b->platform->kernel_package);
	if (result == 0)
		result = program_run(
		    &b->runner, &w, "finding the kernel's package", fd, b->error, b->error_size);
	if (fd != -1)
		close(fd);
	if (result == 0)
		result = image_get_file(AT_FDCWD, path, SHOW_MAX, &record, &n);
	if (result == 0)
		name = find_dependency(record);
	if (name != NULL)
		snprintf(b->manifest.kernel_release, sizeof(b->manifest.kernel_release), "%s",
		    name + strlen("linux-image-"));
	else if (result == 0)
		result = log_fail(b->error, b->error_size, -ENOENT,
		    "the package %s names no kernel: check the machine's apt sources",
		    b->platform->kernel_package);
	free(name);
	free(record);
	free(path);
	program_words_clear(&w);
	return result;
}

static int
download(struct build *b, bool private_lists, const char *extra)
{
	struct program_runner runner = b->runner;
	struct program_words w = {.n = 0};
	int result;

	runner.cwd = b->debs;
	program_add(&w, "apt-get", "-q");
	result = add_apt_options(b, &w, private_lists);
	program_add(&w, "download");
	program_word(&w, "linux-image-%s", b->manifest.kernel_release);
	if (extra != NULL)
		program_add(&w, extra);
	if (result == 0)
		result = program_run(
		    &runner, &w, "downloading the kernel's package", -1, b->error, b->error_size);
	program_words_clear(&w);
	return result;
}

static int
update_lists(struct build *b)
{
	struct program_words w = {.n = 0};
	int result;

	/* By itself it takes lists that it could not fetch for lists that are empty. */
	program_add(&w, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any");
	result = add_apt_options(b, &w, true);
	program_add(&w, "update");
	if (result == 0)
		result = program_run(
		    &b->runner, &w, "updating package lists", -1, b->error, b->error_size);
	program_words_clear(&w);
	return result;
}

int
kernel_fetch(struct build *b, const char *extra)
{
	int result = 0;

	for (int private_lists = 0; private_lists < 2; private_lists++) {
		if (private_lists == 1)
			result = update_lists(b);
		if (result == 0)
			result = find_kernel(b, private_lists == 1);
		if (result == 0)
			result = download(b, private_lists == 1, extra);
		if (result == 0)
			b->error[0] = '\0'; /* of the first try */
		if (result == 0 || result == -EINTR || result == -ENOSPC)
			return result;
		if (private_lists == 0)
			result = 0;
	}
	return result;
}

/* apt-get's name for a download: name_version_arch.deb, where the version has ':' as "%3a". */
static void
note_version(struct build *b, const char *file, const char *name)
{
	const char *version = file + strlen(name) + 1;
	size_t n = strcspn(version, "_"), k = 0;
	char plain[128];

	for (size_t i = 0; i < n && k < sizeof(plain) - 1; i++) {
		bool colon = strncmp(version + i, "%3a", 3) == 0;

		plain[k++] = colon ? ':' : version[i];
		i += colon ? 2 : 0;
	}
	plain[k] = '\0';
	build_add_package(b, name, plain);
}

int
kernel_unpack_package(struct build *b, const char *name, const char *into)
{
	struct program_words w = {.n = 0};
	DIR *d = opendir(b->debs);
	struct dirent *e;
	size_t n = strlen(name);
	int result;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, name, n) == 0 && e->d_name[n] == '_') {
			program_add(&w, "dpkg-deb", "-x");
			program_word(&w, "%s/%s", b->debs, e->d_name);
			program_add(&w, into);
			note_version(b, e->d_name, name);
			break;
		}
	if (d != NULL)
		closedir(d);
	if (w.n == 0)
		return log_fail(b->error, b->error_size, -ENOENT, "apt-get downloaded no %s", name);
	result = program_run(&b->runner, &w, "unpacking packages", -1, b->error, b->error_size);
	program_words_clear(&w);
	return result;
}

int
kernel_unpack(struct build *b)
{
	/* Before and after the merge of /lib into /usr/lib. */
	static const char *const places[] = {"lib/modules", "usr/lib/modules"};
	const char *release = b->manifest.kernel_release;
	char *package = image_format("linux-image-%s", release);
	char *image = image_format("%s/boot/vmlinuz-%s", b->kernel, release);
	int result = kernel_unpack_package(b, package, b->kernel);
	struct stat st = {.st_size = 0};

	for (size_t i = 0; result == 0 && b->modules == NULL && i < 2; i++) {
		b->modules = image_format("%s/%s/%s", b->kernel, places[i], release);
		if (access(b->modules, F_OK) < 0) {
			free(b->modules);
			b->modules = NULL;
		}
	}
	if (result == 0 && (b->modules == NULL || stat(image, &st) < 0))
		result = log_fail(b->error, b->error_size, -ENOENT,
		    "the package %s has no kernel and modules where they are expected", package);
	/* The same packages make the same bytes: no clock of this machine goes into the image. */
	if (result == 0 && b->runner.epoch == 0)
		b->runner.epoch = st.st_mtime;
	free(image);
	free(package);
	return result;
}

int
kernel_payload(const uint8_t *image, size_t n, size_t *offset, size_t *length, const char **program)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *program;
		size_t trailer; /* the kernel's build appends the unpacked size */
	} formats[] = {
	    {"\x02\x21\x4c\x18", 4, "lz4", 4},
	    {"\xfd"
	     "7zXZ\0",
		6, "xz", 4},
	    {"\x28\xb5\x2f\xfd", 4, "zstd", 4},
	    {"\x1f\x8b\x08", 3, "gzip", 0},
	};
	size_t sectors, start, size;

	if (n < PAYLOAD_LENGTH + 4 || memcmp(image + HEADER_MAGIC, "HdrS", 4) != 0 ||
	    (image[HEADER_VERSION] | image[HEADER_VERSION + 1] << 8) < PAYLOAD_VERSION)
		return -ENOENT;
	sectors = image[0x1f1] != 0 ? image[0x1f1] : 4;
	start = (sectors + 1) * 512 + le32(image + PAYLOAD_OFFSET);
	size = le32(image + PAYLOAD_LENGTH);
	if (start > n || size > n - start)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (size < formats[i].size + formats[i].trailer ||
		    memcmp(image + start, formats[i].magic, formats[i].size) != 0)
			continue;
		*offset = start;
		*length = size - formats[i].trailer;
		*program = formats[i].program;
		return 0;
	}
	return -ENOENT;
}

/* Looks for the note in one PT_NOTE segment: namesz, descsz, type, name, desc, padded to 4. */
static bool
note_in(const uint8_t *p, uint64_t n)
{
	while (n >= 12) {
		uint64_t name = le32(p), size = (name + 3) / 4 * 4, desc = le32(p + 4);

		if (size > n - 12 || (desc + 3) / 4 * 4 > n - 12 - size)
			return false;
		if (le32(p + 8) == PVH_NOTE && name == 4 && memcmp(p + 12, "Xen", 4) == 0)
			return true;
		size += 12 + (desc + 3) / 4 * 4;
		p += size;
		n -= size;
	}
	return false;
}

bool
kernel_has_pvh(const uint8_t *elf, size_t n)
{
	uint64_t table;
	unsigned count;

	if (n < 64 || memcmp(elf, "\177ELF\2\1", 6) != 0)
		return false;
	table = le64(elf + 32);
	count = elf[56] | (unsigned)elf[57] << 8;
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = table + (uint64_t)i * 56, offset, size;

		if (table > n || at > n || n - at < 56)
			return false;
		offset = le64(elf + at + 8);
		size = le64(elf + at + 32);
		if (le32(elf + at) != 4 /* PT_NOTE */ || offset > n || size > n - offset)
			continue;
		if (note_in(elf + offset, size))
			return true;
	}
	return false;
}

/* Decompresses the payload into work/vmlinux and loads that. */
static int
unpack_payload(
    struct build *b, const char *program, const char *payload, size_t length, char **elf, size_t *n)
{
	struct program_words w = {.n = 0};
	char *packed = image_format("%s/payload", b->work);
	char *plain = image_format("%s/vmlinux", b->work);
	int result = image_put_file(AT_FDCWD, packed, payload, length, 0600);
	int in = open(packed, O_RDONLY | O_CLOEXEC);
	int out = open(plain, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct program_runner runner = b->runner;

	program_add(&w, program, "-dc");
	runner.stdin_fd = in;
	if (result == 0 && (in == -1 || out == -1))
		result = -errno;
	if (result == 0)
		result =
		    program_run(&runner, &w, "unpacking the kernel", out, b->error, b->error_size);
	if (result == 0)
		result = image_get_file(AT_FDCWD, plain, KERNEL_MAX, elf, n);
	if (in != -1)
		close(in);
	if (out != -1)
		close(out);
	program_words_clear(&w);
	free(plain);
	free(packed);
	return result;
}

int
kernel_write(struct build *b)
{
	char *path = image_format("%s/boot/vmlinuz-%s", b->kernel, b->manifest.kernel_release);
	char *image = NULL, *elf = NULL;
	const char *program;
	size_t n, n_elf = 0, offset, length;
	bool direct = false;
	int result = image_get_file(AT_FDCWD, path, KERNEL_MAX, &image, &n);

	if (result == 0 &&
	    kernel_payload((const uint8_t *)image, n, &offset, &length, &program) == 0) {
		result = unpack_payload(b, program, image + offset, length, &elf, &n_elf);
		direct = result == 0 && kernel_has_pvh((const uint8_t *)elf, n_elf);
	}
	if (result == 0)
		result = image_put_file(b->staging.fd, b->manifest.parts[IMAGE_KERNEL].file,
		    direct ? elf : image, direct ? n_elf : n, 0444);
	free(elf);
	free(image);
	free(path);
	return result;
}
