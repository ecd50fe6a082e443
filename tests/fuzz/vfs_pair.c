/* SPDX-License-Identifier: Apache-2.0 */
/* Two providers that must behave alike: see the header. */
#include "tests/fuzz/vfs_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/vfs/guest.h"

#define NODES   12u
#define HANDLES 6u
#define NAMES   7u
#define OP_SIZE 6u

static const char *const names[NAMES] = {"a", "b", "c", "dir", "sub", "link", "\xc3\xa4 x"};

/* The same thing on both sides; 0 = an empty slot. */
struct both {
	uint64_t id[2];
};

struct open_file {
	struct both node, fh;
};

struct pair {
	struct guest g[2]; /* model, tested */
	struct both nodes[NODES];
	struct open_file files[HANDLES];
};

/* One step's six bytes. */
struct step {
	uint8_t op, a, b, c, d, e;
};

static void
differ(const char *what, const struct step *s, long model, long tested)
{
	fprintf(stderr, "%s differs in step {%u,%u,%u,%u,%u,%u}: model %ld, tested %ld\n", what,
	    s->op, s->a, s->b, s->c, s->d, s->e, model, tested);
	abort();
}

/* A directory that is gone is ENOENT where it is known to be, and stale where it is not found. */
static void
same(const char *what, const struct step *s, long model, long tested)
{
	model = model == -ESTALE ? -ENOENT : model;
	tested = tested == -ESTALE ? -ENOENT : tested;
	if (model != tested)
		differ(what, s, model, tested);
}

/* Where several things are wrong at once, which of them is told is nobody's promise. */
static void
both_fail(const char *what, const struct step *s, int model, int tested)
{
	if ((model == 0) != (tested == 0))
		differ(what, s, model, tested);
}

static struct both *
node(struct pair *p, uint8_t i)
{
	struct both *n = &p->nodes[i % NODES];

	return n->id[0] != 0 ? n : &p->nodes[0];
}

static void
forget(struct pair *p, struct both *n)
{
	int side;

	for (side = 0; side < 2; side++) {
		if (n->id[side] != FUSE_ROOT_ID)
			guest_forget(&p->g[side], n->id[side], 1);
	}
	memset(n, 0, sizeof(*n));
}

static void
on_lookup(struct pair *p, const struct step *s)
{
	struct both *dir = node(p, s->a), *slot = &p->nodes[1 + s->b % (NODES - 1)], found;
	struct fuse_entry_out e[2];
	int error[2], side;

	for (side = 0; side < 2; side++) {
		error[side] =
		    guest_lookup(&p->g[side], dir->id[side], names[s->c % NAMES], &e[side]);
		found.id[side] = e[side].nodeid;
	}
	same("lookup", s, error[0], error[1]);
	if (error[0] != 0)
		return;
	same("mode", s, e[0].attr.mode, e[1].attr.mode);
	if (!S_ISDIR(e[0].attr.mode)) {
		same("size", s, (long)e[0].attr.size, (long)e[1].attr.size);
		same("links", s, e[0].attr.nlink, e[1].attr.nlink);
	}
	if (slot->id[0] != 0)
		forget(p, slot);
	*slot = found;
}

static void
on_make(struct pair *p, const struct step *s)
{
	struct both *dir = node(p, s->a);
	const char *name = names[s->b % NAMES];
	int error[2], side;
	uint64_t id;

	for (side = 0; side < 2; side++) {
		if (s->c & 1) {
			error[side] =
			    guest_symlink(&p->g[side], dir->id[side], name, names[s->d % NAMES]);
		} else {
			error[side] = guest_mkdir(
			    &p->g[side], dir->id[side], name, s->d & 1 ? 0755 : 02775, &id);
			if (error[side] == 0)
				guest_forget(&p->g[side], id, 1);
		}
	}
	same("make", s, error[0], error[1]);
}

static void
on_remove(struct pair *p, const struct step *s)
{
	struct both *dir = node(p, s->a);
	int error[2], side;

	for (side = 0; side < 2; side++)
		error[side] = s->c & 1
				  ? guest_rmdir(&p->g[side], dir->id[side], names[s->b % NAMES])
				  : guest_unlink(&p->g[side], dir->id[side], names[s->b % NAMES]);
	same("remove", s, error[0], error[1]);
}

