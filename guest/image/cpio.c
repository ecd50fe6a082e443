/* SPDX-License-Identifier: Apache-2.0 */
/* The newc cpio writer. */
#include "guest/image/cpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "guest/image/private.h"

#define NEWC_HEADER 110u /* six digits of magic and 13 fields of eight */
#define NEWC_ALIGN  4u
#define TRAILER     "TRAILER!!!"

static void
put(struct cpio_writer *c, const void *bytes, size_t n)
{
	if (c->error == 0)
		c->error = file_write_all(c->fd, bytes, n);
	c->offset += n;
}

static void
pad(struct cpio_writer *c)
{
	static const char zeros[NEWC_ALIGN];

	put(c, zeros, (size_t)((NEWC_ALIGN - c->offset % NEWC_ALIGN) % NEWC_ALIGN));
}

static void
entry(struct cpio_writer *c, const char *name, unsigned mode, unsigned links, const void *bytes,
    size_t n)
{
	char header[NEWC_HEADER + 1];
	size_t name_size = strlen(name) + 1;

	if (n > UINT32_MAX) {
		c->error = c->error != 0 ? c->error : -EFBIG;
		return;
	}
	/* magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor,
	 * rdevminor, namesize, check */
	snprintf(header, sizeof(header),
	    "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", c->inode++, mode, 0u, 0u,
	    links, 0u, (unsigned)n, 0u, 0u, 0u, 0u, (unsigned)name_size, 0u);
	put(c, header, NEWC_HEADER);
	put(c, name, name_size);
	pad(c);
	put(c, bytes, n);
	pad(c);
}

void
cpio_begin(struct cpio_writer *c, int fd)
{
	*c = (struct cpio_writer){.fd = fd, .inode = 1};
}

void
cpio_directory(struct cpio_writer *c, const char *name, unsigned mode)
{
	entry(c, name, S_IFDIR | mode, 2, "", 0);
}

void
cpio_file(struct cpio_writer *c, const char *name, unsigned mode, const void *bytes, size_t n)
{
	entry(c, name, S_IFREG | mode, 1, bytes, n);
}

int
cpio_end(struct cpio_writer *c)
{
	c->inode = 0;
	entry(c, TRAILER, 0, 1, "", 0);
	return c->error;
}
