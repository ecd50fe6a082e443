/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes of descriptors that block. */
#ifndef GONDOLIN_IPC_FILE_H
#define GONDOLIN_IPC_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Reads up to size bytes, and fewer only at the end of the file.  Returns how many, or -errno. */
ssize_t file_read_all(int fd, void *bytes, size_t size);

/* Writes all n bytes.  Returns 0, or -errno after a part of them. */
int file_write_all(int fd, const void *bytes, size_t n);

#endif
