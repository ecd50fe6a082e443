/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of things that have their link in themselves: one pointer each, and one for each
 * bucket.  It doubles when it holds as many things as buckets, and never shrinks.
 */
#ifndef GONDOLIN_VFSD_BUCKETS_H
#define GONDOLIN_VFSD_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfs_link {
	struct vfs_link *next;
};

/* The thing around a link. */
#define VFS_LINKED(link, type, member) \
	((type *)(void *)((char *)(uintptr_t)(link)-offsetof(type, member)))

struct vfs_buckets {
	struct vfs_link **chains; /* NULL while nothing was ever in it */
	uint32_t n_chains;        /* 0 or a power of two */
	uint32_t used;
	/* Of the thing around a link; the same for as long as that is in the table. */
	uint32_t (*hash)(const struct vfs_link *link);
};

/* An empty table; a table needs nothing else to begin with. */
void vfs_buckets_init(struct vfs_buckets *b, uint32_t (*hash)(const struct vfs_link *link));

/* Frees the chains; the things are the caller's. */
void vfs_buckets_clear(struct vfs_buckets *b);

/* Makes room for one more thing.  False without memory. */
bool vfs_buckets_reserve(struct vfs_buckets *b);

/* Adds a thing; only after vfs_buckets_reserve. */
void vfs_buckets_add(struct vfs_buckets *b, struct vfs_link *link);

/* Takes a thing that is in the table out of it. */
void vfs_buckets_remove(struct vfs_buckets *b, struct vfs_link *link);

/* The first of the things that may have this hash, to be followed by ->next; or NULL. */
struct vfs_link *vfs_buckets_first(const struct vfs_buckets *b, uint32_t hash);

/* Calls `end` for one thing after the other until the table is empty; it takes at least that one
 * out. */
void
vfs_buckets_drain(struct vfs_buckets *b, void (*end)(void *ctx, struct vfs_link *link), void *ctx);

/* Spreads a number over 32 bits. */
static inline uint32_t
vfs_hash(uint64_t number)
{
	return (uint32_t)(number * 0x9e3779b97f4a7c15ull >> 32);
}

#endif
