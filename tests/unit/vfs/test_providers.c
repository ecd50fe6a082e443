/* SPDX-License-Identifier: Apache-2.0 */
/* What every provider must do alike, and what layers and copy on write add. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vfs/guest.h"
#include "tests/unit/vfs/suites.h"
#include "vfsd/glob.h"
#include "vfsd/layer_hide.h"
#include "vfsd/layer_readonly.h"
#include "vfsd/provider_cow.h"
#include "vfsd/provider_host.h"
#include "vfsd/provider_memory.h"

#define MEMORY_BYTES (4u << 20)

static struct vfs_provider *
memory(uint64_t bytes)
{
	struct vfs_memory_config config = {.bytes = bytes, .mode = 0755};
	struct vfs_provider *p = NULL;

	CU_ASSERT_EQUAL_FATAL(vfs_memory_new(&config, &p), 0);
	return p;
}

static struct vfs_provider *
host(struct test_dir *d)
{
	struct vfs_host_config config = {.squash = true};
	struct vfs_provider *p = NULL;

	config.root = d->fd;
	CU_ASSERT_EQUAL_FATAL(vfs_host_new(&config, &p), 0);
	return p;
}

static struct vfs_provider *
cow(struct vfs_provider *lower, struct vfs_provider *upper)
{
	struct vfs_provider *p = NULL;

	CU_ASSERT_EQUAL_FATAL(vfs_cow_new(lower, upper, &p), 0);
	return p;
}

static struct vfs_provider *
hide(struct vfs_provider *lower, uint64_t scratch, const char *a, const char *b)
{
	const char *patterns[] = {a, b};
	struct vfs_hide_config config = {
	    .patterns = patterns, .n_patterns = b != NULL ? 2 : 1, .scratch = scratch};
	struct vfs_provider *p = NULL;

	CU_ASSERT_EQUAL_FATAL(vfs_hide_new(&config, lower, &p), 0);
	return p;
}

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
	all[0] = host(&dirs[0]);
	all[1] = memory(MEMORY_BYTES);
	all[2] = cow(memory(MEMORY_BYTES), memory(MEMORY_BYTES));
	all[3] = cow(host(&dirs[1]), host(&dirs[2]));
	all[4] = hide(memory(MEMORY_BYTES), MEMORY_BYTES, "nothing/of/this", "*.hidden");
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

/* ---- Memory ---- */

static void
test_memory_caps(void)
{
	static const char block[65536];
	struct vfs_provider *p = memory(256 * 1024);
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

static void
test_memory_sparse(void)
{
	struct vfs_provider *p = memory(MEMORY_BYTES);
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

/* ---- Read-only ---- */

static void
test_readonly(void)
{
	struct vfs_provider *low = memory(MEMORY_BYTES), *p = NULL;
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

/* ---- Hidden names ---- */

static void
test_globs(void)
{
	static const struct {
		const char *pattern, *name;
		bool fits;
	} rows[] = {
	    {".env", ".env", true},
	    {".env", ".ENV", true},
	    {".env", ".env2", false},
	    {"*", "", true},
	    {"*.pem", "a.pem", true},
	    {"*.pem", ".pem", true},
	    {"*.pem", "a.pem.txt", false},
	    {"a*b*c", "aXXbYYc", true},
	    {"a*b*c", "aXXbYY", false},
	    {"?x", "ax", true},
	    {"?x", "x", false},
	    {"id_[rd]sa", "id_rsa", true},
	    {"id_[!rd]sa", "id_rsa", false},
	    {"[a-c]1", "b1", true},
	    {"[a-c]1", "d1", false},
	    {"[]x]", "]", true},
	    {"[x", "[x", true},
	    {"\\*", "*", true},
	    {"\\*", "a", false},
	    {"**a", "bba", true},
	};
	char name[256] = {0};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool fits = vfs_glob(
		    rows[i].pattern, strlen(rows[i].pattern), rows[i].name, strlen(rows[i].name));

		if (fits != rows[i].fits)
			CU_FAIL(rows[i].pattern);
		CU_ASSERT_EQUAL(fits, rows[i].fits);
	}
	/* No pattern takes longer than the product of the lengths. */
	memset(name, 'a', 255);
	CU_ASSERT_FALSE(vfs_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*b", 28, name, 255));
}

/* A tree with a secret in it, made behind the layer's back. */
static struct vfs_provider *
tree_with_secrets(void)
{
	struct vfs_provider *p = memory(MEMORY_BYTES);
	struct fuse_entry_out e;
	struct guest g;
	uint64_t d;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_put(&g, 1, ".env", "secret"), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "conf", 0755, &d), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, "key", "secret"), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, ".env", "secret"), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, "plain", "open"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, ".env", &e), 0);
	CU_ASSERT_EQUAL(guest_link(&g, e.nodeid, 1, "alias"), 0);
	guest_close(&g);
	return p;
}

