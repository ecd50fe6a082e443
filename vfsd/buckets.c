/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of things that are linked: see the header. */
#include "vfsd/buckets.h"

#include <stdlib.h>

#define CHAINS_FIRST 64u

void
vfs_buckets_init(struct vfs_buckets *b, uint32_t (*hash)(const struct vfs_link *link))
{
	*b = (struct vfs_buckets){.hash = hash};
}

void
vfs_buckets_clear(struct vfs_buckets *b)
{
	free(b->chains);
	vfs_buckets_init(b, b->hash);
}

static struct vfs_link **
chain_of(const struct vfs_buckets *b, uint32_t hash)
{
	return &b->chains[hash & (b->n_chains - 1)];
}

static void
push(struct vfs_link **chain, struct vfs_link *link)
{
	link->next = *chain;
	*chain = link;
}

bool
vfs_buckets_reserve(struct vfs_buckets *b)
{
	struct vfs_buckets old = *b;
	struct vfs_link *link, *next;
	uint32_t i;

	if (b->used < b->n_chains)
		return true;
	b->n_chains = old.n_chains > 0 ? old.n_chains * 2 : CHAINS_FIRST;
	b->chains = calloc(b->n_chains, sizeof(*b->chains));
	if (b->chains == NULL) {
		*b = old;
		return false;
	}
	for (i = 0; i < old.n_chains; i++) {
		for (link = old.chains[i]; link != NULL; link = next) {
			next = link->next;
			push(chain_of(b, b->hash(link)), link);
		}
	}
	free(old.chains);
	return true;
}

void
vfs_buckets_add(struct vfs_buckets *b, struct vfs_link *link)
{
	push(chain_of(b, b->hash(link)), link);
	b->used++;
}

void
vfs_buckets_remove(struct vfs_buckets *b, struct vfs_link *link)
{
	struct vfs_link **at = chain_of(b, b->hash(link));

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	b->used--;
}

struct vfs_link *
vfs_buckets_first(const struct vfs_buckets *b, uint32_t hash)
{
	return b->n_chains > 0 ? *chain_of(b, hash) : NULL;
}

void
vfs_buckets_drain(struct vfs_buckets *b, void (*end)(void *ctx, struct vfs_link *link), void *ctx)
{
	uint32_t i;

	for (i = 0; i < b->n_chains; i++) {
		while (b->chains[i] != NULL)
			end(ctx, b->chains[i]);
	}
}
