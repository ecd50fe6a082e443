/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's memory: see the header. */
#include "vfsd/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PAGE 4096u

/* Whether [start, start + size) wraps, or ends past 2^63. */
static bool
wraps(uint64_t start, uint64_t size)
{
	return size > INT64_MAX || start > INT64_MAX - size;
}

static bool
overlaps(uint64_t a, uint64_t b, uint64_t a_size, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/*
 * Whether those bytes of fd are there, and stay there.  Of large pages (hugetlbfs) there can be too
 * few when one is touched, which kills like a new end.
 */
static bool
is_kept(int fd, uint64_t size, uint64_t offset)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	off_t end;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstatfs(fd, &fs) < 0 ||
	    fs.f_type != TMPFS_MAGIC)
		return false;
	end = lseek(fd, 0, SEEK_END);
	return end >= 0 && offset + size <= (uint64_t)end;
}

int
guest_memory_add(
    struct guest_memory *m, uint64_t guest, uint64_t user, uint64_t size, int fd, uint64_t offset)
{
	struct guest_region *r;
	uint32_t i;
	void *map;

	if (m->n == GUEST_REGIONS_MAX || size == 0 || (guest | user | size | offset) % PAGE != 0 ||
	    wraps(guest, size) || wraps(offset, size) || user > UINT64_MAX - size)
		return -EPROTO;
	for (i = 0; i < m->n; i++) {
		r = &m->regions[i];
		if (overlaps(guest, r->guest, size, r->size) ||
		    overlaps(user, r->user, size, r->size))
			return -EPROTO;
	}
	if (!is_kept(fd, size, offset))
		return -EPROTO;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return -errno;
	m->regions[m->n++] =
	    (struct guest_region){.guest = guest, .user = user, .size = size, .bytes = map};
	return 0;
}

void
guest_memory_clear(struct guest_memory *m)
{
	uint32_t i;

	for (i = 0; i < m->n; i++)
		(void)munmap(m->regions[i].bytes, m->regions[i].size);
	m->n = 0;
}

uint8_t *
guest_memory_at(const struct guest_memory *m, uint64_t guest, uint64_t length, uint64_t *run)
{
	uint32_t i;

	for (i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->regions[i];

		if (guest < r->guest || guest - r->guest >= r->size)
			continue;
		*run = r->size - (guest - r->guest);
		if (*run > length)
			*run = length;
		return r->bytes + (guest - r->guest);
	}
	return NULL;
}

uint8_t *
guest_memory_at_user(const struct guest_memory *m, uint64_t user, uint64_t length)
{
	uint32_t i;

	for (i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->regions[i];

		if (user >= r->user && user - r->user < r->size &&
		    length <= r->size - (user - r->user))
			return r->bytes + (user - r->user);
	}
	return NULL;
}
