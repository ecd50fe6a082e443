/* SPDX-License-Identifier: Apache-2.0 */
/* One listing out of two directories: see the header. */
#include "vfsd/merge.h"

#include <stdlib.h>

struct reading {
	struct vfs_merge *m;
	uint64_t skip; /* names before this one are passed over */
	vfs_merge_filter filter;
	void *filter_ctx;
	vfs_emit emit;
	void *ctx;
	bool full;
};

static bool
on_name(void *ctx, const struct vfs_dirent *given)
{
	struct reading *r = ctx;
	struct vfs_merge *m = r->m;
	struct vfs_dirent d = *given;
	bool keep =
	    vfs_is_dots(d.name, d.length) ? m->phase == 0 : r->filter(r->filter_ctx, m->phase, &d);

	d.cookie = m->count + 1;
	if (keep && m->count >= r->skip && !r->emit(r->ctx, &d)) {
		vfs_node_put(d.entry.node);
		r->full = true;
		return false;
	}
	if (!keep || m->count < r->skip)
		vfs_node_put(d.entry.node);
	m->count += keep;
	m->cookie[m->phase] = given->cookie;
	if (keep && m->recent != NULL)
		m->recent[m->count % VFS_MERGE_RECENT] = given->cookie;
	return true;
}

/* Goes to the place behind a name that was given a short while ago.  False: too long ago. */
static bool
go_back(struct vfs_merge *m, uint64_t cookie)
{
	if (m->recent == NULL || cookie == 0 || cookie > m->count ||
	    m->count - cookie >= VFS_MERGE_RECENT)
		return false;
	m->phase = m->phase > 0 && cookie > m->second;
	m->cookie[m->phase] = m->recent[cookie % VFS_MERGE_RECENT];
	if (m->phase == 0)
		m->cookie[1] = 0;
	m->count = cookie;
	return true;
}

int
vfs_merge_read(struct vfs_merge *m, uint64_t cookie, vfs_merge_filter filter, void *filter_ctx,
    vfs_emit emit, void *ctx)
{
	struct reading r = {.m = m,
	    .skip = cookie,
	    .filter = filter,
	    .filter_ctx = filter_ctx,
	    .emit = emit,
	    .ctx = ctx};
	int error = 0;

	/* Without memory for it every way back is the long one. */
	if (m->recent == NULL)
		m->recent = calloc(VFS_MERGE_RECENT, sizeof(*m->recent));
	if (cookie != m->count && !go_back(m, cookie)) {
		m->count = m->cookie[0] = m->cookie[1] = 0;
		m->phase = 0;
	}
	for (; m->phase < 2 && error == 0; m->phase++) {
		struct vfs_provider *p = m->part[m->phase];
		struct vfs_handle *h = m->handle[m->phase];

		if (m->phase == 1 && m->cookie[1] == 0)
			m->second = m->count;
		if (h != NULL)
			error = p->ops->readdir(p, h, m->cookie[m->phase], false, on_name, &r);
		if (r.full || error != 0)
			break;
	}
	return error;
}

void
vfs_merge_close(struct vfs_merge *m)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (m->handle[i] != NULL)
			m->part[i]->ops->close(m->part[i], m->handle[i]);
		m->handle[i] = NULL;
	}
	free(m->recent);
	m->recent = NULL;
}
