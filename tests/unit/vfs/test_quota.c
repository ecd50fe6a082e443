/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest adds to a host directory against the mount's limits, and what it gets back. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vfs/suites.h"
#include "vfsd/provider_host.h"

#define BLOCK 4096u
#define LIMIT (256u * BLOCK)

static uint8_t content[LIMIT * 2];
static const struct vfs_make plain = {.mode = S_IFREG | 0644};
static const struct vfs_make folder = {.mode = S_IFDIR | 0755};

struct quota {
	struct test_dir dir;
	struct vfs_provider *p;
	struct vfs_node *root;
};

struct file {
	struct vfs_node *node;
	struct vfs_handle *h; /* NULL = closed */
};

static void
start(struct quota *q, uint64_t inodes)
{
	struct vfs_host_config config = {.squash = true, .bytes = LIMIT, .inodes = inodes};

	memset(content, 'x', sizeof(content));
	test_dir_make(&q->dir);
	config.root = q->dir.fd;
	CU_ASSERT_EQUAL_FATAL(vfs_host_new(&config, &q->p), 0);
	q->root = q->p->ops->root(q->p);
}

static void
stop(struct quota *q)
{
	q->p->ops->free(q->p);
	test_dir_remove(&q->dir);
}

static int
make(struct quota *q, const char *name, struct file *f)
{
	struct vfs_entry e;
	int error = q->p->ops->create(q->p, q->root, name, &plain, O_RDWR, &e, &f->h);

	f->node = error == 0 ? e.node : NULL;
	return error;
}

static int
make_unnamed(struct quota *q, struct file *f)
{
	struct vfs_entry e;
	int error = q->p->ops->tmpfile(q->p, q->root, &plain, O_RDWR, &e, &f->h);

	f->node = error == 0 ? e.node : NULL;
	return error;
}

static void
done(struct quota *q, struct file *f)
{
	if (f->h != NULL)
		q->p->ops->close(q->p, f->h);
	vfs_node_put(f->node);
	*f = (struct file){NULL, NULL};
}

static ssize_t
put(struct quota *q, struct file *f, uint64_t at, size_t size)
{
	return q->p->ops->write(q->p, f->h, content, size, at, 0);
}

static int
resize(struct quota *q, struct file *f, uint64_t size)
{
	struct vfs_change change = {.set = VFS_SET_SIZE, .size = size};
	struct vfs_attr a;

	return q->p->ops->setattr(q->p, f->node, f->h, &change, &a);
}

static int
removed(struct quota *q, const char *name)
{
	return q->p->ops->unlink(q->p, q->root, name, false);
}

/* All of the limit is there: a file takes it whole, and nothing more fits. */
static void
expect_room(struct quota *q)
{
	struct file f;

	CU_ASSERT_EQUAL_FATAL(make(q, "room", &f), 0);
	CU_ASSERT_EQUAL(put(q, &f, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(q, &f, LIMIT, 1), -ENOSPC);
	CU_ASSERT_EQUAL(removed(q, "room"), 0);
	done(q, &f);
}

/* A file that the host put there: data, and a hole behind it. */
static void
host_file(struct quota *q, const char *name, size_t data, off_t size)
{
	int fd = openat(q->dir.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, content, data), (ssize_t)data);
	CU_ASSERT_EQUAL(ftruncate(fd, size), 0);
	/* Blocks that are still to be allocated would not be counted everywhere. */
	CU_ASSERT_EQUAL(fsync(fd), 0);
	close(fd);
}

static void
test_growth(void)
{
	struct quota q;
	struct file f;
	int i;

	start(&q, 0);
	CU_ASSERT_EQUAL(make(&q, "a", &f), 0);
	/* Appended: the offset says nothing. */
	for (i = 0; i < 256; i++)
		CU_ASSERT_EQUAL(
		    q.p->ops->write(q.p, f.h, content, BLOCK, 0, VFS_WRITE_APPEND), BLOCK);
	CU_ASSERT_EQUAL(q.p->ops->write(q.p, f.h, content, 1, 0, VFS_WRITE_APPEND), -ENOSPC);
	CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(resize(&q, &f, LIMIT + 1), -ENOSPC);
	CU_ASSERT_EQUAL(q.p->ops->allocate(q.p, f.h, 0, LIMIT, 1), -ENOSPC);
	CU_ASSERT_EQUAL(q.p->ops->allocate(q.p, f.h, FALLOC_FL_KEEP_SIZE, LIMIT, BLOCK), -ENOSPC);
	CU_ASSERT_EQUAL(q.p->ops->copy(q.p, f.h, 0, f.h, LIMIT, BLOCK), -ENOSPC);
	/* Holes in a file of the guest's cost as much as data, and are paid for once. */
	CU_ASSERT_EQUAL(resize(&q, &f, 0), 0);
	CU_ASSERT_EQUAL(resize(&q, &f, LIMIT), 0);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT / 2, LIMIT / 2), LIMIT / 2);
	CU_ASSERT_EQUAL(removed(&q, "a"), 0);
	done(&q, &f);
	/* What is allocated ahead is paid for once, too. */
	CU_ASSERT_EQUAL(make(&q, "b", &f), 0);
	CU_ASSERT_EQUAL(q.p->ops->allocate(q.p, f.h, FALLOC_FL_KEEP_SIZE, 0, LIMIT), 0);
	CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT, 1), -ENOSPC);
	CU_ASSERT_EQUAL(removed(&q, "b"), 0);
	done(&q, &f);
	expect_room(&q);
	stop(&q);
}

