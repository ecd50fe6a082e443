/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes with two sides: identity, marks, finding names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/cow_internal.h"

#define LINKED(l) VFS_LINKED(l, struct cow_node, link)
#define UPPER_INO (1ull << 62) /* keeps the numbers of both trees apart */

static struct vfs_node *
key_of(const struct cow_node *n)
{
	return n->upper != NULL ? n->upper : n->lower;
}

static uint32_t
hash_of(const struct vfs_link *link)
{
	return vfs_hash((uintptr_t)key_of(LINKED(link)));
}

void
cow_nodes_init(struct cow *c)
{
	vfs_buckets_init(&c->nodes, hash_of);
}

static bool
is_at(const struct cow_node *n, const struct cow_node *dir, const char *name)
{
	return n->dir == dir && n->name != NULL && name != NULL && strcmp(n->name, name) == 0;
}

int
cow_node_move(struct cow_node *n, struct cow_node *dir, const char *name)
{
	struct cow_node *old = n->dir, *above;
	char *copy;

	if (is_at(n, dir, name))
		return 0;
	for (above = dir; above != NULL; above = above->dir) {
		if (above == n)
			return -ESTALE;
	}
	copy = name != NULL ? strdup(name) : NULL;
	if (name != NULL && copy == NULL)
		return -ENOMEM;
	free(n->name);
	n->name = copy;
	n->dir = dir;
	if (dir != NULL)
		vfs_node_ref(&dir->base);
	if (old != NULL)
		vfs_node_put(&old->base);
	return 0;
}

void
cow_attr(const struct cow_node *n, struct vfs_attr *a)
{
	a->ino = n->ino;
	/* Nobody counts the subdirectories of both sides: 1 says so. */
	if (S_ISDIR(a->mode) && n->upper != NULL && n->lower != NULL)
		a->nlink = 1;
	/* Removed while it is open: the lower one has a name that the guest does not. */
	if (!S_ISDIR(a->mode) && n->upper == NULL && n->dir == NULL && a->nlink > 0)
		a->nlink--;
}

static struct cow_node *
node_new(struct cow *c, struct vfs_node *upper, struct vfs_node *lower, const struct vfs_attr *attr)
{
	struct cow_node *n;

	if (!vfs_buckets_reserve(&c->nodes))
		return NULL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->base.provider = &c->base;
	n->base.refs = 1;
	n->upper = upper;
	n->lower = lower;
	n->type = attr->mode & S_IFMT;
	n->ino = upper != NULL ? attr->ino ^ UPPER_INO : attr->ino;
	n->opaque = upper != NULL && lower != NULL && cow_is_opaque(c, upper);
	vfs_buckets_add(&c->nodes, &n->link);
	return n;
}

/*
 * A known node by the side that stands for it, the one at that place before any other; by_name: no
 * other.
 */
static struct cow_node *
find(const struct cow *c, const struct vfs_node *key, const struct cow_node *dir, const char *name,
    bool by_name)
{
	struct vfs_link *link = vfs_buckets_first(&c->nodes, vfs_hash((uintptr_t)key));
	struct cow_node *found = NULL;

	for (; link != NULL; link = link->next) {
		if (key_of(LINKED(link)) != key)
			continue;
		if (is_at(LINKED(link), dir, name))
			return LINKED(link);
		found = LINKED(link);
	}
	return by_name ? NULL : found;
}

int
cow_node_get(struct cow *c, struct cow_node *dir, const char *name, struct vfs_node *upper,
    struct vfs_node *lower, const struct vfs_attr *attr, struct vfs_entry *out)
{
	/*
	 * Names of one lower file are nodes of their own: the change that parts them has to go to
	 * the name that the guest made it by, and a request says the node alone.
	 */
	const bool by_name = upper == NULL && !S_ISDIR(attr->mode) && attr->nlink > 1;
	struct cow_node *n = find(c, upper != NULL ? upper : lower, dir, name, by_name);
	int error = 0;

	if (n != NULL) {
		vfs_node_ref(&n->base);
		vfs_node_put(upper);
		vfs_node_put(lower);
	} else {
		n = node_new(c, upper, lower, attr);
		if (n == NULL) {
			vfs_node_put(upper);
			vfs_node_put(lower);
			return -ENOMEM;
		}
	}
	if (n != c->root && name != NULL)
		error = cow_node_move(n, dir, name);
	if (error != 0) {
		vfs_node_put(&n->base);
		return error;
	}
	out->attr = *attr;
	out->node = &n->base;
	cow_attr(n, &out->attr);
	return 0;
}

