/* SPDX-License-Identifier: Apache-2.0 */
/* Files met under hidden names: see the header. */
#include "vfsd/hide_files.h"

#include <stdlib.h>

struct met {
	struct vfs_link node_link, file_link;
	struct vfs_node *node;
	const void *file;
};

#define BY_NODE(l) VFS_LINKED(l, struct met, node_link)
#define BY_FILE(l) VFS_LINKED(l, struct met, file_link)

static uint32_t
hash_of_node(const struct vfs_link *link)
{
	return vfs_hash((uintptr_t)BY_NODE(link)->node);
}

static uint32_t
hash_of_file(const struct vfs_link *link)
{
	return vfs_hash((uintptr_t)BY_FILE(link)->file);
}

void
hide_files_init(struct hide_files *f)
{
	vfs_buckets_init(&f->by_node, hash_of_node);
	vfs_buckets_init(&f->by_file, hash_of_file);
}

static void
drop(void *ctx, struct vfs_link *link)
{
	struct hide_files *f = ctx;
	struct met *m = BY_NODE(link);

	vfs_buckets_remove(&f->by_node, &m->node_link);
	vfs_buckets_remove(&f->by_file, &m->file_link);
	vfs_node_put(m->node);
	free(m);
}

void
hide_files_clear(struct hide_files *f)
{
	vfs_buckets_drain(&f->by_node, drop, f);
	vfs_buckets_clear(&f->by_node);
	vfs_buckets_clear(&f->by_file);
}

void
hide_files_add(struct hide_files *f, struct vfs_node *node, const void *file, uint32_t max)
{
	struct met *m = NULL;

	if (f->by_node.used < max && !hide_files_has_node(f, node) &&
	    vfs_buckets_reserve(&f->by_node) && vfs_buckets_reserve(&f->by_file))
		m = calloc(1, sizeof(*m));
	if (m == NULL) {
		vfs_node_put(node);
		return;
	}
	m->node = node;
	m->file = file;
	vfs_buckets_add(&f->by_node, &m->node_link);
	vfs_buckets_add(&f->by_file, &m->file_link);
}

bool
hide_files_has_node(const struct hide_files *f, const struct vfs_node *node)
{
	struct vfs_link *link = vfs_buckets_first(&f->by_node, vfs_hash((uintptr_t)node));

	while (link != NULL && BY_NODE(link)->node != node)
		link = link->next;
	return link != NULL;
}

bool
hide_files_has_file(const struct hide_files *f, const void *file)
{
	struct vfs_link *link = vfs_buckets_first(&f->by_file, vfs_hash((uintptr_t)file));

	while (link != NULL && BY_FILE(link)->file != file)
		link = link->next;
	return link != NULL;
}
