/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of tar archives, shared by reader and writer. */
#ifndef GONDOLIN_IPC_TAR_PRIVATE_H
#define GONDOLIN_IPC_TAR_PRIVATE_H

#include "ipc/tar.h"

/* The 512 bytes of a ustar header, as POSIX lays them out. */
struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char padding[12];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is one block");

#define TAR_TYPE_PAX        'x'
#define TAR_TYPE_PAX_GLOBAL 'g'

/* What an extended header says instead of the header that follows it. */
struct tar_pax {
	bool has_path, has_linkpath, has_size, has_mtime, has_uid, has_gid;
	char path[TAR_NAME_MAX + 1];
	char linkpath[TAR_NAME_MAX + 1];
	uint64_t size, uid, gid;
	int64_t mtime;
};

/* True where magic, version and checksum are right. */
bool tar_header_is_sound(const struct tar_header *h);

/*
 * Fills e from a sound header, and from pax where that has something; checks all that struct
 * tar_entry promises.  Returns NULL, or what is wrong.
 */
const char *
tar_header_decode(const struct tar_header *h, const struct tar_pax *pax, struct tar_entry *e);

/* The size field alone.  Returns 0 or -EPROTO. */
int tar_header_size(const struct tar_header *h, uint64_t *size);

/* Parses the records of one extended header.  Returns NULL, or what is wrong. */
const char *tar_pax_decode(const char *bytes, size_t n, bool global, struct tar_pax *pax);

#endif
