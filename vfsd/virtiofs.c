/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of mounts: see the header. */
#include "vfsd/virtiofs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/log.h"
#include "vfsd/vfsd.h"

/* Of one queue, before the others and the supervisor have their turn. */
#define REQUESTS_A_TURN 64

static void
broken(struct virtiofs *f, const char *who, int rc)
{
	if (rc == -EPROTO)
		log_line("the %s broke the protocol of its files", who);
	else
		log_line("the %s's files failed: %s", who, strerror(-rc));
	/* Ends this device with the others. */
	port_close(f->vfsd);
}

/* ---- Requests ---- */

/* Copies between the parts and bytes in one piece; n is at most what the parts hold. */
static void
gather(uint8_t *to, const struct iovec *parts, size_t n)
{
	size_t run;

	for (; n > 0; n -= run, to += run, parts++) {
		run = parts->iov_len < n ? parts->iov_len : n;
		memcpy(to, parts->iov_base, run);
	}
}

/* Writes bytes to the parts, `skip` bytes in. */
static void
scatter(const struct iovec *parts, size_t skip, const uint8_t *from, size_t n)
{
	size_t run;

	for (; n > 0; parts++) {
		if (skip >= parts->iov_len) {
			skip -= parts->iov_len;
			continue;
		}
		run = parts->iov_len - skip < n ? parts->iov_len - skip : n;
		memcpy((uint8_t *)parts->iov_base + skip, from, run);
		from += run;
		n -= run;
		skip = 0;
	}
}

/* The reply to the request that is being served. */
static int
transport_send(struct vfs_transport *base, const struct iovec *parts, int n_parts)
{
	struct virtiofs *f = (struct virtiofs *)base;
	const struct virtqueue_chain *c = &f->vfsd->virtiofs->chain;
	int i;

	for (i = 0; i < n_parts; i++) {
		if (parts[i].iov_len > c->writable_bytes - f->written)
			return -EPROTO;
		scatter(c->writable, f->written, parts[i].iov_base, parts[i].iov_len);
		f->written += (uint32_t)parts[i].iov_len;
	}
	return 0;
}

static void
interrupt(const struct vhost_user_queue *q)
{
	const uint64_t one = 1;

	/* A full counter has interrupted already; the machine's end is told by its socket. */
	if (q->call >= 0)
		(void)!write(q->call, &one, sizeof(one));
}

/* Returns 1 where a request was served, 0 where there is none, or -errno. */
static int
serve_one(struct virtiofs *f, struct vhost_user_queue *q)
{
	struct virtiofs_scratch *s = f->vfsd->virtiofs;
	int rc = virtqueue_pop(&q->ring, &f->device.memory, FUSE_REQUEST_MAX, &s->chain);

	if (rc <= 0)
		return rc;
	gather(s->request, s->chain.readable, s->chain.readable_bytes);
	f->written = 0;
	rc = vfs_server_request(
	    f->vfsd->mounts[f->mount].server, s->request, s->chain.readable_bytes);
	if (rc < 0)
		return rc;
	if (virtqueue_push(&q->ring, s->chain.head, f->written))
		interrupt(q);
	return 1;
}

static int
serve_queue(struct virtiofs *f, size_t number)
{
	struct vhost_user_queue *q = &f->device.queues[number];
	int i, rc = 1;

	if (!vhost_user_running(q))
		return 0;
	for (i = 0; i < REQUESTS_A_TURN && rc > 0 && !report_is_slow(f->vfsd); i++)
		rc = serve_one(f, q);
	if (rc == 0)
		f->pending[number] = false;
	return rc < 0 ? rc : 0;
}

/* Returns 1 where requests are left, 0, or -errno. */
static int
serve_device(struct virtiofs *f)
{
	bool more = false;
	size_t n;
	int rc;

	for (n = 0; n < VHOST_USER_QUEUES; n++) {
		rc = f->pending[n] ? serve_queue(f, n) : 0;
		if (rc < 0)
			return rc;
		more = more || (f->pending[n] && vhost_user_running(&f->device.queues[n]));
	}
	return more;
}

bool
virtiofs_serve(struct vfsd *v)
{
	bool more = false;
	uint32_t i, first;
	int rc;

	if (v->virtiofs == NULL)
		return false;
	/* Records of the first can leave no room for the others'. */
	first = v->virtiofs->turn++ % v->n_mounts;
	for (i = 0; i < v->n_mounts; i++) {
		const struct mount *m = &v->mounts[(first + i) % v->n_mounts];

		if (m->device == NULL || m->server == NULL)
			continue;
		rc = serve_device(m->device);
		if (rc < 0) {
			broken(m->device, "guest", rc);
			return false;
		}
		more = more || rc > 0;
	}
	return more && !report_is_slow(v);
}

static void
on_kick(struct ev_loop *loop, ev_io *w, int events)
{
	struct virtiofs *f = w->data;
	uint64_t times;
	ssize_t n = read(w->fd, &times, sizeof(times));

	(void)loop;
	(void)events;
	/* How often does not matter, nor whether it was one that had been taken already.  What is
	 * no eventfd could be readable for ever. */
	if (n == (ssize_t)sizeof(times) || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		f->pending[w - f->kicks] = true;
	else
		broken(f, "machine", -EPROTO);
}

/* ---- The machine ---- */

static void
unwatch_queues(struct virtiofs *f)
{
	size_t i;

	for (i = 0; i < VHOST_USER_QUEUES; i++)
		ev_io_stop(f->vfsd->loop, &f->kicks[i]);
}

/* Requests may have come before the queue was ready to be looked at. */
static void
watch_queues(struct virtiofs *f)
{
	const struct vhost_user_queue *q = f->device.queues;
	size_t i;

	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		if (!vhost_user_running(&q[i]))
			continue;
		ev_io_set(&f->kicks[i], q[i].kick, EV_READ);
		ev_io_start(f->vfsd->loop, &f->kicks[i]);
		f->pending[i] = true;
	}
}

