/* SPDX-License-Identifier: Apache-2.0 */
/* What may arrive on an edge, as a table: no event loop, so that the client library links it too.
 */
#ifndef GONDOLIN_IPC_DISPATCH_H
#define GONDOLIN_IPC_DISPATCH_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/packet.h"

/*
 * A row: one case of the envelope's oneof.  The handler gets the member itself.  It takes a
 * descriptor by writing -1 over it; what is left is closed.  It returns 0, or -errno, which ends
 * the channel.
 */
struct ipc_row {
	uint32_t tag; /* field number of the case */
	const char *name;
	uint32_t states; /* bit mask of the states in which it may arrive */
	uint8_t fds_min, fds_max;
	int (*handle)(void *ctx, const void *body, int *fds, size_t n_fds);
};

struct ipc_table {
	const ProtobufCMessageDescriptor *envelope;
	const struct ipc_row *rows;
	size_t n_rows;
};

#define IPC_ANY_STATE UINT32_MAX

/*
 * Decodes a packet, finds its row, checks state and descriptors, calls the handler, closes what was
 * not taken.  Returns the handler's value, or -EPROTO; *name is the row's name, or NULL where none
 * was found.
 */
int ipc_dispatch(
    const struct ipc_table *t, void *ctx, uint32_t state, struct ipc_packet *p, const char **name);

#endif
