/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's mounts, from the initramfs to the root file system. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/device.h"
#include "guest/init.h"

struct mount_row {
	const char *source, *target, *type;
	unsigned long flags;
	const char *options;
	mode_t mode; /* of the target, where it has to be made; 0 = it must be there */
};

static int
mount_row(const struct mount_row *m)
{
	if (m->mode != 0 && mkdir(m->target, m->mode) < 0 && errno != EEXIST && errno != EROFS)
		return init_error(errno, "cannot make the directory %s", m->target);
	/* The kernel may have mounted devtmpfs before us. */
	if (mount(m->source, m->target, m->type, m->flags, m->options) < 0 && errno != EBUSY)
		return init_error(errno, "cannot mount %s on %s", m->type, m->target);
	return 0;
}

static int
mount_rows(const struct mount_row *rows, size_t n)
{
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		rc = mount_row(&rows[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The kernel could not open a console for us: its initramfs had no device node. */
static int
open_console(void)
{
	int fd, i;

	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return init_error(errno, "cannot open /dev/console");
	for (i = 0; i < 3; i++)
		if (fd != i && dup2(fd, i) < 0)
			return init_error(errno, "cannot use /dev/console");
	if (fd > 2)
		close(fd);
	return 0;
}

int
mounts_early(void)
{
	static const struct mount_row rows[] = {
	    {"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755", 0},
	    {"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0},
	    {"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0},
	};
	int rc;

	rc = mount_rows(rows, 1);
	if (rc < 0)
		return rc;
	rc = open_console();
	return rc < 0 ? rc : mount_rows(rows + 1, 2);
}

int
mounts_switch_root(int events, bool read_only)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys"};
	char device[] = INIT_ROOT_DEVICE, target[32];
	int rc, old;
	size_t i;

	rc = device_wait(events, device_path_present, device);
	if (rc < 0)
		return init_error(-rc, "no root device " INIT_ROOT_DEVICE);
	/* A journal that wants replaying must not keep a device that cannot be written from
	 * serving. */
	if (mount(INIT_ROOT_DEVICE, "/newroot", "ext4", MS_NOATIME | (read_only ? MS_RDONLY : 0),
		read_only ? "noload" : NULL) < 0)
		return init_error(errno, "cannot mount " INIT_ROOT_DEVICE " as ext4");
	for (i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(target, sizeof(target), "/newroot%s", moved[i]);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
			return init_error(errno, "the image has no usable directory %s", moved[i]);
	}
	old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0 || dup3(old, INIT_INITRAMFS_FD, O_CLOEXEC) < 0 || chdir("/newroot") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return init_error(errno, "cannot make the image the root");
	close(old);
	return 0;
}

static int
fill_dev(void)
{
	static const char *const links[][2] = {
	    {"/proc/self/fd", "/dev/fd"},
	    {"/proc/self/fd/0", "/dev/stdin"},
	    {"/proc/self/fd/1", "/dev/stdout"},
	    {"/proc/self/fd/2", "/dev/stderr"},
	};
	size_t i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			return init_error(errno, "cannot make %s", links[i][1]);
	/* Opening it makes the kernel ask for the module; where that is built in, it is there. */
	if (mknod("/dev/fuse", S_IFCHR | 0666, makedev(10, 229)) < 0 && errno != EEXIST)
		return init_error(errno, "cannot make /dev/fuse");
	return 0;
}

int
mounts_late(void)
{
	static const struct mount_row rows[] = {
	    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755", 0755},
	    {"tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", 01777},
	    {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666",
		0755},
	    {"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", 01777},
	};
	int rc;

	rc = mount_rows(rows, sizeof(rows) / sizeof(rows[0]));
	return rc < 0 ? rc : fill_dev();
}

int
mounts_make_directories(const char *path)
{
	char part[PATH_MAX];
	const char *end = path;

	while (*end != '\0') {
		end += strspn(end, "/");
		end += strcspn(end, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST) {
			const int error = errno;
			struct stat st;

			/* A read-only file system says EROFS where the name exists, too. */
			if (stat(part, &st) < 0)
				return -error;
		}
	}
	return 0;
}