void
cow_node_free(struct vfs_provider *p, struct vfs_node *node)
{
	struct cow *c = COW(p);
	struct cow_node *n = NODE(node), *dir;

	while (n != NULL) {
		vfs_buckets_remove(&c->nodes, &n->link);
		vfs_node_put(n->upper);
		vfs_node_put(n->lower);
		dir = n->dir;
		free(n->name);
		free(n);
		n = dir != NULL && --dir->base.refs == 0 ? dir : NULL;
	}
}

void
cow_node_raise(struct cow *c, struct cow_node *n, struct vfs_node *upper)
{
	vfs_buckets_remove(&c->nodes, &n->link);
	n->upper = upper;
	vfs_buckets_add(&c->nodes, &n->link);
	/* Only a directory goes on having both sides. */
	if (n->type != S_IFDIR) {
		vfs_node_put(n->lower);
		n->lower = NULL;
	}
}

bool
cow_is_mark(struct cow *c, const struct vfs_entry *e)
{
	char target[sizeof(COW_MARK)];

	return S_ISLNK(e->attr.mode) && e->attr.size == strlen(COW_MARK) &&
	       c->upper->ops->readlink(c->upper, e->node, target, sizeof(target)) ==
		   (ssize_t)strlen(COW_MARK) &&
	       memcmp(target, COW_MARK, strlen(COW_MARK)) == 0;
}

bool
cow_is_opaque(struct cow *c, struct vfs_node *upper)
{
	struct vfs_entry e;
	bool mark;

	if (c->upper->ops->lookup(c->upper, upper, COW_OPAQUE_NAME, &e) != 0)
		return false;
	mark = cow_is_mark(c, &e);
	vfs_node_put(e.node);
	return mark;
}

int
cow_mark(struct cow *c, struct vfs_node *upper_dir, const char *name)
{
	struct vfs_make make = {.mode = S_IFLNK | 0777, .target = COW_MARK};
	struct vfs_entry e;
	int error = c->upper->ops->make(c->upper, upper_dir, name, &make, &e);

	if (error == 0)
		vfs_node_put(e.node);
	return error;
}

bool
cow_lower_has(struct cow *c, const struct cow_node *dir, const char *name)
{
	struct vfs_entry e;

	if (dir->lower == NULL || dir->opaque ||
	    c->lower->ops->lookup(c->lower, dir->lower, name, &e) != 0)
		return false;
	vfs_node_put(e.node);
	return true;
}

/* The lower side of a name whose upper side is a directory, if that is one too. */
static struct vfs_node *
lower_dir(struct cow *c, const struct cow_node *dir, const char *name)
{
	struct vfs_entry e;

	if (dir->lower == NULL || dir->opaque ||
	    c->lower->ops->lookup(c->lower, dir->lower, name, &e) != 0)
		return NULL;
	if (S_ISDIR(e.attr.mode))
		return e.node;
	vfs_node_put(e.node);
	return NULL;
}

int
cow_lookup(struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out)
{
	struct cow *c = COW(p);
	struct cow_node *d = NODE(dir);
	struct vfs_node *lower = NULL;
	struct vfs_entry e;
	int error = -ENOENT;

	if (d->type != S_IFDIR)
		return -ENOTDIR;
	if (strcmp(name, COW_OPAQUE_NAME) == 0)
		return -ENOENT;
	if (d->upper != NULL)
		error = c->upper->ops->lookup(c->upper, d->upper, name, &e);
	if (error == 0) {
		if (cow_is_mark(c, &e)) {
			vfs_node_put(e.node);
			return -ENOENT;
		}
		if (S_ISDIR(e.attr.mode))
			lower = lower_dir(c, d, name);
		return cow_node_get(c, d, name, e.node, lower, &e.attr, out);
	}
	if (error != -ENOENT || d->lower == NULL || d->opaque)
		return error;
	error = c->lower->ops->lookup(c->lower, d->lower, name, &e);
	return error != 0 ? error : cow_node_get(c, d, name, NULL, e.node, &e.attr, out);
}
