/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest added: see the header. */
#include "vfsd/ledger.h"

#include <errno.h>
#include <stdlib.h>

#define ENTRY(l) VFS_LINKED(l, struct ledger_file, link)

static uint32_t
hash_of(const struct vfs_link *link)
{
	return owner_key_hash(&ENTRY(link)->key);
}

void
ledger_init(struct ledger *l, uint64_t bytes_max, uint64_t inodes_max)
{
	*l = (struct ledger){.bytes_max = bytes_max, .inodes_max = inodes_max};
	vfs_buckets_init(&l->files, hash_of);
}

static void
drop(void *ctx, struct vfs_link *link)
{
	struct ledger *l = ctx;

	vfs_buckets_remove(&l->files, link);
	free(ENTRY(link));
}

void
ledger_clear(struct ledger *l)
{
	vfs_buckets_drain(&l->files, drop, l);
	vfs_buckets_clear(&l->files);
}

struct ledger_file *
ledger_find(const struct ledger *l, const struct owner_key *key)
{
	struct vfs_link *link;

	if (l->files.used == 0)
		return NULL;
	link = vfs_buckets_first(&l->files, owner_key_hash(key));
	while (link != NULL && !owner_key_same(&ENTRY(link)->key, key))
		link = link->next;
	return link != NULL ? ENTRY(link) : NULL;
}

struct ledger_file *
ledger_make(struct ledger *l, const struct owner_key *key)
{
	struct ledger_file *f = ledger_find(l, key);

	if (f != NULL)
		return f;
	if (l->files.used >= LEDGER_MAX || !vfs_buckets_reserve(&l->files))
		return NULL;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	f->key = *key;
	vfs_buckets_add(&l->files, &f->link);
	return f;
}

static uint64_t
cost_of(const struct ledger_file *f, uint64_t used)
{
	return used > f->original ? used - f->original : 0;
}

int
ledger_use(struct ledger *l, struct ledger_file *f, uint64_t used)
{
	uint64_t others = l->bytes - cost_of(f, f->used), cost = cost_of(f, used);

	if (cost > l->bytes_max - others)
		return -ENOSPC;
	l->bytes = others + cost;
	f->used = used;
	return 0;
}

int
ledger_use_extra(struct ledger *l, struct ledger_file *f, uint64_t extra)
{
	uint64_t others = l->bytes - f->extra;

	if (extra > l->bytes_max - others)
		return -ENOSPC;
	l->bytes = others + extra;
	f->extra = extra;
	return 0;
}

int
ledger_count(struct ledger *l)
{
	if (l->inodes_max == 0)
		return 0;
	if (l->inodes >= l->inodes_max)
		return -ENOSPC;
	l->inodes++;
	return 0;
}

void
ledger_uncount(struct ledger *l)
{
	if (l->inodes > 0)
		l->inodes--;
}

void
ledger_drop(struct ledger *l, struct ledger_file *f)
{
	l->bytes -= cost_of(f, f->used) + f->extra;
	if (f->made)
		ledger_uncount(l);
	drop(l, &f->link);
}
