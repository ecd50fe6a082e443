/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the guest on its way through egress: its stream. */
#include "netproxy/exchange.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netproxy/outbound.h"

/*
 * Watchers are armed when a call found nothing to do and stop when they fire: a side that is not
 * asked for more does not wake us, however much the other could give.
 */
static void
on_io(struct ev_loop *loop, ev_io *w, int events)
{
	struct exchange *e = w->data;

	(void)events;
	ev_io_stop(loop, w);
	e->events->moved(e);
}

int
exchange_start(struct exchange *e, struct outbound *o, const struct exchange_request *r,
    const struct exchange_events *events)
{
	memset(e, 0, sizeof(*e));
	e->fd = -1;
	e->outbound = o;
	e->events = events;
	ev_init(&e->readable, on_io);
	ev_init(&e->writable, on_io);
	e->readable.data = e->writable.data = e;
	return outbound_request(o, e, r);
}

void
exchange_clear(struct exchange *e)
{
	if (e->outbound == NULL)
		return;
	if (e->pending != NULL)
		outbound_forget(e->outbound, e->pending);
	ev_io_stop(e->outbound->loop, &e->readable);
	ev_io_stop(e->outbound->loop, &e->writable);
	outbound_close_fd(e->outbound, &e->fd);
	memset(e, 0, sizeof(*e));
	e->fd = -1;
}

static void
arm(struct exchange *e, ev_io *w, int events)
{
	if (ev_is_active(w))
		return;
	ev_io_set(w, e->fd, events);
	ev_io_start(e->outbound->loop, w);
}

ssize_t
exchange_write(struct exchange *e, const struct iovec *iov, unsigned pieces)
{
	/* sendmsg for its flag: the reader may be gone, which is no reason for a signal. */
	struct iovec copy[2];
	struct msghdr m = {.msg_iov = copy, .msg_iovlen = pieces};
	ssize_t n;

	if (e->fd < 0)
		return 0;
	memcpy(copy, iov, pieces * sizeof(*iov));
	n = sendmsg(e->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		arm(e, &e->writable, EV_WRITE);
		return 0;
	}
	if (n < 0)
		return -EPIPE;
	e->written += (uint64_t)n;
	return n;
}

void
exchange_end_request(struct exchange *e, const struct http_field *trailers, size_t n)
{
	if (e->pending != NULL)
		outbound_request_end(e->outbound, e, trailers, n);
}

void
exchange_shutdown(struct exchange *e)
{
	if (e->fd >= 0)
		(void)shutdown(e->fd, SHUT_WR);
}

bool
exchange_is_complete(const struct exchange *e)
{
	return e->final && !e->broken && e->read == e->length;
}

ssize_t
exchange_read(struct exchange *e, const struct iovec *iov, unsigned pieces)
{
	ssize_t n;

	if (e->broken)
		return -EPIPE;
	if (e->fd < 0 || !e->streamed || exchange_is_complete(e))
		return 0;
	n = readv(e->fd, iov, (int)pieces);
	if (n < 0 && errno == EAGAIN) {
		arm(e, &e->readable, EV_READ);
		return 0;
	}
	if (n <= 0) {
		/* The end of the stream says nothing: AnswerEnd does.  Without it this is a break.
		 */
		if (n == 0 && !e->final)
			return 0;
		e->broken = true;
		return -EPIPE;
	}
	e->read += (uint64_t)n;
	if (e->final && e->read > e->length) {
		e->broken = true;
		return -EPIPE;
	}
	return n;
}
