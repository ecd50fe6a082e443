/* SPDX-License-Identifier: Apache-2.0 */
/* Requests taken apart: see the header. */
#include "vfsd/fuse_wire.h"

#include <errno.h>
#include <string.h>

#include "vfsd/provider.h"

/* What follows the fixed part. */
enum tail {
	TAIL_NONE,
	TAIL_NAME,
	TAIL_NAME_UNUSED, /* TMPFILE: the kernel's placeholder */
	TAIL_TWO_NAMES,   /* RENAME */
	TAIL_NAME_TARGET, /* SYMLINK */
	TAIL_XATTR_NAME,  /* an attribute's name: may have slashes */
	TAIL_XATTR_SET,   /* the same, then arg.setxattr.size bytes */
	TAIL_DATA,        /* WRITE: arg.write.size bytes */
	TAIL_FORGETS,     /* arg.batch_forget.count records */
	TAIL_INIT,        /* what later minors append */
	TAIL_ANY,         /* answered without being read */
};

struct row {
	const char *name;
	size_t fixed;
	enum tail tail;
	bool silent;
};

/* SETXATTR without FUSE_SETXATTR_EXT, and INIT up to 7.35, are shorter than the header's struct. */
#define SETXATTR_FIXED FUSE_COMPAT_SETXATTR_IN_SIZE
#define INIT_FIXED     16u
#define SIZE(member)   sizeof(((union fuse_argument *)NULL)->member)

static const struct row rows[FUSE_OPCODES_MAX] = {
    [FUSE_LOOKUP] = {"lookup", 0, TAIL_NAME, false},
    [FUSE_FORGET] = {"forget", SIZE(forget), TAIL_NONE, true},
    [FUSE_GETATTR] = {"getattr", SIZE(getattr), TAIL_NONE, false},
    [FUSE_SETATTR] = {"setattr", SIZE(setattr), TAIL_NONE, false},
    [FUSE_READLINK] = {"readlink", 0, TAIL_NONE, false},
    [FUSE_SYMLINK] = {"symlink", 0, TAIL_NAME_TARGET, false},
    [FUSE_MKNOD] = {"mknod", SIZE(mknod), TAIL_NAME, false},
    [FUSE_MKDIR] = {"mkdir", SIZE(mkdir), TAIL_NAME, false},
    [FUSE_UNLINK] = {"unlink", 0, TAIL_NAME, false},
    [FUSE_RMDIR] = {"rmdir", 0, TAIL_NAME, false},
    [FUSE_RENAME] = {"rename", SIZE(rename), TAIL_TWO_NAMES, false},
    [FUSE_LINK] = {"link", SIZE(link), TAIL_NAME, false},
    [FUSE_OPEN] = {"open", SIZE(open), TAIL_NONE, false},
    [FUSE_READ] = {"read", SIZE(read), TAIL_NONE, false},
    [FUSE_WRITE] = {"write", SIZE(write), TAIL_DATA, false},
    [FUSE_STATFS] = {"statfs", 0, TAIL_NONE, false},
    [FUSE_RELEASE] = {"release", SIZE(release), TAIL_NONE, false},
    [FUSE_FSYNC] = {"fsync", SIZE(fsync), TAIL_NONE, false},
    [FUSE_SETXATTR] = {"setxattr", SETXATTR_FIXED, TAIL_XATTR_SET, false},
    [FUSE_GETXATTR] = {"getxattr", SIZE(getxattr), TAIL_XATTR_NAME, false},
    [FUSE_LISTXATTR] = {"listxattr", SIZE(getxattr), TAIL_NONE, false},
    [FUSE_REMOVEXATTR] = {"removexattr", 0, TAIL_XATTR_NAME, false},
    [FUSE_FLUSH] = {"flush", SIZE(flush), TAIL_NONE, false},
    [FUSE_INIT] = {"init", INIT_FIXED, TAIL_INIT, false},
    [FUSE_OPENDIR] = {"opendir", SIZE(open), TAIL_NONE, false},
    [FUSE_READDIR] = {"readdir", SIZE(read), TAIL_NONE, false},
    [FUSE_RELEASEDIR] = {"releasedir", SIZE(release), TAIL_NONE, false},
    [FUSE_FSYNCDIR] = {"fsyncdir", SIZE(fsync), TAIL_NONE, false},
    [FUSE_GETLK] = {"getlk", SIZE(lk), TAIL_NONE, false},
    [FUSE_SETLK] = {"setlk", SIZE(lk), TAIL_NONE, false},
    [FUSE_SETLKW] = {"setlkw", SIZE(lk), TAIL_NONE, false},
    [FUSE_ACCESS] = {"access", SIZE(access), TAIL_NONE, false},
    [FUSE_CREATE] = {"create", SIZE(create), TAIL_NAME, false},
    [FUSE_INTERRUPT] = {"interrupt", SIZE(interrupt), TAIL_NONE, true},
    [FUSE_DESTROY] = {"destroy", 0, TAIL_NONE, false},
    [FUSE_IOCTL] = {"ioctl", 0, TAIL_ANY, false},
    [FUSE_BATCH_FORGET] = {"batch_forget", SIZE(batch_forget), TAIL_FORGETS, true},
    [FUSE_FALLOCATE] = {"fallocate", SIZE(fallocate), TAIL_NONE, false},
    [FUSE_READDIRPLUS] = {"readdirplus", SIZE(read), TAIL_NONE, false},
    [FUSE_RENAME2] = {"rename2", SIZE(rename2), TAIL_TWO_NAMES, false},
    [FUSE_LSEEK] = {"lseek", SIZE(lseek), TAIL_NONE, false},
    [FUSE_COPY_FILE_RANGE] = {"copy_file_range", SIZE(copy), TAIL_NONE, false},
    [FUSE_TMPFILE] = {"tmpfile", SIZE(create), TAIL_NAME_UNUSED, false},
};

