/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user and virtqueues, without the process around them: each thing that must not be said. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/vfsd/machine.h"
#include "tests/unit/vfsd/suites.h"
#include "vfsd/virtqueue.h"

#define WRITABLE VRING_DESC_F_WRITE
#define NEXT     VRING_DESC_F_NEXT
#define INDIRECT VRING_DESC_F_INDIRECT
#define BYTES    (1u << 20)

static struct virtqueue_chain chain; /* large */

/* Says one message, with copies of its descriptors. */
static int
say(struct vhost_user *v, const struct machine_message *m)
{
	uint8_t reply[VHOST_USER_PAYLOAD_MAX];
	int fds[VHOST_USER_FDS_MAX], rc;
	size_t i;

	for (i = 0; i < m->n_fds; i++)
		fds[i] = fcntl(m->fds[i], F_DUPFD_CLOEXEC, 0);
	rc = vhost_user_message(v, &m->header, m->payload, fds, m->n_fds, reply);
	for (i = 0; i < m->n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}

/* Says the first n messages of a start. */
static void
start(struct vhost_user *v, const struct machine *m, unsigned n)
{
	struct machine_message message;
	unsigned i;

	vhost_user_init(v);
	for (i = 0; i < n && machine_start_message(m, i, &message); i++)
		CU_ASSERT_FATAL(say(v, &message) >= 0);
}

#define ALL       UINT32_MAX
#define TO_TABLE  6u /* the next message is the memory table */
#define TO_NUMBER 7u /* the next is the first queue's size */

static int
pop(struct vhost_user *v)
{
	return virtqueue_pop(&v->queues[1].ring, &v->memory, BYTES, &chain);
}

struct descriptor {
	uint64_t at;
	uint32_t length;
	uint16_t flags, next;
};

static void
put(const struct machine *m, uint16_t index, const struct descriptor *d)
{
	struct vring r = machine_ring(m, 1);

	r.desc[index] = (struct vring_desc){d->at, d->length, d->flags, d->next};
}

/* ---- Chains ---- */

static void
test_chain(void)
{
	const struct descriptor d[] = {{MACHINE_BUFFERS, 40, NEXT, 1},
	    /* Across the border: two pieces. */
	    {MACHINE_BORDER - 8, 24, NEXT, 2}, {MACHINE_BUFFERS + 64, 0, NEXT | WRITABLE, 3},
	    {MACHINE_BUFFERS + 4096, 100, WRITABLE, 0}};
	struct vhost_user v;
	struct machine m;
	uint16_t i;

	machine_open(&m);
	start(&v, &m, ALL);
	CU_ASSERT_EQUAL(pop(&v), 0);
	for (i = 0; i < 4; i++)
		put(&m, i, &d[i]);
	machine_offer(&m, 1, 0);
	memcpy(m.bytes + MACHINE_BORDER - 8, "0123456789abcdef", 16);
	CU_ASSERT_EQUAL_FATAL(pop(&v), 1);
	CU_ASSERT_EQUAL(chain.readable_bytes, 64);
	CU_ASSERT_EQUAL(chain.writable_bytes, 100);
	CU_ASSERT_EQUAL(chain.n_readable, 3);
	CU_ASSERT_EQUAL(chain.n_writable, 1);
	CU_ASSERT_EQUAL(chain.readable[1].iov_len, 8);
	CU_ASSERT_EQUAL(memcmp(chain.readable[1].iov_base, "01234567", 8), 0);
	CU_ASSERT_EQUAL(memcmp(chain.readable[2].iov_base, "89abcdef", 8), 0);
	CU_ASSERT_EQUAL(pop(&v), 0);
	vhost_user_clear(&v);
	machine_close(&m);
}

/* Each of these chains ends the queue. */
static void
test_bad_chains(void)
{
	static const struct {
		const char *what;
		struct descriptor d[3];
		struct descriptor table[2]; /* at MACHINE_BUFFERS */
	} rows[] = {
	    {"a circle", {{MACHINE_BUFFERS, 1, NEXT, 1}, {MACHINE_BUFFERS, 1, NEXT, 0}}, {{0}}},
	    {"no such descriptor", {{MACHINE_BUFFERS, 1, NEXT, MACHINE_QUEUE}}, {{0}}},
	    {"past the memory", {{MACHINE_MEMORY - 4, 8, 0, 0}}, {{0}}},
	    {"outside of the memory", {{UINT64_MAX - 3, 8, 0, 0}}, {{0}}},
	    {"reading after writing",
		{{MACHINE_BUFFERS, 8, WRITABLE | NEXT, 1}, {MACHINE_BUFFERS, 8, 0, 0}}, {{0}}},
	    {"too much to read", {{MACHINE_BUFFERS, BYTES, NEXT, 1}, {MACHINE_BUFFERS, 1, 0, 0}},
		{{0}}},
	    {"too much to write", {{MACHINE_BUFFERS, BYTES + 1, WRITABLE, 0}}, {{0}}},
	    {"an unknown flag", {{MACHINE_BUFFERS, 8, 8, 0}}, {{0}}},
	    {"half an entry", {{MACHINE_BUFFERS, 24, INDIRECT, 0}}, {{MACHINE_BUFFERS, 1, 0, 0}}},
	    {"an empty table", {{MACHINE_BUFFERS, 0, INDIRECT, 0}}, {{0}}},
	    {"a table to write to", {{MACHINE_BUFFERS, 16, INDIRECT | WRITABLE, 0}},
		{{MACHINE_BUFFERS, 1, 0, 0}}},
	    {"more behind a table", {{MACHINE_BUFFERS, 16, INDIRECT | NEXT, 1}},
		{{MACHINE_BUFFERS, 1, 0, 0}}},
	    {"a table as the second",
		{{MACHINE_BUFFERS, 8, NEXT, 1}, {MACHINE_BUFFERS, 16, INDIRECT, 0}},
		{{MACHINE_BUFFERS, 1, 0, 0}}},
	    {"a table in a table", {{MACHINE_BUFFERS, 16, INDIRECT, 0}},
		{{MACHINE_BUFFERS, 16, INDIRECT, 0}}},
	    {"a table with a circle", {{MACHINE_BUFFERS, 32, INDIRECT, 0}},
		{{MACHINE_BUFFERS, 1, NEXT, 1}, {MACHINE_BUFFERS, 1, NEXT, 0}}},
	    {"a table that is left", {{MACHINE_BUFFERS, 32, INDIRECT, 0}},
		{{MACHINE_BUFFERS, 1, NEXT, 2}}},
	    {"a table across the border", {{MACHINE_BORDER - 16, 32, INDIRECT, 0}}, {{0}}},
	    {"a table at an odd place", {{MACHINE_BUFFERS + 1, 16, INDIRECT, 0}}, {{0}}},
	    {"too long a table", {{MACHINE_BUFFERS, (VIRTQUEUE_SIZE_MAX + 1) * 16, INDIRECT, 0}},
		{{0}}},
	};
	struct vhost_user v;
	struct machine m;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		machine_open(&m);
		start(&v, &m, ALL);
		put(&m, 0, &rows[i].d[0]);
		put(&m, 1, &rows[i].d[1]);
		memcpy(m.bytes + MACHINE_BUFFERS, rows[i].table, sizeof(rows[i].table));
		machine_offer(&m, 1, 0);
		if (pop(&v) != -EPROTO)
			CU_FAIL_FATAL(rows[i].what);
		vhost_user_clear(&v);
		machine_close(&m);
	}
}

