/* SPDX-License-Identifier: Apache-2.0 */
/* Who may open /dev/kvm: root-started, QEMU has a uid and a gid of its own, which open nothing. */
#ifndef GONDOLIN_SUPERVISOR_KVM_ACCESS_H
#define GONDOLIN_SUPERVISOR_KVM_ACCESS_H

#include <sys/stat.h>
#include <sys/types.h>

/*
 * The group that a process needs to read and write a device of that mode and owner, where its own
 * gid is `own` and its uid is not the owner: `own` where others may open it, else the device's
 * group.  Returns 0 and sets *gid, or -EACCES (and leaves it) where only the owner may, or the
 * group is root's, which no jailed process gets.
 */
int kvm_access_group(const struct stat *device, gid_t own, gid_t *gid);

#endif
