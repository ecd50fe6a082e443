/* SPDX-License-Identifier: Apache-2.0 */
/* What every provider must do alike; memory; the read-only layer. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/vfs/guest.h"
#include "tests/unit/vfs/suites.h"
#include "tests/unit/vfs/trees.h"
#include "vfsd/layer_readonly.h"
#include "vfsd/memory_internal.h"
#include "vfsd/provider_memory.h"

/* ---- The same for all ---- */

static void
common_names(struct guest *g)
{
	char text[64], names[256];
	uint64_t a, b;

	CU_ASSERT_EQUAL(guest_mkdir(g, 1, "a", 0755, &a), 0);
	CU_ASSERT_EQUAL(guest_mkdir(g, 1, "a", 0755, NULL), -EEXIST);
	CU_ASSERT_EQUAL(guest_mkdir(g, a, "b", 0700, &b), 0);
	CU_ASSERT_EQUAL(guest_put(g, b, "f", "deep"), 0);
	CU_ASSERT_EQUAL(guest_get(g, b, "f", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "deep");
	CU_ASSERT_EQUAL(guest_rmdir(g, a, "b"), -ENOTEMPTY);
	CU_ASSERT_EQUAL(guest_unlink(g, a, "b"), -EISDIR);
	CU_ASSERT_EQUAL(guest_rmdir(g, b, "f"), -ENOTDIR);
	CU_ASSERT_EQUAL(guest_unlink(g, b, "none"), -ENOENT);
	CU_ASSERT_EQUAL(guest_rename(g, b, "f", 1, "g", 0), 0);
	CU_ASSERT_EQUAL(guest_get(g, b, "f", text, sizeof(text)), -ENOENT);
	CU_ASSERT_EQUAL(guest_get(g, 1, "g", text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(guest_rename(g, 1, "g", 1, "a", 0), -EISDIR);
	CU_ASSERT_EQUAL(guest_rename(g, 1, "a", 1, "g", 0), -ENOTDIR);
	CU_ASSERT_EQUAL(guest_rename(g, 1, "a", b, "c", 0), -EINVAL);
	CU_ASSERT_EQUAL(guest_rename(g, 1, "none", 1, "x", 0), -ENOENT);
	CU_ASSERT_EQUAL(guest_put(g, 1, "h", "other"), 0);
	CU_ASSERT_EQUAL(guest_rename(g, 1, "h", 1, "g", RENAME_NOREPLACE), -EEXIST);
	CU_ASSERT_EQUAL(guest_rename(g, 1, "h", 1, "g", 0), 0);
	CU_ASSERT_EQUAL(guest_get(g, 1, "g", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "other");
	CU_ASSERT_EQUAL(guest_rename(g, a, "b", 1, "moved", 0), 0);
	CU_ASSERT_EQUAL(guest_rmdir(g, 1, "a"), 0);
	CU_ASSERT_EQUAL(guest_symlink(g, 1, "l", "/x/../y"), 0);
	CU_ASSERT_EQUAL(guest_list(g, 1, false, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "g l moved ");
	CU_ASSERT_EQUAL(guest_list(g, 1, true, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "g l moved ");
}

static void
common_content(struct guest *g)
{
	static const char zeros[64];
	struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 3};
	struct fuse_fallocate_in punch = {.mode = 3, .offset = 0, .length = 4096};
	struct fuse_lseek_in seek = {.whence = 3};
	struct fuse_lseek_out at;
	struct fuse_attr a;
	uint64_t id, fh;
	char text[64];

	CU_ASSERT_EQUAL(guest_create(g, 1, "s", O_RDWR | O_EXCL, 0600, &id, &fh), 0);
	CU_ASSERT_EQUAL(guest_create(g, 1, "s", O_RDWR | O_EXCL, 0600, &id, &fh), -EEXIST);
	CU_ASSERT_EQUAL(guest_write(g, id, fh, 1u << 20, "end", 3), 3);
	CU_ASSERT_EQUAL(guest_write(g, id, fh, 2, "begin", 5), 5);
	CU_ASSERT_EQUAL(guest_read(g, id, fh, 0, text, 16), 16);
	CU_ASSERT_EQUAL(memcmp(text, "\0\0begin\0\0", 9), 0);
	CU_ASSERT_EQUAL(guest_read(g, id, fh, (1u << 20) + 1, text, 16), 2);
	CU_ASSERT_EQUAL(guest_read(g, id, fh, 1u << 21, text, 16), 0);
	seek.fh = fh;
	CU_ASSERT_EQUAL(guest_call(g, FUSE_LSEEK, id, &seek, sizeof(seek), NULL, NULL), 0);
	memcpy(&at, guest_body(g), sizeof(at));
	CU_ASSERT_EQUAL(at.offset, 0);
	seek.offset = 8192;
	CU_ASSERT_EQUAL(guest_call(g, FUSE_LSEEK, id, &seek, sizeof(seek), NULL, NULL), 0);
	memcpy(&at, guest_body(g), sizeof(at));
	CU_ASSERT_EQUAL(at.offset, 1u << 20);
	punch.fh = fh;
	CU_ASSERT_EQUAL(guest_call(g, FUSE_FALLOCATE, id, &punch, sizeof(punch), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_read(g, id, fh, 0, text, 64), 64);
	CU_ASSERT_EQUAL(memcmp(text, zeros, 64), 0);
	CU_ASSERT_EQUAL(guest_call(g, FUSE_SETATTR, id, &set, sizeof(set), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_getattr(g, id, &a), 0);
	CU_ASSERT_EQUAL(a.size, 3);
	CU_ASSERT_EQUAL(guest_write(g, id, fh, 8, "x", 1), 1);
	CU_ASSERT_EQUAL(guest_read(g, id, fh, 0, text, 64), 9);
	CU_ASSERT_EQUAL(memcmp(text, zeros, 8), 0);
	CU_ASSERT_EQUAL(guest_unlink(g, 1, "s"), 0);
	CU_ASSERT_EQUAL(guest_read(g, id, fh, 8, text, 1), 1);
	CU_ASSERT_EQUAL(guest_release(g, id, fh), 0);
}

static void
common_xattrs(struct guest *g)
{
	struct fuse_getxattr_in get = {.size = 64};
	uint8_t set[8 + sizeof("user.k") + 5] = {5, 0, 0, 0, 0, 0, 0, 0};
	struct fuse_entry_out e;

	memcpy(set + 8, "user.k\0value", sizeof("user.k") + 5);
	CU_ASSERT_EQUAL(guest_put(g, 1, "x", ""), 0);
	CU_ASSERT_EQUAL(guest_lookup(g, 1, "x", &e), 0);
	CU_ASSERT_EQUAL(guest_call_data(g, FUSE_SETXATTR, e.nodeid, set, sizeof(set), NULL, 0), 0);
	CU_ASSERT_EQUAL(
	    guest_call(g, FUSE_GETXATTR, e.nodeid, &get, sizeof(get), "user.k", NULL), 0);
	CU_ASSERT_EQUAL(guest_body_length(g), 5);
	CU_ASSERT_EQUAL(memcmp(guest_body(g), "value", 5), 0);
	CU_ASSERT_EQUAL(guest_call(g, FUSE_LISTXATTR, e.nodeid, &get, sizeof(get), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_body_length(g), sizeof("user.k"));
	get.size = 2;
	CU_ASSERT_EQUAL(
	    guest_call(g, FUSE_GETXATTR, e.nodeid, &get, sizeof(get), "user.k", NULL), -ERANGE);
	CU_ASSERT_EQUAL(
	    guest_call(g, FUSE_GETXATTR, e.nodeid, &get, sizeof(get), "security.capability", NULL),
	    -EOPNOTSUPP);
	CU_ASSERT_EQUAL(guest_call(g, FUSE_REMOVEXATTR, e.nodeid, NULL, 0, "user.k", NULL), 0);
	CU_ASSERT_EQUAL(
	    guest_call(g, FUSE_GETXATTR, e.nodeid, &get, sizeof(get), "user.k", NULL), -ENODATA);
}

/*
 * Takes the first two names of a listing's reply and removes them.  Returns the place to go on at,
 * 0 at the end.
 */
static uint64_t
remove_two(struct guest *g, uint64_t dir, uint64_t fh, uint64_t offset)
{
	struct fuse_read_in in = {.fh = fh, .offset = offset, .size = 4096};
	char names[2][VFS_NAME_MAX + 1];
	struct fuse_dirent d;
	size_t at = 0, n = 0;

	offset = 0;
	CU_ASSERT_EQUAL_FATAL(guest_call(g, FUSE_READDIR, dir, &in, sizeof(in), NULL, NULL), 0);
	while (at < guest_body_length(g) && n < 2) {
		const uint8_t *body = guest_body(g);

		memcpy(&d, body + at, FUSE_NAME_OFFSET);
		memcpy(names[n], body + at + FUSE_NAME_OFFSET, d.namelen);
		names[n][d.namelen] = '\0';
		n += !vfs_is_dots(names[n], d.namelen);
		offset = d.off;
		at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
	}
	while (n > 0)
		CU_ASSERT_EQUAL(guest_unlink(g, dir, names[--n]), 0);
	return offset;
}

/* A program with a small buffer removes all that it lists. */
static void
common_removing(struct guest *g)
{
	struct fuse_open_in in = {0};
	struct fuse_open_out out;
	struct fuse_release_in release = {0};
	uint64_t d, offset = 0;
	char name[16];
	int i;

	CU_ASSERT_EQUAL(guest_mkdir(g, 1, "d", 0700, &d), 0);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		CU_ASSERT_EQUAL(guest_put(g, d, name, ""), 0);
	}
	CU_ASSERT_EQUAL(guest_call(g, FUSE_OPENDIR, d, &in, sizeof(in), NULL, NULL), 0);
	memcpy(&out, guest_body(g), sizeof(out));
	release.fh = out.fh;
	do
		offset = remove_two(g, d, out.fh, offset);
	while (offset != 0);
	CU_ASSERT_EQUAL(
	    guest_call(g, FUSE_RELEASEDIR, d, &release, sizeof(release), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_rmdir(g, 1, "d"), 0);
}

/* Runs a check over each kind of provider, and sees that nothing is left behind. */
static void
over_all(void (*check)(struct guest *g))
{
	struct test_dir dirs[3];
	struct vfs_provider *all[5];
	struct vfs_usage use;
	struct guest g;
	size_t i;

	for (i = 0; i < 3; i++)
		test_dir_make(&dirs[i]);
	all[0] = tree_host(&dirs[0]);
	all[1] = tree_memory(TREE_BYTES);
	all[2] = tree_cow(tree_memory(TREE_BYTES), tree_memory(TREE_BYTES));
	all[3] = tree_cow(tree_host(&dirs[1]), tree_host(&dirs[2]));
	all[4] = tree_hide(tree_memory(TREE_BYTES), TREE_BYTES, "nothing/of/this", "*.hidden");
	for (i = 0; i < 5; i++) {
		guest_open(&g, all[i], NULL);
		check(&g);
		vfs_server_usage(g.server, &use);
		CU_ASSERT(use.nodes < 20);
		guest_close(&g);
		all[i]->ops->free(all[i]);
	}
	for (i = 0; i < 3; i++)
		test_dir_remove(&dirs[i]);
}

static void
test_names(void)
{
	over_all(common_names);
}

static void
test_content(void)
{
	over_all(common_content);
}

static void
test_xattrs(void)
{
	over_all(common_xattrs);
}

static void
test_removing(void)
{
	over_all(common_removing);
}

/* ---- Memory ---- */

static void
test_memory_caps(void)
{
	static const char block[65536];
	struct vfs_provider *p = tree_memory(256 * 1024);
	uint64_t bytes, inodes, id, fh, offset = 0;
	struct guest g;
	char name[16];
	int i, error = 0;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_create(&g, 1, "big", O_RDWR, 0600, &id, &fh), 0);
	while (guest_write(&g, id, fh, offset, block, sizeof(block)) == sizeof(block))
		offset += sizeof(block);
	CU_ASSERT_EQUAL(guest_write(&g, id, fh, 1ull << 40, "x", 1), -ENOSPC);
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, "big"), 0);
	CU_ASSERT_EQUAL(guest_release(&g, id, fh), 0);
	guest_forget(&g, id, 1);
	/* Names cost as well. */
	for (i = 0; i < 100000 && error == 0; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		error = guest_mkdir(&g, 1, name, 0700, &id);
		guest_forget(&g, id, 1);
	}
	CU_ASSERT_EQUAL(error, -ENOSPC);
	vfs_memory_usage(p, &bytes, &inodes);
	CU_ASSERT(bytes <= 256 * 1024);
	while (i-- > 0) {
		snprintf(name, sizeof(name), "d%d", i);
		guest_rmdir(&g, 1, name);
	}
	vfs_memory_usage(p, &bytes, &inodes);
	CU_ASSERT_EQUAL(inodes, 1);
	CU_ASSERT(bytes < 1024);
	guest_close(&g);
	p->ops->free(p);
}

/* Names that are gone cost nothing, and take no memory. */
static void
test_memory_names(void)
{
	struct vfs_provider *p = tree_memory(TREE_BYTES);
	const struct memory_node *dir = (struct memory_node *)p->ops->root(p);
	struct guest g;
	char name[24];
	uint64_t i;

	guest_open(&g, p, NULL);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
		CU_ASSERT_EQUAL(guest_symlink(&g, 1, name, "x"), 0);
	}
	CU_ASSERT(dir->u.dir.capacity >= 1000);
	while (i-- > 0) {
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
		CU_ASSERT_EQUAL(guest_unlink(&g, 1, name), 0);
		CU_ASSERT(dir->u.dir.capacity <= 8 + i * 4);
	}
	guest_close(&g);
	p->ops->free(p);
}

static void
test_memory_sparse(void)
{
	struct vfs_provider *p = tree_memory(TREE_BYTES);
	uint64_t id, fh, bytes, inodes;
	struct guest g;
	char c;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_create(&g, 1, "s", O_RDWR, 0600, &id, &fh), 0);
	CU_ASSERT_EQUAL(guest_write(&g, id, fh, INT64_MAX - 1, "x", 1), 1);
	CU_ASSERT_EQUAL(guest_write(&g, id, fh, 0, "a", 1), 1);
	CU_ASSERT_EQUAL(guest_read(&g, id, fh, INT64_MAX - 1, &c, 1), 1);
	CU_ASSERT_EQUAL(c, 'x');
	vfs_memory_usage(p, &bytes, &inodes);
	CU_ASSERT(bytes < 64 * 1024);
	guest_close(&g);
	p->ops->free(p);
}

/* Room beyond the end comes back with a truncation. */
static void
test_memory_allocated(void)
{
	struct fuse_fallocate_in in = {.mode = FALLOC_FL_KEEP_SIZE, .length = TREE_BYTES / 2};
	struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 3};
	struct vfs_provider *p = tree_memory(TREE_BYTES);
	uint64_t id, bytes, inodes;
	struct guest g;
	char text[8];

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_create(&g, 1, "f", O_RDWR, 0600, &id, &in.fh), 0);
	CU_ASSERT_EQUAL(guest_write(&g, id, in.fh, 0, "text", 4), 4);
	CU_ASSERT_EQUAL(guest_call(&g, FUSE_FALLOCATE, id, &in, sizeof(in), NULL, NULL), 0);
	vfs_memory_usage(p, &bytes, &inodes);
	CU_ASSERT(bytes > TREE_BYTES / 2);
	CU_ASSERT_EQUAL(guest_call(&g, FUSE_SETATTR, id, &set, sizeof(set), NULL, NULL), 0);
	vfs_memory_usage(p, &bytes, &inodes);
	/* The page that is left, and the tables above it. */
	CU_ASSERT(bytes < 6 * MEMORY_PAGE);
	CU_ASSERT_EQUAL(guest_read(&g, id, in.fh, 0, text, sizeof(text)), 3);
	CU_ASSERT_EQUAL(memcmp(text, "tex", 3), 0);
	guest_close(&g);
	p->ops->free(p);
}

/* ---- Read-only ---- */

static void
test_readonly(void)
{
	struct vfs_provider *low = tree_memory(TREE_BYTES), *p = NULL;
	struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = 0};
	struct fuse_entry_out e;
	struct guest g;
	uint64_t fh;
	char text[16];

	guest_open(&g, low, NULL);
	CU_ASSERT_EQUAL(guest_put(&g, 1, "a", "text"), 0);
	guest_close(&g);
	CU_ASSERT_EQUAL_FATAL(vfs_readonly_new(low, &p), 0);
	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_get(&g, 1, "a", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "text");
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "a", &e), 0);
	CU_ASSERT_EQUAL(guest_put(&g, 1, "b", ""), -EROFS);
	CU_ASSERT_EQUAL(guest_open_file(&g, e.nodeid, O_WRONLY, &fh), -EROFS);
	CU_ASSERT_EQUAL(guest_open_file(&g, e.nodeid, O_RDONLY | O_TRUNC, &fh), -EROFS);
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, "a"), -EROFS);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "d", 0700, NULL), -EROFS);
	CU_ASSERT_EQUAL(guest_symlink(&g, 1, "l", "x"), -EROFS);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "a", 1, "b", 0), -EROFS);
	CU_ASSERT_EQUAL(guest_link(&g, e.nodeid, 1, "b"), -EROFS);
	CU_ASSERT_EQUAL(
	    guest_call(&g, FUSE_SETATTR, e.nodeid, &set, sizeof(set), NULL, NULL), -EROFS);
	CU_ASSERT_EQUAL(
	    guest_call(&g, FUSE_REMOVEXATTR, e.nodeid, NULL, 0, "user.a", NULL), -EROFS);
	guest_close(&g);
	p->ops->free(p);
}

const struct test_row provider_tests[] = {
    {"names", test_names},
    {"content", test_content},
    {"extended attributes", test_xattrs},
    {"removing what is listed", test_removing},
    {"memory: caps", test_memory_caps},
    {"memory: names that are gone", test_memory_names},
    {"memory: sparse files", test_memory_sparse},
    {"memory: room beyond the end", test_memory_allocated},
    {"read-only", test_readonly},
    {NULL, NULL},
};
