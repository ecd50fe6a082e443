/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: see the header. */
#include "tests/unit/vfsd/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RINGS   65536u /* bytes between the queues */
#define ALIGNED 4096u

static void
check(bool ok)
{
	if (!ok)
		abort();
}

void
machine_open(struct machine *m)
{
	unsigned i;

	memset(m, 0, sizeof(*m));
	m->memory = memfd_create("machine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	check(m->memory >= 0 && ftruncate(m->memory, MACHINE_MEMORY) == 0 &&
	      fcntl(m->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	m->bytes = mmap(NULL, MACHINE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, m->memory, 0);
	check(m->bytes != MAP_FAILED);
	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		m->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		m->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		check(m->kick[i] >= 0 && m->call[i] >= 0);
	}
}

void
machine_close(struct machine *m)
{
	unsigned i;

	munmap(m->bytes, MACHINE_MEMORY);
	close(m->memory);
	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		close(m->kick[i]);
		close(m->call[i]);
	}
}

struct machine_message
machine_message(uint32_t request, const void *payload, size_t size, int fd)
{
	struct machine_message out = {
	    .header = {request, 1, (uint32_t)size}, .fds = {fd}, .n_fds = fd >= 0 ? 1 : 0};

	if (size > 0)
		memcpy(out.payload, payload, size);
	return out;
}

static struct machine_message
memory_table(const struct machine *m)
{
	const struct {
		uint32_t n, padding;
		uint64_t regions[2][4];
	} table = {2, 0,
	    {{0, MACHINE_BORDER, MACHINE_USER_A, 0},
		{MACHINE_BORDER, MACHINE_MEMORY - MACHINE_BORDER, MACHINE_USER_B, MACHINE_BORDER}}};
	struct machine_message out =
	    machine_message(M_SET_MEM_TABLE, &table, sizeof(table), m->memory);

	out.fds[1] = m->memory;
	out.n_fds = 2;
	return out;
}

static struct machine_message
queue_message(const struct machine *m, unsigned queue, unsigned step)
{
	const struct vring r = machine_ring(m, queue);
	const struct {
		uint32_t index, flags;
		uint64_t descriptors, used, available, log;
	} address = {queue, 0, MACHINE_USER_A + (uint64_t)((uint8_t *)r.desc - m->bytes),
	    MACHINE_USER_A + (uint64_t)((uint8_t *)r.used - m->bytes),
	    MACHINE_USER_A + (uint64_t)((uint8_t *)r.avail - m->bytes), 0};
	const uint32_t number[2] = {queue, MACHINE_QUEUE}, base[2] = {queue, 0},
		       enable[2] = {queue, 1};
	const uint64_t index = queue;

	switch (step) {
	case 0:
		return machine_message(M_SET_VRING_NUM, number, sizeof(number), -1);
	case 1:
		return machine_message(M_SET_VRING_BASE, base, sizeof(base), -1);
	case 2:
		return machine_message(M_SET_VRING_ADDR, &address, sizeof(address), -1);
	case 3:
		return machine_message(M_SET_VRING_KICK, &index, sizeof(index), m->kick[queue]);
	case 4:
		return machine_message(M_SET_VRING_CALL, &index, sizeof(index), m->call[queue]);
	default:
		return machine_message(M_SET_VRING_ENABLE, enable, sizeof(enable), -1);
	}
}

bool
machine_start_message(const struct machine *m, unsigned i, struct machine_message *out)
{
	const uint64_t protocol = 1u << 0 | 1u << 3;
	const uint64_t features = UINT64_C(1) << 32 | 1u << VIRTIO_RING_F_INDIRECT_DESC |
				  1u << VIRTIO_RING_F_EVENT_IDX | 1u << 30;

	switch (i) {
	case 0:
		*out = machine_message(M_GET_FEATURES, NULL, 0, -1);
		return true;
	case 1:
		*out = machine_message(M_GET_PROTOCOL_FEATURES, NULL, 0, -1);
		return true;
	case 2:
		*out = machine_message(M_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), -1);
		return true;
	case 3:
		*out = machine_message(M_GET_QUEUE_NUM, NULL, 0, -1);
		return true;
	case 4:
		*out = machine_message(M_SET_OWNER, NULL, 0, -1);
		return true;
	case 5:
		*out = machine_message(M_SET_FEATURES, &features, sizeof(features), -1);
		return true;
	case 6:
		*out = memory_table(m);
		return true;
	default:
		i -= 7;
		if (i >= VHOST_USER_QUEUES * 6)
			return false;
		*out = queue_message(m, i / 6, i % 6);
		return true;
	}
}

struct vring
machine_ring(const struct machine *m, unsigned queue)
{
	struct vring r;

	vring_init(&r, MACHINE_QUEUE, m->bytes + queue * RINGS, ALIGNED);
	return r;
}

void
machine_offer(struct machine *m, unsigned queue, uint16_t head)
{
	struct vring r = machine_ring(m, queue);

	r.avail->ring[m->available[queue] % MACHINE_QUEUE] = head;
	m->available[queue]++;
	__atomic_store_n(&r.avail->idx, m->available[queue], __ATOMIC_RELEASE);
}
