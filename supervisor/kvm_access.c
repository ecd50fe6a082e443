/* SPDX-License-Identifier: Apache-2.0 */
/* A device's permissions (path_resolution(7)): the group's bits hold for its members, even where
 * others may more. */
#include "supervisor/kvm_access.h"

#include <errno.h>

#define GROUP_MAY  (S_IRGRP | S_IWGRP)
#define OTHERS_MAY (S_IROTH | S_IWOTH)

int
kvm_access_group(const struct stat *device, gid_t own, gid_t *gid)
{
	if (device->st_gid != own && (device->st_mode & OTHERS_MAY) == OTHERS_MAY) {
		*gid = own;
		return 0;
	}
	if (device->st_gid == 0 || (device->st_mode & GROUP_MAY) != GROUP_MAY)
		return -EACCES;
	*gid = device->st_gid;
	return 0;
}
