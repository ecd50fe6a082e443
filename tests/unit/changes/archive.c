/* SPDX-License-Identifier: Apache-2.0 */
/* Archives as vfsd writes them, and as it never would. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/changes/changes_test.h"

static void
put(int fd, const void *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n)
		abort();
}

int
make_archive(const struct row *rows)
{
	return make_sparse_archive(rows, 0);
}

int
make_sparse_archive(const struct row *rows, uint64_t hole)
{
	static const uint8_t zeros[2 * TAR_BLOCK];
	static uint8_t head[TAR_ENTRY_MAX];
	static struct tar_entry e;
	int fd = memfd_create("archive", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	for (; rows->name != NULL; rows++) {
		memset(&e, 0, sizeof(e));
		e.type = rows->type;
		e.mode = rows->mode;
		strcpy(e.name, rows->name);
		if (rows->type == TAR_FILE)
			e.size = hole + strlen(rows->text);
		else if (rows->text != NULL)
			strcpy(e.target, rows->text);
		put(fd, head, tar_header_encode(&e, head));
		if (rows->type == TAR_FILE) {
			if (lseek(fd, (off_t)hole, SEEK_CUR) < 0)
				abort();
			put(fd, rows->text, strlen(rows->text));
			put(fd, zeros, tar_padding(e.size));
		}
	}
	put(fd, zeros, sizeof(zeros));
	return fd;
}
