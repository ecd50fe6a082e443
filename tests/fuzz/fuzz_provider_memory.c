/* SPDX-License-Identifier: Apache-2.0 */
/* A file in memory against a flat array, and the budget against what is left of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/vfs/guest.h"
#include "vfsd/provider_memory.h"

#define FILE_MAX 200000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct model {
	uint8_t bytes[FILE_MAX];
	size_t size;
};

struct step {
	uint8_t op;
	uint8_t value;
	uint16_t offset, length;
};

static void
check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void
step_write(struct guest *g, struct model *m, uint64_t id, uint64_t fh, const struct step *s)
{
	static uint8_t block[65536];
	size_t end = (size_t)s->offset + s->length;

	memset(block, s->value, s->length);
	check(guest_write(g, id, fh, s->offset, block, s->length) == s->length, "write");
	memset(m->bytes + s->offset, s->value, s->length);
	if (s->length > 0 && end > m->size)
		m->size = end;
}

static void
step_resize(struct guest *g, struct model *m, uint64_t id, const struct step *s)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = (uint64_t)s->offset * 2};

	check(guest_call(g, FUSE_SETATTR, id, &in, sizeof(in), NULL, NULL) == 0, "truncate");
	if (in.size < m->size)
		memset(m->bytes + in.size, 0, m->size - in.size);
	m->size = in.size;
}

static void
step_punch(struct guest *g, struct model *m, uint64_t id, uint64_t fh, const struct step *s)
{
	struct fuse_fallocate_in in = {.fh = fh,
	    .offset = s->offset,
	    .length = (uint64_t)s->length + 1,
	    .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};

	check(guest_call(g, FUSE_FALLOCATE, id, &in, sizeof(in), NULL, NULL) == 0, "punch");
	if (s->offset < m->size)
		memset(m->bytes + s->offset, 0,
		    in.length < m->size - s->offset ? in.length : m->size - s->offset);
}

static void
compare(struct guest *g, const struct model *m, uint64_t id, uint64_t fh)
{
	static uint8_t all[FILE_MAX];

	check(guest_read(g, id, fh, 0, all, sizeof(all)) == (long)m->size, "size");
	check(memcmp(all, m->bytes, m->size) == 0, "content");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct vfs_memory_config config = {.bytes = 4u << 20, .mode = 0755};
	static struct model m;
	struct vfs_provider *p;
	struct step s;
	struct guest g;
	uint64_t id, fh, used, inodes;
	size_t at;

	memset(&m, 0, sizeof(m));
	check(vfs_memory_new(&config, &p) == 0, "new");
	guest_open(&g, p, NULL);
	check(guest_create(&g, FUSE_ROOT_ID, "f", O_RDWR, 0600, &id, &fh) == 0, "create");
	for (at = 0; at + sizeof(s) <= length && at < sizeof(s) * 200; at += sizeof(s)) {
		memcpy(&s, bytes + at, sizeof(s));
		if (s.op % 4 == 0)
			step_write(&g, &m, id, fh, &s);
		else if (s.op % 4 == 1)
			step_resize(&g, &m, id, &s);
		else if (s.op % 4 == 2)
			step_punch(&g, &m, id, fh, &s);
		else
			compare(&g, &m, id, fh);
	}
	compare(&g, &m, id, fh);
	check(guest_unlink(&g, FUSE_ROOT_ID, "f") == 0, "unlink");
	check(guest_release(&g, id, fh) == 0, "release");
	guest_forget(&g, id, 1);
	vfs_memory_usage(p, &used, &inodes);
	check(used < 4096 && inodes == 1, "something is left of the budget's use");
	guest_close(&g);
	p->ops->free(p);
	return 0;
}
