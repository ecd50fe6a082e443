/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: what a sandbox boots.  The store, the manifest, and the builder.
 *
 * An image is a directory of three parts (kernel, initramfs, rootfs) and manifest.json, which names
 * each part's file, size and SHA-256.  Its build id is a hash over them (image_manifest_id).
 *
 * The store:
 *
 *	objects/<build id>/	an image; never changed once it has this name
 *	objects/.tmp-XXXXXX/	an image in the making; its maker holds a flock(2) on the directory
 *	tags/<name>:<tag>	the build id that the tag points to, and a newline
 *
 * An image becomes valid by one rename(2) of its temporary directory, after its bytes were synced.
 * A maker that dies leaves a temporary directory without a lock; the next maker removes it.
 *
 * Functions that can fail for reasons a person can mend take error and error_size (at least
 * IMAGE_ERROR_SIZE is sensible) and fill it, on failure only, with one line without a newline that
 * says what happened and what to do.  All of them return 0 or -errno unless they say otherwise.
 */
#ifndef GONDOLIN_GUEST_IMAGE_IMAGE_H
#define GONDOLIN_GUEST_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_ERROR_SIZE    1024u
#define IMAGE_ID_LENGTH     64u /* lower-case hexadecimal */
#define IMAGE_SHORT_ID      12u /* digits of an id that people are shown */
#define IMAGE_PREFIX_MIN    4u  /* digits of an id that select it, at least */
#define IMAGE_NAME_MAX      64u /* bytes of a name, of a tag, of a part's file name, each */
#define IMAGE_CMDLINE_MAX   256u
#define IMAGE_PACKAGES_MAX  4096u
#define IMAGE_MANIFEST_MAX  (256u * 1024u) /* bytes of manifest.json */
#define IMAGE_PART_SIZE_MAX (1ull << 40)   /* bytes */

/* ---- The manifest ---- */

enum image_part_kind {
	IMAGE_KERNEL,    /* what QEMU's -kernel takes (x86: bzImage) */
	IMAGE_INITRAMFS, /* newc cpio, compressed or not */
	IMAGE_ROOTFS,    /* ext4, the whole of the root device; sparse */
	IMAGE_PARTS,
};

/* "kernel", "initramfs", "rootfs". */
extern const char *const image_part_names[IMAGE_PARTS];

struct image_part {
	char file[IMAGE_NAME_MAX + 1]; /* in the image's directory: [A-Za-z0-9][A-Za-z0-9._-]* */
	uint64_t size;                 /* bytes, from 1 to IMAGE_PART_SIZE_MAX */
	char sha256[IMAGE_ID_LENGTH + 1];
};

struct image_manifest {
	struct image_part parts[IMAGE_PARTS];
	char arch[IMAGE_NAME_MAX + 1];           /* as uname -m: "x86_64", "aarch64" */
	char recipe[IMAGE_NAME_MAX + 1];         /* "mini"; "" where it was imported without one */
	char kernel_release[IMAGE_NAME_MAX + 1]; /* "6.1.0-56-cloud-amd64", or "" */
	char cmdline[IMAGE_CMDLINE_MAX + 1];     /* to append to the kernel's command line, or "" */
	int64_t created;                         /* seconds since the epoch, not negative */
	char **packages;                         /* "name=version", or NULL */
	size_t n_packages;
};

/*
 * Reads manifest.json.  The bytes may be hostile.  One object, with these members and no others:
 *
 *	format		1
 *	arch		string
 *	created		integer
 *	parts		object: kernel, initramfs, rootfs, each { file, size, sha256 }; the three
 *			file names differ
 *	recipe, kernel_release, cmdline		strings, optional
 *	packages	array of strings, optional
 *
 * Strings are printable ASCII within the limits above.  Returns 0 (then image_manifest_clear is
 * due); -EPROTO with a line in error; -E2BIG past IMAGE_MANIFEST_MAX.  On failure *m is cleared.
 */
int image_manifest_parse(
    struct image_manifest *m, const char *text, size_t length, char *error, size_t error_size);

/* The text of a manifest (the caller frees), ending in a newline. */
char *image_manifest_write(const struct image_manifest *m, size_t *length);

/* Frees what the manifest holds and zeroes it.  Safe on a zeroed one, and twice. */
void image_manifest_clear(struct image_manifest *m);

/*
 * The build id: SHA-256, in lower-case hexadecimal, of these six lines (each ends in \n):
 *
 *	gondolin-image 1
 *	arch <arch>
 *	cmdline <cmdline>
 *	kernel <file> <size> <sha256>
 *	initramfs <file> <size> <sha256>
 *	rootfs <file> <size> <sha256>
 *
 * So recipe, packages, kernel release and time describe an image and do not identify it.
 */
void image_manifest_id(const struct image_manifest *m, char id[IMAGE_ID_LENGTH + 1]);

/* ---- The store ---- */

struct image_store {
	char *path;  /* absolute */
	int objects; /* O_PATH-like directory descriptors; -1 where the directory does not exist */
	int tags;
};

/*
 * Opens the store at path, or where path is NULL the default one: $GONDOLIN_IMAGE_DIR, else
 * /var/lib/gondolin/images for root, else $XDG_DATA_HOME/gondolin/images, else
 * ~/.local/share/gondolin/images.  Makes nothing: a store that does not exist is an empty one, and
 * what writes to it makes it (mode 0700).
 */
