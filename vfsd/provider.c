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
