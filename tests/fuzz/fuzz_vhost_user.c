/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a machine that was taken over, in any order: what they lead to is served without
 * leaving the memory.
 *
 * The bytes are steps.  One below 32 is a message of a well-behaved start; another is followed by a
 * request's number, flags, a payload's length, that payload, and says which descriptors come along.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/vfsd/machine.h"

#define BYTES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void
say(struct vhost_user *v, const struct machine_message *m, bool *ended)
{
	uint8_t reply[VHOST_USER_PAYLOAD_MAX];
	int fds[VHOST_USER_FDS_MAX];
	size_t i;

	for (i = 0; i < m->n_fds; i++)
		fds[i] = fcntl(m->fds[i], F_DUPFD_CLOEXEC, 0);
	*ended = vhost_user_message(v, &m->header, m->payload, fds, m->n_fds, reply) < 0;
	for (i = 0; i < m->n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Takes a message out of the bytes; returns how many it took, 0 where they are too few. */
static size_t
take(const struct machine *machine, const uint8_t *bytes, size_t length, struct machine_message *m)
{
	const int known[] = {machine->memory, machine->kick[0], machine->call[1]};
	size_t i;

	if (length < 4)
		return 0;
	*m = machine_message(bytes[1] % 24, NULL, 0, -1);
	m->header.flags = bytes[2];
	m->header.size = bytes[3];
	if (length - 4 < m->header.size || m->header.size > sizeof(m->payload))
		return 0;
	memcpy(m->payload, bytes + 4, m->header.size);
	m->n_fds = bytes[0] % (VHOST_USER_FDS_MAX + 1);
	for (i = 0; i < m->n_fds; i++)
		m->fds[i] = known[(bytes[0] >> 4) % 3];
	return 4 + m->header.size;
}

static void
serve(struct vhost_user *v)
{
	static struct virtqueue_chain chain;
	size_t i;

	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		struct vhost_user_queue *q = &v->queues[i];

		if (vhost_user_running(q) && virtqueue_pop(&q->ring, &v->memory, BYTES, &chain) > 0)
			(void)virtqueue_push(&q->ring, chain.head, 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct machine machine;
	struct machine_message m;
	struct vhost_user v;
	bool ended = false;
	size_t n;

	if (machine.bytes == NULL)
		machine_open(&machine);
	/* Only the rings' parts are ever written. */
	memset(machine.bytes, 0, 131072);
	vhost_user_init(&v);
	for (; length > 0 && !ended; bytes += n, length -= n) {
		n = 1;
		if (bytes[0] >= 32)
			n = take(&machine, bytes, length, &m);
		else if (!machine_start_message(&machine, bytes[0], &m))
			continue;
		if (n == 0)
			break;
		say(&v, &m, &ended);
		machine_offer(&machine, 1, 0);
		if (!ended)
			serve(&v);
	}
	vhost_user_clear(&v);
	return 0;
}
