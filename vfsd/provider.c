/* SPDX-License-Identifier: Apache-2.0 */
/* What every provider shares. */
#include "vfsd/provider.h"

#include <string.h>

/* Puts a component before what is written already; *start moves down.  False where it is full. */
static bool
prepend(char *out, size_t *start, const char *name, bool slash)
{
	size_t length = strlen(name), need = length + (slash ? 1 : 0);

	if (*start < need)
		return false;
	*start -= need;
	memcpy(out + *start, name, length);
	if (slash)
		out[*start + length] = '/';
	return true;
}

void
vfs_node_path(
    struct vfs_provider *p, struct vfs_node *node, const char *name, char *out, size_t size)
{
	struct vfs_node *root = p->ops->root(p);
	size_t start = size - 1;
	bool any = name != NULL;

	out[start] = '\0';
	if (name != NULL && !prepend(out, &start, name, false))
		goto out;
	while (node != NULL && node != root) {
		struct vfs_node *dir = p->ops->where(p, node, &name);

		if (!prepend(out, &start, dir != NULL ? name : "?", any))
			break;
		any = true;
		node = dir;
	}
out:
	memmove(out, out + start, size - start);
}

struct listed {
	const char *name;
	size_t length;
	bool found;
};

static bool
compare(void *ctx, const struct vfs_dirent *d)
{
	struct listed *l = ctx;

	l->found = d->length == l->length && memcmp(d->name, l->name, d->length) == 0;
	return !l->found;
}

bool
vfs_lists(struct vfs_provider *p, struct vfs_node *dir, const char *name)
{
	struct listed l = {.name = name, .length = strlen(name)};
	struct vfs_handle *h;

	if (p->ops->opendir(p, dir, &h) != 0)
		return false;
	(void)p->ops->readdir(p, h, 0, false, compare, &l);
	p->ops->close(p, h);
	return l.found;
}
