/* SPDX-License-Identifier: Apache-2.0 */
/* Copy on write: names.  What the upper tree looks like is told in the header. */
#include "vfsd/provider_cow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/cow_internal.h"

/* A name that is about to be made: what was found there. */
struct slot {
	bool mark;  /* a whiteout, taken away */
	bool below; /* the lower tree has that name */
};

static struct vfs_node *
cow_root(struct vfs_provider *p)
{
	return &COW(p)->root->base;
}

/*
 * Makes the directory ready for a new name: an upper side, no whiteout in the way.  -EEXIST where
 * there is something.
 */
static int
prepare(struct cow *c, struct cow_node *dir, const char *name, struct slot *slot)
{
	struct vfs_entry e;
	int error;

	memset(slot, 0, sizeof(*slot));
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	if (strcmp(name, COW_OPAQUE_NAME) == 0)
		return -EPERM;
	error = cow_lookup(&c->base, &dir->base, name, &e);
	if (error == 0) {
		vfs_node_put(e.node);
		return -EEXIST;
	}
	if (error != -ENOENT)
		return error;
	error = cow_copy_up(c, dir, false);
	if (error != 0)
		return error;
	slot->below = cow_lower_has(c, dir, name);
	if (!slot->below)
		return 0;
	error = c->upper->ops->unlink(c->upper, dir->upper, name, false);
	slot->mark = error == 0;
	return error == -ENOENT ? 0 : error;
}

/* The new name could not be made: the lower one must not come back. */
static void
restore(struct cow *c, struct cow_node *dir, const char *name, const struct slot *slot)
{
	if (slot->mark)
		(void)cow_mark(c, dir->upper, name);
}

static int
cow_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	struct cow *c = COW(p);
	struct cow_node *d = NODE(dir);
	struct vfs_entry e;
	struct slot slot;
	int error;

	if (S_ISLNK(make->mode) && strcmp(make->target, COW_MARK) == 0)
		return -EPERM;
	error = prepare(c, d, name, &slot);
	if (error != 0)
		return error;
	error = c->upper->ops->make(c->upper, d->upper, name, make, &e);
	if (error == 0 && S_ISDIR(make->mode) && slot.below) {
		error = cow_mark(c, e.node, COW_OPAQUE_NAME);
		if (error != 0) {
			vfs_node_put(e.node);
			(void)c->upper->ops->unlink(c->upper, d->upper, name, true);
		}
	}
	if (error != 0) {
		restore(c, d, name, &slot);
		return error;
	}
	return cow_node_get(c, d, name, e.node, NULL, &e.attr, out);
}

static int
cow_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **h)
{
	struct cow *c = COW(p);
	struct cow_node *d = NODE(dir);
	struct vfs_handle *inner;
	struct vfs_entry e;
	struct slot slot;
	bool unchanged;
	int error;

	error = prepare(c, d, name, &slot);
	if (error == -EEXIST && !(flags & O_EXCL)) {
		error = cow_lookup(p, dir, name, out);
		if (error != 0)
			return error;
		if (S_ISREG(out->attr.mode))
			error = cow_open(p, out->node, flags, h, &unchanged);
		else
			error = S_ISDIR(out->attr.mode) ? -EISDIR : -EEXIST;
		if (error == 0)
			error = cow_getattr(p, out->node, *h, &out->attr);
		if (error != 0)
			vfs_node_put(out->node);
		return error;
	}
	if (error != 0)
		return error;
	error = c->upper->ops->create(c->upper, d->upper, name, make, flags | O_EXCL, &e, &inner);
	if (error != 0) {
		restore(c, d, name, &slot);
		return error;
	}
	error = cow_node_get(c, d, name, e.node, NULL, &e.attr, out);
	if (error != 0) {
		c->upper->ops->close(c->upper, inner);
		return error;
	}
	error = cow_handle_new(c, NODE(out->node), c->upper, inner, h);
	if (error != 0)
		vfs_node_put(out->node);
	return error;
}

static int
cow_tmpfile(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make, int flags,
    struct vfs_entry *out, struct vfs_handle **h)
{
	struct cow *c = COW(p);
	struct vfs_handle *inner;
	struct vfs_entry e;
	int error = cow_copy_up(c, NODE(dir), false);

