/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user: a table of what may be said.  See the header. */
#include "vfsd/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

/* Names and numbers of the specification. */
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	REQUESTS_MAX,
};

#define FLAG_VERSION       1u
#define FLAG_VERSION_MASK  3u
#define FLAG_REPLY         4u
#define FLAG_NEED_REPLY    8u
#define VRING_INDEX_MASK   0xffu
#define VRING_NO_FD        0x100u
#define F_PROTOCOL         30 /* VHOST_USER_F_PROTOCOL_FEATURES */
#define PROTOCOL_MQ        0
#define PROTOCOL_REPLY_ACK 3

#define BIT(n)             (UINT64_C(1) << (n))
#define FEATURES                                                      \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
	    BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(F_PROTOCOL))
#define PROTOCOL_FEATURES (BIT(PROTOCOL_MQ) | BIT(PROTOCOL_REPLY_ACK))

struct vring_state {
	uint32_t index, number;
};

struct vring_address {
	uint32_t index, flags;
	uint64_t descriptors, used, available, log;
};

struct memory_table {
	uint32_t n, padding;
	struct {
		uint64_t guest, size, user, offset;
	} regions[GUEST_REGIONS_MAX];
};

/* ---- Set-up and end ---- */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
vhost_user_init(struct vhost_user *v)
{
	size_t i;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < VHOST_USER_QUEUES; i++)
		v->queues[i].kick = v->queues[i].call = -1;
}

void
vhost_user_clear(struct vhost_user *v)
{
	size_t i;

	guest_memory_clear(&v->memory);
	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		close_fd(&v->queues[i].kick);
		close_fd(&v->queues[i].call);
	}
	vhost_user_init(v);
}

bool
vhost_user_running(const struct vhost_user_queue *q)
{
	return q->enabled && q->kick >= 0 && q->ring.size != 0;
}

struct vhost_user_header
vhost_user_reply(uint32_t request, uint32_t size)
{
	return (struct vhost_user_header){request, FLAG_VERSION | FLAG_REPLY, size};
}

/* ---- Requests ---- */

static int
reply_u64(uint8_t *reply, uint64_t value)
{
	memcpy(reply, &value, sizeof(value));
	return sizeof(value);
}

static uint64_t
u64_of(const uint8_t *payload)
{
	uint64_t value;

	memcpy(&value, payload, sizeof(value));
	return value;
}

static int
get_features(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	(void)v;
	(void)payload;
	(void)fds;
	return reply_u64(reply, FEATURES);
}

static int
set_features(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	const uint64_t features = u64_of(payload);
	size_t i;

	(void)fds;
	(void)reply;
	if ((features & ~FEATURES) != 0 || !(features & BIT(VIRTIO_F_VERSION_1)))
		return -EPROTO;
	v->features = features;
	for (i = 0; i < VHOST_USER_QUEUES; i++) {
		v->queues[i].ring.event_index = features & BIT(VIRTIO_RING_F_EVENT_IDX);
		/* Without the bit there is no message that enables a ring. */
		if (!(features & BIT(F_PROTOCOL)))
			v->queues[i].enabled = true;
	}
	return 0;
}

static int
get_protocol_features(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	(void)v;
	(void)payload;
	(void)fds;
	return reply_u64(reply, PROTOCOL_FEATURES);
}

static int
set_protocol_features(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	(void)fds;
	(void)reply;
	v->protocol_features = u64_of(payload);
	return (v->protocol_features & ~PROTOCOL_FEATURES) != 0 ? -EPROTO : 0;
}

static int
get_queue_num(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	(void)v;
	(void)payload;
	(void)fds;
	return reply_u64(reply, VHOST_USER_QUEUES);
}

static int
set_owner(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	(void)v;
	(void)payload;
	(void)fds;
	(void)reply;
	return 0;
}

/* The rings lie elsewhere in this process after each new table. */
static int
map_rings(struct vhost_user *v)
{
	struct vhost_user_queue *q;
	uint16_t done;
	size_t i;
	int rc = 0;

	for (i = 0; i < VHOST_USER_QUEUES && rc == 0; i++) {
		q = &v->queues[i];
		done = q->ring.done;
		if (q->placed)
			rc = virtqueue_map(&q->ring, &v->memory, &q->place);
		if (vhost_user_running(q))
			q->ring.done = done;
	}
	return rc;
}

