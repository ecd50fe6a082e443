/* SPDX-License-Identifier: Apache-2.0 */
/* One SOCK_SEQPACKET packet: bytes and the descriptors that belong to them. */
#ifndef GONDOLIN_IPC_PACKET_H
#define GONDOLIN_IPC_PACKET_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#define IPC_FDS_MAX 8u

/*
 * A local buffer of which only what was written there is ever read.  The flags of the build would
 * have all of it zeroed at each call, which for IPC_MESSAGE_MAX costs more than the message.
 */
#define IPC_SCRATCH __attribute__((uninitialized))

struct ipc_packet {
	size_t length;
	size_t n_fds;
	int fds[IPC_FDS_MAX]; /* CLOEXEC; -1 where taken */
	uint8_t *bytes;       /* the caller's, IPC_MESSAGE_MAX long */
};

/*
 * Receives one packet from a SOCK_SEQPACKET socket into p (p->bytes is the caller's).  Returns 1; 0
 * at the end of the connection; -EAGAIN; -EPROTO where bytes or descriptors did not fit (nothing is
 * kept open); or another -errno.  The caller closes with ipc_packet_close_fds what it does not
 * take.
 */
int ipc_packet_receive(int fd, struct ipc_packet *p);

/* Closes the descriptors that nobody took. */
void ipc_packet_close_fds(struct ipc_packet *p);

/*
 * Packs and sends a message with descriptors (which stay the caller's).  Returns 0; -EAGAIN where
 * the socket is full; -EPIPE where the peer is gone; -EMSGSIZE where the message is over
 * IPC_MESSAGE_MAX; or another -errno.
 */
int ipc_packet_send(int fd, const ProtobufCMessage *message, const int *fds, size_t n_fds);

/* The same with bytes that are packed already. */
int ipc_packet_send_bytes(int fd, const void *bytes, size_t length, const int *fds, size_t n_fds);

#endif
