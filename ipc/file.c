/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes that go on where the kernel stopped early. */
#include "ipc/file.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096u

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

bool
file_is_zero(const void *bytes, size_t n)
{
	const char *p = bytes;

	return n == 0 || (p[0] == '\0' && memcmp(p, p + 1, n - 1) == 0);
}

int
file_write_sparse(int fd, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	size_t length, block;
	bool zero;
	int rc;

	for (; n > 0; at += length, n -= length) {
		zero = false;
		/* As far as it goes on like its first block. */
		for (length = 0; length < n; length += block) {
			block = n - length < BLOCK ? n - length : BLOCK;
			if (length == 0)
				zero = file_is_zero(at, block);
			else if (file_is_zero(at + length, block) != zero)
				break;
		}
		if (!zero)
			rc = file_write_all(fd, at, length);
		else
			rc = lseek(fd, (off_t)length, SEEK_CUR) < 0 ? -errno : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}
