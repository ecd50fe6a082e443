/* SPDX-License-Identifier: Apache-2.0 */
/* The map of an idmapped mount, as user_namespaces(7) has it. */
#ifndef GONDOLIN_SUPERVISOR_MOUNTS_MAP_H
#define GONDOLIN_SUPERVISOR_MOUNTS_MAP_H

#include <stddef.h>
#include <stdint.h>

#define MOUNTS_MAP_SIZE 256u /* holds any map */

/*
 * The lines of a map in which `from` on the disk is `to` for who looks, and everybody else is
 * himself; the disk's `to` is nobody.  Both are below UINT32_MAX.
 */
void mounts_format_map(char *out, size_t size, uint32_t from, uint32_t to);

#endif
