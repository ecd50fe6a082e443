/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of FUSE (linux/fuse.h, protocol 7.31 to 7.38), requests side.
 *
 * Every byte of a request is written by the guest, which need not be a Linux kernel.  A request is
 * parsed once, strictly: its length must be just what its operation's parts add up to.
 */
#ifndef GONDOLIN_VFSD_FUSE_WIRE_H
#define GONDOLIN_VFSD_FUSE_WIRE_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUSE_MINOR_MIN   31u
#define FUSE_MINOR_MAX   38u
#define FUSE_DATA_MAX    (1u << 20) /* bytes of one read or write */
#define FUSE_DATA_PAGES  256u       /* the same in pages of 4 KiB */
#define FUSE_REQUEST_MAX (FUSE_DATA_MAX + 4096u)
#define FUSE_REPLY_MAX   (FUSE_DATA_MAX + 4096u)
#define FUSE_OPCODES_MAX 64u    /* opcodes are below */
#define FUSE_FORGETS_MAX 65536u /* in one BATCH_FORGET; the request's length bounds it too */

/* An operation's fixed part; which member is the opcode's. */
union fuse_argument {
	struct fuse_init_in init;
	struct fuse_forget_in forget;
	struct fuse_batch_forget_in batch_forget;
	struct fuse_getattr_in getattr;
	struct fuse_setattr_in setattr;
	struct fuse_mknod_in mknod;
	struct fuse_mkdir_in mkdir;
	struct fuse_rename_in rename;
	struct fuse_rename2_in rename2;
	struct fuse_link_in link;
	struct fuse_open_in open;
	struct fuse_create_in create;
	struct fuse_read_in read;
	struct fuse_write_in write;
	struct fuse_release_in release;
	struct fuse_flush_in flush;
	struct fuse_fsync_in fsync;
	struct fuse_setxattr_in setxattr;
	struct fuse_getxattr_in getxattr;
	struct fuse_lk_in lk;
	struct fuse_access_in access;
	struct fuse_interrupt_in interrupt;
	struct fuse_fallocate_in fallocate;
	struct fuse_lseek_in lseek;
	struct fuse_copy_file_range_in copy;
};

/* A request taken apart.  Pointers point into its bytes. */
struct fuse_request {
	struct fuse_in_header header;
	union fuse_argument arg;
	const char *name;   /* first string, NUL-terminated; a checked name unless it is a target */
	const char *second; /* second string */
	const uint8_t *data; /* WRITE, SETXATTR: the bytes; BATCH_FORGET: the records */
	size_t data_length;
};

/*
 * The header alone.  Returns 0; -EPROTO where the bytes are no request at all: too short, longer
 * than FUSE_REQUEST_MAX, or a length field that is not `length` (the connection ends).
 */
int fuse_header_parse(const uint8_t *bytes, size_t length, struct fuse_in_header *h);

/*
 * The rest.  r->header is filled already.  Returns 0; -ENOSYS for an operation that is not known;
 * -EINVAL where the parts do not fit the length, a string lacks its NUL, a name is empty, "." or
 * ".." or has a slash; -ENAMETOOLONG for a longer name.
 */
int fuse_request_parse(const uint8_t *bytes, struct fuse_request *r);

/* The operation's name for records ("lookup"), or "unknown". */
const char *fuse_opcode_name(uint32_t opcode);

/* True for an operation that never has a reply. */
bool fuse_opcode_silent(uint32_t opcode);

#endif
