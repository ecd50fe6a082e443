/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse content in memory: see the header. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfsd/memory_internal.h"

#define FANOUT_BITS 9u
#define FANOUT      (1u << FANOUT_BITS)

int
memory_charge(struct memory_budget *b, uint64_t n)
{
	if (n > b->bytes_max - b->bytes)
		return -ENOSPC;
	b->bytes += n;
	return 0;
}

void
memory_credit(struct memory_budget *b, uint64_t n)
{
	b->bytes -= n;
}

/* How many pages a tree of that height spans. */
static uint64_t
span(unsigned height)
{
	return 1ull << (FANOUT_BITS * height);
}

uint8_t *
memory_page(const struct memory_data *d, uint64_t index)
{
	void *at = d->root;
	unsigned height;

	if (index >= span(d->height))
		return NULL;
	for (height = d->height; height > 0 && at != NULL; height--)
		at = ((void **)at)[(index >> (FANOUT_BITS * (height - 1))) % FANOUT];
	return at;
}

/* A page or a table: the same size, both charged. */
static void *
block(struct memory_budget *b, int *error)
{
	void *p;

	*error = memory_charge(b, MEMORY_PAGE);
	if (*error != 0)
		return NULL;
	p = calloc(1, MEMORY_PAGE);
	if (p == NULL) {
		memory_credit(b, MEMORY_PAGE);
		*error = -ENOMEM;
	}
	return p;
}

uint8_t *
memory_page_make(struct memory_data *d, struct memory_budget *b, uint64_t index, int *error)
{
	void **at = &d->root;
	unsigned height;

	*error = 0;
	while (index >= span(d->height)) {
		if (d->root != NULL) {
			void **table = block(b, error);

			if (table == NULL)
				return NULL;
			table[0] = d->root;
			d->root = table;
		}
		d->height++;
	}
	for (height = d->height;; height--) {
		if (*at == NULL) {
			*at = block(b, error);
			if (*at == NULL)
				return NULL;
			d->pages += height == 0;
		}
		if (height == 0)
			return *at;
		at = &((void **)*at)[(index >> (FANOUT_BITS * (height - 1))) % FANOUT];
	}
}

/* Frees what of a subtree lies within first..last (counted from its own start). */
static void
free_range(struct memory_data *d, struct memory_budget *b, void **at, unsigned height,
    uint64_t first, uint64_t last)
{
	void **table = *at;
	uint64_t below, i, from, to;

	if (table == NULL)
		return;
	if (height > 0) {
		below = span(height - 1);
		for (i = first / below; i <= last / below; i++) {
			from = i == first / below ? first % below : 0;
			to = i == last / below ? last % below : below - 1;
			free_range(d, b, &table[i], height - 1, from, to);
		}
		for (i = 0; i < FANOUT; i++) {
			if (table[i] != NULL)
				return;
		}
	} else {
		d->pages--;
	}
	free(table);
	memory_credit(b, MEMORY_PAGE);
	*at = NULL;
}

void
memory_pages_free(struct memory_data *d, struct memory_budget *b, uint64_t index, uint64_t last)
{
	uint64_t end = span(d->height) - 1;

	if (d->root == NULL || index > end || last < index)
		return;
	free_range(d, b, &d->root, d->height, index, last < end ? last : end);
	if (d->root == NULL)
		d->height = 0;
}

static bool
next_in(void *at, unsigned height, uint64_t first, uint64_t *found)
{
	void **table = at;
	uint64_t below, i, inner;

	if (table == NULL)
		return false;
	if (height == 0) {
		*found = 0;
		return true;
	}
	below = span(height - 1);
	for (i = first / below; i < FANOUT; i++) {
		if (next_in(table[i], height - 1, i == first / below ? first % below : 0, &inner)) {
			*found = i * below + inner;
			return true;
		}
	}
	return false;
}

bool
memory_page_next(const struct memory_data *d, uint64_t index, uint64_t *found)
{
	return index < span(d->height) && next_in(d->root, d->height, index, found);
}

void
memory_zero(struct memory_data *d, struct memory_budget *b, uint64_t from, uint64_t to)
{
	uint64_t first = (from + MEMORY_PAGE - 1) / MEMORY_PAGE, last = to / MEMORY_PAGE, end;
	uint8_t *page;

	if (from >= to)
		return;
	if (from % MEMORY_PAGE != 0) {
		page = memory_page(d, from / MEMORY_PAGE);
		end = first * MEMORY_PAGE < to ? MEMORY_PAGE : (to - 1) % MEMORY_PAGE + 1;
		if (page != NULL)
			memset(page + from % MEMORY_PAGE, 0, end - from % MEMORY_PAGE);
	}
	if (to % MEMORY_PAGE != 0 && last >= first) {
		page = memory_page(d, last);
		if (page != NULL)
			memset(page, 0, to % MEMORY_PAGE);
	}
	if (last > first)
		memory_pages_free(d, b, first, last - 1);
}
