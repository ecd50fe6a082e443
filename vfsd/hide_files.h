/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were met under hidden names, with a reference to their nodes.
 *
 * A provider may have several nodes for one file: names are judged by the file's identity
 * (provider.h), what the guest knows already by the node.
 */
#ifndef GONDOLIN_VFSD_HIDE_FILES_H
#define GONDOLIN_VFSD_HIDE_FILES_H

#include "vfsd/buckets.h"
#include "vfsd/provider.h"

struct hide_files {
	struct vfs_buckets by_node, by_file;
};

void hide_files_init(struct hide_files *f);

/* Gives all references back. */
void hide_files_clear(struct hide_files *f);

/* Takes the node's reference.  One that is there, is past `max` or finds no memory is left out. */
void hide_files_add(struct hide_files *f, struct vfs_node *node, const void *file, uint32_t max);

static inline bool
hide_files_empty(const struct hide_files *f)
{
	return f->by_node.used == 0;
}

bool hide_files_has_node(const struct hide_files *f, const struct vfs_node *node);
bool hide_files_has_file(const struct hide_files *f, const void *file);

#endif
