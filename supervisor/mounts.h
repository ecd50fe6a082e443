/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a sandbox: their directories, and vfsd, which serves them.
 *
 * Directories.  Only the supervisor has paths: it opens each directory as the user whose files they
 * are, once, makes it a mount of its own, of which nothing leads up into the host's tree, and hands
 * vfsd its descriptor.
 *
 * Whose files.  An ordinary user's vfsd is that user, in a user namespace.  Root's vfsd has a uid
 * of its own like every helper, and each directory is handed over as an idmapped mount: there, and
 * nowhere else, the files of the mount's user (`user`, else whoever called sudo, else root) are
 * vfsd's own, and what vfsd makes is that user's on the disk.  So vfsd is never root and never a
 * user who has other files or processes, and mounts of several users need no second process.
 */
#ifndef GONDOLIN_SUPERVISOR_MOUNTS_H
#define GONDOLIN_SUPERVISOR_MOUNTS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "ipc/channel.h"
#include "ipc/mount_frame.h"
#include "ipc/session.h"
#include "ipc/vfsd.pb-c.h"
#include "supervisor/config.h"
#include "supervisor/edges.h"
#include "supervisor/identity.h"
#include "supervisor/process.h"

struct mounts_events {
	/* vfsd is in its jail and takes a port. */
	void (*ready)(void *ctx);
	void (*records)(void *ctx, const Gondolin__VfsdRecords *r);
	/* The edge broke; reason is a phrase that follows "vfsd".  Not for vfsd's own end. */
	void (*broken)(void *ctx, const char *reason);
};

/* A mount with what the supervisor found out about it. */
struct mounts_row {
	const struct config_mount *config;
	int dir; /* -1: in memory, or handed over */
	uid_t uid;
	gid_t gid; /* of the mount's user */
	/* Of the directory, and when it was opened: before the guest saw any of it. */
	dev_t dev;
	ino_t ino;
	struct timespec opened;
};

struct mounts {
	const struct config *config;
	const struct mounts_events *events;
	void *ctx;
	struct mounts_row rows[MOUNT_MAX]; /* parents before what is nested in them */
	size_t n;
	struct edge edge;
	struct ipc_channel channel;
	int changes_fd; /* listening, until vfsd has it; -1: none */
};

#define MOUNTS_EMPTY                                                               \
	{                                                                          \
		.n = 0, .edge = {-1, -1}, .channel = {.fd = -1}, .changes_fd = -1, \
	}

/*
 * Opens the directories.  Returns 0, or -errno with one line in error that names the mount's place
 * in the configuration.
 */
int mounts_prepare(struct mounts *m, const struct config *c, const struct identity *id, char *error,
    size_t error_size);

/* Starts vfsd and tells it the mounts.  Returns 0 or -errno with a line in error. */
int mounts_start(struct mounts *m, struct process *p, struct ev_loop *loop,
    const struct process_start *base, const struct mounts_events *events, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size);

/*
 * Hands vfsd its ends of a boot's port and of the n mounts' devices, and closes them here.  Does
 * nothing before Ready, or where they were handed over already.  Returns 0 or -errno.
 */
int mounts_hand_port(struct mounts *m, struct edge *port, struct edge *devices, size_t n);

/* Sends vfsd a message; fd -1 = none.  Returns 0 or -errno. */
int mounts_send(struct mounts *m, Gondolin__SupToVfsd__BodyCase kind, void *body, int fd);

void mounts_clear(struct mounts *m);

/* ---- mounts_changes.c ---- */

/*
 * Where there is a copy-on-write mount: writes the session's files changes-0 and up, and makes
 * changes.sock (ipc/changes.proto).  Returns 0 or -errno.
 */
int mounts_offer_changes(struct mounts *m, const struct session *s);

/* Hands that socket to vfsd, once it is ready.  Returns 0 or -errno. */
int mounts_hand_changes(struct mounts *m);

/* ---- mounts_open.c ---- */

/*
 * Opens the directory of row r (which names a host directory) and fills dir, uid and gid; vfsd is
 * the identity that vfsd will have.  Returns as mounts_prepare.
 */
int mounts_open(struct mounts_row *r, const char *config_name, const struct jail_identity *vfsd,
    char *error, size_t error_size);

#endif
