/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes of descriptors that block. */
#ifndef GONDOLIN_IPC_FILE_H
#define GONDOLIN_IPC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads up to size bytes, and fewer only at the end of the file.  Returns how many, or -errno. */
ssize_t file_read_all(int fd, void *bytes, size_t size);

/* Writes all n bytes.  Returns 0, or -errno after a part of them. */
int file_write_all(int fd, const void *bytes, size_t n);

/* The same for a new file: blocks of 4 KiB of zeros become holes, and the caller sets the size. */
int file_write_sparse(int fd, const void *bytes, size_t n);

bool file_is_zero(const void *bytes, size_t n);

#endif