static void
test_hidden(void)
{
	struct vfs_provider *p = hide(tree_with_secrets(), 0, ".env", "/conf/key");
	struct fuse_entry_out e, conf, plain;
	char names[256], text[16];
	struct guest g;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, ".env", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, ".Env", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "alias", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &conf), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "key", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, ".env", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_get(&g, conf.nodeid, "plain", text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(guest_list(&g, 1, false, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "conf ");
	CU_ASSERT_EQUAL(guest_list(&g, conf.nodeid, true, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "plain ");
	/* Nothing is made over it, moved onto it, removed, or uncovered by moving what is around.
	 */
	CU_ASSERT_EQUAL(guest_put(&g, 1, ".env", "mine"), -EACCES);
	CU_ASSERT_EQUAL(guest_put(&g, 1, "alias", "mine"), -EACCES);
	CU_ASSERT_EQUAL(guest_mkdir(&g, conf.nodeid, "key", 0700, NULL), -EACCES);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "plain", &plain), 0);
	CU_ASSERT_EQUAL(guest_link(&g, plain.nodeid, 1, ".env"), -EACCES);
	CU_ASSERT_EQUAL(guest_rename(&g, conf.nodeid, "plain", 1, ".env", 0), -EACCES);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, ".env", 1, "seen", 0), -ENOENT);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "alias", 1, "seen", 0), -EACCES);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "conf", 1, "other", 0), -EACCES);
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, ".env"), -ENOENT);
	CU_ASSERT_EQUAL(guest_rmdir(&g, 1, "conf"), -ENOTEMPTY);
	/* The same name elsewhere is nobody's secret. */
	CU_ASSERT_EQUAL(guest_put(&g, 1, "key", "mine"), 0);
	guest_close(&g);
	p->ops->free(p);
}

static void
test_scratch(void)
{
	struct vfs_provider *low = tree_with_secrets(),
			    *p = hide(low, MEMORY_BYTES, "conf", ".env");
	char names[256], text[16];
	struct fuse_entry_out e;
	struct guest g;
	uint64_t d;

	vfs_node_ref(low->ops->root(low));
	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "conf", 0755, &d), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, "key", "mine"), 0);
	CU_ASSERT_EQUAL(guest_get(&g, d, "key", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "mine");
	CU_ASSERT_EQUAL(guest_put(&g, d, ".env", "mine too"), 0);
	CU_ASSERT_EQUAL(guest_list(&g, 1, true, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "conf ");
	CU_ASSERT_EQUAL(guest_put(&g, 1, "f", "x"), 0);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "f", d, "f", 0), -EXDEV);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "conf", 1, "shown", 0), -EXDEV);
	CU_ASSERT_EQUAL(guest_unlink(&g, d, "key"), 0);
	CU_ASSERT_EQUAL(guest_unlink(&g, d, ".env"), 0);
	CU_ASSERT_EQUAL(guest_rmdir(&g, 1, "conf"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &e), -ENOENT);
	guest_close(&g);
	vfs_node_put(low->ops->root(low));
	p->ops->free(p);
}

/* ---- Copy on write ---- */

struct seen {
	char text[512];
	size_t used;
};

/* "-" before a name that is gone. */
static int
note_upper(void *ctx, const char *path, const struct vfs_entry *e)
{
	struct seen *s = ctx;
	bool gone = S_ISLNK(e->attr.mode) && e->attr.size == strlen(COW_MARK);

	s->used += (size_t)snprintf(
	    s->text + s->used, sizeof(s->text) - s->used, "%s%s ", gone ? "-" : "", path);
	return 0;
}