static void
test_bad_rings(void)
{
	struct vhost_user v;
	struct machine m;

	machine_open(&m);
	start(&v, &m, ALL);
	machine_offer(&m, 1, MACHINE_QUEUE);
	CU_ASSERT_EQUAL(pop(&v), -EPROTO);
	machine_ring(&m, 1).avail->idx = MACHINE_QUEUE + 1;
	CU_ASSERT_EQUAL(pop(&v), -EPROTO);
	vhost_user_clear(&v);
	machine_close(&m);
}

/* Who wants to be told of what: virtio 1.2, 2.7.7 and 2.7.10. */
static void
test_notifications(void)
{
	struct vhost_user v;
	struct machine m;
	struct vring r;
	struct virtqueue *q = &v.queues[1].ring;

	machine_open(&m);
	start(&v, &m, ALL);
	r = machine_ring(&m, 1);
	CU_ASSERT_EQUAL(pop(&v), 0);
	CU_ASSERT_EQUAL(vring_avail_event(&r), 0);
	machine_offer(&m, 1, 0);
	put(&m, 0, &(struct descriptor){MACHINE_BUFFERS, 8, 0, 0});
	CU_ASSERT_EQUAL(pop(&v), 1);
	CU_ASSERT_EQUAL(pop(&v), 0);
	CU_ASSERT_EQUAL(vring_avail_event(&r), 1);
	vring_used_event(&r) = 1;
	CU_ASSERT_FALSE(virtqueue_push(q, 0, 0));
	CU_ASSERT_TRUE(virtqueue_push(q, 7, 99));
	CU_ASSERT_EQUAL(r.used->idx, 2);
	CU_ASSERT_EQUAL(r.used->ring[1].id, 7);
	CU_ASSERT_EQUAL(r.used->ring[1].len, 99);
	q->event_index = false;
	CU_ASSERT_TRUE(virtqueue_push(q, 0, 0));
	r.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	CU_ASSERT_FALSE(virtqueue_push(q, 0, 0));
	vhost_user_clear(&v);
	machine_close(&m);
}

