/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc/self/mountinfo when poll(2) says that it has changed. */
#include "guest/mount_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is not here may wait for a process or another machine. */
static const char *const local_types[] = {"ext4", "tmpfs", "devtmpfs", "proc", "sysfs", "devpts",
    "overlay", "rootfs", "ramfs", "cgroup", "cgroup2", "mqueue", "hugetlbfs", "securityfs",
    "debugfs", "tracefs", "bpf", "configfs", "pstore", "binfmt_misc", "ext2", "ext3", "squashfs",
    "vfat"};

bool
mount_watch_line_local(const char *line)
{
	const char *type = strstr(line, " - ");
	size_t i, n;

	if (type == NULL)
		return false;
	type += strlen(" - ");
	n = strcspn(type, " ");
	for (i = 0; i < sizeof(local_types) / sizeof(local_types[0]); i++)
		if (strlen(local_types[i]) == n && strncmp(type, local_types[i], n) == 0)
			return true;
	return false;
}

static bool
read_all(struct mount_watch *w)
{
	char line[4096];
	bool local = true;
	int copy = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "r");

	if (f == NULL) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	rewind(f);
	/* A line that is longer has no type in its first part, and counts as one that may wait. */
	while (local && fgets(line, sizeof(line), f) != NULL)
		local = mount_watch_line_local(line);
	local = local && !ferror(f);
	fclose(f);
	return local;
}

void
mount_watch_open(struct mount_watch *w)
{
	w->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	w->local = w->fd >= 0 && read_all(w);
}

void
mount_watch_close(struct mount_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

bool
mount_watch_local(struct mount_watch *w)
{
	struct pollfd p = {.fd = w->fd, .events = POLLPRI};

	if (w->fd >= 0 && poll(&p, 1, 0) > 0)
		w->local = read_all(w);
	return w->local;
}