static void
close_fds(struct virtiofs *f)
{
	while (f->n_fds > 0)
		if (f->fds[--f->n_fds] >= 0)
			close(f->fds[f->n_fds]);
}

static int
send_reply(const struct virtiofs *f, uint32_t request, const uint8_t *bytes, uint32_t n)
{
	uint8_t out[sizeof(struct vhost_user_header) + VHOST_USER_PAYLOAD_MAX];
	struct vhost_user_header h = vhost_user_reply(request, n);
	ssize_t sent;

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), bytes, n);
	/* One who asks waits for the answer: it fits into the socket. */
	sent = write(f->fd, out, sizeof(h) + n);
	if (sent < 0 && errno != EAGAIN)
		return -errno;
	return sent == (ssize_t)(sizeof(h) + n) ? 0 : -EPROTO;
}

/* Serves a message that is there as a whole.  Returns 0 or -errno. */
static int
on_message(struct virtiofs *f, const struct vhost_user_header *h)
{
	uint8_t reply[VHOST_USER_PAYLOAD_MAX];
	int rc;

	/* What it replaces must not be watched any more. */
	unwatch_queues(f);
	rc = vhost_user_message(&f->device, h, f->in + sizeof(*h), f->fds, f->n_fds, reply);
	close_fds(f);
	f->n_in = 0;
	if (rc > 0)
		rc = send_reply(f, h->request, reply, (uint32_t)rc);
	if (rc == 0)
		watch_queues(f);
	return rc;
}

/* Keeps the descriptors that came with some bytes. */
static int
take_fds(struct virtiofs *f, struct msghdr *m)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd, rc = (m->msg_flags & MSG_CTRUNC) ? -EPROTO : 0;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (f->n_fds < VHOST_USER_FDS_MAX) {
				f->fds[f->n_fds++] = fd;
			} else {
				close(fd);
				rc = -EPROTO;
			}
		}
	}
	return rc;
}

/* Reads up to `want` bytes of the message at hand.  Returns 1, 0 at the end, or -errno. */
static int
receive(struct virtiofs *f, size_t want)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * VHOST_USER_FDS_MAX)];
	} control;
	struct iovec part = {f->in + f->n_in, want - f->n_in};
	struct msghdr m = {.msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(f->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int rc;

	if (n < 0)
		return -errno;
	rc = take_fds(f, &m);
	f->n_in += (size_t)n;
	return rc < 0 ? rc : n > 0;
}

/* Takes what has come.  Returns 1; 0 at the end; or -errno, -EAGAIN where nothing has. */
static int
take(struct virtiofs *f, int *served)
{
	struct vhost_user_header h;
	int rc = 1;

	if (f->n_in < sizeof(h))
		rc = receive(f, sizeof(h));
	if (rc <= 0 || f->n_in < sizeof(h))
		return rc;
	memcpy(&h, f->in, sizeof(h));
	if (h.size > VHOST_USER_PAYLOAD_MAX)
		return -EPROTO;
	if (f->n_in < sizeof(h) + h.size)
		rc = receive(f, sizeof(h) + h.size);
	if (rc > 0 && f->n_in == sizeof(h) + h.size)
		*served = on_message(f, &h);
	return rc;
}

static void
on_socket(struct ev_loop *loop, ev_io *w, int events)
{
	struct virtiofs *f = w->data;
	int served = 0, rc = take(f, &served);

	(void)loop;
	(void)events;
	/* The machine is gone: whoever started it says so. */
	if (rc == 0 || rc == -ECONNRESET || served == -EPIPE || served == -ECONNRESET)
		port_close(f->vfsd);
	else if (served < 0 || (rc < 0 && rc != -EAGAIN && rc != -EINTR))
		broken(f, "machine", served < 0 ? served : rc);
}

/* ---- Boots ---- */

int
virtiofs_open(struct vfsd *v, uint32_t mount, int fd)
{
	struct virtiofs *f;
	size_t i;

	if (mount >= v->n_mounts || v->mounts[mount].device != NULL) {
		close(fd);
		return -EPROTO;
	}
	/* The machine can be gone before all of it has come. */
	if (v->port.fd < 0) {
		close(fd);
		return 0;
	}
	f = calloc(1, sizeof(*f));
	if (v->virtiofs == NULL)
		v->virtiofs = calloc(1, sizeof(*v->virtiofs));
	if (f == NULL || v->virtiofs == NULL)
		abort();
	f->transport.send = transport_send;
	f->vfsd = v;
	f->mount = mount;
	f->fd = fd;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	vhost_user_init(&f->device);
	ev_io_init(&f->socket, on_socket, fd, EV_READ);
	f->socket.data = f;
	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		ev_io_init(&f->kicks[i], on_kick, -1, EV_READ);
		f->kicks[i].data = f;
	}
	ev_io_start(v->loop, &f->socket);
	v->mounts[mount].device = f;
	return 0;
}

void
virtiofs_close(struct virtiofs *f)
{
	if (f == NULL)
		return;
	unwatch_queues(f);
	ev_io_stop(f->vfsd->loop, &f->socket);
	close_fds(f);
	close(f->fd);
	vhost_user_clear(&f->device);
	f->vfsd->mounts[f->mount].device = NULL;
	free(f);
}
