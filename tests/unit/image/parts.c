/* SPDX-License-Identifier: Apache-2.0 */
/* What parts are made of: the cpio archive, kernel images, kernel modules, the programs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/image/build.h"
#include "guest/image/cpio.h"
#include "tests/unit/image/image_test.h"

/* Reads the archive back by the format's rules, since cpio(1) is not everywhere. */
static void
cpio(void)
{
	static const struct {
		const char *name;
		unsigned mode, size;
	} rows[] = {{"dev", 040755, 0}, {"init", 0100755, 5}, {"modules.list", 0100644, 3},
	    {"TRAILER!!!", 0, 0}};
	struct fixture f;
	struct cpio_writer c;
	char *path, *bytes, *p;
	size_t n;
	int fd;

	fixture_make(&f);
	path = image_format("%s/archive", f.dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cpio_begin(&c, fd);
	cpio_directory(&c, "dev", 0755);
	cpio_file(&c, "init", 0755, "hello", 5);
	cpio_file(&c, "modules.list", 0644, "a\nb", 3);
	CU_ASSERT_EQUAL(cpio_end(&c), 0);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(image_get_file(AT_FDCWD, path, 4096, &bytes, &n), 0);
	p = bytes;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned magic, inode, mode, size, name_size;

		CU_ASSERT_EQUAL_FATAL(sscanf(p, "%6x%8x%8x", &magic, &inode, &mode), 3);
		CU_ASSERT_EQUAL(sscanf(p + 54, "%8x", &size), 1);
		CU_ASSERT_EQUAL(sscanf(p + 94, "%8x", &name_size), 1);
		CU_ASSERT_EQUAL(magic, 0x070701);
		CU_ASSERT_EQUAL(mode, rows[i].mode);
		CU_ASSERT_EQUAL(size, rows[i].size);
		CU_ASSERT_STRING_EQUAL(p + 110, rows[i].name);
		CU_ASSERT_EQUAL(name_size, strlen(rows[i].name) + 1);
		p += (110 + name_size + 3) / 4 * 4 + (size + 3) / 4 * 4;
	}
	CU_ASSERT_PTR_EQUAL(p, bytes + n);
	free(bytes);
	free(path);
	fixture_remove(&f);
}

static void
cpio_full(void)
{
	struct cpio_writer c;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	cpio_begin(&c, fd);
	cpio_directory(&c, "dev", 0755);
	CU_ASSERT_EQUAL(cpio_end(&c), -ENOSPC);
	close(fd);
}

static void
kernel_images(void)
{
	uint8_t image[4096] = {0};
	size_t offset = 0, length = 0;
	const char *program = NULL;

	CU_ASSERT_EQUAL(kernel_payload(image, sizeof(image), &offset, &length, &program), -ENOENT);
	CU_ASSERT_EQUAL(kernel_payload(image, 0, &offset, &length, &program), -ENOENT);
	memcpy(image + 0x202, "HdrS", 4);
	image[0x206] = 0x0f;
	image[0x207] = 0x02;
	image[0x1f1] = 1;
	image[0x248] = 16;
	image[0x24c] = 100;
	memcpy(image + 1024 + 16, "\x28\xb5\x2f\xfd", 4);
	CU_ASSERT_EQUAL_FATAL(kernel_payload(image, sizeof(image), &offset, &length, &program), 0);
	CU_ASSERT_EQUAL(offset, 1040);
	CU_ASSERT_EQUAL(length, 96);
	CU_ASSERT_STRING_EQUAL(program, "zstd");
	/* A payload that leaves the file, and one of an unknown kind. */
	image[0x24f] = 1;
	CU_ASSERT_EQUAL(kernel_payload(image, sizeof(image), &offset, &length, &program), -ENOENT);
	image[0x24f] = 0;
	image[1040] = 0;
	CU_ASSERT_EQUAL(kernel_payload(image, sizeof(image), &offset, &length, &program), -ENOENT);
}

static void
pvh(void)
{
	/* An ELF header, one PT_NOTE program header at 64, and the note at 120. */
	uint8_t elf[256] = "\177ELF\2\1";

	elf[32] = 64;
	elf[56] = 1;
	elf[64] = 4;
	elf[64 + 8] = 120;
	elf[64 + 32] = 24;
	elf[120] = 4;
	elf[124] = 8;
	elf[128] = 18;
	memcpy(elf + 132, "Xen", 4);
	CU_ASSERT_TRUE(kernel_has_pvh(elf, sizeof(elf)));
	CU_ASSERT_FALSE(kernel_has_pvh(elf, 63));
	elf[128] = 17;
	CU_ASSERT_FALSE(kernel_has_pvh(elf, sizeof(elf)));
	elf[128] = 18;
	elf[120] = 0xff;
	CU_ASSERT_FALSE(kernel_has_pvh(elf, sizeof(elf)));
	elf[120] = 4;
	memset(elf + 64 + 32, 0xff, 8);
	CU_ASSERT_FALSE(kernel_has_pvh(elf, sizeof(elf)));
	memset(elf + 32, 0xff, 8);
	CU_ASSERT_FALSE(kernel_has_pvh(elf, sizeof(elf)));
}

