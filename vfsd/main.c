/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfsd - serves one sandbox's mounts to its guest.
 *
 * Reads:    FUSE requests written by untrusted guest code; messages of the supervisor, and of the
 *           invoking user's gondolin diff.
 * Holds:    one O_PATH descriptor for each host mount; the guest's memory, where mounts have
 *           devices.  No capability, no network.
 * If taken: the attacker has those mounts, read-only where all of them are, with the rights that
 *           the user has in them, and the guest; nothing else.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"
#include "vfsd/vfsd.h"

#define SUPERVISOR_FD 3

/* Landlock gives just what the mounts give. */
static size_t
grants(const struct vfsd *v, struct jail_grant out[MOUNT_MAX])
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < v->n_mounts; i++) {
		const struct mount *m = &v->mounts[i];
		bool changes = m->wish->provider == GONDOLIN__VFSD_MOUNT__PROVIDER__HOST;

		if (m->dir >= 0)
			out[n++] = (struct jail_grant){m->dir, changes && !m->wish->read_only};
	}
	return n;
}

int
main(void)
{
	struct vfsd *v = calloc(1, sizeof(*v));
	struct jail_grant granted[MOUNT_MAX];
	struct ev_loop *loop;
	int rc = 0;

	/* A log that nobody empties must not stop the guest's files. */
	(void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	(void)signal(SIGPIPE, SIG_IGN);
	/* The guest's own umask is in the modes that it asks for. */
	umask(0);
	if (v == NULL)
		abort();
	while (rc == 0 && !v->confined)
		rc = ipc_receive_now(SUPERVISOR_FD, &supervisor_table, v, SUPERVISOR_SETUP);
	if (rc < 0) {
		log_line("no set-up from the supervisor: %s; gondolin-supervisor starts this",
		    strerror(-rc));
		return 125;
	}
	loop = vfsd_loop();
	if (loop == NULL) {
		log_line("no event loop: %s", strerror(errno));
		return 125;
	}
	vfsd_init(v);

	jail_enter_granting(&vfsd_profile, granted, grants(v, granted));

	vfsd_serve(v, loop, SUPERVISOR_FD);
	return v->exit_code;
}