/* Space that open handles hold is not free, whatever became of the names. */
static void
test_held(void)
{
	struct file held, more, first;
	struct quota q;

	start(&q, 2);
	CU_ASSERT_EQUAL(make(&q, "a", &held), 0);
	CU_ASSERT_EQUAL(put(&q, &held, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(removed(&q, "a"), 0);
	CU_ASSERT_EQUAL(make(&q, "b", &more), 0);
	CU_ASSERT_EQUAL(put(&q, &more, 0, 1), -ENOSPC);
	CU_ASSERT_EQUAL(make(&q, "c", &first), -ENOSPC);
	done(&q, &held);
	CU_ASSERT_EQUAL(put(&q, &more, 0, LIMIT), LIMIT);
	/* Over it, by a rename. */
	CU_ASSERT_EQUAL(make(&q, "c", &first), 0);
	CU_ASSERT_EQUAL(q.p->ops->rename(q.p, q.root, "c", q.root, "b", 0), 0);
	CU_ASSERT_EQUAL(put(&q, &first, 0, 1), -ENOSPC);
	CU_ASSERT_EQUAL(make(&q, "d", &held), -ENOSPC);
	done(&q, &more);
	CU_ASSERT_EQUAL(put(&q, &first, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(removed(&q, "b"), 0);
	done(&q, &first);
	/* Never named. */
	CU_ASSERT_EQUAL(make_unnamed(&q, &held), 0);
	CU_ASSERT_EQUAL(make_unnamed(&q, &more), 0);
	CU_ASSERT_EQUAL(make_unnamed(&q, &first), -ENOSPC);
	CU_ASSERT_EQUAL(put(&q, &held, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &more, 0, 1), -ENOSPC);
	done(&q, &held);
	CU_ASSERT_EQUAL(put(&q, &more, 0, LIMIT), LIMIT);
	done(&q, &more);
	expect_room(&q);
	stop(&q);
}

/* What a build does: the same files, written over and over. */
static void
test_rewritten(void)
{
	struct vfs_entry e;
	struct file f, g;
	struct quota q;
	bool unchanged;
	int i;

	start(&q, 3);
	for (i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(
		    q.p->ops->create(q.p, q.root, "a", &plain, O_RDWR | O_TRUNC, &e, &f.h), 0);
		f.node = e.node;
		CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT), LIMIT);
		CU_ASSERT_EQUAL(resize(&q, &f, 0), 0);
		CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT), LIMIT);
		q.p->ops->close(q.p, f.h);
		CU_ASSERT_EQUAL(
		    q.p->ops->open(q.p, f.node, O_WRONLY | O_TRUNC, &f.h, &unchanged), 0);
		CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT / 2), LIMIT / 2);
		/* A new one, and over the old one with it. */
		CU_ASSERT_EQUAL(make(&q, "new", &g), 0);
		CU_ASSERT_EQUAL(put(&q, &g, 0, LIMIT / 2), LIMIT / 2);
		done(&q, &f);
		CU_ASSERT_EQUAL(q.p->ops->rename(q.p, q.root, "new", q.root, "a", 0), 0);
		done(&q, &g);
		CU_ASSERT_EQUAL(q.p->ops->make(q.p, q.root, "d", &folder, &e), 0);
		vfs_node_put(e.node);
		CU_ASSERT_EQUAL(q.p->ops->unlink(q.p, q.root, "d", true), 0);
	}
	CU_ASSERT_EQUAL(removed(&q, "a"), 0);
	expect_room(&q);
	stop(&q);
}

