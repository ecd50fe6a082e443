/* SPDX-License-Identifier: Apache-2.0 */
/* One mount: providers and layers put together as the configuration wants them, and their server.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/message.h"
#include "vfsd/layer_hide.h"
#include "vfsd/layer_readonly.h"
#include "vfsd/provider_cow.h"
#include "vfsd/provider_host.h"
#include "vfsd/provider_memory.h"
#include "vfsd/vfsd.h"

#define ROOT_MODE 0755u

static Gondolin__VfsdMount *
copy_of(const Gondolin__VfsdMount *wish)
{
	size_t size = gondolin__vfsd_mount__get_packed_size(wish);
	uint8_t *bytes = malloc(size + 1);
	Gondolin__VfsdMount *copy;

	if (bytes == NULL)
		abort();
	gondolin__vfsd_mount__pack(wish, bytes);
	copy = gondolin__vfsd_mount__unpack(NULL, size, bytes);
	free(bytes);
	if (copy == NULL)
		abort();
	return copy;
}

int
mount_add(struct vfsd *v, const Gondolin__VfsdMount *wish, int dir)
{
	struct mount *m = &v->mounts[v->n_mounts];
	bool in_memory = wish->provider == GONDOLIN__VFSD_MOUNT__PROVIDER__MEMORY;
	size_t i;

	if (v->n_mounts == MOUNT_MAX || in_memory != (dir < 0) || wish->path.len == 0 ||
	    wish->path.len >= MOUNT_PATH_MAX ||
	    wish->provider == GONDOLIN__VFSD_MOUNT__PROVIDER__UNSPECIFIED) {
		if (dir >= 0)
			close(dir);
		return -EPROTO;
	}
	*m = (struct mount){.vfsd = v, .id = v->n_mounts++, .dir = dir};
	m->wish = copy_of(wish);
	m->path = ipc_string(&m->wish->path);
	m->hide = calloc(m->wish->n_hide + 1, sizeof(m->hide[0]));
	if (m->hide == NULL)
		abort();
	for (i = 0; i < m->wish->n_hide; i++)
		m->hide[i] = ipc_string(&m->wish->hide[i]);
	return 0;
}

static void
on_record(void *ctx, const struct vfs_record *r)
{
	struct mount *m = ctx;

	report_record(m->vfsd, m, r);
}

static void
on_hidden(void *ctx, struct vfs_node *dir, const char *name)
{
	struct mount *m = ctx;
	char path[VFS_RECORD_PATH];
	const struct vfs_record r = {
	    .operation = "hidden", .path = path, .result = -ENOENT, .denied = true};

	vfs_node_path(m->base, dir, name, path, sizeof(path));
	report_record(m->vfsd, m, &r);
}

static int
open_memory(const struct mount *m, uint32_t uid, uint32_t gid, struct vfs_provider **out)
{
	const struct vfs_memory_config config = {.bytes = m->wish->memory,
	    .inodes = m->wish->max_inodes,
	    .uid = uid,
	    .gid = gid,
	    .mode = ROOT_MODE};

	return vfs_memory_new(&config, out);
}

static int
open_host(const struct mount *m, uint32_t uid, uint32_t gid, struct vfs_provider **out)
{
	const bool keep = m->wish->keep_owners;
	const struct vfs_host_config config = {.root = m->dir,
	    .squash = !keep,
	    .uid = keep ? m->wish->uid : uid,
	    .gid = keep ? m->wish->gid : gid,
	    .bytes = m->wish->max_bytes,
	    .inodes = m->wish->max_inodes};

	return vfs_host_new(&config, out);
}

static int
add_cow(struct mount *m, uint32_t uid, uint32_t gid)
{
	struct vfs_provider *upper;
	int error = open_memory(m, uid, gid, &upper);

	if (error != 0)
		return error;
	error = vfs_cow_new(m->top, upper, &m->top);
	if (error != 0)
		upper->ops->free(upper);
	else
		m->base = m->cow = m->top;
	return error;
}

static int
add_layers(struct mount *m, uint32_t uid, uint32_t gid)
{
	const struct vfs_hide_config hide = {.patterns = m->hide,
	    .n_patterns = m->wish->n_hide,
	    .scratch = m->wish->scratch,
	    .uid = uid,
	    .gid = gid,
	    .denied = m->wish->scratch > 0 ? NULL : on_hidden,
	    .ctx = m};
	int error = 0;

	if (m->wish->provider == GONDOLIN__VFSD_MOUNT__PROVIDER__COW)
		error = add_cow(m, uid, gid);
	if (error == 0 && m->wish->n_hide > 0)
		error = vfs_hide_new(&hide, m->top, &m->top);
	if (error == 0 && m->wish->read_only)
		error = vfs_readonly_new(m->top, &m->top);
	return error;
}

int
mount_open(struct mount *m, uint32_t uid, uint32_t gid)
{
	struct vfs_server_config config = {
	    .transport = m->device != NULL ? &m->device->transport : &m->transport.base,
	    .limits = {.handles = m->wish->max_open,
		.locks = m->wish->max_requests,
		.background = m->wish->max_requests},
	    .fresh_ms = VFS_FRESH_MS_DEFAULT,
	    .local_locks = m->device != NULL,
	    .trace = m->wish->trace,
	    .record = on_record,
	    .ctx = m};
	int error;

	port_transport_init(&m->transport, m->vfsd, m->id);
	error = m->dir < 0 ? open_memory(m, uid, gid, &m->top) : open_host(m, uid, gid, &m->top);
	m->base = m->top;
	if (error == 0)
		error = add_layers(m, uid, gid);
	config.provider = m->top;
	if (error == 0)
		error = vfs_server_new(&config, &m->server);
	if (error != 0)
		mount_close(m);
	return error;
}

void
mount_close(struct mount *m)
{
	vfs_server_free(m->server);
	if (m->top != NULL)
		m->top->ops->free(m->top);
	m->server = NULL;
	m->top = m->base = m->cow = NULL;
}
