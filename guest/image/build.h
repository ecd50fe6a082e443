/* SPDX-License-Identifier: Apache-2.0 */
/* One build: what its steps share. */
#ifndef GONDOLIN_GUEST_IMAGE_BUILD_H
#define GONDOLIN_GUEST_IMAGE_BUILD_H

#include "guest/image/private.h"
#include "guest/image/program.h"
#include "guest/image/recipe.h"

/* What depends on the machine's architecture. */
struct platform {
	const char *machine;        /* uname -m */
	const char *kernel_package; /* the package that depends on the current kernel */
};

struct build {
	const struct image_build_options *options;
	const struct platform *platform;
	struct recipe recipe;
	struct image_staging staging;
	struct program_runner runner;
	struct image_manifest manifest;
	char *work;       /* staging/work, absolute: gone before the commit */
	char *debs;       /* work/debs: downloaded packages */
	char *kernel;     /* work/kernel: the kernel package, unpacked */
	char *tree;       /* work/tree: the root file system */
	char *modules;    /* the kernel's module directory; set by kernel_unpack */
	bool subordinate; /* the tree has files of others than root */
	char *error;
	size_t error_size;
};

/* Remembers a package for the manifest. */
void build_add_package(struct build *b, const char *name, const char *version);

/* ---- kernel.c ---- */

/*
 * Downloads the kernel's package, and `extra` where it is not NULL, with the host's apt and its
 * sources.  A private copy of the package lists is fetched where the host's are missing or old.
 */
int kernel_fetch(struct build *b, const char *extra);

/* Unpacks what was downloaded as NAME_*.deb into the directory `into`. */
int kernel_unpack_package(struct build *b, const char *name, const char *into);

/* Unpacks the kernel: sets b->modules, the release and the runner's epoch. */
int kernel_unpack(struct build *b);

/*
 * Writes the part `kernel`.  An x86 bzImage is unpacked to the ELF image inside where that can be
 * started by PVH: QEMU then starts it directly, which saves the guest its own decompression and
 * relocation (a fifth of the boot under emulation).
 */
int kernel_write(struct build *b);

/*
 * The payload of a bzImage (Linux, Documentation/x86/boot.rst: payload_offset, payload_length) and
 * the program that decompresses it.  Returns 0; -ENOENT where the bytes are none that we know.
 */
int kernel_payload(
    const uint8_t *image, size_t n, size_t *offset, size_t *length, const char **program);

/* True where an ELF64 image has the note that PVH starts by (XEN_ELFNOTE_PHYS32_ENTRY). */
bool kernel_has_pvh(const uint8_t *elf, size_t n);

/* ---- initramfs.c ---- */

/* Reads the gondolin-guest that the options name, or that is beside the program; the caller frees.
 */
int initramfs_read_guest(struct build *b, char **bytes, size_t *n);

/* Writes the part `initramfs`: gondolin-guest as /init, and the modules in load order. */
int initramfs_write(struct build *b);

/*
 * The value of `key` ("depends=") in a kernel module's .modinfo section, inside bytes; NULL where
 * the ELF64 file has none.
 */
const char *initramfs_modinfo(const uint8_t *bytes, size_t n, const char *key);

/* ---- rootfs.c ---- */

/* Checks early that what is needed for the recipe is here, so that no download is in vain. */
int rootfs_check(struct build *b);

/* Makes b->tree, from busybox or by mmdebstrap, with the recipe's files and commands. */
int rootfs_make_tree(struct build *b);

/* Writes the part `rootfs` from the tree. */
int rootfs_write(struct build *b);

#endif
