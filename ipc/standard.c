/* SPDX-License-Identifier: Apache-2.0 */
/* Standard descriptors and signals of a program for people. */
#include "ipc/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"

void
standard_begin(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);
}

int
standard_end(void)
{
	int rc = 0;

	if (fflush(stdout) != 0)
		rc = -errno;
	else if (ferror(stdout) != 0)
		rc = -EIO; /* an earlier write failed, and nobody kept why */
	if (rc < 0)
		log_line("gondolin: stdout cannot be written: %s", strerror(-rc));
	return rc;
}
