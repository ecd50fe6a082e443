/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the edge between netproxy and egress; ipc/outbound.proto is its description. */
#ifndef GONDOLIN_IPC_OUTBOUND_H
#define GONDOLIN_IPC_OUTBOUND_H

#define OUTBOUND_INLINE_MAX  16384u /* bytes of a body in one message */
#define OUTBOUND_HEADERS_MAX 256u   /* headers or trailers of a message */
/*
 * Bytes of method, path, and of the names and values of all headers and trailers of one message,
 * counted with 16 more for each header: message and inline body fit IPC_MESSAGE_MAX together.
 */
#define OUTBOUND_HEAD_MAX   40960u
#define OUTBOUND_PATH_MAX   16384u
#define OUTBOUND_METHOD_MAX 32u
#define OUTBOUND_HOST_MAX   253u
#define OUTBOUND_TEXT_MAX   512u
#define OUTBOUND_REQUESTS_MAX                                              \
	2048u /* ids without a final message; one more breaks the protocol \
	       */
/* Messages that wait for a slow peer, on either end: ipc_channel's queue_max. */
#define OUTBOUND_QUEUE_MAX (4u * OUTBOUND_REQUESTS_MAX)
/* Messages that either end takes before others have their turn: ipc_channel's batch. */
#define OUTBOUND_BATCH 16u

#endif