/* The tested side first: what it refuses as EXDEV is not done to the model either. */
static void
on_rename(struct pair *p, const struct step *s)
{
	struct both *from = node(p, s->a), *to = node(p, s->b);
	const char *old = names[s->c % NAMES], *new = names[s->d % NAMES];
	uint32_t flags = s->e & 1 ? RENAME_NOREPLACE : 0;
	int tested = guest_rename(&p->g[1], from->id[1], old, to->id[1], new, flags);

	if (tested != -EXDEV)
		both_fail("rename", s,
		    guest_rename(&p->g[0], from->id[0], old, to->id[0], new, flags), tested);
}

static void
on_link(struct pair *p, const struct step *s)
{
	struct both *n = node(p, s->a), *dir = node(p, s->b);
	int error[2], side;
	struct fuse_entry_out e;

	for (side = 0; side < 2; side++) {
		error[side] =
		    guest_link(&p->g[side], n->id[side], dir->id[side], names[s->c % NAMES]);
		if (error[side] == 0) {
			memcpy(&e, guest_body(&p->g[side]), sizeof(e));
			guest_forget(&p->g[side], e.nodeid, 1);
		}
	}
	both_fail("link", s, error[0], error[1]);
}

static void
close_file(struct pair *p, struct open_file *f)
{
	int side;

	for (side = 0; side < 2; side++) {
		guest_release(&p->g[side], f->node.id[side], f->fh.id[side]);
		guest_forget(&p->g[side], f->node.id[side], 1);
	}
	memset(f, 0, sizeof(*f));
}

static void
on_create(struct pair *p, const struct step *s)
{
	struct open_file *f = &p->files[s->a % HANDLES], new;
	struct both *dir = node(p, s->b);
	uint32_t flags = O_RDWR | (s->d & 1 ? O_EXCL : 0) | (s->d & 2 ? O_TRUNC : 0);
	int error[2], side;

	for (side = 0; side < 2; side++)
		error[side] = guest_create(&p->g[side], dir->id[side], names[s->c % NAMES], flags,
		    0644, &new.node.id[side], &new.fh.id[side]);
	same("create", s, error[0], error[1]);
	if (error[0] != 0)
		return;
	if (f->fh.id[0] != 0)
		close_file(p, f);
	*f = new;
}

static void
on_write(struct pair *p, const struct step *s)
{
	struct open_file *f = &p->files[s->a % HANDLES];
	uint64_t offset = (uint64_t)s->b * 700 + s->c;
	static uint8_t bytes[16384];
	long n[2];
	int side;

	if (f->fh.id[0] == 0)
		return;
	memset(bytes, s->e, sizeof(bytes));
	for (side = 0; side < 2; side++)
		n[side] = guest_write(&p->g[side], f->node.id[side], f->fh.id[side], offset, bytes,
		    (size_t)s->d * 64);
	same("write", s, n[0], n[1]);
}

static void
on_read(struct pair *p, const struct step *s)
{
	struct open_file *f = &p->files[s->a % HANDLES];
	static uint8_t bytes[2][262144];
	long n[2];
	int side;

	if (f->fh.id[0] == 0)
		return;
	for (side = 0; side < 2; side++)
		n[side] = guest_read(&p->g[side], f->node.id[side], f->fh.id[side],
		    (uint64_t)s->b * 16, bytes[side], sizeof(bytes[0]));
	same("read", s, n[0], n[1]);
	if (n[0] > 0 && memcmp(bytes[0], bytes[1], (size_t)n[0]) != 0)
		differ("content", s, 0, 1);
}

