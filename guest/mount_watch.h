/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a path of the guest may make who walks it wait for somebody: FUSE, network file systems.
 */
#ifndef GONDOLIN_GUEST_MOUNT_WATCH_H
#define GONDOLIN_GUEST_MOUNT_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct mount_watch {
	int fd; /* /proc/self/mountinfo; -1 = cannot be read */
	bool local;
};

/* Opens it.  Where that fails, nothing counts as local. */
void mount_watch_open(struct mount_watch *w);
void mount_watch_close(struct mount_watch *w);

/* True where every mounted file system is one of the kernel's own.  Reads again what has changed.
 */
bool mount_watch_local(struct mount_watch *w);

/* The same of a line of proc(5)'s mountinfo, without its newline. */
bool mount_watch_line_local(const char *line);

#endif
