/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a newc cpio archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst):
 * what the kernel unpacks as its first root.  All entries belong to root and have time 0, so the
 * same contents give the same bytes.
 */
#ifndef GONDOLIN_GUEST_IMAGE_CPIO_H
#define GONDOLIN_GUEST_IMAGE_CPIO_H

#include <stddef.h>
#include <stdint.h>

struct cpio_writer {
	int fd; /* the caller's */
	uint32_t inode;
	uint64_t offset; /* bytes written */
	int error;       /* the first failure, -errno; nothing is written after it */
};

void cpio_begin(struct cpio_writer *c, int fd);

/* A directory; name has no leading slash.  Parents come before what they hold. */
void cpio_directory(struct cpio_writer *c, const char *name, unsigned mode);

/* A regular file of n bytes (below 4 GiB: the format's limit). */
void cpio_file(struct cpio_writer *c, const char *name, unsigned mode, const void *bytes, size_t n);

/* Ends the archive.  Returns 0, or the first failure as -errno. */
int cpio_end(struct cpio_writer *c);

#endif