static void
on_setattr(struct pair *p, const struct step *s)
{
	struct open_file *f = &p->files[s->a % HANDLES];
	struct fuse_setattr_in in = {.size = (uint64_t)s->c * 300 + s->d,
	    .mode = (uint32_t)s->d << 4,
	    .uid = s->c,
	    .gid = s->d};
	struct fuse_attr_out a[2];
	int error[2], side;

	if (f->fh.id[0] == 0)
		return;
	in.valid = s->b & 3 ? FATTR_SIZE : FATTR_MODE | FATTR_UID | FATTR_GID;
	for (side = 0; side < 2; side++) {
		error[side] = guest_call(
		    &p->g[side], FUSE_SETATTR, f->node.id[side], &in, sizeof(in), NULL, NULL);
		if (error[side] == 0)
			memcpy(&a[side], guest_body(&p->g[side]), sizeof(a[side]));
	}
	same("setattr", s, error[0], error[1]);
	if (error[0] != 0)
		return;
	same("new mode", s, a[0].attr.mode, a[1].attr.mode);
	same("new size", s, (long)a[0].attr.size, (long)a[1].attr.size);
	same("new owner", s, a[0].attr.uid, a[1].attr.uid);
}

static void
on_punch(struct pair *p, const struct step *s)
{
	struct open_file *f = &p->files[s->a % HANDLES];
	struct fuse_fallocate_in in = {.offset = (uint64_t)s->b * 500,
	    .length = 1 + (uint64_t)s->c * 200,
	    .mode = s->d & 1 ? 3 : 0};
	int error[2], side;

	if (f->fh.id[0] == 0)
		return;
	for (side = 0; side < 2; side++) {
		in.fh = f->fh.id[side];
		error[side] = guest_call(
		    &p->g[side], FUSE_FALLOCATE, f->node.id[side], &in, sizeof(in), NULL, NULL);
	}
	same("fallocate", s, error[0], error[1]);
}

static void
on_list(struct pair *p, const struct step *s)
{
	struct both *dir = node(p, s->a);
	static char text[2][8192];
	int error[2], side;

	for (side = 0; side < 2; side++)
		error[side] =
		    guest_list(&p->g[side], dir->id[side], s->b & 1, text[side], sizeof(text[0]));
	if (error[1] == -ESTALE)
		return; /* removed: the host has no way to it */
	same("opendir", s, error[0], error[1]);
	if (error[0] == 0 && strcmp(text[0], text[1]) != 0) {
		fprintf(stderr, "model has: %s\ntested has: %s\n", text[0], text[1]);
		differ("list", s, 0, 1);
	}
}

static void
on_close(struct pair *p, const struct step *s)
{
	struct open_file *f = &p->files[s->a % HANDLES];

	if (f->fh.id[0] != 0)
		close_file(p, f);
}

static void (*const ops[])(struct pair *p, const struct step *s) = {
    on_lookup,
    on_make,
    on_remove,
    on_rename,
    on_link,
    on_create,
    on_write,
    on_read,
    on_setattr,
    on_punch,
    on_list,
    on_close,
};

void
vfs_pair_run(
    struct vfs_provider *model, struct vfs_provider *tested, const uint8_t *bytes, size_t length)
{
	static struct pair p;
	struct step step;
	size_t at;
	unsigned i;

	memset(&p, 0, sizeof(p));
	guest_open(&p.g[0], model, NULL);
	guest_open(&p.g[1], tested, NULL);
	p.nodes[0].id[0] = p.nodes[0].id[1] = FUSE_ROOT_ID;
	for (at = 0; at + OP_SIZE <= length && at < OP_SIZE * 400; at += OP_SIZE) {
		memcpy(&step, bytes + at, sizeof(step));
		ops[step.op % (sizeof(ops) / sizeof(ops[0]))](&p, &step);
	}
	for (i = 0; i < HANDLES; i++) {
		if (p.files[i].fh.id[0] != 0)
			close_file(&p, &p.files[i]);
	}
	guest_close(&p.g[0]);
	guest_close(&p.g[1]);
}

void
vfs_pair_populate(struct vfs_provider *provider)
{
	struct guest g;
	uint64_t dir;

	guest_open(&g, provider, NULL);
	guest_put(&g, FUSE_ROOT_ID, "a", "first");
	guest_symlink(&g, FUSE_ROOT_ID, "link", "a");
	if (guest_mkdir(&g, FUSE_ROOT_ID, "dir", 0755, &dir) == 0) {
		guest_put(&g, dir, "b", "second");
		guest_mkdir(&g, dir, "sub", 0700, NULL);
	}
	guest_close(&g);
}
