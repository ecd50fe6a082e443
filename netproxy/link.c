/* SPDX-License-Identifier: Apache-2.0 */
/* The link over a datagram socket: recvmmsg and sendmmsg, a frame a datagram. */
#include "netproxy/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES \
	(2u * 1024 * 1024) /* of one batch, roughly: large frames come in small batches */
#define BATCH_MIN 16u

static int
socket_send(struct link *base, const struct link_frame *frames, unsigned n)
{
	struct link_socket *l = (struct link_socket *)base;
	unsigned i;
	int sent;

	if (n > LINK_BATCH)
		n = LINK_BATCH;
	for (i = 0; i < n; i++) {
		struct msghdr *m = &l->sends[i].msg_hdr;

		/* sendmmsg only reads the pieces; its type has no const. */
		memcpy(&m->msg_iov, &(const struct iovec *){frames[i].iov}, sizeof(m->msg_iov));
		m->msg_iovlen = frames[i].n;
	}
	do {
		sent = sendmmsg(l->fd, l->sends, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return sent;
	/* ENOBUFS, ENOMEM: the kernel is short of memory, as good as full. */
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return 0;
	return -errno;
}

/* Sorts out what one recvmmsg brought.  Returns how many frames are good. */
static int
sort_received(struct link_socket *l, struct link_received *frames, int got)
{
	int i, good = 0;

	for (i = 0; i < got; i++) {
		if ((l->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
		    l->messages[i].msg_len > l->frame_max) {
			l->link.giants++;
			continue;
		}
		frames[good].bytes = l->iov[i].iov_base;
		frames[good].length = l->messages[i].msg_len;
		good++;
	}
	return good;
}

static int
socket_receive(struct link *base, struct link_received *frames, unsigned n)
{
	struct link_socket *l = (struct link_socket *)base;
	int got, good;

	if (n > l->batch)
		n = l->batch;
	do {
		got = recvmmsg(l->fd, l->messages, n, MSG_DONTWAIT, NULL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : -errno;
		good = sort_received(l, frames, got);
	} while (got < 0 || (got > 0 && good == 0));
	return good;
}

static const struct link_operations socket_operations = {socket_send, socket_receive};

int
link_socket_open(struct link_socket *l, int fd, size_t frame_max)
{
	size_t stride = (frame_max + 64) & ~(size_t)63;
	unsigned i;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	l->link.operations = &socket_operations;
	l->frame_max = frame_max;
	l->batch = (unsigned)(BUFFER_BYTES / stride);
	if (l->batch > LINK_BATCH)
		l->batch = LINK_BATCH;
	if (l->batch < BATCH_MIN)
		l->batch = BATCH_MIN;
	l->buffers = malloc(stride * l->batch);
	l->messages = calloc(l->batch, sizeof(*l->messages));
	l->iov = calloc(l->batch, sizeof(*l->iov));
	l->sends = calloc(LINK_BATCH, sizeof(*l->sends));
	if (l->buffers == NULL || l->messages == NULL || l->iov == NULL || l->sends == NULL) {
		link_socket_close(l);
		return -ENOMEM;
	}
	for (i = 0; i < l->batch; i++) {
		l->iov[i] = (struct iovec){l->buffers + i * stride, stride};
		l->messages[i].msg_hdr.msg_iov = &l->iov[i];
		l->messages[i].msg_hdr.msg_iovlen = 1;
	}
	l->fd = fd;
	return 0;
}

void
link_socket_close(struct link_socket *l)
{
	free(l->buffers);
	free(l->messages);
	free(l->iov);
	free(l->sends);
	l->buffers = NULL;
	l->messages = l->sends = NULL;
	l->iov = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}