/* The host's own files: free to be rewritten, no room when they shrink or go. */
static void
test_the_hosts(void)
{
	struct vfs_entry e;
	struct quota q;
	struct file f;
	bool unchanged;

	start(&q, 1);
	host_file(&q, "dense", LIMIT * 2, LIMIT * 2);
	host_file(&q, "gone", LIMIT, LIMIT);
	CU_ASSERT_EQUAL(q.p->ops->lookup(q.p, q.root, "dense", &e), 0);
	f.node = e.node;
	CU_ASSERT_EQUAL(q.p->ops->open(q.p, f.node, O_RDWR | O_TRUNC, &f.h, &unchanged), 0);
	q.p->ops->close(q.p, f.h);
	CU_ASSERT_EQUAL(q.p->ops->open(q.p, f.node, O_RDWR, &f.h, &unchanged), 0);
	CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT * 2), LIMIT * 2);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 2, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 3, 1), -ENOSPC);
	CU_ASSERT_EQUAL(removed(&q, "gone"), 0);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 3, 1), -ENOSPC);
	CU_ASSERT_EQUAL(resize(&q, &f, BLOCK), 0);
	expect_room(&q);
	CU_ASSERT_EQUAL(removed(&q, "dense"), 0);
	done(&q, &f);
	expect_room(&q);
	stop(&q);
}

/* Holes that the host left are no room: what is written into them counts. */
static void
test_holes_of_the_host(void)
{
	struct vfs_entry e;
	struct quota q;
	struct file f;
	bool unchanged;

	start(&q, 0);
	host_file(&q, "sparse", LIMIT, LIMIT * 64);
	CU_ASSERT_EQUAL(q.p->ops->lookup(q.p, q.root, "sparse", &e), 0);
	f.node = e.node;
	CU_ASSERT_EQUAL(q.p->ops->open(q.p, f.node, O_RDWR, &f.h, &unchanged), 0);
	CU_ASSERT_EQUAL(put(&q, &f, 0, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 8, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 8, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 16, 1), -ENOSPC);
	CU_ASSERT_EQUAL(q.p->ops->allocate(q.p, f.h, 0, LIMIT * 16, BLOCK), -ENOSPC);
	CU_ASSERT_EQUAL(q.p->ops->allocate(
			    q.p, f.h, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, LIMIT * 8, LIMIT),
	    0);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 16, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 8, 1), -ENOSPC);
	CU_ASSERT_EQUAL(resize(&q, &f, LIMIT * 2), 0);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT, LIMIT), LIMIT);
	CU_ASSERT_EQUAL(put(&q, &f, LIMIT * 2, 1), -ENOSPC);
	CU_ASSERT_EQUAL(removed(&q, "sparse"), 0);
	done(&q, &f);
	expect_room(&q);
	stop(&q);
}

/* Extended attributes take room on the host as well. */
static void
test_attributes(void)
{
	struct file f, more;
	struct quota q;
	char name[16];
	int i, error;

	start(&q, 0);
	CU_ASSERT_EQUAL(make(&q, "a", &f), 0);
	CU_ASSERT_EQUAL(make(&q, "b", &more), 0);
	CU_ASSERT_EQUAL(put(&q, &more, 0, LIMIT - BLOCK), LIMIT - BLOCK);
	/* 1,006 bytes each, of which the disk itself may take fewer; the fifth is too much. */
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "user.%d", i);
		error = q.p->ops->setxattr(q.p, f.node, name, content, 1000, 0);
		CU_ASSERT_TRUE(error == -ENOSPC || (error == 0 && i < 4));
	}
	CU_ASSERT_EQUAL(put(&q, &more, LIMIT - BLOCK, BLOCK), -ENOSPC);
	CU_ASSERT_EQUAL(q.p->ops->setxattr(q.p, f.node, "user.0", content, 1, 0), 0);
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "user.%d", i);
		error = q.p->ops->removexattr(q.p, f.node, name);
		CU_ASSERT_TRUE(error == 0 || error == -ENODATA);
	}
	CU_ASSERT_EQUAL(put(&q, &more, LIMIT - BLOCK, BLOCK), BLOCK);
	CU_ASSERT_EQUAL(resize(&q, &more, 0), 0);
	CU_ASSERT_EQUAL(q.p->ops->setxattr(q.p, f.node, "user.0", content, 1000, 0), 0);
	CU_ASSERT_EQUAL(removed(&q, "a"), 0);
	CU_ASSERT_EQUAL(removed(&q, "b"), 0);
	done(&q, &f);
	done(&q, &more);
	expect_room(&q);
	stop(&q);
}

/* ---- random operations ---- */

#define NAMES   6
#define HANDLES 10
/* Files with many pieces have blocks of the disk's own tables among theirs. */
#define TABLES (2u * BLOCK)

struct run {
	struct quota q;
	unsigned seed;
	struct file files[HANDLES];
	uint64_t host_blocks[2]; /* what the host's two files took */
	ino_t host_ino[2];
};

static unsigned
upto(struct run *r, unsigned n)
{
	r->seed = r->seed * 1103515245u + 12345u;
	return (r->seed >> 16) % n;
}

