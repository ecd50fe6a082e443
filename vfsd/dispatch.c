/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what may arrive from the supervisor: decode and check only. */
#include <errno.h>
#include <string.h>

#include "vfsd/vfsd.h"

static int
on_mount(void *ctx, const void *body, int *fds, size_t n_fds)
{
	int dir = n_fds > 0 ? fds[0] : -1;

	if (n_fds > 0)
		fds[0] = -1;
	return mount_add(ctx, body, dir);
}

static int
on_confine(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vfsd *v = ctx;
	const Gondolin__VfsdConfine *m = body;

	(void)fds;
	(void)n_fds;
	if (v->n_mounts == 0 || m->user.len >= sizeof(v->user))
		return -EPROTO;
	if (m->user.len > 0)
		memcpy(v->user, m->user.data, m->user.len);
	v->by_devices = m->by_devices;
	v->confined = true;
	return 0;
}

static int
on_port(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vfsd *v = ctx;

	(void)body;
	(void)n_fds;
	port_open(v, fds[0]);
	fds[0] = -1;
	return 0;
}

static int
on_device(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vfsd *v = ctx;
	const Gondolin__VfsdDevice *m = body;
	int fd = fds[0];

	(void)n_fds;
	if (!v->by_devices)
		return -EPROTO;
	fds[0] = -1;
	return virtiofs_open(v, m->mount, fd);
}

static int
on_serve_changes(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vfsd *v = ctx;

	(void)body;
	(void)n_fds;
	if (v->changes.listening >= 0)
		return -EPROTO;
	changes_listen(v, fds[0]);
	fds[0] = -1;
	return 0;
}

static const struct ipc_row rows[] = {
    {GONDOLIN__SUP_TO_VFSD__BODY_MOUNT, "mount", SUPERVISOR_SETUP, 0, 1, on_mount},
    {GONDOLIN__SUP_TO_VFSD__BODY_CONFINE, "confine", SUPERVISOR_SETUP, 0, 0, on_confine},
    {GONDOLIN__SUP_TO_VFSD__BODY_PORT, "port", SUPERVISOR_SERVE, 1, 1, on_port},
    {GONDOLIN__SUP_TO_VFSD__BODY_DEVICE, "device", SUPERVISOR_SERVE, 1, 1, on_device},
    {GONDOLIN__SUP_TO_VFSD__BODY_SERVE_CHANGES, "serve_changes", SUPERVISOR_SERVE, 1, 1,
	on_serve_changes},
};

const struct ipc_table supervisor_table = {
    .envelope = &gondolin__sup_to_vfsd__descriptor,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};
