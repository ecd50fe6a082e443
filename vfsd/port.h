/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the virtio-serial port org.gondolin.vfs: frames of all mounts on one byte
 * stream, relayed by the guest to and from its /dev/fuse.
 *
 * Every byte that arrives is written by a hostile guest.  The first thing that does not fit closes
 * the port, which ends the guest's relay and with it the machine.
 *
 * One request is served at a time, and only while no reply waits to leave: so at most one reply is
 * ever kept for a guest that does not read, and a reply that the socket takes at once is not
 * copied.  The guest's own relay always reads, so that neither end waits for the other for ever.
 */
#ifndef GONDOLIN_VFSD_PORT_H
#define GONDOLIN_VFSD_PORT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfsd/transport.h"

struct vfsd;

/* How the server of one mount sends. */
struct port_transport {
	struct vfs_transport base;
	struct vfsd *vfsd;
	uint32_t mount;
};

struct port {
	int fd; /* -1: no boot lasts */
	ev_io readable, writable;
	struct vfs_frames frames;
	uint8_t *out; /* [out_start, out_end) waits for the socket */
	size_t out_start, out_end;
	bool owned; /* the guest has said who its user is: file systems are served */
};

/* Allocates the buffers; no port is open.  Out of memory is fatal. */
void port_init(struct vfsd *v);

/* Takes the host's end for a new boot (the one before is over) and sends the plan. */
void port_open(struct vfsd *v, int fd);

/* Ends the boot.  Safe twice. */
void port_close(struct vfsd *v);

/*
 * Serves what has arrived, as far as replies leave; then watches what the port waits for.  Once
 * each in a round of the event loop, the second when nothing more is sent.
 */
void port_serve(struct vfsd *v);
void port_watch(struct vfsd *v);

void port_transport_init(struct port_transport *t, struct vfsd *v, uint32_t mount);

#endif