int image_store_open(struct image_store *s, const char *path, char *error, size_t error_size);

/* Safe on a store whose open failed, and twice. */
void image_store_close(struct image_store *s);

/* An image that is in use: its parts stay readable even where it is removed meanwhile. */
struct image {
	char id[IMAGE_ID_LENGTH + 1];
	char *directory; /* absolute */
	struct image_manifest manifest;
	char *paths[IMAGE_PARTS]; /* absolute */
	int fds[IMAGE_PARTS];     /* O_RDONLY | O_CLOEXEC; a regular file of the manifest's size */
};

/*
 * Finds an image and opens its parts.  The selector is
 *	a directory, where it has a slash or is "." or "..";
 *	else a tag, "name" (the same as "name:latest") or "name:tag";
 *	else a build id, or at least IMAGE_PREFIX_MIN digits of one that fit one image only.
 * Checks names, kinds and sizes of the parts, and in the store that the manifest hashes to the
 * directory's name; does not read the parts (image_verify does).  Returns 0 (then image_close is
 * due); -ENOENT; -EINVAL for a selector that is none; -ENOTUNIQ; -EPROTO for a broken image; or
 * another -errno.  On failure *out holds nothing.
 */
int image_resolve(const struct image_store *s, const char *selector, struct image *out, char *error,
    size_t error_size);

/* Closes descriptors and frees.  Safe on a zeroed image, and twice. */
void image_close(struct image *i);

/* Progress of work that takes a while.  Either member may be NULL. */
struct image_progress {
	/*
	 * A step began or went on: "unpacking the kernel".  total is 0 where the end is not known;
	 * else done and total are in the same unit.  Called at most some times a second for a step.
	 */
	void (*step)(void *ctx, const char *what, uint64_t done, uint64_t total);
	void *ctx;
	/* Set from a signal handler, it makes the work end soon with -EINTR and clean up. */
	const volatile int *cancel;
};

struct image_entry {
	char id[IMAGE_ID_LENGTH + 1];
	struct image_manifest manifest;
	char **tags; /* "name:tag", sorted */
	size_t n_tags;
	uint64_t disk; /* bytes that the image takes on disk */
	bool broken;   /* manifest unreadable or not the name's: only id, tags and disk are set */
};

struct image_list {
	struct image_entry *entries; /* newest first, broken ones last */
	size_t n;
};

/* All images of the store.  image_list_clear is due after success. */
int image_list_read(
    const struct image_store *s, struct image_list *out, char *error, size_t error_size);
void image_list_clear(struct image_list *list);

/*
 * Hashes every part and compares with the manifest.  Returns 0; -EBADMSG where a part differs (the
 * line names it); or another -errno.
 */
int image_verify(
    const struct image *i, const struct image_progress *progress, char *error, size_t error_size);

/*
 * Points a tag ("name" or "name:tag"; [a-z0-9][a-z0-9._-]* each) to an image of the store,
 * atomically; the tag's former image stays.
 */
int
image_tag(struct image_store *s, const char *id, const char *tag, char *error, size_t error_size);

/*
 * Removes what the selector names: a tag that is not its image's last one is just untagged;
 * otherwise the image goes, and with it that tag.  Selected by id, an image that has tags is
 * refused with -EBUSY unless force is set, which removes the tags too.  Sandboxes that run it are
 * not disturbed: they hold its parts open.
 */
int image_remove(
    struct image_store *s, const char *selector, bool force, char *error, size_t error_size);

/*
 * Copies the image in directory (manifest.json and parts) into the store, checking every hash, and
 * tags it where tag is not NULL.  Fills id.  An image that the store has already is not copied.
 */
int image_import(struct image_store *s, const char *directory, const char *tag,
    const struct image_progress *progress, char id[IMAGE_ID_LENGTH + 1], char *error,
    size_t error_size);

/* ---- The builder ---- */

struct image_build_options {
	const char *recipe; /* an installed recipe's name, or a path (it has a slash) */
	const char *tag;    /* NULL: the recipe's name */
	uint64_t size;      /* bytes of the root file system; 0: the recipe's */
	const char *guest;  /* the gondolin-guest binary; NULL: found beside the running program */
	struct image_progress progress;
	/*
	 * The whole output of every program that is run is appended to this descriptor; -1: only
	 * the last lines are kept, for the error.
	 */
	int log_fd;
};

/*
 * Builds an image, puts it into the store and tags it.  Fills id.  Needs no root where user
 * namespaces and subordinate ids are there; names the missing program and its package where one is
 * missing.  Returns -EINTR where progress.cancel was set.
 */
int image_build(struct image_store *s, const struct image_build_options *options,
    char id[IMAGE_ID_LENGTH + 1], char *error, size_t error_size);

/* ---- The command ---- */

/*
 * `gondolin image ...` (argv[0] is "image") and `gondolin build ...` (argv[0] is "build").  Writes
 * to stdout and stderr.  Returns the exit code: 0; 1 = it could not be done, with one line on
 * stderr; 2 = wrong
 * usage; 130 = interrupted.
 */
int image_cli_main(int argc, char **argv);

#endif
