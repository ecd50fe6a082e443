/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of frames towards the host. */
#include "guest/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int
outbox_init(struct outbox *o)
{
	*o = (struct outbox){.ring = malloc(OUTBOX_SIZE)};
	return o->ring != NULL ? 0 : -ENOMEM;
}

void
outbox_clear(struct outbox *o)
{
	free(o->ring);
	*o = (struct outbox){0};
}

/* The ring's n bytes from offset `at` past the head, as one or two pieces; returns how many. */
static int
pieces(const struct outbox *o, size_t at, size_t n, struct iovec iov[2])
{
	size_t from = (o->head + at) % OUTBOX_SIZE;
	size_t first = OUTBOX_SIZE - from;

	if (first > n)
		first = n;
	iov[0] = (struct iovec){o->ring + from, first};
	iov[1] = (struct iovec){o->ring, n - first};
	return n > first ? 2 : 1;
}

static void
copy_in(struct outbox *o, size_t at, const uint8_t *bytes, size_t n)
{
	struct iovec iov[2];

	pieces(o, at, n, iov);
	memcpy(iov[0].iov_base, bytes, iov[0].iov_len);
	memcpy(iov[1].iov_base, bytes + iov[0].iov_len, iov[1].iov_len);
}

bool
outbox_has_control_room(const struct outbox *o)
{
	return OUTBOX_SIZE - o->used >= OUTBOX_CONTROL_MAX;
}

void
outbox_put_control(struct outbox *o, const Gondolin__GuestToHost *m)
{
	uint8_t frame[OUTBOX_CONTROL_MAX];
	size_t n = gondolin__guest_to_host__get_packed_size(m);
	struct agent_header h = {.length = (uint32_t)n, .kind = AGENT_CONTROL};

	assert(outbox_has_control_room(o) && AGENT_HEADER_SIZE + n <= sizeof(frame));
	agent_header_encode(&h, frame);
	gondolin__guest_to_host__pack(m, frame + AGENT_HEADER_SIZE);
	copy_in(o, o->used, frame, AGENT_HEADER_SIZE + n);
	o->used += AGENT_HEADER_SIZE + n;
}

size_t
outbox_data_room(const struct outbox *o)
{
	size_t taken = o->used + OUTBOX_RESERVE + AGENT_HEADER_SIZE, room;

	if (taken >= OUTBOX_SIZE)
		return 0;
	room = OUTBOX_SIZE - taken;
	return room < AGENT_PAYLOAD_MAX ? room : AGENT_PAYLOAD_MAX;
}

static void
put_header(struct outbox *o, uint32_t id, enum agent_kind kind, size_t length)
{
	struct agent_header h = {.length = (uint32_t)length, .id = id, .kind = kind};
	uint8_t bytes[AGENT_HEADER_SIZE];

	agent_header_encode(&h, bytes);
	copy_in(o, o->used, bytes, sizeof(bytes));
	o->used += AGENT_HEADER_SIZE + length;
}

ssize_t
outbox_read_data(struct outbox *o, int fd, uint32_t id, enum agent_kind kind, size_t max)
{
	struct iovec iov[2];
	ssize_t n;

	assert(max > 0 && max <= outbox_data_room(o));
	do
		n = readv(fd, iov, pieces(o, o->used + AGENT_HEADER_SIZE, max, iov));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > 0)
		put_header(o, id, kind, (size_t)n);
	return n;
}

void
outbox_put_end(struct outbox *o, uint32_t id, enum agent_kind kind)
{
	assert(outbox_has_control_room(o));
	put_header(o, id, kind, 0);
}

int
outbox_flush(struct outbox *o, int port)
{
	struct iovec iov[2];
	ssize_t n;

	while (o->used > 0) {
		n = writev(port, iov, pieces(o, 0, o->used, iov));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		o->head = (o->head + (size_t)n) % OUTBOX_SIZE;
		o->used -= (size_t)n;
	}
	/* An empty ring starts over, so that most frames lie in one piece. */
	o->head = 0;
	return 1;
}
