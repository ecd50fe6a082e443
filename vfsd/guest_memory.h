/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory, as the machine shares it (vhost-user, SET_MEM_TABLE).
 *
 * Whoever gives the table may have been taken over, and what lies in the memory changes while one
 * looks: an address is good for what it points to, never for what it says.  Whatever decides
 * something is copied first.
 */
#ifndef GONDOLIN_VFSD_GUEST_MEMORY_H
#define GONDOLIN_VFSD_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_REGIONS_MAX 8u

struct guest_region {
	uint64_t guest; /* guest-physical address of its first byte */
	uint64_t user;  /* the same in the machine's own address space: rings are said so */
	uint64_t size;
	uint8_t *bytes; /* here */
};

struct guest_memory {
	struct guest_region regions[GUEST_REGIONS_MAX];
	uint32_t n;
};

/*
 * Maps size bytes of fd from offset on as the region at `guest`.  fd stays the caller's; it has to
 * be a memfd of ordinary pages, sealed against shrinking, or touching it could kill this process.
 * Returns 0; -EPROTO where the numbers wrap, leave the file, overlap another region or are not
 * whole pages; or mmap's -errno.
 */
int guest_memory_add(
    struct guest_memory *m, uint64_t guest, uint64_t user, uint64_t size, int fd, uint64_t offset);

/* Unmaps everything.  Safe twice. */
void guest_memory_clear(struct guest_memory *m);

/*
 * The bytes at a guest-physical address, of which *run (at least 1, at most length) lie in one
 * piece; NULL where there is no memory.  length is at least 1.
 */
uint8_t *
guest_memory_at(const struct guest_memory *m, uint64_t guest, uint64_t length, uint64_t *run);

/* All of length bytes at an address of the machine's, in one piece; or NULL. */
uint8_t *guest_memory_at_user(const struct guest_memory *m, uint64_t user, uint64_t length);

#endif
