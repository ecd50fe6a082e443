/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's start: port, plan, mounts.  relay_pump.c is its work. */
#include "guest/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/device.h"
#include "guest/init.h"
#include "guest/user.h"
#include "ipc/mount_frame.h"
#include "vfsd/transport.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

#define READ_AHEAD_KB (FUSE_DATA_MAX >> 10)

struct relay {
	int port;
	int devices[MOUNT_MAX];
	struct mount_plan plan;
	struct vfs_frames frames;
	char plan_bytes[MOUNT_PLAN_MAX]; /* what the plan's strings point into */
};

/* ---- The plan ---- */

/* Reads the next frame of the port; blocks. */
static int
next_frame(struct relay *r, uint32_t *mount, const uint8_t **payload, size_t *length)
{
	struct pollfd p = {.fd = r->port, .events = POLLIN};
	size_t room;
	uint8_t *at;
	ssize_t n;
	int rc;

	while ((rc = vfs_frames_next(&r->frames, mount, payload, length)) == 0) {
		at = vfs_frames_space(&r->frames, &room);
		n = read(r->port, at, room);
		if (n == 0)
			return -EPIPE;
		if (n > 0)
			vfs_frames_filled(&r->frames, (size_t)n);
		else if ((errno != EAGAIN && errno != EINTR) ||
			 (poll(&p, 1, -1) < 0 && errno != EINTR))
			return -errno;
	}
	return rc < 0 ? rc : 0;
}

static int
read_plan(struct relay *r)
{
	const uint8_t *payload;
	uint32_t mount;
	size_t length;
	int rc = next_frame(r, &mount, &payload, &length);

	if (rc < 0)
		return rc;
	if (mount != MOUNT_CONTROL || length > sizeof(r->plan_bytes))
		return -EPROTO;
	memcpy(r->plan_bytes, payload, length);
	return mount_plan_decode((const uint8_t *)r->plan_bytes, length, &r->plan);
}

/* A user that the guest does not know is refused with its command, which says so better. */
static int
send_owner(struct relay *r)
{
	uint8_t frame[VFS_FRAME_HEADER + MOUNT_OWNER_SIZE];
	struct user u;

	if (user_find(&user_files_system, r->plan.user, &u) < 0)
		u.uid = u.gid = 0;
	vfs_frame_encode(frame, MOUNT_OWNER_SIZE, MOUNT_CONTROL);
	mount_owner_encode(u.uid, u.gid, frame + VFS_FRAME_HEADER);
	/* The first bytes into an empty port: they fit. */
	return write(r->port, frame, sizeof(frame)) == (ssize_t)sizeof(frame) ? 0 : -EIO;
}

/* ---- Mounting, in a child ---- */

/* The kernel's default of 128 KiB would cut every large read into eight requests. */
static void
raise_read_ahead(dev_t device)
{
	char path[80], text[16];
	int fd, n;

	snprintf(
	    path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(device), minor(device));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%u", READ_AHEAD_KB);
	/* Without it reads are slower, and that is all. */
	(void)!write(fd, text, (size_t)n);
	close(fd);
}

/* From a device of its own: nothing is relayed. */
static int
mount_device(const char *path, uint8_t id)
{
	char tag[32];

	snprintf(tag, sizeof(tag), MOUNT_TAG, id);
	return mount(tag, path, "virtiofs", MS_NOSUID | MS_NODEV, NULL) < 0 ? -errno : 0;
}

/* From /dev/fuse, whose messages the relay carries from here on. */
static int
mount_relayed(const char *path, uint8_t id, int device, int mounted)
{
	char options[128];

	snprintf(options, sizeof(options),
	    "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", device);
	if (mount("gondolin", path, "fuse.gondolin", MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	return write(mounted, &id, 1) == 1 ? 0 : -EPIPE;
}

static int
mount_one(const struct relay *r, uint8_t id, int mounted)
{
	const char *path = r->plan.paths[id];
	struct stat st;
	int rc = mounts_make_directories(path);

	if (rc < 0)
		return init_error(-rc, "cannot make the directory %s for a mount", path);
	rc = r->plan.by_devices ? mount_device(path, id)
				: mount_relayed(path, id, r->devices[id], mounted);
	if (rc < 0)
		return init_error(-rc, "cannot mount on %s", path);
	/* The first answer of vfsd: from here on the mount works. */
	if (stat(path, &st) < 0)
		return init_error(errno, "the mount on %s does not answer", path);
	raise_read_ahead(st.st_dev);
	return 0;
}

static void __attribute__((noreturn)) mount_all(const struct relay *r, int ready, int mounted)
{
	uint32_t i;

	umask(022);
	for (i = 0; i < r->plan.n; i++)
		if (mount_one(r, (uint8_t)i, mounted) < 0)
			_exit(1);
	_exit(write(ready, "", 1) != 1);
}

/* ---- The process ---- */

/*
 * Everything that is written back to a mount passes here: a relay that waits for memory which only
 * that could free, or that is killed to free some, would take the guest with it.
 */
static void
become_indispensable(void)
{
	static const int ignored[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGCHLD};
	size_t i;
	int fd;

	setsid();
	/* The end of the guest begins with SIGTERM to all: they still want their files then. */
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "-1000", 5);
		close(fd);
	}
}

/* Mounts that are devices need no relay, which then only waits for the end. */
static uint32_t
n_relayed(const struct relay *r)
{
	return r->plan.by_devices ? 0 : r->plan.n;
}

static int
open_devices(struct relay *r)
{
	uint32_t i;

	for (i = 0; i < n_relayed(r); i++) {
		r->devices[i] = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (r->devices[i] < 0)
			return init_error(errno, "cannot open /dev/fuse");
	}
	return 0;
}

static int
prepare(struct relay *r, int events)
{
	int rc;

	r->port = device_port_open(events, MOUNT_PORT_NAME);
	if (r->port < 0)
		return init_error(-r->port, "no virtio port " MOUNT_PORT_NAME);
	close(events);
	rc = vfs_frames_init(&r->frames);
	if (rc == 0)
		rc = read_plan(r);
	if (rc == 0)
		rc = send_owner(r);
	if (rc < 0)
		return init_error(-rc, "no mounts from the host");
	return open_devices(r);
}

static void __attribute__((noreturn)) relay_main(int events, int ready)
{
	static struct relay r; /* large, and there is one */
	int mounted[2], rc;
	pid_t child;

	become_indispensable();
	if (prepare(&r, events) < 0)
		_exit(1);
	child = pipe2(mounted, O_CLOEXEC | O_NONBLOCK) < 0 ? -1 : fork();
	if (child == 0)
		mount_all(&r, ready, mounted[1]);
	if (child < 0) {
		init_error(errno, "cannot mount");
		_exit(1);
	}
	close(ready);
	close(mounted[1]);
	rc = relay_pump(r.port, r.devices, n_relayed(&r), mounted[0], &r.frames);
	init_error(-rc, "the relay of the mounts ends");
	_exit(1);
}

pid_t
relay_start(int events)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return init_error(errno, "no pipe");
	pid = fork();
	if (pid == 0)
		relay_main(events, ready[1]);
	close(ready[1]);
	if (pid < 0)
		pid = init_error(errno, "cannot start the relay of the mounts");
	/* Its end without a byte: what failed was said. */
	else if (read(ready[0], &byte, 1) != 1)
		pid = -EIO;
	close(ready[0]);
	return pid;
}
