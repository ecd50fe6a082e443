/* SPDX-License-Identifier: Apache-2.0 */
/* A mount that is a device of the machine: vfsd as a process, a machine and a guest's driver. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vfsd/machine.h"
#include "tests/unit/vfsd/rig.h"
#include "tests/unit/vfsd/suites.h"

#define DEADLINE_MS 60000
#define REPLY_AT    (2u << 20) /* guest-physical: behind MACHINE_BUFFERS and 1 MiB */
#define TABLE_AT    (7u << 20)
#define CHUNK       4096u

struct device {
	struct rig rig;
	struct machine machine;
	int fd;
	uint64_t unique;
};

/* ---- vhost-user, as QEMU says it ---- */

static void
say(const struct device *d, const struct machine_message *m)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(m->fds))];
	} control = {.bytes = {0}};
	struct iovec parts[2] = {
	    {(void *)(uintptr_t)&m->header, sizeof(m->header)},
	    {(void *)(uintptr_t)m->payload, m->header.size},
	};
	struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};

	if (m->n_fds > 0) {
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(m->n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), m->fds, m->n_fds * sizeof(int));
	}
	CU_ASSERT_EQUAL_FATAL(
	    sendmsg(d->fd, &h, MSG_NOSIGNAL), (ssize_t)(sizeof(m->header) + m->header.size));
}

static bool
wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, DEADLINE_MS) == 1;
}

/* The answer to the message that was said last. */
static uint64_t
answer(const struct device *d, uint32_t request)
{
	struct {
		struct vhost_user_header header;
		uint8_t value[sizeof(uint64_t)];
	} reply;
	uint64_t value;

	CU_ASSERT_FATAL(wait_for(d->fd));
	CU_ASSERT_EQUAL_FATAL(recv(d->fd, &reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	CU_ASSERT_EQUAL(reply.header.request, request);
	CU_ASSERT_EQUAL(reply.header.flags, 5);
	memcpy(&value, reply.value, sizeof(value));
	return value;
}

static void
start(struct device *d)
{
	struct machine_message m;
	uint32_t mount;
	unsigned i;

	memset(d, 0, sizeof(*d));
	rig_start(&d->rig, &d->fd);
	CU_ASSERT_FATAL(rig_take_frame(&d->rig, &mount) > 0);
	machine_open(&d->machine);
	for (i = 0; machine_start_message(&d->machine, i, &m); i++) {
		/* An acknowledgement of what has no answer, once it may be asked for. */
		if (m.header.request >= M_SET_VRING_NUM && m.header.request <= M_SET_VRING_ERR)
			m.header.flags |= 8;
		say(d, &m);
		if (m.header.request == M_GET_FEATURES ||
		    m.header.request == M_GET_PROTOCOL_FEATURES ||
		    m.header.request == M_GET_QUEUE_NUM) {
			CU_ASSERT_NOT_EQUAL(answer(d, m.header.request), 0);
		} else if (m.header.flags & 8) {
			CU_ASSERT_EQUAL(answer(d, m.header.request), 0);
		}
	}
	rig_put_owner(&d->rig);
}

static void
stop(struct device *d)
{
	close(d->fd);
	machine_close(&d->machine);
	rig_stop(&d->rig);
}

/* Whether vfsd ended the boot: the port is closed. */
static bool
is_over(struct device *d)
{
	uint32_t mount;

	return rig_take_frame(&d->rig, &mount) == -1;
}

/* ---- The guest's driver ---- */

static void
kick(struct device *d, unsigned queue)
{
	const uint64_t one = 1;

	CU_ASSERT_EQUAL(write(d->machine.kick[queue], &one, sizeof(one)), (ssize_t)sizeof(one));
}

/* Waits until the device has given `queue` back once more; returns what it says it wrote. */
static uint32_t
wait_used(struct device *d, unsigned queue)
{
	struct vring r = machine_ring(&d->machine, queue);
	uint16_t seen = d->machine.seen[queue];
	uint64_t times;

	while (__atomic_load_n(&r.used->idx, __ATOMIC_ACQUIRE) == seen) {
		CU_ASSERT_FATAL(wait_for(d->machine.call[queue]));
		CU_ASSERT_EQUAL(read(d->machine.call[queue], &times, sizeof(times)), 8);
	}
	d->machine.seen[queue]++;
	vring_used_event(&r) = d->machine.seen[queue];
	return r.used->ring[seen % MACHINE_QUEUE].len;
}

/* Pieces of CHUNK bytes from `at` on, in a table; the last piece goes on to another, or not. */
static uint16_t
pieces(struct vring_desc *table, uint16_t from, uint64_t at, uint32_t n, uint16_t flags, bool last)
{
	while (n > 0) {
		uint32_t run = n < CHUNK ? n : CHUNK;

		n -= run;
		table[from] = (struct vring_desc){at, run,
		    (uint16_t)(flags | (n == 0 && last ? 0 : VRING_DESC_F_NEXT)),
		    (uint16_t)(from + 1)};
		at += run;
		from++;
	}
	return from;
}

/* Sends one FUSE message; returns the reply's length.  room 0: none is awaited. */
static uint32_t
call(struct device *d, const void *message, uint32_t length, uint32_t room, bool indirect)
{
	const unsigned queue = room == 0 ? 0 : 1;
	struct vring r = machine_ring(&d->machine, queue);
	struct vring_desc *table =
	    indirect ? (struct vring_desc *)(void *)(d->machine.bytes + TABLE_AT) : r.desc;
	uint16_t n;

	memcpy(d->machine.bytes + MACHINE_BUFFERS, message, length);
	n = pieces(table, 0, MACHINE_BUFFERS, length, 0, room == 0);
	n = pieces(table, n, REPLY_AT, room, VRING_DESC_F_WRITE, true);
	if (indirect)
		r.desc[0] = (struct vring_desc){
		    TABLE_AT, n * (uint32_t)sizeof(*table), VRING_DESC_F_INDIRECT, 0};
	machine_offer(&d->machine, queue, 0);
	kick(d, queue);
	return wait_used(d, queue);
}

static const void *
reply_body(const struct device *d)
{
	return d->machine.bytes + REPLY_AT + sizeof(struct fuse_out_header);
}

static int
reply_error(const struct device *d)
{
	struct fuse_out_header h;

	memcpy(&h, d->machine.bytes + REPLY_AT, sizeof(h));
	CU_ASSERT_EQUAL(h.unique, d->unique);
	return h.error;
}

/* One whole request with its parts; returns the reply's error. */
static int
request(struct device *d, uint32_t opcode, uint64_t node, const void *arg, size_t arg_size,
    const void *data, size_t data_size, uint32_t room, bool indirect)
{
	static uint8_t bytes[FUSE_REQUEST_MAX];
	struct fuse_in_header h = {
	    .len = (uint32_t)(sizeof(h) + arg_size + data_size),
	    .opcode = opcode,
	    .unique = ++d->unique,
	    .nodeid = node,
	};
	uint32_t written;

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), arg, arg_size);
	if (data_size > 0)
		memcpy(bytes + sizeof(h) + arg_size, data, data_size);
	written = call(d, bytes, h.len, (uint32_t)sizeof(struct fuse_out_header) + room, indirect);
	CU_ASSERT(written >= sizeof(struct fuse_out_header));
	return reply_error(d);
}

