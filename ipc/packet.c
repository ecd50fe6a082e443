/* SPDX-License-Identifier: Apache-2.0 */
/* sendmsg(2) and recvmsg(2) with descriptors. */
#include "ipc/packet.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

void
ipc_packet_close_fds(struct ipc_packet *p)
{
	size_t i;

	for (i = 0; i < p->n_fds; i++)
		if (p->fds[i] >= 0)
			close(p->fds[i]);
	p->n_fds = 0;
}

/* Collects SCM_RIGHTS; anything else in the control data is a broken peer. */
static bool
take_fds(struct msghdr *mh, struct ipc_packet *p)
{
	struct cmsghdr *c;
	size_t n;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			return false;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n > IPC_FDS_MAX - p->n_fds)
			return false;
		memcpy(p->fds + p->n_fds, CMSG_DATA(c), n * sizeof(int));
		p->n_fds += n;
	}
	return true;
}

int
ipc_packet_receive(int fd, struct ipc_packet *p)
{
	union control control;
	struct iovec iov = {.iov_base = p->bytes, .iov_len = IPC_MESSAGE_MAX};
	struct msghdr mh = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	p->n_fds = 0;
	p->length = 0;
	/*
	 * A peer that closed before it read all that it was sent leaves ECONNRESET, once, in front
	 * of what it said last: that is still to be heard.
	 */
	do
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	if (!take_fds(&mh, p) || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		ipc_packet_close_fds(p);
		return -EPROTO;
	}
	/* A packet of no bytes and the end of the connection look alike; no message packs to
	 * nothing. */
	if (n == 0) {
		ipc_packet_close_fds(p);
		return 0;
	}
	p->length = (size_t)n;
	return 1;
}

int
ipc_packet_send_bytes(int fd, const void *bytes, size_t length, const int *fds, size_t n_fds)
{
	union control control;
	struct iovec iov = {.iov_len = length};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t n;

	if (length == 0 || length > IPC_MESSAGE_MAX || n_fds > IPC_FDS_MAX)
		return -EMSGSIZE;
	memcpy(&iov.iov_base, &bytes, sizeof(bytes)); /* sendmsg does not write there */
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	/* A peer that closed with packets unread resets the connection; it is just as gone. */
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int
ipc_packet_send(int fd, const ProtobufCMessage *message, const int *fds, size_t n_fds)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	IPC_SCRATCH uint8_t bytes[IPC_MESSAGE_MAX];

	if (size > sizeof(bytes))
		return -EMSGSIZE;
	protobuf_c_message_pack(message, bytes);
	return ipc_packet_send_bytes(fd, bytes, size, fds, n_fds);
}