static int
set_mem_table(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	struct memory_table t;
	uint32_t i;
	int rc = 0;

	(void)reply;
	memcpy(&t, payload, sizeof(t));
	guest_memory_clear(&v->memory);
	for (i = 0; i < t.n && rc == 0; i++)
		rc = guest_memory_add(&v->memory, t.regions[i].guest, t.regions[i].user,
		    t.regions[i].size, fds[i], t.regions[i].offset);
	return rc < 0 ? rc : map_rings(v);
}

/* The queue that a message is about; NULL where there is none of that number. */
static struct vhost_user_queue *
queue_of(struct vhost_user *v, const uint8_t *payload, uint32_t *number)
{
	struct vring_state s;

	memcpy(&s, payload, sizeof(s));
	*number = s.number;
	return s.index < VHOST_USER_QUEUES ? &v->queues[s.index] : NULL;
}

static int
set_vring_num(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	uint32_t n;
	struct vhost_user_queue *q = queue_of(v, payload, &n);

	(void)fds;
	(void)reply;
	if (q == NULL || q->placed || n > VIRTQUEUE_SIZE_MAX)
		return -EPROTO;
	q->place.size = (uint16_t)n;
	return 0;
}

static int
set_vring_addr(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	struct vhost_user_queue *q;
	struct vring_address a;

	(void)fds;
	(void)reply;
	memcpy(&a, payload, sizeof(a));
	if (a.index >= VHOST_USER_QUEUES || a.flags != 0)
		return -EPROTO;
	q = &v->queues[a.index];
	q->place.descriptors = a.descriptors;
	q->place.available = a.available;
	q->place.used = a.used;
	q->placed = true;
	return virtqueue_map(&q->ring, &v->memory, &q->place);
}

static int
set_vring_base(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	uint32_t n;
	struct vhost_user_queue *q = queue_of(v, payload, &n);

	(void)fds;
	(void)reply;
	if (q == NULL || n > UINT16_MAX)
		return -EPROTO;
	q->ring.next = (uint16_t)n;
	return 0;
}

/* The device stops: what has not been taken stays in the ring. */
static int
get_vring_base(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	struct vring_state s = {0};
	struct vhost_user_queue *q = queue_of(v, payload, &s.number);

	(void)fds;
	if (q == NULL)
		return -EPROTO;
	s.index = (uint32_t)(q - v->queues);
	s.number = q->ring.next;
	close_fd(&q->kick);
	close_fd(&q->call);
	q->ring.size = 0;
	q->placed = false;
	memcpy(reply, &s, sizeof(s));
	return sizeof(s);
}

/* The queue that a descriptor is for.  A ring that is to be polled is not served. */
static struct vhost_user_queue *
queue_for_fd(struct vhost_user *v, const uint8_t *payload, const int *fds, bool needed)
{
	const uint64_t value = u64_of(payload);
	const bool none = value & VRING_NO_FD;

	if ((value & ~(uint64_t)(VRING_INDEX_MASK | VRING_NO_FD)) != 0 || none != (fds[0] < 0) ||
	    (none && needed) || (value & VRING_INDEX_MASK) >= VHOST_USER_QUEUES)
		return NULL;
	return &v->queues[value & VRING_INDEX_MASK];
}

/* A descriptor that could make us wait for whoever has its other end would not be an eventfd. */
static void
take_fd(int *to, int *fd)
{
	close_fd(to);
	*to = *fd;
	*fd = -1;
	if (*to >= 0)
		(void)fcntl(*to, F_SETFL, O_NONBLOCK);
}

static int
set_vring_kick(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	struct vhost_user_queue *q = queue_for_fd(v, payload, fds, true);

	(void)reply;
	if (q == NULL)
		return -EPROTO;
	take_fd(&q->kick, &fds[0]);
	return 0;
}

static int
set_vring_call(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	struct vhost_user_queue *q = queue_for_fd(v, payload, fds, false);

	(void)reply;
	if (q == NULL)
		return -EPROTO;
	take_fd(&q->call, &fds[0]);
	return 0;
}

