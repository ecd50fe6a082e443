/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of uids, held by a byte lock on one file for all of root's sandboxes. */
#include "supervisor/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_FOLDER "/run/gondolin"
#define LOCK_FILE \
	RUN_FOLDER "/uids" /* the same whatever the runtime directory: uids are the host's */

/*
 * An open file description lock on byte `block`: two sandboxes never share a block, and a
 * supervisor that dies gives its block back, with no file left behind.
 */
static bool
lock_block(int fd, off_t block)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = block, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static int
take_block(struct identity *id, uid_t first, uid_t last)
{
	/* A boundary of whole blocks, so that ranges that overlap agree on what a block is. */
	uid_t block = (first + IDENTITY_BLOCK - 1) / IDENTITY_BLOCK,
	      end = (last + 1) / IDENTITY_BLOCK;

	if (block >= end)
		return -ERANGE;
	if (mkdir(RUN_FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	id->lock_fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (id->lock_fd < 0)
		return -errno;
	for (; block < end; block++) {
		if (lock_block(id->lock_fd, (off_t)block)) {
			id->first = block * IDENTITY_BLOCK;
			return 0;
		}
	}
	return -EUSERS;
}

int
identity_take(struct identity *id, uid_t first, uid_t last, char *error, size_t error_size)
{
	int rc;

	*id = (struct identity){.root_started = geteuid() == 0, .lock_fd = -1};
	if (!id->root_started)
		return 0;
	rc = take_block(id, first, last);
	if (rc == -EUSERS)
		snprintf(error, error_size,
		    "every uid from %u to %u is in use; stop a sandbox or widen uid-range", first,
		    last);
	else if (rc == -ERANGE)
		snprintf(error, error_size,
		    "uid-range %u-%u holds no whole block of %d uids; widen it", first, last,
		    IDENTITY_BLOCK);
	else if (rc < 0)
		snprintf(error, error_size, LOCK_FILE ": %s", strerror(-rc));
	if (rc < 0)
		identity_release(id);
	return rc;
}

void
identity_release(struct identity *id)
{
	if (id->lock_fd >= 0)
		close(id->lock_fd);
	id->lock_fd = -1;
}

struct jail_identity
identity_of(const struct identity *id, enum process_id process)
{
	if (!id->root_started)
		return (struct jail_identity){.uid = geteuid(), .gid = getegid()};
	return (struct jail_identity){
	    true, id->first + (uid_t)process, (gid_t)(id->first + (uid_t)process)};
}