static const struct row *
row_of(uint32_t opcode)
{
	return opcode < FUSE_OPCODES_MAX && rows[opcode].name != NULL ? &rows[opcode] : NULL;
}

const char *
fuse_opcode_name(uint32_t opcode)
{
	const struct row *row = row_of(opcode);

	return row != NULL ? row->name : "unknown";
}

bool
fuse_opcode_silent(uint32_t opcode)
{
	const struct row *row = row_of(opcode);

	return row != NULL && row->silent;
}

int
fuse_header_parse(const uint8_t *bytes, size_t length, struct fuse_in_header *h)
{
	if (length < sizeof(*h) || length > FUSE_REQUEST_MAX)
		return -EPROTO;
	memcpy(h, bytes, sizeof(*h));
	return h->len == length ? 0 : -EPROTO;
}

/* Takes a string off the front of what is left.  NULL where there is no NUL. */
static const char *
take_string(const uint8_t **at, size_t *left)
{
	const uint8_t *start = *at, *end = memchr(start, 0, *left);

	if (end == NULL)
		return NULL;
	*left -= (size_t)(end + 1 - start);
	*at = end + 1;
	return (const char *)start;
}

static int
check_name(const char *name)
{
	size_t length;

	if (name == NULL || name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	length = strlen(name);
	if (memchr(name, '/', length) != NULL)
		return -EINVAL;
	return length <= VFS_NAME_MAX ? 0 : -ENAMETOOLONG;
}

static int
check_target(const char *target)
{
	if (target == NULL || target[0] == '\0')
		return -EINVAL;
	return strlen(target) <= VFS_TARGET_MAX ? 0 : -ENAMETOOLONG;
}

static int
check_xattr_name(const char *name)
{
	if (name == NULL || name[0] == '\0')
		return -EINVAL;
	return strlen(name) <= VFS_NAME_MAX ? 0 : -ERANGE;
}

static int
parse_strings(enum tail tail, struct fuse_request *r, const uint8_t **at, size_t *left)
{
	int error;

	if (tail == TAIL_NONE || tail == TAIL_DATA || tail == TAIL_FORGETS)
		return 0;
	r->name = take_string(at, left);
	if (tail == TAIL_XATTR_NAME || tail == TAIL_XATTR_SET)
		return check_xattr_name(r->name);
	if (tail == TAIL_NAME_UNUSED)
		return r->name != NULL ? 0 : -EINVAL;
	error = check_name(r->name);
	if (error != 0 || tail == TAIL_NAME)
		return error;
	r->second = take_string(at, left);
	return tail == TAIL_TWO_NAMES ? check_name(r->second) : check_target(r->second);
}

/* The bytes behind fixed part and strings: just as many as announced. */
static int
parse_data(enum tail tail, struct fuse_request *r, const uint8_t *at, size_t left)
{
	uint64_t want = 0;

	if (tail == TAIL_DATA)
		want = r->arg.write.size;
	else if (tail == TAIL_XATTR_SET)
		want = r->arg.setxattr.size;
	else if (tail == TAIL_FORGETS)
		want = (uint64_t)r->arg.batch_forget.count * sizeof(struct fuse_forget_one);
	if (left != want || want > FUSE_REQUEST_MAX)
		return -EINVAL;
	r->data = at;
	r->data_length = left;
	return 0;
}

int
fuse_request_parse(const uint8_t *bytes, struct fuse_request *r)
{
	const struct row *row = row_of(r->header.opcode);
	const uint8_t *at = bytes + sizeof(r->header);
	size_t left = r->header.len - sizeof(r->header), fixed;
	int error;

	memset(&r->arg, 0, sizeof(r->arg));
	r->name = r->second = NULL;
	r->data = NULL;
	r->data_length = 0;
	if (row == NULL)
		return -ENOSYS;
	if (row->tail == TAIL_ANY)
		return 0;
	fixed = row->fixed;
	/* Extensions were not negotiated: bytes behind the announced parts are an error. */
	if (left < fixed)
		return -EINVAL;
	if (row->tail == TAIL_INIT)
		fixed = left < sizeof(r->arg.init) ? left : sizeof(r->arg.init);
	memcpy(&r->arg, at, fixed);
	at += fixed;
	left -= fixed;
	if (row->tail == TAIL_INIT)
		return 0;
	error = parse_strings(row->tail, r, &at, &left);
	return error != 0 ? error : parse_data(row->tail, r, at, left);
}