/* Errors end the device here: there is nobody to tell. */
static int
set_vring_err(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	(void)reply;
	return queue_for_fd(v, payload, fds, false) == NULL ? -EPROTO : 0;
}

static int
set_vring_enable(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply)
{
	uint32_t n;
	struct vhost_user_queue *q = queue_of(v, payload, &n);

	(void)fds;
	(void)reply;
	if (q == NULL || n > 1)
		return -EPROTO;
	q->enabled = n == 1;
	return 0;
}

/* ---- The table ---- */

struct row {
	int (*serve)(struct vhost_user *v, const uint8_t *payload, int *fds, uint8_t *reply);
	uint32_t size;
	uint32_t fds; /* at most */
};

static const struct row rows[REQUESTS_MAX] = {
    [GET_FEATURES] = {get_features, 0, 0},
    [SET_FEATURES] = {set_features, sizeof(uint64_t), 0},
    [SET_OWNER] = {set_owner, 0, 0},
    [SET_MEM_TABLE] = {set_mem_table, 0, GUEST_REGIONS_MAX}, /* as long as it has regions */
    [SET_VRING_NUM] = {set_vring_num, sizeof(struct vring_state), 0},
    [SET_VRING_ADDR] = {set_vring_addr, sizeof(struct vring_address), 0},
    [SET_VRING_BASE] = {set_vring_base, sizeof(struct vring_state), 0},
    [GET_VRING_BASE] = {get_vring_base, sizeof(struct vring_state), 0},
    [SET_VRING_KICK] = {set_vring_kick, sizeof(uint64_t), 1},
    [SET_VRING_CALL] = {set_vring_call, sizeof(uint64_t), 1},
    [SET_VRING_ERR] = {set_vring_err, sizeof(uint64_t), 1},
    [GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, 0},
    [SET_PROTOCOL_FEATURES] = {set_protocol_features, sizeof(uint64_t), 0},
    [GET_QUEUE_NUM] = {get_queue_num, 0, 0},
    [SET_VRING_ENABLE] = {set_vring_enable, sizeof(struct vring_state), 0},
};

/* Whether the payload is as long as its kind is, and the descriptors are as many. */
static bool
fits(const struct vhost_user_header *h, const struct row *row, const uint8_t *payload, size_t n_fds)
{
	struct memory_table t;

	if (h->request != SET_MEM_TABLE)
		return h->size == row->size && n_fds <= row->fds;
	if (h->size < offsetof(struct memory_table, regions))
		return false;
	memcpy(&t, payload, offsetof(struct memory_table, regions));
	return t.n > 0 && t.n <= GUEST_REGIONS_MAX && n_fds == t.n &&
	       h->size >= offsetof(struct memory_table, regions) + t.n * sizeof(t.regions[0]) &&
	       h->size <= sizeof(t);
}

int
vhost_user_message(struct vhost_user *v, const struct vhost_user_header *header,
    const uint8_t *payload, int *fds, size_t n_fds, uint8_t *reply)
{
	uint8_t whole[sizeof(struct memory_table)] = {0};
	int given[VHOST_USER_FDS_MAX];
	const struct row *row;
	bool asked;
	size_t i;
	int rc;

	if (header->request >= REQUESTS_MAX || header->size > sizeof(whole) ||
	    n_fds > VHOST_USER_FDS_MAX ||
	    (header->flags & ~FLAG_NEED_REPLY & ~FLAG_VERSION_MASK) != 0 ||
	    (header->flags & FLAG_VERSION_MASK) != FLAG_VERSION)
		return -EPROTO;
	row = &rows[header->request];
	if (row->serve == NULL || !fits(header, row, payload, n_fds))
		return -EPROTO;
	memcpy(whole, payload, header->size);
	for (i = 0; i < VHOST_USER_FDS_MAX; i++)
		given[i] = i < n_fds ? fds[i] : -1;
	rc = row->serve(v, whole, given, reply);
	for (i = 0; i < n_fds; i++)
		fds[i] = given[i];
	asked = (header->flags & FLAG_NEED_REPLY) != 0 &&
		(v->protocol_features & BIT(PROTOCOL_REPLY_ACK)) != 0;
	return rc == 0 && asked ? reply_u64(reply, 0) : rc;
}
