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
	/*
	 * NULL once opened; the owner may set it.  Called once where the peer sends nothing more:
	 * what is sent from it still reaches a peer that listens, before ended is called.
	 */
	void (*last_words)(void *ctx);
	bool leaving; /* only the queue is left */
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

/* Takes nothing more: when what is queued has been sent, _ended is called with reason 0. */
void ipc_channel_leave(struct ipc_channel *c);

/*
 * The other side of it, in two steps, so that several peers leave at once.  _shut sends nothing
 * more, drops what is queued and lets the peer know.  _hear_out then gives the peer at most ms
 * milliseconds to say its last and to close; messages that the channel's state does not admit are
 * dropped.  It closes, and _ended is not called.  Both do nothing on a channel that is closed.
 */
void ipc_channel_shut(struct ipc_channel *c);
void ipc_channel_hear_out(struct ipc_channel *c, int ms);

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
