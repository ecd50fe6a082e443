/* SPDX-License-Identifier: Apache-2.0 */
/* Copy on write. */
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
#include "tests/unit/vfs/trees.h"
#include "vfsd/provider_cow.h"

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
	struct vfs_provider *low = tree_with_secrets(), *p = tree_cow(low, tree_memory(TREE_BYTES));
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

/* Two names of a lower file part, and the one that the guest writes to is the one that changes. */
static void
test_cow_hard_links(void)
{
	struct vfs_provider *p = tree_cow(tree_with_secrets(), tree_memory(TREE_BYTES));
	struct fuse_entry_out env, alias;
	struct seen seen = {.used = 0};
	struct guest g;
	char text[16];
	uint64_t fh;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, ".env", &env), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "alias", &alias), 0);
	CU_ASSERT_EQUAL(env.attr.nlink, 2);
	CU_ASSERT_EQUAL(env.attr.ino, alias.attr.ino);
	CU_ASSERT_EQUAL(guest_open_file(&g, env.nodeid, O_WRONLY, &fh), 0);
	CU_ASSERT_EQUAL(guest_write(&g, env.nodeid, fh, 0, "SECRET", 6), 6);
	CU_ASSERT_EQUAL(guest_release(&g, env.nodeid, fh), 0);
	CU_ASSERT_EQUAL(guest_get(&g, 1, ".env", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "SECRET");
	CU_ASSERT_EQUAL(guest_get(&g, 1, "alias", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "secret");
	CU_ASSERT_EQUAL(vfs_cow_walk(p, 8, note_upper, &seen), 0);
	CU_ASSERT_STRING_EQUAL(seen.text, ".env ");
	/* The guest's own names are of one file. */
	CU_ASSERT_EQUAL(guest_link(&g, env.nodeid, 1, "second"), 0);
	CU_ASSERT_EQUAL(guest_put(&g, 1, "second", "both"), 0);
	CU_ASSERT_EQUAL(guest_get(&g, 1, ".env", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "both");
	guest_close(&g);
	p->ops->free(p);
}

/* A hidden file's other name stays hidden over a layer, too. */
static void
test_cow_hidden(void)
{
	struct vfs_provider *p =
	    tree_hide(tree_cow(tree_with_secrets(), tree_memory(TREE_BYTES)), 0, ".env", NULL);
	char names[64];
	struct guest g;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "alias", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_list(&g, 1, true, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "conf ");
	CU_ASSERT_EQUAL(guest_put(&g, 1, "alias", "mine"), -EACCES);
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, "alias"), -ENOENT);
	guest_close(&g);
	p->ops->free(p);
}

/* A file of the host's that the guest removed while it has it open. */
static void
test_cow_unnamed(void)
{
	struct vfs_provider *p = tree_cow(tree_with_secrets(), tree_memory(TREE_BYTES));
	struct fuse_setattr_in set = {.valid = FATTR_MODE | FATTR_SIZE, .mode = 0400, .size = 3};
	struct fuse_entry_out conf, plain;
	struct seen seen = {.used = 0};
	struct fuse_attr a;
	struct guest g;
	uint64_t fh;
	char text[16];

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &conf), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "plain", &plain), 0);
	CU_ASSERT_EQUAL(guest_open_file(&g, plain.nodeid, O_RDONLY, &fh), 0);
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "plain"), 0);
	CU_ASSERT_EQUAL(guest_getattr(&g, plain.nodeid, &a), 0);
	CU_ASSERT_EQUAL(a.nlink, 0);
	CU_ASSERT_EQUAL(
	    guest_call(&g, FUSE_SETATTR, plain.nodeid, &set, sizeof(set), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_getattr(&g, plain.nodeid, &a), 0);
	CU_ASSERT_EQUAL(a.mode, S_IFREG | 0400);
	CU_ASSERT_EQUAL(a.nlink, 0);
	CU_ASSERT_EQUAL(guest_read(&g, plain.nodeid, fh, 0, text, sizeof(text)), 3);
	CU_ASSERT_EQUAL(memcmp(text, "ope", 3), 0);
	CU_ASSERT_EQUAL(guest_release(&g, plain.nodeid, fh), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "plain", NULL), -ENOENT);
	CU_ASSERT_EQUAL(vfs_cow_walk(p, 8, note_upper, &seen), 0);
	CU_ASSERT_STRING_EQUAL(seen.text, "conf -conf/plain ");
	guest_close(&g);
	p->ops->free(p);
}

