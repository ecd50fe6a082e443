/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's port: see the header. */
#include "vfsd/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/log.h"
#include "vfsd/vfsd.h"

/* One reply that waits, and the short ones (locks that came free) that one request can cause. */
#define OUT_SIZE  (VFS_FRAME_MAX + (256u << 10))
#define PARTS_MAX 8

static bool
is_idle(const struct port *p)
{
	return p->out_start == p->out_end;
}

/* ---- Sending ---- */

/* Keeps what is left of the parts after `skip` bytes. */
static int
keep(struct port *p, const struct iovec *parts, int n_parts, size_t skip)
{
	size_t length, used;
	int i;

	if (is_idle(p))
		p->out_start = p->out_end = 0;
	for (i = 0; i < n_parts; i++) {
		used = skip < parts[i].iov_len ? skip : parts[i].iov_len;
		skip -= used;
		length = parts[i].iov_len - used;
		if (length > OUT_SIZE - p->out_end)
			return -ENOBUFS;
		memcpy(p->out + p->out_end, (const uint8_t *)parts[i].iov_base + used, length);
		p->out_end += length;
	}
	return 0;
}

static int
send_parts(struct vfsd *v, const struct iovec *parts, int n_parts)
{
	struct port *p = &v->port;
	ssize_t n = 0;

	if (p->fd < 0)
		return -EPIPE;
	if (is_idle(p)) {
		do
			n = writev(p->fd, parts, n_parts);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN)
			return -errno;
	}
	return keep(p, parts, n_parts, n > 0 ? (size_t)n : 0);
}

static int
send_frame(struct vfsd *v, uint32_t mount, const struct iovec *payload, int n)
{
	struct iovec parts[PARTS_MAX + 1];
	uint8_t header[VFS_FRAME_HEADER];
	size_t length = 0;
	int i;

	if (n > PARTS_MAX)
		return -EINVAL;
	for (i = 0; i < n; i++)
		length += payload[i].iov_len;
	vfs_frame_encode(header, (uint32_t)length, mount);
	parts[0] = (struct iovec){header, sizeof(header)};
	memcpy(parts + 1, payload, (size_t)n * sizeof(payload[0]));
	return send_parts(v, parts, n + 1);
}

static int
transport_send(struct vfs_transport *base, const struct iovec *parts, int n_parts)
{
	const struct port_transport *t = (struct port_transport *)base;

	return send_frame(t->vfsd, t->mount, parts, n_parts);
}

void
port_transport_init(struct port_transport *t, struct vfsd *v, uint32_t mount)
{
	t->base.send = transport_send;
	t->vfsd = v;
	t->mount = mount;
}

static int
send_plan(struct vfsd *v)
{
	uint8_t *bytes = malloc(MOUNT_PLAN_MAX);
	struct mount_plan plan = {.user = v->user, .n = v->n_mounts, .by_devices = v->by_devices};
	struct iovec part = {.iov_base = bytes};
	uint32_t i;
	int rc;

	if (bytes == NULL)
		return -ENOMEM;
	for (i = 0; i < v->n_mounts; i++)
		plan.paths[i] = v->mounts[i].path;
	part.iov_len = mount_plan_encode(&plan, bytes);
	rc = send_frame(v, MOUNT_CONTROL, &part, 1);
	free(bytes);
	return rc;
}

/* ---- Receiving ---- */

/* Whether the machine has said of each mount that has a device where that is. */
static bool
has_devices(const struct vfsd *v)
{
	uint32_t i;

	for (i = 0; v->by_devices && i < v->n_mounts; i++)
		if (v->mounts[i].device == NULL)
			return false;
	return true;
}

static int
on_owner(struct vfsd *v, const uint8_t *bytes, size_t length)
{
	uint32_t uid, gid, i;
	int rc;

	/* A machine waits for its devices before it starts the guest. */
	if (v->port.owned || !has_devices(v))
		return -EPROTO;
	rc = mount_owner_decode(bytes, length, &uid, &gid);
	if (rc < 0)
		return rc;
	v->port.owned = true;
	for (i = 0; i < v->n_mounts && rc == 0; i++) {
		rc = mount_open(&v->mounts[i], uid, gid);
		if (rc < 0) {
			log_line("%s: %s", v->mounts[i].path, strerror(-rc));
			vfsd_end(v, "a mount cannot be served");
		}
	}
	return rc;
}

