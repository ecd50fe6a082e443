/* SPDX-License-Identifier: Apache-2.0 */
/* Owners and modes that only the guest sees: see the header. */
#include "vfsd/owner.h"

#include <stdlib.h>
#include <sys/stat.h>

#define ENTRY(l) VFS_LINKED(l, struct owner_entry, link)

static uint32_t
hash_of(const struct vfs_link *link)
{
	return owner_key_hash(&ENTRY(link)->key);
}

void
owner_map_init(struct owner_map *m)
{
	vfs_buckets_init(&m->entries, hash_of);
}

static void
drop(void *ctx, struct vfs_link *link)
{
	struct owner_map *m = ctx;

	vfs_buckets_remove(&m->entries, link);
	free(ENTRY(link));
}

void
owner_map_clear(struct owner_map *m)
{
	vfs_buckets_drain(&m->entries, drop, m);
	vfs_buckets_clear(&m->entries);
}

struct owner_entry *
owner_find(const struct owner_map *m, const struct owner_key *key)
{
	struct vfs_link *link;

	/* The common case: nothing is remembered about any file. */
	if (m->entries.used == 0)
		return NULL;
	link = vfs_buckets_first(&m->entries, owner_key_hash(key));
	while (link != NULL && !owner_key_same(&ENTRY(link)->key, key))
		link = link->next;
	return link != NULL ? ENTRY(link) : NULL;
}

struct owner_entry *
owner_make(struct owner_map *m, const struct owner_key *key)
{
	struct owner_entry *e = owner_find(m, key);

	if (e != NULL)
		return e;
	if (m->entries.used >= OWNER_MAX || !vfs_buckets_reserve(&m->entries))
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->key = *key;
	vfs_buckets_add(&m->entries, &e->link);
	return e;
}

void
owner_drop(struct owner_map *m, const struct owner_key *key)
{
	struct owner_entry *e = owner_find(m, key);

	if (e != NULL)
		drop(m, &e->link);
}

void
owner_apply(const struct owner_map *m, const struct owner_key *key, struct vfs_attr *a)
{
	const struct owner_entry *e = owner_find(m, key);
	uint32_t mask;

	if (e == NULL)
		return;
	if (e->has & OWNER_UID)
		a->uid = e->uid;
	if (e->has & OWNER_GID)
		a->gid = e->gid;
	mask = e->has & OWNER_MODE ? 07777 : e->has & OWNER_SPECIAL ? S_ISUID | S_ISGID : 0;
	a->mode = (a->mode & ~mask) | (e->mode & mask);
}

void
owner_kill_privilege(struct owner_map *m, const struct owner_key *key)
{
	struct owner_entry *e = owner_find(m, key);

	if (e == NULL)
		return;
	e->mode &= (uint16_t)~S_ISUID;
	if (e->mode & S_IXGRP)
		e->mode &= (uint16_t)~S_ISGID;
}