/* A link of the host's that looks like a mark is none. */
static void
test_cow_lower_mark(void)
{
	struct vfs_provider *low = tree_memory(TREE_BYTES), *p;
	struct fuse_setattr_in set = {.valid = FATTR_UID, .uid = 7};
	struct fuse_entry_out e;
	struct guest g;

	guest_open(&g, low, NULL);
	CU_ASSERT_EQUAL(guest_symlink(&g, 1, "l", COW_MARK), 0);
	guest_close(&g);
	p = tree_cow(low, tree_memory(TREE_BYTES));
	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "l", &e), 0);
	CU_ASSERT_EQUAL(
	    guest_call(&g, FUSE_SETATTR, e.nodeid, &set, sizeof(set), NULL, NULL), -EPERM);
	CU_ASSERT_EQUAL(guest_link(&g, e.nodeid, 1, "again"), -EPERM);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "l", &e), 0);
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, "l"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "l", &e), -ENOENT);
	guest_close(&g);
	p->ops->free(p);
}

/* Fills a layer until not even a link has room. */
static void
fill(struct guest *g)
{
	uint64_t id, fh, at;
	char name[8];

	CU_ASSERT_EQUAL(guest_create(g, 1, "fill", O_RDWR, 0600, &id, &fh), 0);
	for (at = 0; guest_write(g, id, fh, at, "x", 1) == 1; at += 4096)
		;
	CU_ASSERT_EQUAL(guest_release(g, id, fh), 0);
	guest_forget(g, id, 1);
	do
		snprintf(name, sizeof(name), "l%u", (unsigned)at++ % 1000);
	while (guest_symlink(g, 1, name, "x") == 0);
}

/* In a full layer a changed file goes, or stays as it is: the host's does not come back. */
static void
test_cow_full(void)
{
	struct vfs_provider *p = tree_cow(tree_with_secrets(), tree_memory(64 * 1024));
	struct fuse_entry_out conf, key;
	struct guest g;
	uint64_t fh;
	char text[16];

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &conf), 0);
	CU_ASSERT_EQUAL(guest_put(&g, conf.nodeid, "key", "changed"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "key", &key), 0);
	CU_ASSERT_EQUAL(guest_open_file(&g, key.nodeid, O_RDONLY, &fh), 0);
	fill(&g);
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "key"), -ENOSPC);
	CU_ASSERT_EQUAL(guest_get(&g, conf.nodeid, "key", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "changed");
	CU_ASSERT_EQUAL(guest_rename(&g, conf.nodeid, "key", 1, "k", 0), -ENOSPC);
	CU_ASSERT_EQUAL(guest_get(&g, conf.nodeid, "key", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "changed");
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "k", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, "fill"), 0);
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "key"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "key", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_release(&g, key.nodeid, fh), 0);
	guest_close(&g);
	p->ops->free(p);
}

/* Holes cost the guest next to nothing, and who reads the archive their time. */
static void
test_cow_holes(void)
{
	struct vfs_provider *p = tree_cow(tree_memory(TREE_BYTES), tree_memory(TREE_BYTES));
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

const struct test_row cow_tests[] = {
    {"changes", test_cow},
    {"names of one lower file", test_cow_hard_links},
    {"under hidden names", test_cow_hidden},
    {"a removed file of the host's", test_cow_unnamed},
    {"a link of the host's that looks like a mark", test_cow_lower_mark},
    {"a full layer", test_cow_full},
    {"holes of an archive", test_cow_holes},
    {NULL, NULL},
};
