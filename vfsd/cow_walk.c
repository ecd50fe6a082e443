/* SPDX-License-Identifier: Apache-2.0 */
/* Every name that the upper tree holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/cow_internal.h"

#define PATH_BYTES 65536u

struct walk {
	struct vfs_provider *p; /* the upper tree */
	int (*each)(void *ctx, const char *path, const struct vfs_entry *e);
	void *ctx;
	char *path; /* PATH_BYTES */
	size_t length;
	unsigned depth; /* that is left: the guest chose the tree's, and this is a recursion */
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

static int walk_dir(struct walk *w, struct vfs_node *dir);

/* One name, and what is below it. */
static int
walk_name(struct walk *w, struct vfs_node *dir, const char *name)
{
	struct vfs_entry e;
	size_t length = w->length, n = strlen(name);
	int error;

	if (length + n + 2 > PATH_BYTES)
		return -ENAMETOOLONG;
	error = w->p->ops->lookup(w->p, dir, name, &e);
	if (error != 0)
		return error;
	if (length > 0)
		w->path[w->length++] = '/';
	memcpy(w->path + w->length, name, n + 1);
	w->length += n;
	error = w->each(w->ctx, w->path, &e);
	if (error == 0 && S_ISDIR(e.attr.mode))
		error = walk_dir(w, e.node);
	w->length = length;
	w->path[length] = '\0';
	vfs_node_put(e.node);
	return error;
}

static int
walk_dir(struct walk *w, struct vfs_node *dir)
{
	struct names n;
	size_t at;
	int error;

	if (w->depth == 0)
		return -ELOOP;
	w->depth--;
	error = read_names(w->p, dir, &n);
	for (at = 0; at < n.used && error == 0; at += strlen(n.bytes + at) + 1)
		error = walk_name(w, dir, n.bytes + at);
	free(n.bytes);
	w->depth++;
	return error;
}

int
vfs_cow_walk(struct vfs_provider *p, unsigned depth,
    int (*each)(void *ctx, const char *path, const struct vfs_entry *e), void *ctx)
{
	struct cow *c = COW(p);
	struct walk w = {.p = c->upper, .each = each, .ctx = ctx, .depth = depth};
	int error;

	w.path = calloc(1, PATH_BYTES);
	if (w.path == NULL)
		return -ENOMEM;
	error = walk_dir(&w, c->root->upper);
	free(w.path);
	return error;
}
