/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's changes.sock: hands the invoking user what a copy-on-write mount keeps.
 *
 * One client at a time; others wait in the socket's backlog.  A copy is made in one go, so that it
 * is the tree of one moment: the guest's files wait for it.
 */
#ifndef GONDOLIN_VFSD_CHANGES_H
#define GONDOLIN_VFSD_CHANGES_H

#include <ev.h>

#include "ipc/channel.h"

struct vfsd;

struct changes {
	int listening; /* -1: there is nothing to serve */
	ev_io acceptable;
	struct ipc_channel client;
};

void changes_init(struct vfsd *v);

/* Takes the listening socket. */
void changes_listen(struct vfsd *v, int fd);

/* Ends it.  Safe twice. */
void changes_close(struct vfsd *v);

#endif