/* ---- Messages ---- */

static void
test_start(void)
{
	struct vhost_user v;
	struct machine m;
	unsigned i;

	machine_open(&m);
	start(&v, &m, ALL);
	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		CU_ASSERT_TRUE(vhost_user_running(&v.queues[i]));
		CU_ASSERT_EQUAL(v.queues[i].ring.size, MACHINE_QUEUE);
	}
	CU_ASSERT_EQUAL(v.memory.n, 2);
	vhost_user_clear(&v);
	CU_ASSERT_FALSE(vhost_user_running(&v.queues[0]));
	machine_close(&m);
}

/* A device that stops tells where, and a new table finds the rings again. */
static void
test_stop(void)
{
	const uint32_t which[2] = {1, 0};
	struct machine_message message;
	struct vhost_user v;
	struct machine m;

	machine_open(&m);
	start(&v, &m, ALL);
	put(&m, 0, &(struct descriptor){MACHINE_BUFFERS, 8, 0, 0});
	machine_offer(&m, 1, 0);
	CU_ASSERT_EQUAL(pop(&v), 1);
	machine_start_message(&m, TO_TABLE, &message);
	CU_ASSERT_EQUAL(say(&v, &message), 0);
	machine_offer(&m, 1, 0);
	CU_ASSERT_EQUAL(pop(&v), 1);
	message = machine_message(M_GET_VRING_BASE, which, sizeof(which), -1);
	CU_ASSERT_EQUAL(say(&v, &message), 8);
	CU_ASSERT_FALSE(vhost_user_running(&v.queues[1]));
	CU_ASSERT_TRUE(vhost_user_running(&v.queues[0]));
	CU_ASSERT_EQUAL(v.queues[1].ring.next, 2);
	vhost_user_clear(&v);
	machine_close(&m);
}

/* A payload as words, at that step of a start. */
struct bad_message {
	const char *what;
	unsigned step;
	uint32_t request, flags, size;
	uint64_t words[6];
	int with; /* NONE, or a descriptor */
};

enum { NONE, MEMORY, UNSEALED, LARGE, EVENT };

