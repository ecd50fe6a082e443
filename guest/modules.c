/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs's kernel modules.
 *
 * Loading one takes an emulated machine tens of milliseconds.  So a boot loads what it needs and
 * what the machine has a device for; the rest stays in the initramfs, which process 1 holds open,
 * until the kernel asks for it: a first mount of fuse, say.  The kernel asks by starting its
 * "modprobe", and that is this binary, by way of /proc/1/exe.  What the initramfs does not have is
 * the image's own modprobe's to find.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/init.h"

#define LIST           "modules.list"
#define DEVICES_MAX    32u /* of a microvm's bus */
#define INITRAMFS_PATH "/proc/1/fd/" INIT_INITRAMFS_FD_TEXT

static int
load(int root, const char *path)
{
	int fd, rc = 0;

	fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		rc = -errno;
	close(fd);
	return rc;
}

bool
modules_line_has(const char *words, const char *word)
{
	const size_t n = strlen(word);

	for (words += strspn(words, " "); *words != '\0'; words += strspn(words, " ")) {
		if (strcspn(words, " ") == n && strncmp(words, word, n) == 0)
			return true;
		words += strcspn(words, " ");
	}
	return false;
}

/* Loads the lines that `wants` picks.  Returns how many those are, or -errno without a list. */
static int
load_lines(int root, bool (*wants)(const char *words, void *ctx), void *ctx)
{
	int fd = openat(root, LIST, O_RDONLY | O_CLOEXEC), n = 0, rc;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[512], *words;

	if (f == NULL)
		return -errno;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		words = line + strcspn(line, " ");
		if (*words != '\0')
			*words++ = '\0';
		if (line[0] == '\0' || !wants(words, ctx))
			continue;
		n++;
		/* Not fatal: what needs it says so better than we could guess here. */
		rc = load(root, line);
		if (rc < 0)
			init_error(-rc, "cannot load the module %s", line);
	}
	fclose(f);
	return n;
}

/* The bus's devices as words of the list, "virtio:ID" (virtio 1.2, 5). */
struct devices {
	bool known;
	unsigned n;
	char words[DEVICES_MAX][16];
};

static void
devices_read(struct devices *d)
{
	char path[64], text[16];
	ssize_t n;
	int fd;

	for (d->n = 0; d->n < DEVICES_MAX; d->n++) {
		snprintf(path, sizeof(path), "/sys/bus/virtio/devices/virtio%u/device", d->n);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			break;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		snprintf(d->words[d->n], sizeof(d->words[0]), "virtio:%u",
		    (unsigned)strtoul(text, NULL, 16) & 0xffffu);
	}
	d->known = true;
}

static bool
for_boot(const char *words, void *ctx)
{
	struct devices *d = ctx;
	unsigned i;

	if (words[0] == '\0')
		return true;
	if (strstr(words, "virtio:") == NULL)
		return false;
	/* Once, and after the bus's own driver: looking takes an emulated machine long, too. */
	if (!d->known)
		devices_read(d);
	for (i = 0; i < d->n; i++)
		if (modules_line_has(words, d->words[i]))
			return true;
	return false;
}

static bool
has_word(const char *words, void *word)
{
	return modules_line_has(words, word);
}

int
modules_load(void)
{
	struct devices devices = {.known = false};
	int n = load_lines(AT_FDCWD, for_boot, &devices);

	return n < 0 ? init_error(-n, "cannot read the list of modules, " LIST) : 0;
}

int
modules_serve(void)
{
	static const char self[] = "/proc/1/exe";
	int fd = open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, self, sizeof(self) - 1) < 0)
		return init_error(errno, "cannot become the kernel's modprobe");
	close(fd);
	return 0;
}

void
modules_load_late(void)
{
	char late[] = "late";

	/* Commands may run by now. */
	(void)setpriority(PRIO_PROCESS, 0, PRIO_MAX - 1);
	(void)load_lines(INIT_INITRAMFS_FD, has_word, late);
	(void)setpriority(PRIO_PROCESS, 0, 0);
}

int
modules_request(char *name)
{
	int root = open(INITRAMFS_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root >= 0 && load_lines(root, has_word, name) > 0)
		return 0;
	execl("/sbin/modprobe", "modprobe", "-q", "--", name, (char *)NULL);
	return 1;
}
