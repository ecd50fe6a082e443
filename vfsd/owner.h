/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners and modes that the guest set and the host does not hold.
 *
 * What the guest makes belongs on the host to the user whom vfsd acts as.  Another owner, and the
 * setuid and setgid bits, are remembered here, by the file's identity, for as long as the mount
 * lasts; the host never sees them.
 */
#ifndef GONDOLIN_VFSD_OWNER_H
#define GONDOLIN_VFSD_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "vfsd/buckets.h"
#include "vfsd/provider.h"

#define OWNER_MAX (1u << 20) /* files with a memory of their own; past it ENOSPC */

/* A file on the host. */
struct owner_key {
	uint64_t ino;
	uint32_t dev;
	uint32_t birth;
};

enum owner_has {
	OWNER_UID = 1 << 0,
	OWNER_GID = 1 << 1,
	OWNER_SPECIAL = 1 << 2, /* setuid and setgid of mode are the guest's */
	OWNER_MODE = 1 << 3,    /* all of mode is: the host refused the change */
};

struct owner_entry {
	struct vfs_link link;
	struct owner_key key;
	uint32_t uid, gid;
	uint16_t mode; /* 07777 */
	uint16_t has;
};

struct owner_map {
	struct vfs_buckets entries;
};

/* For tables of files: two keys of one file have one hash. */
static inline uint32_t
owner_key_hash(const struct owner_key *key)
{
	return vfs_hash(key->ino ^ ((uint64_t)key->dev << 48));
}

static inline bool
owner_key_same(const struct owner_key *a, const struct owner_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->birth == b->birth;
}

void owner_map_init(struct owner_map *m);
void owner_map_clear(struct owner_map *m);

/* What is remembered about a file, or NULL. */
struct owner_entry *owner_find(const struct owner_map *m, const struct owner_key *key);

/* The same, made where there is none.  NULL past OWNER_MAX or without memory. */
struct owner_entry *owner_make(struct owner_map *m, const struct owner_key *key);

/* Forgets a file, or one whose entry has nothing left to say. */
void owner_drop(struct owner_map *m, const struct owner_key *key);

/* Puts what is remembered over the host's attributes. */
void owner_apply(const struct owner_map *m, const struct owner_key *key, struct vfs_attr *a);

/* What a write does to setuid and setgid (setgid only where the group may execute). */
void owner_kill_privilege(struct owner_map *m, const struct owner_key *key);

#endif
