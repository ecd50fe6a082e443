/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes that go on where the kernel stopped early. */
#include "ipc/file.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

ssize_t
file_read_all(int fd, void *bytes, size_t size)
{
	uint8_t *at = bytes;
	size_t used = 0;
	ssize_t n;

	while (used < size) {
		n = read(fd, at + used, size - used);
		if (n == 0)
			break;
		if (n > 0)
			used += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)used;
}

int
file_write_all(int fd, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	ssize_t done;

	while (n > 0) {
		done = write(fd, at, n);
		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			at += done;
			n -= (size_t)done;
		}
	}
	return 0;
}
