/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay of the mounts: a process that carries FUSE messages between the guest's /dev/fuse, one
 * for each mount, and the virtio-serial port that vfsd holds on the host.
 *
 * It never looks into a message and never waits for one mount: requests of all of them are under
 * way at once, and replies come in any order.  It always reads the port, so that vfsd can always
 * answer.  It must not touch the mounts itself, or it would wait for its own work: a child mounts
 * them.
 *
 * Mounts that are virtio-fs devices need no relay: the child mounts them, and this process then
 * only waits for the end of the port.
 */
#ifndef GONDOLIN_GUEST_RELAY_H
#define GONDOLIN_GUEST_RELAY_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Starts the relay and returns its pid once every mount that vfsd asks for is there and answers; or
 * -errno after it has said why on the console.  events is for device_port_open.  The relay ends
 * when the host closes the port, and then the guest is to end.
 */
pid_t relay_start(int events);

/*
 * What the relay does for ever: n descriptors of /dev/fuse (or, in tests, packet sockets; all
 * non-blocking), in the order of mount ids.  A device works from its mount(2) on: each byte that
 * comes from `mounted` is the id of one that now does.  frames holds what was read from the port
 * already.  Returns -errno: -EPIPE where the host closed the port, -EPROTO where it broke the
 * framing.
 */
struct vfs_frames;
int relay_pump(int port, const int *devices, size_t n, int mounted, struct vfs_frames *frames);

#endif
