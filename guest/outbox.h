/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on their way to the host: a ring of fixed size, so that a host that does not read costs
 * OUTBOX_SIZE and nothing more.
 *
 * Data frames leave OUTBOX_RESERVE bytes of it alone, which control frames may use: what the host
 * must know about its commands never waits behind what they print.
 */
#ifndef GONDOLIN_GUEST_OUTBOX_H
#define GONDOLIN_GUEST_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/agent.pb-c.h"
#include "ipc/agent_frame.h"

#define OUTBOX_SIZE        (256u * 1024u)
#define OUTBOX_RESERVE     (16u * 1024u)
#define OUTBOX_CONTROL_MAX 512u /* bytes of a control frame, header included */

struct outbox {
	uint8_t *ring;
	size_t head; /* first byte not written to the port */
	size_t used;
};

/* Allocates the ring.  Returns 0 or -ENOMEM. */
int outbox_init(struct outbox *o);
void outbox_clear(struct outbox *o);

/* True where outbox_put_control may be called once. */
bool outbox_has_control_room(const struct outbox *o);

/* Appends a control frame of at most OUTBOX_CONTROL_MAX bytes; there must be room. */
void outbox_put_control(struct outbox *o, const Gondolin__GuestToHost *m);

/* Bytes of payload that a data frame may have now; 0 = none can be sent. */
size_t outbox_data_room(const struct outbox *o);

/*
 * Reads from fd straight into a data frame of at most `max` bytes (1 to outbox_data_room()).
 * Returns what read(2) does: the payload's length, 0 at the end of the file (nothing is appended),
 * or -errno.
 */
ssize_t outbox_read_data(struct outbox *o, int fd, uint32_t id, enum agent_kind kind, size_t max);

/* Appends the empty data frame that ends a stream; there must be control room. */
void outbox_put_end(struct outbox *o, uint32_t id, enum agent_kind kind);

/*
 * Writes what the port takes.  Returns 1 where everything left, -EAGAIN where the port is full, or
 * another -errno.
 */
int outbox_flush(struct outbox *o, int port);

#endif
