/* SPDX-License-Identifier: Apache-2.0 */
/* libev's two watchers around a socket. */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc/message.h"

struct ipc_queued {
	struct ipc_queued *next;
	size_t length;
	size_t n_fds;
	int fds[IPC_FDS_MAX];
	uint8_t bytes[];
};

static void
end(struct ipc_channel *c, int reason, const char *message)
{
	ipc_channel_close(c);
	c->ended(c->ctx, reason, message);
}

/* The peer sends nothing more. */
static void
said_all(struct ipc_channel *c)
{
	if (c->last_words != NULL)
		c->last_words(c->ctx);
	ipc_channel_leave(c);
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct ipc_channel *c = w->data;
	IPC_SCRATCH uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	const char *name = NULL;
	unsigned left = c->batch;
	int rc;

	(void)loop;
	(void)events;
	do {
		rc = ipc_packet_receive(c->fd, &p);
		if (rc == -EAGAIN)
			return;
		if (rc == 0)
			said_all(c);
		if (rc < 0)
			end(c, rc, NULL);
		if (rc <= 0)
			return;
		rc = ipc_dispatch(c->table, c->ctx, c->state, &p, &name);
		/* Where there is one message a turn, its handler may have freed the channel. */
	} while (rc >= 0 && --left > 0 && ipc_channel_is_open(c));
	if (rc < 0 && ipc_channel_is_open(c))
		end(c, rc, name);
}

static void
free_queued(struct ipc_queued *q)
{
	size_t i;

	for (i = 0; i < q->n_fds; i++)
		close(q->fds[i]);
	free(q);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct ipc_channel *c = w->data;
	struct ipc_queued *q;
	int rc;

	(void)events;
	while ((q = c->head) != NULL) {
		rc = ipc_packet_send_bytes(c->fd, q->bytes, q->length, q->fds, q->n_fds);
		if (rc == -EAGAIN)
			return;
		if (rc < 0) {
			end(c, rc == -EPIPE ? 0 : rc, NULL);
			return;
		}
		c->head = q->next;
		c->queued--;
		free_queued(q);
	}
	c->tail = NULL;
	ev_io_stop(loop, w);
	if (c->leaving)
		end(c, 0, NULL);
}

void
ipc_channel_open(struct ipc_channel *c, struct ev_loop *loop, int fd, const struct ipc_table *table,
    void *ctx, void (*ended)(void *ctx, int reason, const char *message))
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->state = 1;
	c->table = table;
	c->ctx = ctx;
	c->ended = ended;
	c->loop = loop;
	c->queue_max = IPC_QUEUE_MAX;
	c->batch = 1;
	/* F_GETFL first would buy nothing: a socketpair has no other status flag. */
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	c->readable.data = c;
	c->writable.data = c;
	ev_io_start(loop, &c->readable);
}

/* Stops and forgets what waits. */
static void
stop(struct ipc_channel *c)
{
	struct ipc_queued *q;

	ev_io_stop(c->loop, &c->readable);
	ev_io_stop(c->loop, &c->writable);
	while ((q = c->head) != NULL) {
		c->head = q->next;
		free_queued(q);
	}
	c->tail = NULL;
	c->queued = 0;
}

void
ipc_channel_close(struct ipc_channel *c)
{
	if (!ipc_channel_is_open(c))
		return;
	stop(c);
	close(c->fd);
	c->fd = -1;
}

bool
ipc_channel_is_open(const struct ipc_channel *c)
{
	return c->loop != NULL && c->fd >= 0;
}

void
ipc_channel_leave(struct ipc_channel *c)
{
	if (!ipc_channel_is_open(c))
		return;
	ev_io_stop(c->loop, &c->readable);
	c->leaving = true;
	if (c->head == NULL)
		end(c, 0, NULL);
}

void
ipc_channel_shut(struct ipc_channel *c)
{
	if (!ipc_channel_is_open(c))
		return;
	stop(c);
	(void)shutdown(c->fd, SHUT_WR);
}

/* Whole milliseconds of the monotonic clock. */
static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
ipc_channel_hear_out(struct ipc_channel *c, int ms)
{
	IPC_SCRATCH uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	const int64_t deadline = now_ms() + ms;
	const char *name;
	int64_t left;
	int rc = 1;

	while (ipc_channel_is_open(c) && (rc > 0 || rc == -EAGAIN) &&
	       (left = deadline - now_ms()) > 0) {
		struct pollfd readable = {.fd = c->fd, .events = POLLIN};

		if (poll(&readable, 1, (int)left) <= 0)
			continue;
		rc = ipc_packet_receive(c->fd, &p);
		if (rc > 0)
			(void)ipc_dispatch(c->table, c->ctx, c->state, &p, &name);
	}
	ipc_channel_close(c);
}

static int
enqueue(struct ipc_channel *c, const ProtobufCMessage *envelope, size_t size, const int *fds,
    size_t n_fds)
{
	struct ipc_queued *q;
	size_t i;

	if (c->queued >= c->queue_max)
		return -ENOBUFS;
	q = calloc(1, sizeof(*q) + size);
	if (q == NULL)
		abort();
	for (i = 0; i < n_fds; i++) {
		q->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (q->fds[i] < 0) {
			int error = -errno;

			free_queued(q);
			return error;
		}
		q->n_fds++;
	}
	q->length = size;
	protobuf_c_message_pack(envelope, q->bytes);
	if (c->tail != NULL)
		c->tail->next = q;
	else
		c->head = q;
	c->tail = q;
	c->queued++;
	ev_io_start(c->loop, &c->writable);
	return 0;
}

int
ipc_channel_send(
    struct ipc_channel *c, const ProtobufCMessage *envelope, const int *fds, size_t n_fds)
{
	size_t size = protobuf_c_message_get_packed_size(envelope);
	int rc;

	if (!ipc_channel_is_open(c))
		return -EPIPE;
	if (size == 0 || size > IPC_MESSAGE_MAX || n_fds > IPC_FDS_MAX)
		return -EMSGSIZE;
	if (c->head == NULL) {
		rc = ipc_packet_send(c->fd, envelope, fds, n_fds);
		if (rc != -EAGAIN)
			return rc;
	}
	return enqueue(c, envelope, size, fds, n_fds);
}

int
ipc_receive_now(int fd, const struct ipc_table *table, void *ctx, uint32_t state)
{
	IPC_SCRATCH uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	const char *name;
	int rc;

	rc = ipc_packet_receive(fd, &p);
	if (rc <= 0)
		return rc == 0 ? -EPIPE : rc;
	return ipc_dispatch(table, ctx, state, &p, &name);
}