/* What a file takes beyond what the host put there, as the disk counts it. */
static uint64_t
added(const struct run *r, const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_blocks * 512, host = 0;
	int i;

	for (i = 0; i < 2; i++) {
		if (r->host_ino[i] == st->st_ino)
			host = r->host_blocks[i];
	}
	return bytes > host + TABLES ? bytes - host - TABLES : 0;
}

static void
expect_within(struct run *r)
{
	ino_t seen[NAMES + HANDLES];
	uint64_t sum = 0;
	size_t n = 0, i, j;
	struct vfs_attr a;
	char name[8];
	struct stat st;

	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		if (fstatat(r->q.dir.fd, name, &st, 0) != 0)
			continue;
		seen[n++] = st.st_ino;
		sum += added(r, &st);
	}
	for (i = 0; i < HANDLES; i++) {
		if (r->files[i].h == NULL)
			continue;
		CU_ASSERT_EQUAL(
		    r->q.p->ops->getattr(r->q.p, r->files[i].node, r->files[i].h, &a), 0);
		for (j = 0; j < n && seen[j] != a.ino; j++)
			;
		if (j < n)
			continue;
		seen[n++] = a.ino;
		st.st_ino = a.ino;
		st.st_blocks = (blkcnt_t)a.blocks;
		sum += added(r, &st);
	}
	CU_ASSERT_TRUE_FATAL(sum <= LIMIT);
}

static void
change(struct run *r, struct file *f)
{
	uint64_t at = upto(r, 2 * LIMIT), length = 1 + upto(r, LIMIT / 4);
	const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
	    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	struct file *in = &r->files[upto(r, HANDLES)];

	switch (upto(r, 5)) {
	case 0:
		put(&r->q, f, at, length);
		break;
	case 1:
		r->q.p->ops->write(r->q.p, f->h, content, length, at, VFS_WRITE_APPEND);
		break;
	case 2:
		resize(&r->q, f, upto(r, 2) ? at : 0);
		break;
	case 3:
		r->q.p->ops->allocate(r->q.p, f->h, modes[upto(r, 5)], at, length);
		break;
	default:
		if (in->h != NULL)
			r->q.p->ops->copy(r->q.p, in->h, upto(r, LIMIT), f->h, at, length);
	}
}

static void
step(struct run *r)
{
	struct file *f = &r->files[upto(r, HANDLES)];
	char name[2][8];
	int i;

	for (i = 0; i < 2; i++)
		snprintf(name[i], sizeof(name[i]), "%u", upto(r, NAMES));
	switch (upto(r, 10)) {
	case 0:
		removed(&r->q, name[0]);
		break;
	case 1:
		r->q.p->ops->rename(r->q.p, r->q.root, name[0], r->q.root, name[1], 0);
		break;
	case 2:
		done(&r->q, f);
		break;
	case 3:
		if (f->h == NULL && make_unnamed(&r->q, f) != 0)
			*f = (struct file){NULL, NULL};
		break;
	case 4:
		if (f->h == NULL && make(&r->q, name[0], f) != 0)
			*f = (struct file){NULL, NULL};
		break;
	default:
		if (f->h != NULL)
			change(r, f);
	}
}

static void
run_random(unsigned seed)
{
	struct run r = {.seed = seed};
	struct stat st;
	char name[8];
	int i;

	start(&r.q, NAMES + HANDLES);
	host_file(&r.q, "0", LIMIT / 2, LIMIT / 2);
	host_file(&r.q, "1", BLOCK, LIMIT * 2);
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%d", i);
		CU_ASSERT_EQUAL(fstatat(r.q.dir.fd, name, &st, 0), 0);
		r.host_ino[i] = st.st_ino;
		r.host_blocks[i] = (uint64_t)st.st_blocks * 512;
	}
	for (i = 0; i < 1500; i++) {
		step(&r);
		expect_within(&r);
	}
	for (i = 0; i < HANDLES; i++)
		done(&r.q, &r.files[i]);
	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		removed(&r.q, name);
	}
	expect_room(&r.q);
	/* And all files: nothing is counted that is not there. */
	for (i = 0; i < HANDLES; i++)
		CU_ASSERT_EQUAL(make_unnamed(&r.q, &r.files[i]), 0);
	for (i = 0; i < HANDLES; i++)
		done(&r.q, &r.files[i]);
	stop(&r.q);
}

static void
test_random(void)
{
	unsigned seed;

	for (seed = 1; seed <= 8; seed++)
		run_random(seed);
}

const struct test_row quota_tests[] = {
    {"growth of every kind", test_growth},
    {"held by open handles", test_held},
    {"rewritten", test_rewritten},
    {"the host's own files", test_the_hosts},
    {"the host's holes", test_holes_of_the_host},
    {"extended attributes", test_attributes},
    {"random", test_random},
    {NULL, NULL},
};