static void
init(struct device *d)
{
	const struct fuse_init_in in = {
	    .major = 7, .minor = 38, .flags = FUSE_MAX_PAGES | FUSE_FLOCK_LOCKS};
	struct fuse_init_out out;

	CU_ASSERT_EQUAL_FATAL(
	    request(d, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, sizeof(out), false), 0);
	memcpy(&out, reply_body(d), sizeof(out));
	CU_ASSERT_EQUAL(out.max_write, FUSE_DATA_MAX);
	/* A lock that waits here could not be interrupted. */
	CU_ASSERT_EQUAL(out.flags & FUSE_FLOCK_LOCKS, 0);
}

static void
test_serves(void)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} create = {.in = {.flags = 2, .mode = 0100644}, .name = "file"};
	static uint8_t data[FUSE_DATA_MAX];
	struct fuse_write_in write = {.size = sizeof(data)};
	struct fuse_read_in read = {.size = sizeof(data)};
	struct {
		struct fuse_in_header h;
		struct fuse_forget_in in;
	} forget = {.h = {.len = sizeof(forget), .opcode = FUSE_FORGET}, .in = {1}};
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	struct device d;
	size_t i;

	start(&d);
	init(&d);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 12));
	CU_ASSERT_EQUAL_FATAL(request(&d, FUSE_CREATE, 1, &create, sizeof(create.in) + 5, NULL, 0,
				  sizeof(entry) + sizeof(open), false),
	    0);
	memcpy(&entry, reply_body(&d), sizeof(entry));
	memcpy(&open, (const uint8_t *)reply_body(&d) + sizeof(entry), sizeof(open));
	write.fh = read.fh = open.fh;
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(request(&d, FUSE_WRITE, entry.nodeid, &write, sizeof(write), data,
				    sizeof(data), sizeof(struct fuse_write_out), i == 1),
		    0);
		CU_ASSERT_EQUAL(request(&d, FUSE_READ, entry.nodeid, &read, sizeof(read), NULL, 0,
				    sizeof(data), i == 1),
		    0);
		CU_ASSERT_EQUAL(memcmp(reply_body(&d), data, sizeof(data)), 0);
	}
	forget.h.nodeid = entry.nodeid;
	CU_ASSERT_EQUAL(call(&d, &forget, sizeof(forget), 0, true), 0);
	stop(&d);
}