static const struct bad_message bad_messages[] = {
    {"no such request", 0, 4, 1, 0, {0}, NONE},
    {"a number far away", 0, UINT32_MAX, 1, 0, {0}, NONE},
    {"a log of memory", 0, 6, 1, 16, {0}, NONE},
    {"another version", 0, M_GET_FEATURES, 2, 0, {0}, NONE},
    {"a reply", 0, M_GET_FEATURES, 5, 0, {0}, NONE},
    {"an unknown flag", 0, M_GET_FEATURES, 17, 0, {0}, NONE},
    {"too long", 0, M_SET_FEATURES, 1, 16, {UINT64_C(1) << 32}, NONE},
    {"too short", 0, M_SET_FEATURES, 1, 4, {0}, NONE},
    {"a descriptor for nothing", 0, M_GET_FEATURES, 1, 0, {0}, EVENT},
    {"features not offered", 0, M_SET_FEATURES, 1, 8, {UINT64_C(1) << 32 | 1}, NONE},
    {"virtio before 1.0", 0, M_SET_FEATURES, 1, 8, {0}, NONE},
    {"protocol features not offered", 0, M_SET_PROTOCOL_FEATURES, 1, 8, {2}, NONE},
    {"no region", TO_TABLE, M_SET_MEM_TABLE, 1, 8, {0}, NONE},
    {"nine regions", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {9}, MEMORY},
    {"a region without memory", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 0, 0}, NONE},
    {"memory that may shrink", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 0, 0}, UNSEALED},
    {"memory that is none", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 0, 0}, EVENT},
    {"an empty region", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 0, 0, 0}, MEMORY},
    {"half a page", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 2048, 0, 0}, MEMORY},
    {"an odd address", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 2048, 4096, 0, 0}, MEMORY},
    {"an odd place", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 1, 0}, MEMORY},
    {"large pages", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 0, 0}, LARGE},
    {"an odd offset", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 0, 8}, MEMORY},
    {"past the file", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 4096, 0, MACHINE_MEMORY}, MEMORY},
    {"larger than the file", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 2 * MACHINE_MEMORY, 0, 0},
	MEMORY},
    {"an address that wraps", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, UINT64_MAX - 4095, 8192, 0, 0},
	MEMORY},
    {"a place that wraps", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 8192, UINT64_MAX - 4095, 0},
	MEMORY},
    {"an offset that wraps", TO_TABLE, M_SET_MEM_TABLE, 1, 40, {1, 0, 8192, 0, UINT64_MAX - 4095},
	MEMORY},
    {"a third queue", TO_NUMBER, M_SET_VRING_NUM, 1, 8, {UINT64_C(16) << 32 | 2}, NONE},
    {"too many entries", TO_NUMBER, M_SET_VRING_NUM, 1, 8, {UINT64_C(2048) << 32}, NONE},
    {"a base past 16 bits", TO_NUMBER, M_SET_VRING_BASE, 1, 8, {UINT64_C(65536) << 32}, NONE},
    {"a ring before its size", TO_NUMBER, M_SET_VRING_ADDR, 1, 40,
	{0, MACHINE_USER_A, MACHINE_USER_A + 8192, MACHINE_USER_A + 4096}, NONE},
    {"a ring outside", TO_NUMBER + 1, M_SET_VRING_ADDR, 1, 40,
	{0, MACHINE_USER_A - 4096, MACHINE_USER_A + 8192, MACHINE_USER_A + 4096}, NONE},
    {"a ring across the end", TO_NUMBER + 1, M_SET_VRING_ADDR, 1, 40,
	{0, MACHINE_USER_A + MACHINE_BORDER - 4096, MACHINE_USER_A + 8192, MACHINE_USER_A + 4096},
	NONE},
    {"an odd ring", TO_NUMBER + 1, M_SET_VRING_ADDR, 1, 40,
	{0, MACHINE_USER_A + 8, MACHINE_USER_A + 8192, MACHINE_USER_A + 4096}, NONE},
    {"a ring that is logged", TO_NUMBER + 1, M_SET_VRING_ADDR, 1, 40,
	{UINT64_C(1) << 32, MACHINE_USER_A, MACHINE_USER_A + 16384, MACHINE_USER_A + 12288}, NONE},
    {"a ring without memory", 1, M_SET_VRING_ADDR, 1, 40, {0, 0, 0, 0}, NONE},
    {"a ring to poll", TO_NUMBER, M_SET_VRING_KICK, 1, 8, {0x100}, NONE},
    {"a kick that is not there", TO_NUMBER, M_SET_VRING_KICK, 1, 8, {0}, NONE},
    {"a call too many", TO_NUMBER, M_SET_VRING_CALL, 1, 8, {0x100}, EVENT},
    {"an error of no queue", TO_NUMBER, M_SET_VRING_ERR, 1, 8, {7}, EVENT},
    {"half enabled", TO_NUMBER, M_SET_VRING_ENABLE, 1, 8, {UINT64_C(2) << 32}, NONE},
    {"a stop of no queue", TO_NUMBER, M_GET_VRING_BASE, 1, 8, {2}, NONE},
};

