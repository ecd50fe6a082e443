/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files between host and guest: POSIX tar (pax interchange and ustar, IEEE Std 1003.1 "pax"),
 * written and read as a stream by blocking code.
 *
 * The reader's bytes are hostile: a guest writes what the host's client unpacks, and the other way
 * round.  It takes regular files, directories, symbolic and hard links and refuses the rest: other
 * types, sparse files, GNU's own number and name encodings, absolute names, "..", empty components,
 * NUL, wrong checksums, links and directories with data, an archive without its end.
 *
 * What is not carried: owners are written but not applied, hard links are written as separate files
 * (as cp -R does), times have seconds, no extended attributes.
 */
#ifndef GONDOLIN_IPC_TAR_H
#define GONDOLIN_IPC_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TAR_BLOCK     512u
#define TAR_NAME_MAX  4096u  /* bytes of a name or a link's target */
#define TAR_PAX_MAX   16384u /* bytes of one extended header: two names and change */
#define TAR_DEPTH_MAX 256u   /* components of a name */
#define TAR_WHY_MAX   512u   /* a size that holds any message of this module */

/* Reads up to n > 0 bytes: returns their number, 0 at the end, or -errno. */
struct tar_source {
	ssize_t (*read)(void *ctx, void *bytes, size_t n);
	void *ctx;
};

/* Writes all n bytes: returns 0 or -errno. */
struct tar_sink {
	int (*write)(void *ctx, const void *bytes, size_t n);
	void *ctx;
};

/* Both over a blocking descriptor, *fd, which must live as long as they do. */
struct tar_source tar_source_fd(int *fd);
struct tar_sink tar_sink_fd(int *fd);

/* ---- Reading ---- */

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_DIRECTORY = '5',
};

struct tar_entry {
	enum tar_type type;
	/*
	 * Relative, no "..", no empty or "." component, no slash at its end; "." alone or "./"
	 * before the rest where the archive was made of a directory's content.
	 */
	char name[TAR_NAME_MAX + 1];
	char target[TAR_NAME_MAX + 1]; /* a symlink's as written; a hard link's as name; else "" */
	uint64_t size;                 /* bytes of data; 0 but in a file */
	uint32_t mode;                 /* 0 to 07777 */
	uint64_t uid, gid;
	int64_t mtime; /* seconds since the epoch */
};

struct tar_reader;

/* Returns NULL without memory.  The source is copied. */
struct tar_reader *tar_reader_new(const struct tar_source *source);
void tar_reader_free(struct tar_reader *r);

/*
 * The next entry, past what was not read of the last one's data.  Returns 1; 0 at the archive's end
 * (after which the source was read to its own end); -EPROTO where it is not an archive as above,
 * with *why pointing to constant text; or the source's -errno.
 */
int tar_reader_next(struct tar_reader *r, struct tar_entry *e, const char **why);

/*
 * Reads data of the current entry.  Returns the number of bytes, 0 after the last; -EPROTO where
 * the archive ends in the middle; or the source's -errno.
 */
ssize_t tar_reader_data(struct tar_reader *r, void *bytes, size_t n);

struct tar_extract_options {
	const char *rename_first; /* replaces every name's first component; NULL = as it is */
	bool directory_only; /* with rename_first: -ENOTDIR where that would not be a directory */
};

/*
 * Unpacks an archive below the directory dirfd (which stays the caller's).  Nothing outside it is
 * touched and no symbolic link in it is followed, whatever the archive or others put there
 * (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS).  A file or link that is in the way is
 * replaced, a directory is kept and filled.  Modes lose setuid, setgid and sticky and pass the
 * umask; times are the archive's; the owner is who runs this.
 *
 * Returns 0; or at the first failure -errno (-EPROTO: a broken archive) with one line in why
 * (TAR_WHY_MAX bytes) in which names are escaped.  What was unpacked so far stays.
 */
int tar_extract(int dirfd, const struct tar_source *source,
    const struct tar_extract_options *options, char *why);

/*
 * Where `path` says that a copy should go, as cp(1) takes it: an existing directory gets the copy
 * under its own name, anything else is the copy's new name in the directory above.  On success
 * returns 0, sets *dirfd (the caller's) to the directory to unpack in, and fills options, whose
 * rename_first points into name (NAME_MAX + 1 bytes) or is NULL.  Otherwise returns -errno.
 */
int
tar_open_destination(const char *path, int *dirfd, struct tar_extract_options *options, char *name);

/* ---- Writing ---- */

/*
 * Encodes an entry: an extended header where ustar cannot say it, then the header.  out has room
 * for TAR_ENTRY_MAX bytes.  Returns the bytes used, a multiple of TAR_BLOCK.  Data follows, filled
 * up by tar_padding(size) zeros; an archive ends with two blocks of zeros.
 */
#define TAR_ENTRY_MAX (2 * TAR_BLOCK + TAR_PAX_MAX)
size_t tar_header_encode(const struct tar_entry *e, uint8_t *out);

/* Bytes from n to the next block's start. */
static inline size_t
tar_padding(uint64_t n)
{
	return (size_t)(-n % TAR_BLOCK);
}

struct tar_write_options {
	/* Told of each file that is left out or changed meanwhile; NULL = nobody. */
	void (*warn)(void *ctx, const char *line);
	void *ctx;
};

/*
 * Writes `name` of the directory dirfd, with all below it where it is a directory, as an archive
 * whose entries are called `as` or `as/...`, and the archive's end.  name is one component, or "."
 * with as = "." for a directory's content.  Symbolic links are written as such (also `name`
 * itself); sockets, fifos and devices are left out with a warning.
 *
 * Returns 0; the first -errno of a file that could not be read (the archive is whole without it);
 * or the sink's -errno, at which it stops.
 */
int tar_write_tree(int dirfd, const char *name, const char *as, const struct tar_sink *sink,
    const struct tar_write_options *options);

/*
 * Splits a path for tar_write_tree: sets *dirfd (the caller's) to the directory that it lies in and
 * fills name (NAME_MAX + 1 bytes) with its last component; for "/" and what ends in "." or ".." to
 * that directory itself and ".".  Nothing is said about whether the name is there.  Returns 0 or
 * -errno.
 */
int tar_open_source(const char *path, int *dirfd, char *name);

#endif
