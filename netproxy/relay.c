/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mapped TCP connection: egress makes the connection to where the configuration says and hands
 * its descriptor over; bytes then go both ways unread, each direction with its own end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netproxy/netproxy.h"

#define RELAY_WANT (256u * 1024)

struct relay {
	struct conn *c;
	struct outbound_connection connection;
	int fd;
	ev_io readable, writable;
	bool guest_done, world_done;
};

static void
relay_free(struct conn *c)
{
	struct relay *r = c->state;

	if (r->connection.pending != NULL)
		outbound_forget(&c->np->outbound, r->connection.pending);
	ev_io_stop(c->np->loop, &r->readable);
	ev_io_stop(c->np->loop, &r->writable);
	outbound_close_fd(&c->np->outbound, &r->fd);
	free(r);
}

static void
on_io(struct ev_loop *loop, ev_io *w, int events)
{
	struct relay *r = w->data;

	(void)events;
	ev_io_stop(loop, w);
	r->c->active = netproxy_now(r->c->np);
	conn_pump(r->c);
}

/* Returns 0, or -errno where the world takes no more. */
static int
to_world(struct relay *r)
{
	struct flow *f = r->c->stream.flow;
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov};
	unsigned pieces;
	ssize_t n;

	while (flow_peek(f, iov, &pieces) > 0) {
		m.msg_iovlen = pieces;
		n = sendmsg(r->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(r->c->np->loop, &r->writable);
			return 0;
		}
		if (n < 0)
			return -errno;
		flow_consume(f, (size_t)n);
	}
	if (flow_ended(f) && !r->guest_done) {
		r->guest_done = true;
		(void)shutdown(r->fd, SHUT_WR);
	}
	return 0;
}

/* Returns 0, or -errno where the world broke off. */
static int
from_world(struct relay *r)
{
	struct flow *f = r->c->stream.flow;
	struct iovec iov[2];
	unsigned pieces;
	ssize_t n;

	while (!r->world_done && flow_reserve(f, RELAY_WANT, iov, &pieces) > 0) {
		n = readv(r->fd, iov, (int)pieces);
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(r->c->np->loop, &r->readable);
			return 0;
		}
		if (n < 0)
			return -errno;
		flow_commit(f, (size_t)n);
		if (n == 0) {
			r->world_done = true;
			flow_shutdown(f);
		}
	}
	return 0;
}

static void
relay_pump(struct conn *c)
{
	struct relay *r = c->state;

	if (r->fd < 0)
		return;
	if (to_world(r) < 0 || from_world(r) < 0)
		conn_abort(c);
	else if (r->guest_done && r->world_done)
		conn_close(c);
}

static const struct conn_protocol relay_protocol = {.pump = relay_pump, .free = relay_free};

static void
on_connected(struct outbound_connection *o, int fd, const struct exchange_refusal *refused)
{
	struct relay *r = (struct relay *)((char *)o - offsetof(struct relay, connection));

	(void)refused; /* egress recorded it; TCP has no words for the guest */
	if (fd < 0) {
		conn_abort(r->c);
		return;
	}
	r->fd = fd;
	ev_io_init(&r->readable, on_io, fd, EV_READ);
	ev_io_init(&r->writable, on_io, fd, EV_WRITE);
	r->readable.data = r->writable.data = r;
	conn_pump(r->c);
}

void
relay_start(struct conn *c, const char *host)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->c = c;
	r->fd = -1;
	r->connection.done = on_connected;
	ev_init(&r->readable, on_io);
	ev_init(&r->writable, on_io);
	conn_set_protocol(c, &relay_protocol, r);
	if (outbound_connect(
		&c->np->outbound, &r->connection, host, c->addresses.destination.port) < 0) {
		conn_record(c, "too-many-connections");
		conn_abort(c);
	}
}
