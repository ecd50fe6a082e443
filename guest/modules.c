/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the initramfs's kernel modules. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/init.h"

static int
load(const char *path)
{
	int fd, rc = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		rc = -errno;
	close(fd);
	return rc;
}

int
modules_load(const char *list)
{
	char line[512];
	FILE *f = fopen(list, "re");
	int rc;

	if (f == NULL)
		return init_error(errno, "cannot read the list of modules, %s", list);
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0')
			continue;
		/* Not fatal: what needs it says so better than we could guess here. */
		rc = load(line);
		if (rc < 0)
			init_error(-rc, "cannot load the module %s", line);
	}
	fclose(f);
	return 0;
}
