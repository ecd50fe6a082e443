/* SPDX-License-Identifier: Apache-2.0 */
/* Simple patterns for names. */
#ifndef GONDOLIN_VFSD_GLOB_H
#define GONDOLIN_VFSD_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True where the name fits the pattern: * is any run of bytes, ? one byte, [a-z] and [!a-z] one of
 * a set, \x is x.  ASCII letters fit in either case, since the host's file system may not tell them
 * apart.  Time is at most the product of both lengths, whatever the pattern.
 */
bool vfs_glob(const char *pattern, size_t pattern_length, const char *name, size_t length);

/* True where a pattern has a part that is no plain byte. */
bool vfs_glob_is_pattern(const char *pattern, size_t length);

#endif
