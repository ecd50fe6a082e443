/* SPDX-License-Identifier: Apache-2.0 */
/* The one state of the process, passed down to everything. */
#ifndef GONDOLIN_VFSD_VFSD_H
#define GONDOLIN_VFSD_VFSD_H

#include <ev.h>
#include <stdbool.h>

#include "ipc/channel.h"
#include "ipc/mount_frame.h"
#include "ipc/vfsd.pb-c.h"
#include "vfsd/changes.h"
#include "vfsd/port.h"
#include "vfsd/profile.h"
#include "vfsd/report.h"
#include "vfsd/server.h"
#include "vfsd/virtiofs.h"

/* States of the supervisor's channel. */
enum {
	SUPERVISOR_SETUP = 1 << 0, /* before the jail */
	SUPERVISOR_SERVE = 1 << 1,
};

struct vfsd;

/* One mount: what was asked for, and, while a boot lasts, what serves it. */
struct mount {
	struct vfsd *vfsd;
	uint32_t id;
	Gondolin__VfsdMount *wish; /* own copy */
	char *path;                /* the wish's, as a string */
	const char **hide;         /* the wish's, as strings; one allocation */
	int dir;                   /* the host directory, or -1 */
	struct vfs_provider *base; /* the lowest provider, of which hidden names are told */
	struct vfs_provider *cow;  /* of base and top, the one that keeps writes; or NULL */
	struct vfs_provider *top;
	struct vfs_server *server;
	struct port_transport transport;
	struct virtiofs *device; /* of the present boot; NULL: by the port, or none yet */
	struct report_rate denials;
};

struct vfsd {
	struct ev_loop *loop;
	struct ipc_channel supervisor;
	struct mount mounts[MOUNT_MAX];
	uint32_t n_mounts;
	char user[MOUNT_USER_MAX];
	bool confined;   /* all of the set-up was said */
	bool by_devices; /* mounts have virtio-fs devices; without, the guest relays them */
	struct port port;
	struct virtiofs_scratch *virtiofs; /* NULL before the first device */
	struct changes changes;
	struct report report;
	ev_prepare round;
	ev_idle busy;   /* runs while requests are left for the next round */
	ev_timer locks; /* runs while the guest waits for one that a program on the host holds */
	bool ended;
	int exit_code;
};

extern const struct ipc_table supervisor_table;

/* ---- mount.c ---- */

/*
 * Takes a mount's wish (a copy is made) and its directory (-1: none; taken in any case).  Returns 0
 * or -errno.
 */
int mount_add(struct vfsd *v, const Gondolin__VfsdMount *wish, int dir);

/*
 * Makes providers and server for a new boot, whose files belong to uid and gid of the guest.
 * Returns 0 or -errno; then the mount is closed.
 */
int mount_open(struct mount *m, uint32_t uid, uint32_t gid);

/* Ends the boot's server and providers.  Safe twice. */
void mount_close(struct mount *m);

/* ---- vfsd.c ---- */

/* Everything but the supervisor's channel. */
void vfsd_init(struct vfsd *v);

/*
 * Makes the event loop, before the jail; NULL where it cannot be made.
 *
 * By poll: what QEMU passes is open there as well, and a set of epoll's goes on telling of it when
 * it is closed here.  libev then makes the set anew, for which there is no call inside the jail.
 */
struct ev_loop *vfsd_loop(void);

/* The event loop and the supervisor's channel, from inside the jail.  Runs until the end. */
void vfsd_serve(struct vfsd *v, struct ev_loop *loop, int fd);

/* Ends the event loop; with why (which goes to the log) by exit code 125. */
void vfsd_end(struct vfsd *v, const char *why);

#endif