/* Each of these ends the boot. */
static void
test_broken(void)
{
	enum {
		NO_ROOM,
		NOT_FUSE,
		BEFORE_INIT,
		SHORT_REPLY,
		RING,
		MESSAGE,
		LONG_MESSAGE,
		MANY_FDS,
		WAYS
	};
	static const uint8_t zeros[64];
	struct fuse_in_header h = {
	    .len = sizeof(h), .opcode = FUSE_STATFS, .unique = 9, .nodeid = 1};
	struct machine_message m;
	struct device d;
	struct vring r;
	int way, i;

	for (way = 0; way < WAYS; way++) {
		start(&d);
		r = machine_ring(&d.machine, 1);
		if (way != BEFORE_INIT)
			init(&d);
		memcpy(d.machine.bytes + MACHINE_BUFFERS, way == NOT_FUSE ? zeros : (uint8_t *)&h,
		    sizeof(h));
		r.desc[0] = (struct vring_desc){MACHINE_BUFFERS, sizeof(h), VRING_DESC_F_NEXT, 1};
		r.desc[1] = (struct vring_desc){
		    REPLY_AT, way == SHORT_REPLY ? 20 : CHUNK, VRING_DESC_F_WRITE, 0};
		if (way == NO_ROOM)
			r.desc[0].flags = 0;
		m = machine_message(M_GET_FEATURES, NULL, 0, -1);
		if (way == MESSAGE)
			m.header.request = 77;
		if (way == LONG_MESSAGE)
			m.header.size = VHOST_USER_PAYLOAD_MAX;
		for (i = 0; way == MANY_FDS && i < (int)VHOST_USER_FDS_MAX; i++)
			m.fds[m.n_fds++] = d.machine.kick[0];
		if (way >= MESSAGE)
			say(&d, &m);
		else
			machine_offer(&d.machine, 1, way == RING ? MACHINE_QUEUE : 0);
		kick(&d, 1);
		CU_ASSERT_TRUE(is_over(&d));
		stop(&d);
	}
}

/* What is always readable would be looked at for ever. */
static void
test_no_eventfd(void)
{
	const uint64_t queue = 1;
	struct machine_message m;
	struct device d;
	int ends[2], way;

	for (way = 0; way < 2; way++) {
		start(&d);
		CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
		close(ends[1]);
		m = machine_message(
		    M_SET_VRING_KICK, &queue, sizeof(queue), way == 0 ? ends[0] : d.machine.memory);
		say(&d, &m);
		close(ends[0]);
		CU_ASSERT_TRUE(is_over(&d));
		stop(&d);
	}
}

/* Whoever started the machine says that it is gone, and nobody else. */
static void
test_gone_asking(void)
{
	const int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	const int said = memfd_create("said", MFD_CLOEXEC);
	struct device d;

	CU_ASSERT_FATAL(own >= 0 && said >= 0);
	(void)dup2(said, STDERR_FILENO);
	start(&d);
	(void)dup2(own, STDERR_FILENO);
	close(own);
	/* It cannot be answered any more. */
	CU_ASSERT_EQUAL(shutdown(d.fd, SHUT_RD), 0);
	say(&d, &(struct machine_message){.header = {M_GET_FEATURES, 1, 0}});
	CU_ASSERT_TRUE(is_over(&d));
	stop(&d);
	CU_ASSERT_EQUAL(lseek(said, 0, SEEK_END), 0);
	close(said);
}

/* What came before the guest said whose its files are waits until then. */
static void
test_early(void)
{
	const struct fuse_init_in in = {.major = 7, .minor = 38};
	struct fuse_in_header h = {.len = sizeof(h) + sizeof(in), .opcode = FUSE_INIT, .unique = 1};
	struct machine_message m;
	struct device d;
	struct vring r;
	uint32_t mount;
	unsigned i;

	memset(&d, 0, sizeof(d));
	rig_start(&d.rig, &d.fd);
	CU_ASSERT_FATAL(rig_take_frame(&d.rig, &mount) > 0);
	machine_open(&d.machine);
	r = machine_ring(&d.machine, 1);
	memcpy(d.machine.bytes + MACHINE_BUFFERS, &h, sizeof(h));
	memcpy(d.machine.bytes + MACHINE_BUFFERS + sizeof(h), &in, sizeof(in));
	r.desc[0] = (struct vring_desc){MACHINE_BUFFERS, h.len, VRING_DESC_F_NEXT, 1};
	r.desc[1] = (struct vring_desc){REPLY_AT, CHUNK, VRING_DESC_F_WRITE, 0};
	machine_offer(&d.machine, 1, 0);
	kick(&d, 1);
	for (i = 0; machine_start_message(&d.machine, i, &m); i++)
		say(&d, &m);
	rig_put_owner(&d.rig);
	d.unique = 1;
	CU_ASSERT(wait_used(&d, 1) > sizeof(struct fuse_out_header));
	CU_ASSERT_EQUAL(reply_error(&d), 0);
	stop(&d);
}