static void
modinfo(void)
{
	/* Sections: none, .modinfo at 256, names at 300. */
	static const char info[] = "license=GPL\0depends=virtio,virtio_ring\0";
	static const char names[] = "\0.modinfo\0";
	uint8_t elf[512] = "\177ELF\2\1";
	const char *value;

	elf[40] = 64;
	elf[58] = 64;
	elf[60] = 3;
	elf[62] = 2;
	elf[128] = 1;
	elf[128 + 25] = 1;
	elf[128 + 32] = sizeof(info) - 1;
	elf[192 + 24] = 44;
	elf[192 + 25] = 1;
	elf[192 + 32] = sizeof(names);
	memcpy(elf + 256, info, sizeof(info));
	memcpy(elf + 300, names, sizeof(names));
	value = initramfs_modinfo(elf, sizeof(elf), "depends=");
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	CU_ASSERT_STRING_EQUAL(value, "virtio,virtio_ring");
	CU_ASSERT_PTR_NULL(initramfs_modinfo(elf, sizeof(elf), "alias="));
	CU_ASSERT_PTR_NULL(initramfs_modinfo(elf, 63, "depends="));
	CU_ASSERT_PTR_NULL(initramfs_modinfo(elf, 280, "depends="));
	elf[62] = 9;
	CU_ASSERT_PTR_NULL(initramfs_modinfo(elf, sizeof(elf), "depends="));
}

static int
run_shell(const struct program_runner *r, const char *script, char *error)
{
	struct program_words w = {.n = 0};
	int result;

	program_add(&w, "sh", "-c", script);
	result = program_run(r, &w, NULL, -1, error, IMAGE_ERROR_SIZE);
	program_words_clear(&w);
	return result;
}

static void
programs(void)
{
	struct program_runner r = {.log_fd = -1, .inherited_fd = -1};
	char error[IMAGE_ERROR_SIZE] = "";
	struct program_words w = {.n = 0};

	CU_ASSERT_EQUAL(run_shell(&r, "exit 0", error), 0);
	CU_ASSERT_EQUAL(
	    run_shell(&r, "echo one; echo two >&2; printf 'th\\033ree\\n\\n'; exit 3", error),
	    -ECHILD);
	CU_ASSERT_STRING_EQUAL(error, "sh failed (exit 3): one two th\\x1bree");
	CU_ASSERT_EQUAL(run_shell(&r, "kill -9 $$", error), -ECHILD);
	CU_ASSERT_STRING_EQUAL(error, "sh failed (signal 9): it printed nothing");
	CU_ASSERT_EQUAL(run_shell(&r, "[ -z \"$(cat)\" ] && [ \"$PWD\" = / ]", error), 0);
	/* Much output neither blocks nor grows. */
	CU_ASSERT_EQUAL(run_shell(&r, "head -c 3000000 /dev/zero; exit 1", error), -ECHILD);
	program_add(&w, "no-such-program");
	CU_ASSERT_EQUAL(program_run(&r, &w, NULL, -1, error, sizeof(error)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "no-such-program is not installed"));
	program_words_clear(&w);
	CU_ASSERT_EQUAL(program_missing("mke2fs", error, sizeof(error)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(
	    error, "mke2fs is not installed: run `apt-get install e2fsprogs` as root");
	CU_ASSERT_TRUE(program_exists("sh"));
	CU_ASSERT_FALSE(program_exists("no-such-program"));
}

/* Cancels once the program runs. */
static void
cancel_now(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	if (strstr(what, "started") != NULL)
		*(volatile int *)ctx = 1;
}

static void
cancelled_program(void)
{
	volatile int cancel = 0;
	struct image_progress p = {
	    .step = cancel_now, .ctx = (void *)(uintptr_t)&cancel, .cancel = &cancel};
	struct program_runner r = {.log_fd = -1, .inherited_fd = -1, .progress = &p};
	struct program_words w = {.n = 0};
	char error[IMAGE_ERROR_SIZE] = "";

	/* It waits for ever, and so does what it started: both must go, or the pipe stays open. */
	program_add(&w, "sh", "-c", "tail -f /dev/null & echo 'I: started'; wait", NULL);
	CU_ASSERT_EQUAL(program_run(&r, &w, "step", -1, error, sizeof(error)), -EINTR);
	CU_ASSERT_STRING_EQUAL(error, "interrupted");
	CU_ASSERT_EQUAL(program_run(&r, &w, "step", -1, error, sizeof(error)), -EINTR);
	program_words_clear(&w);
}

void
add_parts_suite(void)
{
	CU_pSuite suite = CU_add_suite("parts", NULL, NULL);

	CU_add_test(suite, "cpio", cpio);
	CU_add_test(suite, "cpio on a full disk", cpio_full);
	CU_add_test(suite, "kernel images", kernel_images);
	CU_add_test(suite, "pvh", pvh);
	CU_add_test(suite, "modinfo", modinfo);
	CU_add_test(suite, "programs", programs);
	CU_add_test(suite, "cancelled program", cancelled_program);
}
