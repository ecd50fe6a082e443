/* SPDX-License-Identifier: Apache-2.0 */
/* A hosts file (hosts(5)), read once. */
#ifndef GONDOLIN_EGRESS_HOSTS_FILE_H
#define GONDOLIN_EGRESS_HOSTS_FILE_H

#include "egress/address.h"

struct hosts_file {
	struct hosts_row {
		char *name; /* lower case */
		struct address address;
	} * v; /* by name */
	size_t n, capacity;
};

/*
 * Reads the file (one that is missing has no rows); lines that are none are passed over.  Returns
 * 0; -EFBIG over max bytes; or another -errno.
 */
int hosts_file_read(struct hosts_file *h, const char *path, size_t max);
void hosts_file_clear(struct hosts_file *h);

/* The addresses of a name, at most max.  Returns how many. */
size_t
hosts_file_find(const struct hosts_file *h, const char *name, struct address *out, size_t max);

#endif