	if (error == 0)
		error = c->upper->ops->tmpfile(c->upper, NODE(dir)->upper, make, flags, &e, &inner);
	if (error != 0)
		return error;
	error = cow_node_get(c, NULL, NULL, e.node, NULL, &e.attr, out);
	if (error != 0) {
		c->upper->ops->close(c->upper, inner);
		return error;
	}
	error = cow_handle_new(c, NODE(out->node), c->upper, inner, h);
	if (error != 0)
		vfs_node_put(out->node);
	return error;
}

static int
cow_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir, const char *name,
    struct vfs_entry *out)
{
	struct cow *c = COW(p);
	struct cow_node *d = NODE(dir), *n = NODE(node);
	struct vfs_entry e;
	struct slot slot;
	int error;

	if (n->type == S_IFDIR)
		return -EPERM;
	error = cow_copy_up(c, n, false);
	if (error == 0)
		error = prepare(c, d, name, &slot);
	if (error != 0)
		return error;
	error = c->upper->ops->link(c->upper, n->upper, d->upper, name, &e);
	if (error != 0) {
		restore(c, d, name, &slot);
		return error;
	}
	return cow_node_get(c, d, name, e.node, NULL, &e.attr, out);
}

/* ---- Removing ---- */

struct sweep {
	char name[VFS_NAME_MAX + 1];
	bool found;
};

static bool
take_first(void *ctx, const struct vfs_dirent *d)
{
	struct sweep *s = ctx;

	if (d->name[0] == '.' && (d->length == 1 || (d->length == 2 && d->name[1] == '.')))
		return true;
	if (s->found || d->length > VFS_NAME_MAX)
		return false;
	memcpy(s->name, d->name, d->length);
	s->name[d->length] = '\0';
	s->found = true;
	return false;
}

/* The first name of a directory of that provider. */
static int
first_name(struct vfs_provider *p, struct vfs_node *dir, struct sweep *s)
{
	struct vfs_handle *h;
	int error = p->ops->opendir(p, dir, &h);

	s->found = false;
	if (error != 0)
		return error;
	error = p->ops->readdir(p, h, 0, false, take_first, s);
	p->ops->close(p, h);
	return error;
}

static int
check_empty(struct cow *c, struct cow_node *n)
{
	struct sweep s;
	int error = first_name(&c->base, &n->base, &s);

	return error != 0 ? error : s.found ? -ENOTEMPTY : 0;
}

/* Takes the marks out of an upper directory that shows no names. */
static int
sweep_marks(struct cow *c, struct vfs_node *upper)
{
	struct sweep s;
	int error;

	for (;;) {
		error = first_name(c->upper, upper, &s);
		if (error != 0 || !s.found)
			return error;
		error = c->upper->ops->unlink(c->upper, upper, s.name, false);
		if (error != 0)
			return error;
	}
}

/* A file that goes by that name has no place any more until it is found again. */
static void
lose_place(struct cow_node *n, const struct cow_node *dir, const char *name)
{
	if (n->dir == dir && n->name != NULL && strcmp(n->name, name) == 0)
		(void)cow_node_move(n, NULL, NULL);
}

/*
 * A mark in the place of something in the upper tree, in three steps, so that a full layer says so
 * before that is gone and the lower one comes back: the mark is made aside, the name is freed, and
 * the mark, which costs no more than the name did, is moved there.  Without a lower one there is no
 * mark.  The name aside is free: a directory that has it shows nothing of the lower tree.
 */
static int
mark_begin(struct cow *c, struct cow_node *dir, const char *name, bool *marked)
{
	int error = 0;

	*marked = false;
	if (cow_lower_has(c, dir, name)) {
		error = cow_mark(c, dir->upper, COW_OPAQUE_NAME);
		*marked = error == 0;
	}
	return error;
}

/* error: what the middle step said.  Returns that, or what came of the last one. */
static int
mark_end(struct cow *c, struct cow_node *dir, const char *name, bool marked, int error)
{
	struct vfs_provider *p = c->upper;

	if (marked && error == 0)
		error = p->ops->rename(p, dir->upper, COW_OPAQUE_NAME, dir->upper, name, 0);
	if (marked && error != 0)
		(void)p->ops->unlink(p, dir->upper, COW_OPAQUE_NAME, false);
	return error;
}

