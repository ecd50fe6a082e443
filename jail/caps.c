/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities and identity: a process ends with neither. */
#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "jail/internal.h"

/*
 * No way back to a capability, by exec of anything or by a change of uid.  NO_SETUID_FIXUP also
 * keeps the sets as they are while the uid changes, so that the steps after it still have what they
 * need; jail_caps_drop() then empties them.
 */
#define SECUREBITS                                                       \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | \
	    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |    \
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int
jail_caps_bound(struct jail_failure *f)
{
	if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
		return jail_fail(f, errno, "cannot lock the securebits");
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
		return jail_fail(f, EPERM, "cannot empty the capability bounding set");
	return 0;
}

int
jail_caps_drop(struct jail_failure *f)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return jail_fail(f, errno, "cannot empty the ambient capabilities");
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return jail_fail(f, EPERM, "cannot drop the capabilities");
	return 0;
}

int
jail_identity_take(const struct jail_identity *id, struct jail_failure *f)
{
	if (setgroups(0, NULL) < 0)
		return jail_fail(f, errno, "cannot drop the groups");
	if (setresgid(id->gid, id->gid, id->gid) < 0)
		return jail_fail(f, errno, "cannot take gid %u", id->gid);
	if (setresuid(id->uid, id->uid, id->uid) < 0)
		return jail_fail(f, errno, "cannot take uid %u", id->uid);
	return 0;
}