static int
on_frame(struct vfsd *v, uint32_t mount, const uint8_t *payload, size_t length)
{
	if (mount == MOUNT_CONTROL)
		return on_owner(v, payload, length);
	if (!v->port.owned || mount >= v->n_mounts || v->by_devices)
		return -EPROTO;
	return vfs_server_request(v->mounts[mount].server, payload, length);
}

static void
broken(struct vfsd *v, int rc)
{
	if (rc == -EPROTO)
		log_line("the guest broke the protocol of its files");
	else if (rc != -EPIPE && rc != -ECONNRESET)
		log_line("the guest's port failed: %s", strerror(-rc));
	port_close(v);
}

void
port_serve(struct vfsd *v)
{
	const uint8_t *payload;
	uint32_t mount;
	size_t length;
	int rc = 1;

	if (v->port.fd < 0)
		return;
	while (is_idle(&v->port) && !report_is_slow(v)) {
		rc = vfs_frames_next(&v->port.frames, &mount, &payload, &length);
		if (rc > 0)
			rc = on_frame(v, mount, payload, length) < 0 ? -EPROTO : 1;
		if (rc <= 0)
			break;
	}
	if (rc < 0)
		broken(v, rc);
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct vfsd *v = w->data;
	size_t room;
	uint8_t *at = vfs_frames_space(&v->port.frames, &room);
	ssize_t n = read(v->port.fd, at, room);

	(void)loop;
	(void)events;
	if (n > 0)
		vfs_frames_filled(&v->port.frames, (size_t)n); /* port_serve takes it */
	else if (n == 0)
		port_close(v);
	else if (errno != EAGAIN && errno != EINTR)
		broken(v, -errno);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct vfsd *v = w->data;
	struct port *p = &v->port;
	ssize_t n = write(p->fd, p->out + p->out_start, p->out_end - p->out_start);

	(void)loop;
	(void)events;
	if (n >= 0)
		p->out_start += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		broken(v, -errno);
}

static void
watch(struct vfsd *v, ev_io *w, bool wanted)
{
	if (wanted && !ev_is_active(w))
		ev_io_start(v->loop, w);
	else if (!wanted && ev_is_active(w))
		ev_io_stop(v->loop, w);
}

void
port_watch(struct vfsd *v)
{
	if (v->port.fd < 0)
		return;
	watch(v, &v->port.writable, !is_idle(&v->port));
	watch(v, &v->port.readable, is_idle(&v->port) && !report_is_slow(v));
}

/* ---- Boots ---- */

void
port_init(struct vfsd *v)
{
	v->port.fd = -1;
	v->port.out = malloc(OUT_SIZE);
	if (v->port.out == NULL || vfs_frames_init(&v->port.frames) < 0)
		abort();
	ev_io_init(&v->port.readable, on_readable, -1, EV_READ);
	ev_io_init(&v->port.writable, on_writable, -1, EV_WRITE);
	v->port.readable.data = v->port.writable.data = v;
}

void
port_open(struct vfsd *v, int fd)
{
	int rc;

	port_close(v);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	v->port.fd = fd;
	ev_io_set(&v->port.readable, fd, EV_READ);
	ev_io_set(&v->port.writable, fd, EV_WRITE);
	rc = send_plan(v);
	if (rc < 0)
		broken(v, rc);
}

void
port_close(struct vfsd *v)
{
	struct port *p = &v->port;
	uint32_t i;

	if (p->fd < 0)
		return;
	watch(v, &p->readable, false);
	watch(v, &p->writable, false);
	close(p->fd);
	p->fd = -1;
	p->owned = false;
	p->out_start = p->out_end = 0;
	p->frames.start = p->frames.end = 0;
	for (i = 0; i < v->n_mounts; i++) {
		mount_close(&v->mounts[i]);
		virtiofs_close(v->mounts[i].device);
		report_held(v, &v->mounts[i]);
	}
}
