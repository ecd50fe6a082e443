/* SPDX-License-Identifier: Apache-2.0 */
/* A layer that lets nothing be changed: every change is EROFS, whatever the guest does. */
#ifndef GONDOLIN_VFSD_LAYER_READONLY_H
#define GONDOLIN_VFSD_LAYER_READONLY_H

#include "vfsd/provider.h"

/* Takes lower over (ended with the layer).  Returns 0 and *out, or -ENOMEM: lower stays. */
int vfs_readonly_new(struct vfs_provider *lower, struct vfs_provider **out);

#endif
