/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that appear when the kernel has probed them: waited for by the kernel's uevents
 * (NETLINK_KOBJECT_UEVENT), never by looking again and again.
 */
#ifndef GONDOLIN_GUEST_DEVICE_H
#define GONDOLIN_GUEST_DEVICE_H

#include <stdbool.h>

#define DEVICE_WAIT_MS 30000 /* the host's own deadline is shorter or has its reasons */

/* A socket that receives uevents from now on; -errno. */
int device_events_open(void);

/*
 * Returns once present(ctx) says true; it is asked at once and after each burst of events.
 * Returns 0, -ETIMEDOUT after DEVICE_WAIT_MS, or another -errno.
 */
int device_wait(int events, bool (*present)(void *ctx), void *ctx);

/* present() for a path: true where the file is there.  ctx is the path. */
bool device_path_present(void *ctx);

/*
 * Opens the virtio-serial port of that name, once it is there and its host end is connected.
 * Returns a non-blocking descriptor (the caller's), or -errno as device_wait.
 */
int device_port_open(int events, const char *name);

#endif
