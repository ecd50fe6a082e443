/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recipes: what an image is made of.  A recipe is the user's own file (it may run shell commands),
 * so this reader is strict for the sake of good errors, not against attack.
 *
 *	base     = busybox | debian
 *	size     = "2G"			the root file system's
 *	packages = {"git", ...}		base = debian only
 *	modules  = {"virtio_pci", ...}	kernel modules to load at start, besides the usual ones
 *	cmdline  = "..."		appended to the kernel's command line
 *	file "/etc/motd" { source = "motd"  mode = "0644" }	source: relative to the recipe
 *	run      = {'shell command', ...}	in the tree, as root, after all else
 *
 * libConfuse replaces ${NAME} inside double quotes by the environment's value; single quotes keep
 * the text as it is.
 */
#ifndef GONDOLIN_GUEST_IMAGE_RECIPE_H
#define GONDOLIN_GUEST_IMAGE_RECIPE_H

#include <stddef.h>
#include <stdint.h>

#include "guest/image/image.h"

enum recipe_base {
	RECIPE_BUSYBOX,
	RECIPE_DEBIAN,
};

struct recipe_file {
	char *target; /* absolute, in the image */
	char *source; /* a path on the host */
	unsigned mode;
};

struct recipe {
	char name[IMAGE_NAME_MAX + 1];
	enum recipe_base base;
	uint64_t size; /* bytes */
	char *cmdline;
	char **packages, **modules, **run; /* each ends with NULL; never NULL itself */
	struct recipe_file *files;
	size_t n_files;
};

/*
 * Reads the recipe of that name from the recipes' directory ($GONDOLIN_RECIPE_DIR, else
 * share/gondolin/recipes beside the running program's directory, else the installed one), or with a
 * slash in it, the file.  Returns 0 (then recipe_clear is due) or -errno with file, line and reason
 * in error.
 */
int recipe_read(struct recipe *r, const char *name, char *error, size_t error_size);
void recipe_clear(struct recipe *r);

/*
 * A size in bytes: digits and K, M, G or T (powers of 1024), from 16M to 1T.  Returns 0 or -EINVAL.
 */
int recipe_size(const char *text, uint64_t *bytes);

/*
 * The directory of the running program and a relative path below it, where that exists, else
 * fallback.  The caller frees.
 */
char *recipe_beside_program(const char *relative, const char *fallback);

#endif
