/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's work: bytes from here to there. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "guest/relay.h"
#include "ipc/mount_frame.h"
#include "vfsd/transport.h"

/* The kernel wants room for the largest request at every read; small ones then leave together. */
#define OUT_SIZE  (VFS_FRAME_MAX + (256u << 10))
#define READS_MAX 256 /* of the port, before requests have their turn again */

struct pump {
	int port, mounted, epoll;
	const int *devices;
	size_t n, first; /* who is asked first changes, so that no mount starves */
	struct vfs_frames *frames;
	uint8_t *out; /* [start, end) waits for the port */
	size_t start, end;
	bool active[MOUNT_MAX]; /* mounted, and not unmounted by the guest since */
	bool blocked;           /* requests wait for the port */
};

#define PORT_KEY    UINT32_MAX
#define MOUNTED_KEY (UINT32_MAX - 1)

static int
watch(const struct pump *p, int how, int fd, uint32_t key, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u32 = key};

	return epoll_ctl(p->epoll, how, fd, &e) < 0 ? -errno : 0;
}

/* While requests wait for the port, no more are taken: then only the port is waited for. */
static int
set_blocked(struct pump *p, bool blocked)
{
	uint32_t i;
	int rc;

	if (p->blocked == blocked)
		return 0;
	p->blocked = blocked;
	rc = watch(p, EPOLL_CTL_MOD, p->port, PORT_KEY, EPOLLIN | (blocked ? EPOLLOUT : 0));
	for (i = 0; i < p->n && rc == 0; i++)
		if (p->active[i])
			rc = watch(p, EPOLL_CTL_MOD, p->devices[i], i, blocked ? 0 : EPOLLIN);
	return rc;
}

/* ---- Mounts ---- */

static int
take_mounted(struct pump *p)
{
	uint8_t ids[MOUNT_MAX];
	ssize_t i, n = read(p->mounted, ids, sizeof(ids));
	int rc = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return watch(p, EPOLL_CTL_DEL, p->mounted, MOUNTED_KEY, 0);
	for (i = 0; i < n && rc == 0; i++) {
		if (ids[i] >= p->n || p->active[ids[i]])
			return -EPROTO;
		p->active[ids[i]] = true;
		rc = watch(p, EPOLL_CTL_ADD, p->devices[ids[i]], ids[i], p->blocked ? 0 : EPOLLIN);
	}
	return rc;
}

/* ---- Replies ---- */

static int
deliver(struct pump *p, uint32_t mount, const uint8_t *payload, size_t length)
{
	ssize_t n;

	if (mount >= p->n)
		return -EPROTO;
	do
		n = write(p->devices[mount], payload, length);
	while (n < 0 && errno == EINTR);
	/* ENOENT: nobody waits for it any more.  The others: the mount is gone or going. */
	if (n < 0 && errno != ENOENT && errno != ENODEV && errno != EPERM && errno != ENOTCONN)
		return -errno;
	return 0;
}

/* Returns 1 where bytes came, 0 where there are none, or -errno. */
static int
take_some(struct pump *p)
{
	const uint8_t *payload;
	uint32_t mount;
	size_t length, room;
	uint8_t *at;
	ssize_t n;
	int rc;

	at = vfs_frames_space(p->frames, &room);
	n = read(p->port, at, room);
	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	vfs_frames_filled(p->frames, (size_t)n);
	while ((rc = vfs_frames_next(p->frames, &mount, &payload, &length)) > 0) {
		rc = deliver(p, mount, payload, length);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : 1;
}

/* The port's driver gives a page at a time, however much there is. */
static int
take_replies(struct pump *p)
{
	int i, rc = 1;

	for (i = 0; i < READS_MAX && rc > 0; i++)
		rc = take_some(p);
	return rc < 0 ? rc : 0;
}

/* ---- Requests ---- */

/* Returns 1 where a request was taken, 0 where there is none, or -errno. */
static int
take_request(struct pump *p, uint32_t mount)
{
	ssize_t n = read(p->devices[mount], p->out + p->end + VFS_FRAME_HEADER,
	    OUT_SIZE - p->end - VFS_FRAME_HEADER);

	if (n > 0) {
		vfs_frame_encode(p->out + p->end, (uint32_t)n, mount);
		p->end += VFS_FRAME_HEADER + (size_t)n;
		return 1;
	}
	/* ENOENT: it was taken back just before. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT))
		return 0;
	if (n < 0 && errno != ENODEV && errno != EPERM)
		return -errno;
	p->active[mount] = false;
	return watch(p, EPOLL_CTL_DEL, p->devices[mount], mount, 0);
}

/* Requests of all mounts in turn, while one of any size still has room. */
static int
take_requests(struct pump *p)
{
	bool any = true;
	uint32_t mount;
	size_t i;
	int rc;

	while (any) {
		any = false;
		p->first++;
		for (i = 0; i < p->n; i++) {
			mount = (uint32_t)((p->first + i) % p->n);
			if (OUT_SIZE - p->end < VFS_FRAME_MAX)
				return 0;
			if (!p->active[mount])
				continue;
			rc = take_request(p, mount);
			if (rc < 0)
				return rc;
			any = any || rc > 0;
		}
	}
	return 0;
}

static int
send_requests(struct pump *p)
{
	ssize_t n;

	while (p->start < p->end) {
		n = write(p->port, p->out + p->start, p->end - p->start);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->start += (size_t)n;
	}
	p->start = p->end = 0;
	return 0;
}

/* ---- The loop ---- */

static int
turn(struct pump *p)
{
	struct epoll_event events[8];
	int i, rc = 0, n = epoll_wait(p->epoll, events, 8, -1);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n && rc == 0; i++) {
		if (events[i].data.u32 == MOUNTED_KEY)
			rc = take_mounted(p);
		else if (events[i].data.u32 == PORT_KEY &&
			 (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
			rc = take_replies(p);
	}
	if (rc == 0 && p->end == 0)
		rc = take_requests(p);
	if (rc == 0)
		rc = send_requests(p);
	return rc == 0 ? set_blocked(p, p->end > 0) : rc;
}

int
relay_pump(int port, const int *devices, size_t n, int mounted, struct vfs_frames *frames)
{
	struct pump p = {
	    .port = port, .mounted = mounted, .devices = devices, .n = n, .frames = frames};
	int rc = 0;

	p.out = malloc(OUT_SIZE);
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p.out == NULL || p.epoll < 0)
		rc = p.out == NULL ? -ENOMEM : -errno;
	if (rc == 0)
		rc = watch(&p, EPOLL_CTL_ADD, port, PORT_KEY, EPOLLIN);
	if (rc == 0)
		rc = watch(&p, EPOLL_CTL_ADD, mounted, MOUNTED_KEY, EPOLLIN);
	while (rc == 0)
		rc = turn(&p);
	if (p.epoll >= 0)
		close(p.epoll);
	free(p.out);
	return rc;
}