static void
test_cow(void)
{
	struct vfs_provider *low = tree_with_secrets(), *p = cow(low, memory(MEMORY_BYTES));
	struct fuse_entry_out conf, e;
	char names[256], text[32];
	struct seen seen = {.used = 0};
	struct guest g;
	uint64_t d, fh;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &conf), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "key", &e), 0);
	CU_ASSERT_EQUAL(guest_open_file(&g, e.nodeid, O_RDONLY, &fh), 0);
	CU_ASSERT_EQUAL(guest_put(&g, conf.nodeid, "key", "changed"), 0);
	CU_ASSERT_EQUAL(guest_read(&g, e.nodeid, fh, 0, text, sizeof(text)), 7);
	CU_ASSERT_EQUAL(guest_release(&g, e.nodeid, fh), 0);
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "plain"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "plain", &e), -ENOENT);
	CU_ASSERT_EQUAL(guest_list(&g, conf.nodeid, false, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, ".env key ");
	CU_ASSERT_EQUAL(guest_put(&g, 1, "new", "file"), 0);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "new", 1, "alias", 0), 0);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, ".env", 1, "env", 0), 0);
	CU_ASSERT_EQUAL(guest_get(&g, 1, "env", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "secret");
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "conf", 1, "c", 0), -EXDEV);
	CU_ASSERT_EQUAL(vfs_cow_walk(p, 8, note_upper, &seen), 0);
	CU_ASSERT_STRING_EQUAL(seen.text, "conf conf/key -conf/plain alias env -.env ");
	CU_ASSERT_EQUAL(vfs_cow_walk(p, 1, note_upper, &seen), -ELOOP);
	/* Removed and made again: nothing of the old one shows. */
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, ".env"), 0);
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "key"), 0);
	CU_ASSERT_EQUAL(guest_rmdir(&g, 1, "conf"), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "conf", 0700, &d), 0);
	CU_ASSERT_EQUAL(guest_list(&g, d, true, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "");
	CU_ASSERT_EQUAL(guest_put(&g, d, "plain", "other"), 0);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "conf", 1, "c", 0), 0);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "c", 1, "conf", 0), 0);
	CU_ASSERT_EQUAL(guest_list(&g, d, false, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "plain ");
	/* The marks are nobody's to forge. */
	CU_ASSERT_EQUAL(guest_symlink(&g, 1, "mark", COW_MARK), -EPERM);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, COW_OPAQUE_NAME, 0700, NULL), -EPERM);
	guest_close(&g);
	/* And the lower tree is what it was. */
	guest_open(&g, low, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &conf), 0);
	CU_ASSERT_EQUAL(guest_get(&g, conf.nodeid, "key", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "secret");
	CU_ASSERT_EQUAL(guest_list(&g, 1, false, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, ".env alias conf ");
	guest_close(&g);
	p->ops->free(p);
}

/* Holes cost the guest next to nothing, and who reads the archive their time. */
static void
test_cow_holes(void)
{
	struct vfs_provider *p = cow(memory(MEMORY_BYTES), memory(MEMORY_BYTES));
	struct fuse_setattr_in set = {.valid = FATTR_SIZE};
	struct fuse_entry_out e;
	struct guest g;
	struct stat st;
	int fd = memfd_create("archive", MFD_CLOEXEC), i;

	guest_open(&g, p, NULL);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(guest_put(&g, 1, i == 0 ? "a" : "b", "data"), 0);
		CU_ASSERT_EQUAL(guest_lookup(&g, 1, i == 0 ? "a" : "b", &e), 0);
		set.size = COW_EXPORT_HOLES_MAX / 2 + 8192;
		CU_ASSERT_EQUAL(
		    guest_call(&g, FUSE_SETATTR, e.nodeid, &set, sizeof(set), NULL, NULL), 0);
		CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
		CU_ASSERT_EQUAL(vfs_cow_export(p, fd), i == 0 ? 0 : -EFBIG);
		CU_ASSERT_EQUAL(fstat(fd, &st), 0);
		CU_ASSERT_TRUE(st.st_blocks < 1024);
	}
	guest_close(&g);
	p->ops->free(p);
	close(fd);
}

const struct test_row provider_tests[] = {
    {"names", test_names},
    {"content", test_content},
    {"extended attributes", test_xattrs},
    {"memory: caps", test_memory_caps},
    {"memory: sparse files", test_memory_sparse},
    {"read-only", test_readonly},
    {"globs", test_globs},
    {"hidden names", test_hidden},
    {"hidden names with a copy of the guest's own", test_scratch},
    {"copy on write", test_cow},
    {"copy on write: holes of an archive", test_cow_holes},
    {NULL, NULL},
};
