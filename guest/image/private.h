/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of gondolin_image share among themselves. */
#ifndef GONDOLIN_GUEST_IMAGE_PRIVATE_H
#define GONDOLIN_GUEST_IMAGE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/image/image.h"
#include "ipc/file.h"
#include "ipc/log.h"

/* asprintf(3) that cannot fail: out of memory is fatal. */
char *image_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Names ---- */

/* [A-Za-z0-9][A-Za-z0-9._-]*, at most IMAGE_NAME_MAX bytes: never a path, never hidden. */
bool image_file_name_ok(const char *name);

/* Exactly IMAGE_ID_LENGTH digits of lower-case hexadecimal. */
bool image_id_ok(const char *id);

#define IMAGE_TAG_SIZE (2 * IMAGE_NAME_MAX + 2)

/* Checks a tag and writes it as "name:tag" (":latest" where it has none).  Returns 0 or -EINVAL. */
int image_tag_canonical(const char *tag, char out[IMAGE_TAG_SIZE]);

/* ---- Bytes ---- */

/* True once the work was cancelled. */
bool image_cancelled(const struct image_progress *p);

/* Reports a step; p may be NULL. */
void image_step(const struct image_progress *p, const char *what, uint64_t done, uint64_t total);

/*
 * Hashes size bytes of in, from its start, and where out is not -1 writes them there, leaving holes
 * where blocks are zero.  Returns 0 and fills sha256; -EBADMSG where in is shorter; -EINTR when
 * cancelled; or another -errno.
 */
int image_copy_hashed(int in, int out, uint64_t size, const char *what,
    const struct image_progress *p, char sha256[IMAGE_ID_LENGTH + 1]);

/* Makes (or empties) the file `name` in dir with these bytes.  Returns 0 or -errno. */
int image_put_file(int dir, const char *name, const void *bytes, size_t n, unsigned mode);

/*
 * Reads a whole regular file of at most max bytes; the caller frees *bytes, which has a NUL past
 * its end.  dir may be AT_FDCWD.  Returns 0, -E2BIG or another -errno.
 */
int image_get_file(int dir, const char *name, size_t max, char **bytes, size_t *n);

/* Removes name in dir with all below it, without following links.  Returns 0 or -errno. */
int image_remove_tree(int dir, const char *name);

/* ---- The store, for what writes to it ---- */

/* Makes what is missing of the store and opens it. */
int image_store_make(struct image_store *s, char *error, size_t error_size);

/*
 * Takes the lock under which tags are changed and images removed.  Returns a descriptor that holds
 * it until it is closed, or -errno.
 */
int image_store_lock(const struct image_store *s);

/* Reads a canonical tag into id.  Returns 0, -ENOENT, or -EPROTO where the tag is broken. */
int image_tag_read(const struct image_store *s, const char *tag, char id[IMAGE_ID_LENGTH + 1]);

/* Reads and checks the manifest in directory dir. */
int image_manifest_load(int dir, struct image_manifest *m, char *error, size_t error_size);

/* An image in the making. */
struct image_staging {
	struct image_store *store;
	char name[32]; /* in objects/ */
	char *path;    /* absolute */
	int fd;        /* the directory; holds its lock */
};

/* Removes what dead makers left, and makes and locks a temporary directory. */
int image_staging_begin(
    struct image_staging *st, struct image_store *s, char *error, size_t error_size);

/*
 * Writes the manifest, syncs, and gives the directory its valid name; with a tag, points it there.
 * An image that is there already is kept, and this one dropped.  The staging is over either way on
 * success.
 */
int image_staging_commit(struct image_staging *st, const struct image_manifest *m, const char *tag,
    char id[IMAGE_ID_LENGTH + 1], char *error, size_t error_size);

/* Removes the temporary directory.  Safe after a commit, and twice. */
void image_staging_abort(struct image_staging *st);

#endif
