/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers for things: what the guest holds instead of pointers (node ids, file handles).
 *
 * An id is a slot's index in the low 32 bits and the slot's generation in the high ones.  A freed
 * slot gets the next generation, so that an id that the guest kept too long finds nothing.
 */
#ifndef GONDOLIN_VFSD_TABLE_H
#define GONDOLIN_VFSD_TABLE_H

#include <stdint.h>

struct vfs_slot {
	void *thing;         /* NULL = free */
	uint32_t count;      /* the user's: the guest's references to it */
	uint32_t generation; /* of a free slot: of its next use */
};

struct vfs_table {
	struct vfs_slot **chunks; /* of VFS_TABLE_CHUNK slots each */
	uint32_t n_chunks;
	uint32_t used;  /* slots in use */
	uint32_t next;  /* slots from here on were never used */
	uint32_t max;   /* at most so many in use */
	uint32_t *free; /* a stack of freed indexes */
	uint32_t n_free, free_capacity;
};

#define VFS_TABLE_CHUNK 4096u
#define VFS_TABLE_FIRST 1u /* the first index; 0 is nobody */

/* At most max things (less than 2^31) at once.  Nothing is allocated. */
void vfs_table_init(struct vfs_table *t, uint32_t max);

/* Frees the table; the things are the user's to free before. */
void vfs_table_clear(struct vfs_table *t);

/*
 * Puts a thing into a slot with count 0.  Returns the slot and sets *id, or NULL where the table is
 * full or memory is out.
 */
struct vfs_slot *vfs_table_add(struct vfs_table *t, void *thing, uint64_t *id);

/* The slot in use with that id, or NULL. */
struct vfs_slot *vfs_table_get(const struct vfs_table *t, uint64_t id);

/* The slot in use at an index that is known to be good, and its id. */
struct vfs_slot *vfs_table_at(const struct vfs_table *t, uint32_t index, uint64_t *id);

/* Frees a slot in use. */
void vfs_table_remove(struct vfs_table *t, uint64_t id);

#endif
