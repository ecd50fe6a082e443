/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A typed edge between two processes: a SOCK_SEQPACKET socket, the table of what may arrive on it,
 * and a bounded queue of what waits to leave.
 */
#ifndef GONDOLIN_IPC_CHANNEL_H
#define GONDOLIN_IPC_CHANNEL_H

#include <ev.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/dispatch.h"
#include "ipc/packet.h"

#define IPC_QUEUE_MAX 64u /* messages that wait for a slow reader, unless its owner says more */

struct ipc_queued;

struct ipc_channel {
	int fd;
	uint32_t state; /* one bit; the owner moves it */
	const struct ipc_table *table;
	void *ctx;
	/*
	 * Called once when the channel ends: reason 0 = the peer closed, -EPROTO = it broke the
	 * protocol, other -errno.  message names the offending message, or is NULL.  The channel is
	 * stopped and its fd closed.
	 */
	void (*ended)(void *ctx, int reason, const char *message);
	struct ev_loop *loop;
	ev_io readable, writable;
	struct ipc_queued *head, *tail;
	unsigned queued;
	unsigned queue_max; /* IPC_QUEUE_MAX once opened; the owner may raise it */
	/*
	 * Messages that one turn of the loop takes at most.  1 once opened; the owner may raise it
	 * where no handler frees the channel (closing it is well).
	 */
	unsigned batch;
};

/* Takes fd (made non-blocking) and starts reading.  Nothing is allocated. */
void
ipc_channel_open(struct ipc_channel *c, struct ev_loop *loop, int fd, const struct ipc_table *table,
    void *ctx, void (*ended)(void *ctx, int reason, const char *message));

/* Stops and closes; _ended is not called.  Safe on a channel that ended, and twice. */
void ipc_channel_close(struct ipc_channel *c);

bool ipc_channel_is_open(const struct ipc_channel *c);

/*
 * Sends, or queues where the socket is full (descriptors are duplicated into the queue).  The
 * descriptors stay the caller's.  Returns 0; -ENOBUFS past queue_max; -EMSGSIZE; -EPIPE on a
 * channel that is closed; or another -errno.
 */
int ipc_channel_send(
    struct ipc_channel *c, const ProtobufCMessage *envelope, const int *fds, size_t n_fds);

/*
 * Blocking set-up calls, before there is a loop: receives one message and dispatches it / sends
 * one. Return 0 or -errno (-EPIPE at the end of the connection).
 */
int ipc_receive_now(int fd, const struct ipc_table *table, void *ctx, uint32_t state);

#endif
