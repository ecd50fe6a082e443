/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between the stack and what carries its frames.  A frame is an Ethernet frame without
 * preamble and checksum.  A link has no clock and no loop: its owner waits for descriptors.
 */
#ifndef GONDOLIN_NETPROXY_LINK_H
#define GONDOLIN_NETPROXY_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LINK_BATCH  64u /* frames of one call at most */
#define LINK_PIECES 3u

/* One frame to send, gathered from up to LINK_PIECES pieces that stay the caller's. */
struct link_frame {
	unsigned n;
	struct iovec iov[LINK_PIECES];
};

/* One frame received. */
struct link_received {
	const uint8_t *bytes;
	size_t length;
};

struct link;

struct link_operations {
	/*
	 * Sends up to n frames, in order.  Returns how many were taken, fewer where the link is
	 * full (0: none), or -errno where it is at its end (-EPIPE: the other side is gone).
	 */
	int (*send)(struct link *l, const struct link_frame *frames, unsigned n);
	/*
	 * Receives up to n (at most LINK_BATCH) frames.  The bytes stay valid and unchanged until
	 * the next call: a link over memory that its peer can write copies first.  Returns how
	 * many, 0 where none is waiting, or -errno where the link is at its end.
	 */
	int (*receive)(struct link *l, struct link_received *frames, unsigned n);
};

struct link {
	const struct link_operations *operations;
	uint64_t giants; /* frames longer than the link takes, dropped */
};

/* Frames over a datagram socket, one a datagram (QEMU's -netdev dgram). */
struct link_socket {
	struct link link;
	int fd;
	size_t frame_max;
	unsigned batch;
	uint8_t *buffers;         /* batch of frame_max + 1 bytes */
	struct mmsghdr *messages; /* receiving */
	struct iovec *iov;        /* receiving */
	struct mmsghdr *sends;    /* LINK_BATCH */
};

/*
 * Takes fd, a connected, non-blocking SOCK_DGRAM socket; frames are at most frame_max bytes.
 * Returns 0 or -ENOMEM (fd stays the caller's).
 */
int link_socket_open(struct link_socket *l, int fd, size_t frame_max);

/* Closes.  Safe on one that was zeroed with fd -1, and twice. */
void link_socket_close(struct link_socket *l);

#endif
