/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a turn changed in a copy-on-write mount: `gondolin diff` shows it, `gondolin apply` puts it
 * into the host's directory.
 *
 * Who controls the bytes.  The layer comes from vfsd as a tar archive of what the guest made:
 * names, targets and content are hostile, and so is the archive's form where vfsd was taken over.
 * The directory, its user and the time from which the host's own changes count are the supervisor's
 * word (ipc/changes.proto), and everything that is read or written there is found with openat2(2),
 * beneath that directory, no link followed.
 *
 * What was reviewed is what is applied.  A change has an id: a digest over what it would do and
 * over the host's files as they are (contents of the new ones; inode number, size and times of the
 * old ones).  diff notes the ids that it showed in the session's directory; apply copies the layer
 * anew and goes on only with an id that is among them.  A host file that changed since the guest
 * could see it is a conflict, which apply refuses.
 */
#ifndef GONDOLIN_CLIENT_CHANGES_H
#define GONDOLIN_CLIENT_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "ipc/sha256.h"
#include "ipc/tar.h"

#define CHANGES_ENTRIES_MAX 1000000u
#define CHANGES_BYTES_MAX   (20ull << 30) /* all that vfsd keeps, and the holes that it lets pass */
#define CHANGES_ERROR_SIZE  1024u

/* Functions that take error (CHANGES_ERROR_SIZE bytes) fill it with one line when they fail. */

/* ---- changes_layer.c: what the guest made ---- */

/* One name of the layer. */
struct changes_entry {
	char *path;         /* as tar.h promises, and without "." in front */
	enum tar_type type; /* TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK */
	bool gone;          /* the name was removed; nothing else counts */
	bool opaque;        /* a directory that shows nothing of the host's of that name */
	uint32_t mode;      /* 0 to 0777 */
	uint64_t size;
	off_t data; /* where the content starts in the archive */
	char *target;
};

struct changes_layer {
	int fd;                        /* of the archive; the caller's */
	struct changes_entry *entries; /* in order of path, a directory before what is in it */
	size_t n;
};

/*
 * Reads the archive in fd from its start.  Refuses, with -EPROTO, a name that is there twice, whose
 * directory is not there, or that lies in something else than a directory; with -E2BIG more than
 * CHANGES_ENTRIES_MAX names, with -EFBIG more than CHANGES_BYTES_MAX bytes of content, holes
 * included.  Returns 0 or -errno.
 */
int changes_layer_read(struct changes_layer *l, int fd, char *error);
void changes_layer_clear(struct changes_layer *l);

/* The entry of a path, or NULL. */
const struct changes_entry *changes_layer_find(const struct changes_layer *l, const char *path);

/* Orders paths so that a directory stands just before what is in it. */
int changes_path_compare(const char *a, const char *b);

/* ---- changes_compare.c: against the host ---- */

/* A host file as it was looked at. */
struct changes_print {
	uint64_t dev, ino, size;
	struct timespec mtime, ctime;
	uint32_t mode; /* with the type */
};

enum changes_kind { CHANGES_ADDED, CHANGES_REMOVED, CHANGES_CHANGED };

struct change {
	enum changes_kind kind;
	char *path;
	const struct changes_entry *to; /* NULL: removed */
	struct changes_print from;      /* what is there; not with ADDED */
	bool content, mode;             /* CHANGED: what is another */
	bool conflict;                  /* the host's file changed since the guest could see it */
};

/* What the comparison takes as given. */
struct changes_base {
	int root; /* the host's directory */
	struct timespec opened;
	/*
	 * Host files as earlier runs of apply left them, in order: these are no changes of somebody
	 * else.
	 */
	const struct changes_print *applied;
	size_t n_applied;
};

/* Puts what was applied in order. */
void changes_prints_sort(struct changes_print *v, size_t n);

struct changes {
	struct change
	    *v; /* in the order of the layer; removed ones before what takes their place */
	size_t n;
	size_t conflicts;
	char id[SHA256_HEX_SIZE];
};

/*
 * Compares a layer with the host's directory.  mount is its path in the guest, which is part of the
 * id.  The layer must outlive *out.  Returns 0 or -errno; *out is to be cleared in any case.
 */
int changes_compare(struct changes *out, const struct changes_layer *l,
    const struct changes_base *base, const char *mount, char *error);
void changes_clear(struct changes *c);

/*
 * openat2(2) beneath dir, no link and no magic link followed.  Returns the descriptor (CLOEXEC) or
 * -errno.
 */
int changes_open(int dir, const char *path, int flags);

/* The print of an open file.  Returns 0 or -errno. */
int changes_print_of(int fd, struct changes_print *p);

/* ---- changes_apply.c ---- */

/*
 * Does it.  Every host file is looked at once more at the moment at which it is replaced; one that
 * is another by then stops everything with -ESTALE.  Files appear whole or not at all, zeros as
 * holes.  Modes keep their rwx bits; owners, times and extended attributes are the host's own. done
 * is told of every file that was written, as it is now.  Returns 0, or -errno with *n_done saying
 * how many changes were made before.
 */
int changes_apply(const struct changes *c, const struct changes_layer *l, int root,
    void (*done)(void *ctx, const struct changes_print *p), void *ctx, size_t *n_done, char *error);

/* ---- changes_text.c ---- */

#define CHANGES_TEXT_MAX (1u << 20)

/* True for UTF-8 without control characters but tab and line ends, and without bidirectional ones.
 */
bool changes_is_text(const char *bytes, size_t n);

/*
 * Prints the unified diff of two texts (NULL: the file is not there); path must be printable.
 */
void changes_text_print(
    FILE *out, const char *path, const char *a, size_t a_size, const char *b, size_t b_size);

#endif