/* Takes the upper side of a name away; the lower one stays hidden by a mark. */
static int
remove_upper(struct cow *c, struct cow_node *dir, const char *name, struct cow_node *n)
{
	bool directory = n->type == S_IFDIR, marked;
	int error = mark_begin(c, dir, name, &marked);

	if (error == 0 && directory)
		error = sweep_marks(c, n->upper);
	if (error == 0)
		error = c->upper->ops->unlink(c->upper, dir->upper, name, directory);
	return mark_end(c, dir, name, marked, error);
}

static int
remove_name(struct cow *c, struct cow_node *dir, const char *name, struct cow_node *n)
{
	int error = cow_copy_up(c, dir, false);

	if (error == 0)
		error = n->upper != NULL ? remove_upper(c, dir, name, n)
					 : cow_mark(c, dir->upper, name);
	if (error == 0)
		lose_place(n, dir, name);
	return error;
}

static int
cow_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory)
{
	struct cow *c = COW(p);
	struct vfs_entry e;
	int error = cow_lookup(p, dir, name, &e);

	if (error != 0)
		return error;
	if (directory != (bool)S_ISDIR(e.attr.mode))
		error = directory ? -ENOTDIR : -EISDIR;
	if (error == 0 && directory)
		error = check_empty(c, NODE(e.node));
	if (error == 0)
		error = remove_name(c, NODE(dir), name, NODE(e.node));
	vfs_node_put(e.node);
	return error;
}

/* ---- Renaming ---- */

/* Whether `n` may take the place of `over` (NULL: nothing there). */
static int
check_rename(struct cow *c, struct cow_node *n, struct cow_node *over, unsigned flags)
{
	bool directory = n->type == S_IFDIR;

	if (directory && n->lower != NULL)
		return -EXDEV;
	if (over == NULL)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (directory != (over->type == S_IFDIR))
		return directory ? -ENOTDIR : -EISDIR;
	return directory ? check_empty(c, over) : 0;
}

/* Both sides of the move are known: does it in the upper tree. */
static int
move_name(struct cow *c, struct cow_node *from, const char *old, struct cow_node *to,
    const char *new, struct cow_node *n, struct cow_node *over)
{
	bool directory = n->type == S_IFDIR, below, marked = false;
	struct slot slot = {0};
	int error;

	error = cow_copy_up(c, n, false);
	if (error == 0)
		error = cow_copy_up(c, to, false);
	if (error != 0)
		return error;
	below = cow_lower_has(c, to, new);
	/* A directory cannot take a mark's place, nor that of a directory with marks in it. */
	if (directory && over != NULL)
		error = remove_name(c, to, new, over);
	if (error == 0 && directory && below) {
		error = c->upper->ops->unlink(c->upper, to->upper, new, false);
		slot.mark = error == 0;
		error = error == -ENOENT ? 0 : error;
		if (error == 0 && !cow_is_opaque(c, n->upper))
			error = cow_mark(c, n->upper, COW_OPAQUE_NAME);
	}
	if (error == 0)
		error = mark_begin(c, from, old, &marked);
	if (error == 0)
		error = c->upper->ops->rename(c->upper, from->upper, old, to->upper, new, 0);
	error = mark_end(c, from, old, marked, error);
	if (error != 0) {
		restore(c, to, new, &slot);
		return error;
	}
	if (over != NULL)
		lose_place(over, to, new);
	(void)cow_node_move(n, to, new);
	return error;
}

/* True where dir is n or below it. */
static bool
is_below(const struct cow_node *dir, const struct cow_node *n)
{
	do {
		if (dir == n)
			return true;
		dir = dir->dir;
	} while (dir != NULL);
	return false;
}

