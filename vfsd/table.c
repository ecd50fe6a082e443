/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for things: see the header. */
#include "vfsd/table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void
vfs_table_init(struct vfs_table *t, uint32_t max)
{
	memset(t, 0, sizeof(*t));
	t->next = VFS_TABLE_FIRST;
	t->max = max;
}

void
vfs_table_clear(struct vfs_table *t)
{
	uint32_t i;

	for (i = 0; i < t->n_chunks; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->free);
	vfs_table_init(t, t->max);
}

static struct vfs_slot *
slot_at(const struct vfs_table *t, uint32_t index)
{
	return &t->chunks[index / VFS_TABLE_CHUNK][index % VFS_TABLE_CHUNK];
}

/* Makes room for one more index, and for its later place on the stack of free ones. */
static bool
grow(struct vfs_table *t)
{
	uint32_t slots = (t->n_chunks + 1) * VFS_TABLE_CHUNK;
	struct vfs_slot **chunks;
	uint32_t *stack;

	chunks = reallocarray(t->chunks, t->n_chunks + 1, sizeof(struct vfs_slot *));
	if (chunks == NULL)
		return false;
	t->chunks = chunks;
	stack = reallocarray(t->free, slots, sizeof(*stack));
	if (stack == NULL)
		return false;
	t->free = stack;
	t->free_capacity = slots;
	chunks[t->n_chunks] = calloc(VFS_TABLE_CHUNK, sizeof(struct vfs_slot));
	if (chunks[t->n_chunks] == NULL)
		return false;
	t->n_chunks++;
	return true;
}

struct vfs_slot *
vfs_table_add(struct vfs_table *t, void *thing, uint64_t *id)
{
	struct vfs_slot *slot;
	uint32_t index;

	assert(thing != NULL);
	if (t->used >= t->max)
		return NULL;
	if (t->n_free > 0) {
		index = t->free[--t->n_free];
	} else {
		if (t->next / VFS_TABLE_CHUNK >= t->n_chunks && !grow(t))
			return NULL;
		index = t->next++;
	}
	slot = slot_at(t, index);
	slot->thing = thing;
	slot->count = 0;
	t->used++;
	*id = ((uint64_t)slot->generation << 32) | index;
	return slot;
}

struct vfs_slot *
vfs_table_get(const struct vfs_table *t, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct vfs_slot *slot;

	if (index < VFS_TABLE_FIRST || index >= t->next)
		return NULL;
	slot = slot_at(t, index);
	if (slot->thing == NULL || slot->generation != (uint32_t)(id >> 32))
		return NULL;
	return slot;
}

struct vfs_slot *
vfs_table_at(const struct vfs_table *t, uint32_t index, uint64_t *id)
{
	struct vfs_slot *slot = slot_at(t, index);

	*id = ((uint64_t)slot->generation << 32) | index;
	return slot;
}

void
vfs_table_remove(struct vfs_table *t, uint64_t id)
{
	struct vfs_slot *slot = vfs_table_get(t, id);

	assert(slot != NULL);
	slot->thing = NULL;
	slot->generation++;
	t->free[t->n_free++] = (uint32_t)id;
	t->used--;
}
