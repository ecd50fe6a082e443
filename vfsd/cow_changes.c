/* SPDX-License-Identifier: Apache-2.0 */
/* What the upper tree holds, compared with the lower one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/cow_internal.h"

#define PATH_BYTES 65536u
#define DEPTH_MAX  1024u /* the guest chose the tree's depth, and this is a recursion */

struct walk {
	struct cow *c;
	int (*each)(
	    void *ctx, enum vfs_cow_kind kind, const char *path, const struct vfs_attr *attr);
	void *ctx;
	char *path; /* PATH_BYTES */
	size_t length;
	unsigned depth;
};

/* A directory's names, to be worked on when its listing is closed. */
struct names {
	char *bytes; /* each with its NUL */
	size_t used, size;
	bool failed;
};

static bool
collect(void *ctx, const struct vfs_dirent *d)
{
	struct names *n = ctx;
	char *bytes;

	if (d->name[0] == '.' && (d->length == 1 || (d->length == 2 && d->name[1] == '.')))
		return true;
	if (n->used + d->length + 1 > n->size) {
		bytes = realloc(n->bytes, (n->size + d->length + 1) * 2);
		if (bytes == NULL) {
			n->failed = true;
			return false;
		}
		n->bytes = bytes;
		n->size = (n->size + d->length + 1) * 2;
	}
	memcpy(n->bytes + n->used, d->name, d->length);
	n->bytes[n->used + d->length] = '\0';
	n->used += d->length + 1;
	return true;
}

static int
read_names(struct vfs_provider *p, struct vfs_node *dir, struct names *n)
{
	struct vfs_handle *h;
	int error = p->ops->opendir(p, dir, &h);

	memset(n, 0, sizeof(*n));
	if (error != 0)
		return error;
	error = p->ops->readdir(p, h, 0, false, collect, n);
	p->ops->close(p, h);
	return error == 0 && n->failed ? -ENOMEM : error;
}

static int walk_dir(struct walk *w, struct vfs_node *upper, struct vfs_node *lower);

static enum vfs_cow_kind
kind_of(struct walk *w, const struct vfs_entry *upper, const struct vfs_entry *lower)
{
	if (cow_is_mark(w->c, upper))
		return COW_DELETED;
	if (lower->node == NULL)
		return COW_ADDED;
	if ((upper->attr.mode & S_IFMT) != (lower->attr.mode & S_IFMT))
		return COW_REPLACED;
	return S_ISDIR(upper->attr.mode) && cow_is_opaque(w->c, upper->node) ? COW_REPLACED
									     : COW_CHANGED;
}

/* One name of an upper directory, and what is below it. */
static int
walk_name(struct walk *w, struct vfs_node *upper, struct vfs_node *lower, const char *name)
{
	struct vfs_entry up, low = {.node = NULL};
	size_t length = w->length;
	enum vfs_cow_kind kind;
	int error;

	if (strcmp(name, COW_OPAQUE_NAME) == 0)
		return 0;
	if (length + strlen(name) + 2 > PATH_BYTES)
		return -ENAMETOOLONG;
	error = w->c->upper->ops->lookup(w->c->upper, upper, name, &up);
	if (error != 0)
		return error;
	if (lower != NULL && w->c->lower->ops->lookup(w->c->lower, lower, name, &low) != 0)
		low.node = NULL;
	if (length > 0)
		w->path[w->length++] = '/';
	memcpy(w->path + w->length, name, strlen(name) + 1);
	w->length += strlen(name);
	kind = kind_of(w, &up, &low);
	error = w->each(w->ctx, kind, w->path, &up.attr);
	if (error == 0 && S_ISDIR(up.attr.mode))
		error = walk_dir(w, up.node, kind == COW_CHANGED ? low.node : NULL);
	w->length = length;
	w->path[length] = '\0';
	vfs_node_put(up.node);
	vfs_node_put(low.node);
	return error;
}

static int
walk_dir(struct walk *w, struct vfs_node *upper, struct vfs_node *lower)
{
	struct names n;
	size_t at;
	int error;

	if (w->depth == DEPTH_MAX)
		return -ELOOP;
	w->depth++;
	error = read_names(w->c->upper, upper, &n);
	for (at = 0; at < n.used && error == 0; at += strlen(n.bytes + at) + 1)
		error = walk_name(w, upper, lower, n.bytes + at);
	free(n.bytes);
	w->depth--;
	return error;
}

int
vfs_cow_changes(struct vfs_provider *p,
    int (*each)(void *ctx, enum vfs_cow_kind kind, const char *path, const struct vfs_attr *attr),
    void *ctx)
{
	struct cow *c = COW(p);
	struct walk w = {.c = c, .each = each, .ctx = ctx, .path = malloc(PATH_BYTES)};
	int error;

	if (w.path == NULL)
		return -ENOMEM;
	w.path[0] = '\0';
	error = walk_dir(&w, c->root->upper, c->root->opaque ? NULL : c->root->lower);
	free(w.path);
	return error;
}
