/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts take turns where the supervisor does not keep up with their records. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "tests/unit/vfsd/machine.h"
#include "tests/unit/vfsd/suites.h"
#include "vfsd/vfsd.h"

#define MOUNTS     2u
#define REPLY_AT   (2u << 20)
#define REPLY_ROOM 4096u

/* What is opened here lasts as long as the process. */
static struct vfsd served;
static struct machine machines[MOUNTS];

static void
on_ended(void *ctx, int reason, const char *message)
{
	(void)ctx;
	(void)reason;
	(void)message;
}

static void
say_start(struct vhost_user *device, const struct machine *m)
{
	uint8_t reply[VHOST_USER_PAYLOAD_MAX];
	struct machine_message message;
	unsigned i;
	size_t j;

	for (i = 0; machine_start_message(m, i, &message); i++) {
		for (j = 0; j < message.n_fds; j++)
			message.fds[j] = dup(message.fds[j]);
		CU_ASSERT_FATAL(vhost_user_message(device, &message.header, message.payload,
				    message.fds, message.n_fds, reply) >= 0);
		for (j = 0; j < message.n_fds; j++)
			if (message.fds[j] >= 0)
				close(message.fds[j]);
	}
}

/* One request, at the place where all of a mount's are. */
static void
put(struct machine *m, const void *bytes, uint32_t n)
{
	struct vring r = machine_ring(m, 1);

	memcpy(m->bytes + MACHINE_BUFFERS, bytes, n);
	r.desc[0] = (struct vring_desc){MACHINE_BUFFERS, n, VRING_DESC_F_NEXT, 1};
	r.desc[1] = (struct vring_desc){REPLY_AT, REPLY_ROOM, VRING_DESC_F_WRITE, 0};
}

static uint16_t
n_served(const struct machine *m)
{
	return machine_ring(m, 1).used->idx;
}

/* Both mounts with their devices, from which a first request came and was answered. */
static void
open_all(void)
{
	Gondolin__VfsdMount wish = GONDOLIN__VFSD_MOUNT__INIT;
	const struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} init = {.h = {.len = sizeof(init), .opcode = FUSE_INIT, .unique = 2},
	    .in = {.major = 7, .minor = 38}};
	int sup[2], ends[2];
	unsigned i;

	wish.path = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "/w"};
	wish.provider = GONDOLIN__VFSD_MOUNT__PROVIDER__MEMORY;
	wish.memory = 1 << 20;
	wish.trace = true;
	vfsd_init(&served);
	served.loop = vfsd_loop();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sup), 0);
	ipc_channel_open(
	    &served.supervisor, served.loop, sup[0], &supervisor_table, NULL, on_ended);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	for (i = 0; i < MOUNTS; i++)
		CU_ASSERT_EQUAL_FATAL(mount_add(&served, &wish, -1), 0);
	port_open(&served, ends[0]);
	for (i = 0; i < MOUNTS; i++) {
		machine_open(&machines[i]);
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		CU_ASSERT_EQUAL_FATAL(virtiofs_open(&served, i, ends[0]), 0);
		CU_ASSERT_EQUAL_FATAL(mount_open(&served.mounts[i], 0, 0), 0);
		say_start(&served.mounts[i].device->device, &machines[i]);
		put(&machines[i], &init, sizeof(init));
		machine_offer(&machines[i], 1, 0);
		served.mounts[i].device->pending[1] = true;
	}
	CU_ASSERT_FALSE(virtiofs_serve(&served));
}

/* As much as the ring takes, and what leads to it. */
static void
ask(unsigned mount, unsigned n)
{
	const struct fuse_in_header h = {
	    .len = sizeof(h), .opcode = FUSE_STATFS, .unique = 4, .nodeid = 1};

	put(&machines[mount], &h, sizeof(h));
	for (; n > 0; n--)
		machine_offer(&machines[mount], 1, 0);
	served.mounts[mount].device->pending[1] = true;
}

static void
test_turns(void)
{
	unsigned i;

	open_all();
	CU_ASSERT_EQUAL_FATAL(n_served(&machines[1]), 1);
	while (!report_is_slow(&served)) {
		ask(0, 64);
		(void)virtiofs_serve(&served);
	}
	ask(0, 256);
	ask(1, 1);
	CU_ASSERT_FALSE(virtiofs_serve(&served));
	CU_ASSERT_EQUAL(n_served(&machines[1]), 1);
	/* Whenever there is room for a message, the first mount has records for more. */
	for (i = 0; i < MOUNTS; i++) {
		served.supervisor.queued--;
		(void)virtiofs_serve(&served);
	}
	CU_ASSERT_EQUAL(n_served(&machines[1]), 2);
	port_close(&served);
}

void
add_turns_suite(void)
{
	CU_pSuite suite = CU_add_suite("turns", NULL, NULL);

	CU_add_test(suite, "a mount that has always more", test_turns);
}
