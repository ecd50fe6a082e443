/* SPDX-License-Identifier: Apache-2.0 */
/* The session's changes.sock: see the header. */
#include "vfsd/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/changes.pb-c.h"
#include "vfsd/provider_cow.h"
#include "vfsd/vfsd.h"

/* A write to anything but a file could wait for ever, and the guest with it. */
static bool
is_empty_file(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &st) == 0 &&
	       S_ISREG(st.stx_mode) && st.stx_size == 0;
}

static int
copy_changes(const struct vfsd *v, const ProtobufCBinaryData *path, int fd)
{
	uint32_t i;

	for (i = 0; i < v->n_mounts; i++) {
		const struct mount *m = &v->mounts[i];

		if (m->wish->provider != GONDOLIN__VFSD_MOUNT__PROVIDER__COW ||
		    path->len != m->wish->path.len ||
		    memcmp(path->data, m->wish->path.data, path->len) != 0)
			continue;
		if (m->cow == NULL)
			return -EAGAIN; /* the guest has not come so far */
		return is_empty_file(fd) ? vfs_cow_export(m->cow, fd) : -EINVAL;
	}
	return -ENOENT;
}

static int
on_copy(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vfsd *v = ctx;
	const Gondolin__ChangesCopy *m = body;
	Gondolin__VfsdChangesToClient reply = GONDOLIN__VFSD_CHANGES_TO_CLIENT__INIT;
	Gondolin__ChangesCopied copied = GONDOLIN__CHANGES_COPIED__INIT;

	(void)n_fds;
	copied.error = (uint32_t)-copy_changes(v, &m->mount, fds[0]);
	reply.body_case = GONDOLIN__VFSD_CHANGES_TO_CLIENT__BODY_COPIED;
	reply.copied = &copied;
	return ipc_channel_send(&v->changes.client, &reply.base, NULL, 0);
}

static const struct ipc_row rows[] = {
    {GONDOLIN__CLIENT_TO_VFSD_CHANGES__BODY_COPY, "copy", IPC_ANY_STATE, 1, 1, on_copy},
};

static const struct ipc_table client_table = {
    .envelope = &gondolin__client_to_vfsd_changes__descriptor,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

/* However a client ends: the next one. */
static void
on_client_ended(void *ctx, int reason, const char *message)
{
	struct vfsd *v = ctx;

	(void)reason;
	(void)message;
	ev_io_start(v->loop, &v->changes.acceptable);
}

static void
on_connection(struct ev_loop *loop, ev_io *w, int events)
{
	struct vfsd *v = w->data;
	int fd = accept4(v->changes.listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	ev_io_stop(loop, w);
	ipc_channel_open(&v->changes.client, loop, fd, &client_table, v, on_client_ended);
}

void
changes_init(struct vfsd *v)
{
	v->changes.listening = v->changes.client.fd = -1;
	ev_io_init(&v->changes.acceptable, on_connection, -1, EV_READ);
	v->changes.acceptable.data = v;
}

void
changes_listen(struct vfsd *v, int fd)
{
	v->changes.listening = fd;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	ev_io_set(&v->changes.acceptable, fd, EV_READ);
	ev_io_start(v->loop, &v->changes.acceptable);
}

void
changes_close(struct vfsd *v)
{
	if (v->changes.listening < 0)
		return;
	ipc_channel_close(&v->changes.client);
	ev_io_stop(v->loop, &v->changes.acceptable);
	close(v->changes.listening);
	v->changes.listening = -1;
}
