/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes to a host's files cost the guest, against the mount's limits.
 *
 * A file counts by its size, in whole blocks: what is allocated ahead counts, and so do holes,
 * which can be filled without asking.  A file of the host's that has holes already counts by what
 * lies in it instead; else they would be room that nothing bounds.  A file that has no name left
 * keeps its cost until its last handle is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vfsd/host_internal.h"

#define BLOCK      4096u
#define SECTOR     512u
#define WALK_STEPS 4096u /* holes of one range that are looked at; more count as one */

static uint64_t
blocks_up(uint64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How many bytes of a range, in whole blocks, hold nothing; at least that many. */
static uint64_t
holes_in(int fd, uint64_t from, uint64_t to)
{
	uint64_t at = from / BLOCK * BLOCK, end = blocks_up(to), holes = 0, next;
	unsigned step;
	off_t data;

	for (step = 0; at < end && step < WALK_STEPS; step++) {
		data = lseek(fd, (off_t)at, SEEK_DATA);
		next = data < 0 ? end : least((uint64_t)data, end);
		holes += next - at;
		data = next < end ? lseek(fd, (off_t)next, SEEK_HOLE) : (off_t)next;
		if (data < 0)
			return holes + (end - next);
		at = least((uint64_t)data, end);
	}
	return holes + (end - at);
}

static uint64_t
data_in(int fd, uint64_t from, uint64_t to)
{
	uint64_t range = blocks_up(to) - from / BLOCK * BLOCK;

	return range - least(range, holes_in(fd, from, to));
}

/* A file's entry; a new one remembers what the file takes before the guest's first change. */
static int
file_of(struct host *h, int fd, const struct statx *st, struct ledger_file **out)
{
	struct owner_key key;
	struct ledger_file *f;
	off_t hole;
	int error;

	error = host_key(h, st, &key);
	if (error != 0)
		return error;
	*out = ledger_find(&h->ledger, &key);
	if (*out != NULL)
		return 0;
	f = *out = ledger_make(&h->ledger, &key);
	if (f == NULL)
		return -ENOSPC;
	f->original = blocks_up(st->stx_size);
	/* Not of a directory, whose position says how far the guest has listed it. */
	hole = S_ISREG(st->stx_mode) ? lseek(fd, 0, SEEK_HOLE) : -1;
	f->sparse = hole >= 0 && (uint64_t)hole < st->stx_size;
	if (f->sparse)
		f->original = least(f->original, st->stx_blocks * SECTOR);
	f->used = f->original;
	return 0;
}

int
host_charge(struct host *h, int fd, uint64_t at, uint64_t length, struct host_charge *c)
{
	uint64_t end, size, used;
	struct statx st;
	int error;

	c->file = NULL;
	if (h->config.bytes == 0)
		return 0;
	error = host_statx(fd, &st);
	if (error == 0)
		error = file_of(h, fd, &st, &c->file);
	if (error != 0)
		return error;
	if (at == HOST_AT_END)
		at = st.stx_size;
	used = c->before = c->file->used;
	if (c->file->sparse) {
		used += holes_in(fd, at, at + length);
	} else {
		end = blocks_up(at + length);
		size = most(used, blocks_up(st.stx_size));
		used += end > size ? end - size : 0;
	}
	return ledger_use(&h->ledger, c->file, used);
}

void
host_uncharge(struct host *h, int fd, const struct host_charge *c)
{
	uint64_t real;
	struct statx st;

	if (c->file == NULL || c->file->used <= c->before || host_statx(fd, &st) != 0)
		return;
	real = st.stx_blocks * SECTOR;
	if (!c->file->sparse)
		real = most(real, blocks_up(st.stx_size));
	(void)ledger_use(&h->ledger, c->file, least(c->file->used, most(c->before, real)));
}

/* Takes bytes off what a file uses.  That never fails. */
static void
credit(struct host *h, struct ledger_file *f, uint64_t bytes)
{
	(void)ledger_use(&h->ledger, f, f->used - least(f->used, bytes));
}

int
host_truncate(struct host *h, int fd, uint64_t size)
{
	struct host_charge c;
	struct statx st;
	uint64_t cut = 0;
	int error;

	error = host_charge(h, fd, size, 0, &c);
	if (error == 0 && c.file != NULL)
		error = host_statx(fd, &st);
	if (error != 0)
		return error;
	if (c.file != NULL && c.file->sparse && size < st.stx_size)
		cut = data_in(fd, blocks_up(size), st.stx_size);
	if (ftruncate(fd, (off_t)size) < 0) {
		error = -errno;
		host_uncharge(h, fd, &c);
		return error;
	}
	/* The same size may leave what was allocated beyond it. */
	if (c.file != NULL && size < st.stx_size) {
		credit(h, c.file, cut);
		(void)ledger_use(&h->ledger, c.file, least(c.file->used, blocks_up(size)));
	}
	return 0;
}

int
host_punch(struct host *h, int fd, int mode, uint64_t offset, uint64_t length)
{
	uint64_t data = 0, from = blocks_up(offset), to = (offset + length) / BLOCK * BLOCK;
	struct host_charge c;
	int error;

	error = host_charge(h, fd, 0, 0, &c);
	if (error != 0)
		return error;
	if (c.file != NULL && c.file->sparse && from < to)
		data = data_in(fd, from, to);
	if (fallocate(fd, mode, (off_t)offset, (off_t)length) < 0)
		return -errno;
	if (c.file != NULL)
		credit(h, c.file, data);
	return 0;
}

int
host_charge_attribute(
    struct host *h, int fd, const char *name, const size_t *size, struct host_charge *c)
{
	uint64_t was, is = size != NULL ? strlen(name) + *size : 0;
	ssize_t old;
	int error;

	error = host_charge(h, fd, 0, 0, c);
	if (error != 0 || c->file == NULL)
		return error;
	old = fgetxattr(fd, name, NULL, 0);
	was = old >= 0 ? strlen(name) + (uint64_t)old : 0;
	c->before = c->file->extra;
	/* What the host put there gives no room. */
	return ledger_use_extra(&h->ledger, c->file, c->before + is - least(was, c->before + is));
}

void
host_uncharge_attribute(struct host *h, const struct host_charge *c)
{
	/* It fits: nothing else was charged since. */
	if (c->file != NULL)
		(void)ledger_use_extra(&h->ledger, c->file, c->before);
}

void
host_made(struct host *h, const struct owner_key *key)
{
	struct ledger_file *f = ledger_find(&h->ledger, key);

	/* Another file had that number before, and is gone. */
	if (f != NULL)
		ledger_drop(&h->ledger, f);
	if (h->config.inodes == 0)
		return;
	/* Without an entry it stays counted when it goes. */
	f = ledger_make(&h->ledger, key);
	if (f != NULL)
		f->made = true;
}

void
host_unnamed(struct host *h, const struct owner_key *key)
{
	struct ledger_file *f = ledger_find(&h->ledger, key);
	const struct host_node *n = host_node_find(h, key);

	if (f != NULL && (n == NULL || n->handles == NULL))
		ledger_drop(&h->ledger, f);
}

void
host_closing(struct host *h, const struct host_node *n, int fd)
{
	const struct owner_key key = host_node_key(n);
	struct ledger_file *f = ledger_find(&h->ledger, &key);
	struct statx st;

	if (f == NULL || n->handles != NULL)
		return;
	/* Gone; or just as the host had it, which needs no entry. */
	if ((host_statx(fd, &st) == 0 && st.stx_nlink == 0) ||
	    (!f->made && f->used == f->original && f->extra == 0))
		ledger_drop(&h->ledger, f);
}