static void
test_bad_messages(void)
{
	struct vhost_user v;
	struct machine m;
	struct machine_message message;
	int unsealed = memfd_create("unsealed", MFD_CLOEXEC);
	/* Not on every host: then it is a region without memory. */
	int large = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	size_t i;

	CU_ASSERT_EQUAL_FATAL(ftruncate(unsealed, MACHINE_MEMORY), 0);
	CU_ASSERT_TRUE_FATAL(large < 0 || (ftruncate(large, MACHINE_MEMORY) == 0 &&
					      fcntl(large, F_ADD_SEALS, F_SEAL_SHRINK) == 0));
	for (i = 0; i < sizeof(bad_messages) / sizeof(bad_messages[0]); i++) {
		const struct bad_message *b = &bad_messages[i];

		machine_open(&m);
		start(&v, &m, b->step);
		message = machine_message(b->request, b->words, b->size,
		    (const int[]){-1, m.memory, unsealed, large, m.kick[0]}[b->with]);
		message.header.flags = b->flags;
		if (say(&v, &message) != -EPROTO)
			CU_FAIL_FATAL(b->what);
		vhost_user_clear(&v);
		machine_close(&m);
	}
	close(unsealed);
	if (large >= 0)
		close(large);
}

/* Two regions that share bytes of the guest's, or of the machine's. */
static void
test_overlaps(void)
{
	static const uint64_t second[][2] = {{4096, UINT64_C(1) << 40}, {UINT64_C(1) << 40, 4096}};
	struct guest_memory memory = {.n = 0};
	struct machine m;
	size_t i;

	machine_open(&m);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(guest_memory_add(&memory, 0, 0, 8192, m.memory, 0), 0);
		CU_ASSERT_EQUAL(
		    guest_memory_add(&memory, second[i][0], second[i][1], 4096, m.memory, 0),
		    -EPROTO);
		guest_memory_clear(&memory);
		guest_memory_clear(&memory);
	}
	machine_close(&m);
}

void
add_virtqueue_suite(void)
{
	CU_pSuite suite = CU_add_suite("virtqueue", NULL, NULL);

	CU_add_test(suite, "a chain", test_chain);
	CU_add_test(suite, "chains that must not be", test_bad_chains);
	CU_add_test(suite, "rings that must not be", test_bad_rings);
	CU_add_test(suite, "notifications", test_notifications);
	CU_add_test(suite, "a start", test_start);
	CU_add_test(suite, "a stop, and new memory", test_stop);
	CU_add_test(suite, "messages that must not be", test_bad_messages);
	CU_add_test(suite, "regions that overlap", test_overlaps);
}