static int
cow_rename(struct vfs_provider *p, struct vfs_node *from, const char *old, struct vfs_node *to,
    const char *new, unsigned flags)
{
	struct cow *c = COW(p);
	struct vfs_entry e, over = {.node = NULL};
	int error;

	if (flags & RENAME_EXCHANGE)
		return -EINVAL;
	if (strcmp(new, COW_OPAQUE_NAME) == 0)
		return -EPERM;
	error = cow_lookup(p, from, old, &e);
	if (error != 0)
		return error;
	error = cow_lookup(p, to, new, &over);
	if (error == -ENOENT)
		error = 0;
	if (error == 0 && is_below(NODE(to), NODE(e.node)))
		error = -EINVAL;
	/* Two names of one file: nothing is to be done. */
	if (error == 0 && e.node == over.node) {
		error = flags & RENAME_NOREPLACE ? -EEXIST : 0;
		goto out;
	}
	if (error == 0)
		error = check_rename(c, NODE(e.node), NODE(over.node), flags);
	if (error == 0)
		error = move_name(c, NODE(from), old, NODE(to), new, NODE(e.node), NODE(over.node));
out:
	vfs_node_put(e.node);
	vfs_node_put(over.node);
	return error;
}

static struct vfs_node *
cow_where(struct vfs_provider *p, struct vfs_node *node, const char **name)
{
	struct cow_node *n = NODE(node);

	(void)p;
	*name = n->name;
	return n->dir != NULL ? &n->dir->base : NULL;
}

static const void *
cow_identity(struct vfs_provider *p, const struct vfs_node *node)
{
	const struct cow_node *n = (const struct cow_node *)node;

	(void)p;
	return n->upper != NULL ? n->upper : n->lower;
}

static void
cow_free(struct vfs_provider *p)
{
	struct cow *c = COW(p);

	vfs_node_put(&c->root->base);
	c->lower->ops->free(c->lower);
	c->upper->ops->free(c->upper);
	vfs_buckets_clear(&c->nodes);
	free(c);
}

/* Nobody outside can hold a lock on these files. */
static int
cow_flock(struct vfs_provider *p, struct vfs_handle *h, int operation)
{
	(void)p;
	(void)h;
	(void)operation;
	return -EOPNOTSUPP;
}

static const struct vfs_provider_ops cow_ops = {
    .name = "cow",
    .free = cow_free,
    .root = cow_root,
    .node_free = cow_node_free,
    .lookup = cow_lookup,
    .getattr = cow_getattr,
    .setattr = cow_setattr,
    .readlink = cow_readlink,
    .make = cow_make,
    .create = cow_create,
    .tmpfile = cow_tmpfile,
    .link = cow_link,
    .unlink = cow_unlink,
    .rename = cow_rename,
    .open = cow_open,
    .close = cow_close,
    .read = cow_read,
    .write = cow_write,
    .copy = cow_copy,
    .allocate = cow_allocate,
    .seek = cow_seek,
    .flock = cow_flock,
    .sync = cow_sync,
    .opendir = cow_opendir,
    .readdir = cow_readdir,
    .statfs = cow_statfs,
    .getxattr = cow_getxattr,
    .listxattr = cow_listxattr,
    .setxattr = cow_setxattr,
    .removexattr = cow_removexattr,
    .where = cow_where,
    .identity = cow_identity,
};

int
vfs_cow_new(struct vfs_provider *lower, struct vfs_provider *upper, struct vfs_provider **out)
{
	struct cow *c = calloc(1, sizeof(*c));
	struct vfs_node *lower_root, *upper_root;
	struct vfs_entry root;
	struct vfs_attr a;
	int error;

	if (c == NULL)
		return -ENOMEM;
	c->base.ops = &cow_ops;
	cow_nodes_init(c);
	c->lower = lower;
	c->upper = upper;
	lower_root = lower->ops->root(lower);
	upper_root = upper->ops->root(upper);
	error = lower->ops->getattr(lower, lower_root, NULL, &a);
	if (error == 0) {
		vfs_node_ref(lower_root);
		vfs_node_ref(upper_root);
		error = cow_node_get(c, NULL, NULL, upper_root, lower_root, &a, &root);
	}
	if (error != 0) {
		vfs_buckets_clear(&c->nodes);
		free(c);
		return error;
	}
	c->root = NODE(root.node);
	*out = &c->base;
	return 0;
}