/* A queue that has ended may still be notified of: the machine has its eventfd, too. */
static void
test_stopped_queue(void)
{
	const uint32_t which[2] = {1, 0};
	struct machine_message m;
	struct device d;
	int i;

	start(&d);
	init(&d);
	m = machine_message(M_GET_VRING_BASE, which, sizeof(which), -1);
	say(&d, &m);
	CU_ASSERT_EQUAL(answer(&d, M_GET_VRING_BASE), UINT64_C(1) << 32 | 1);
	kick(&d, 1);
	for (i = 0; i < 3; i++) {
		say(&d, &(struct machine_message){.header = {M_GET_FEATURES, 1, 0}});
		CU_ASSERT_NOT_EQUAL(answer(&d, M_GET_FEATURES), 0);
	}
	stop(&d);
}

/* A new boot.  device false: the machine's end of the device does not come. */
static void
boot_anew(struct device *d, bool device)
{
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	Gondolin__VfsdDevice message = GONDOLIN__VFSD_DEVICE__INIT;
	int ports[2], devices[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, devices), 0);
	rig_tell(&d->rig, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, ports[1]);
	if (device)
		rig_tell(&d->rig, GONDOLIN__SUP_TO_VFSD__BODY_DEVICE, &message, devices[1]);
	close(ports[1]);
	close(devices[1]);
	close(d->rig.port);
	d->rig.port = ports[0];
	close(d->fd);
	d->fd = devices[0];
}

/* The machine's end ends the boot, and the next one begins anew. */
static void
test_second_boot(void)
{
	struct device d;
	uint32_t mount;

	start(&d);
	init(&d);
	CU_ASSERT_EQUAL(shutdown(d.fd, SHUT_RDWR), 0);
	CU_ASSERT_TRUE(is_over(&d));
	boot_anew(&d, true);
	CU_ASSERT(rig_take_frame(&d.rig, &mount) > 0);
	say(&d, &(struct machine_message){.header = {M_GET_FEATURES, 1, 0}});
	CU_ASSERT_NOT_EQUAL(answer(&d, M_GET_FEATURES), 0);
	stop(&d);
}

/* A machine that is gone before its device has come is no fault of the supervisor's. */
static void
test_gone_early(void)
{
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	Gondolin__VfsdDevice device = GONDOLIN__VFSD_DEVICE__INIT;
	struct device d;
	uint32_t mount;
	int ports[2], devices[2];
	char byte;

	start(&d);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, devices), 0);
	close(ports[0]);
	rig_tell(&d.rig, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, ports[1]);
	rig_tell(&d.rig, GONDOLIN__SUP_TO_VFSD__BODY_DEVICE, &device, devices[1]);
	close(ports[1]);
	close(devices[1]);
	CU_ASSERT_TRUE(wait_for(devices[0]));
	CU_ASSERT_EQUAL(read(devices[0], &byte, 1), 0);
	close(devices[0]);
	boot_anew(&d, true);
	CU_ASSERT(rig_take_frame(&d.rig, &mount) > 0);
	stop(&d);
}

/* A guest cannot speak before its machine has its devices. */
static void
test_speaks_early(void)
{
	struct device d;
	uint32_t mount;

	start(&d);
	boot_anew(&d, false);
	CU_ASSERT(rig_take_frame(&d.rig, &mount) > 0);
	rig_put_owner(&d.rig);
	CU_ASSERT_TRUE(is_over(&d));
	stop(&d);
}

void
add_device_suite(void)
{
	CU_pSuite suite = CU_add_suite("device", NULL, NULL);

	CU_add_test(suite, "serves", test_serves);
	CU_add_test(suite, "broken in every way", test_broken);
	CU_add_test(suite, "queues without eventfds", test_no_eventfd);
	CU_add_test(suite, "a machine that asks and is gone", test_gone_asking);
	CU_add_test(suite, "requests that come early", test_early);
	CU_add_test(suite, "a queue that has ended", test_stopped_queue);
	CU_add_test(suite, "a second boot", test_second_boot);
	CU_add_test(suite, "a machine that is gone early", test_gone_early);
	CU_add_test(suite, "a guest that speaks early", test_speaks_early);
}
