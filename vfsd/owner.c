/* SPDX-License-Identifier: Apache-2.0 */
/* Owners and modes that only the guest sees: see the header. */
#include "vfsd/owner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUCKETS_FIRST 64u

void
owner_map_init(struct owner_map *m)
{
	memset(m, 0, sizeof(*m));
}

void
owner_map_clear(struct owner_map *m)
{
	struct owner_entry *e, *next;
	uint32_t i;

	for (i = 0; i < m->n_buckets; i++) {
		for (e = m->buckets[i]; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(m->buckets);
	owner_map_init(m);
}

static uint32_t
bucket_of(const struct owner_key *key, uint32_t n)
{
	uint64_t h = (key->ino ^ ((uint64_t)key->dev << 48)) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(h >> 32) & (n - 1);
}

static bool
same(const struct owner_key *a, const struct owner_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->birth == b->birth;
}

struct owner_entry *
owner_find(const struct owner_map *m, const struct owner_key *key)
{
	struct owner_entry *e;

	if (m->used == 0)
		return NULL;
	e = m->buckets[bucket_of(key, m->n_buckets)];
	while (e != NULL && !same(&e->key, key))
		e = e->next;
	return e;
}

static bool
grow(struct owner_map *m)
{
	uint32_t n = m->n_buckets > 0 ? m->n_buckets * 2 : BUCKETS_FIRST, i, b;
	struct owner_entry **buckets = calloc(n, sizeof(struct owner_entry *)), *e, *next;

	if (buckets == NULL)
		return false;
	for (i = 0; i < m->n_buckets; i++) {
		for (e = m->buckets[i]; e != NULL; e = next) {
			next = e->next;
			b = bucket_of(&e->key, n);
			e->next = buckets[b];
			buckets[b] = e;
		}
	}
	free(m->buckets);
	m->buckets = buckets;
	m->n_buckets = n;
	return true;
}

struct owner_entry *
owner_make(struct owner_map *m, const struct owner_key *key)
{
	struct owner_entry *e = owner_find(m, key);
	uint32_t b;

	if (e != NULL)
		return e;
	if (m->used >= OWNER_MAX || (m->used >= m->n_buckets && !grow(m)))
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->key = *key;
	b = bucket_of(key, m->n_buckets);
	e->next = m->buckets[b];
	m->buckets[b] = e;
	m->used++;
	return e;
}

void
owner_drop(struct owner_map *m, const struct owner_key *key)
{
	struct owner_entry **at, *e;

	if (m->used == 0)
		return;
	at = &m->buckets[bucket_of(key, m->n_buckets)];
	while (*at != NULL && !same(&(*at)->key, key))
		at = &(*at)->next;
	e = *at;
	if (e == NULL)
		return;
	*at = e->next;
	free(e);
	m->used--;
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
