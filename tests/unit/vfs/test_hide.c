/* SPDX-License-Identifier: Apache-2.0 */
/* Hidden names. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/vfs/guest.h"
#include "tests/unit/vfs/suites.h"
#include "tests/unit/vfs/trees.h"
#include "vfsd/glob.h"

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

static void
test_hidden(void)
{
	struct vfs_provider *p = tree_hide(tree_with_secrets(), 0, ".env", "/conf/key");
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
	CU_ASSERT_EQUAL(guest_unlink(&g, 1, "alias"), -ENOENT);
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
			    *p = tree_hide(low, TREE_BYTES, "conf", ".env");
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

/* What the guest knew by an open name before the host gave it a hidden one. */
static void
test_hidden_later(void)
{
	struct vfs_provider *low = tree_memory(TREE_BYTES), *p = tree_hide(low, 0, ".env", "keys");
	struct fuse_setattr_in set = {.valid = FATTR_SIZE};
	struct vfs_node *root = low->ops->root(low);
	struct fuse_entry_out plain, file;
	struct fuse_attr a;
	char names[64];
	struct guest g;
	uint64_t d, fh;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_put(&g, 1, "plain", "text"), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "d", 0700, &d), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, "f", "text"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "plain", &plain), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, d, "f", &file), 0);
	CU_ASSERT_EQUAL(low->ops->rename(low, root, "plain", root, ".env", 0), 0);
	CU_ASSERT_EQUAL(low->ops->rename(low, root, "d", root, "keys", 0), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, ".env", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "keys", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_getattr(&g, plain.nodeid, &a), -ESTALE);
	CU_ASSERT_EQUAL(guest_open_file(&g, plain.nodeid, O_RDONLY, &fh), -ESTALE);
	CU_ASSERT_EQUAL(guest_open_file(&g, file.nodeid, O_RDONLY, &fh), -ESTALE);
	CU_ASSERT_EQUAL(
	    guest_call(&g, FUSE_SETATTR, file.nodeid, &set, sizeof(set), NULL, NULL), -ESTALE);
	CU_ASSERT_EQUAL(guest_link(&g, file.nodeid, 1, "again"), -ESTALE);
	CU_ASSERT_EQUAL(guest_lookup(&g, d, "f", NULL), -ESTALE);
	CU_ASSERT_EQUAL(guest_list(&g, d, true, names, sizeof(names)), -ESTALE);
	CU_ASSERT_EQUAL(guest_mkdir(&g, d, "new", 0700, NULL), -ESTALE);
	CU_ASSERT_EQUAL(guest_unlink(&g, d, "f"), -ESTALE);
	CU_ASSERT_EQUAL(guest_rename(&g, d, "f", 1, "out", 0), -ESTALE);
	guest_close(&g);
	p->ops->free(p);
}

/* A tree in memory that finds names whose letters beyond ASCII are left out, as some disks do. */
static struct vfs_provider_ops folding;
static int (*plain_lookup)(
    struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out);

static int
fold_lookup(struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out)
{
	char folded[VFS_NAME_MAX + 1];
	size_t used = 0;
	int error = plain_lookup(p, dir, name, out);

	if (error != -ENOENT)
		return error;
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < 0x80)
			folded[used++] = *name;
	folded[used] = '\0';
	return plain_lookup(p, dir, folded, out);
}

/* A name that no listing has leads nowhere, whatever the host's file system makes of it. */
static void
test_hidden_aliases(void)
{
	struct vfs_provider *low = tree_with_secrets(), *p;
	struct fuse_entry_out conf;
	char text[16], names[64];
	struct guest g;

	folding = *low->ops;
	plain_lookup = low->ops->lookup;
	folding.lookup = fold_lookup;
	low->ops = &folding;
	p = tree_hide(low, 0, "conf/key", "conf/.env");
	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "conf", &conf), 0);
	CU_ASSERT_EQUAL(guest_lookup(&g, 1, "con\u200df", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_lookup(&g, conf.nodeid, "k\u200dey", NULL), -ENOENT);
	CU_ASSERT_EQUAL(guest_put(&g, conf.nodeid, "k\u200dey", "mine"), -EACCES);
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "k\u200dey"), -ENOENT);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "con\u200df", 1, "c", 0), -EACCES);
	/* Other names beyond ASCII are as good as any. */
	CU_ASSERT_EQUAL(guest_put(&g, conf.nodeid, "na\u00efve", "open"), 0);
	CU_ASSERT_EQUAL(guest_get(&g, conf.nodeid, "na\u00efve", text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(guest_list(&g, conf.nodeid, true, names, sizeof(names)), 0);
	CU_ASSERT_STRING_EQUAL(names, "na\u00efve plain ");
	CU_ASSERT_EQUAL(guest_unlink(&g, conf.nodeid, "na\u00efve"), 0);
	guest_close(&g);
	p->ops->free(p);
}

/* A directory with the guest's own beside it is not empty, and takes what is beside it along. */
static void
test_scratch_directories(void)
{
	struct vfs_provider *low = tree_memory(TREE_BYTES),
			    *p = tree_hide(low, TREE_BYTES, ".env", NULL);
	struct vfs_node *root = low->ops->root(low);
	struct vfs_entry e;
	struct guest g;
	uint64_t d, other;
	char text[8];
	int i;

	guest_open(&g, p, NULL);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "d", 0700, &d), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "other", 0700, &other), 0);
	CU_ASSERT_EQUAL(guest_put(&g, d, ".env", "mine"), 0);
	CU_ASSERT_EQUAL(guest_rmdir(&g, 1, "d"), -ENOTEMPTY);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "other", 1, "d", 0), -ENOTEMPTY);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "d", 1, "moved", 0), 0);
	CU_ASSERT_EQUAL(guest_get(&g, d, ".env", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "mine");
	CU_ASSERT_EQUAL(guest_unlink(&g, d, ".env"), 0);
	CU_ASSERT_EQUAL(guest_rename(&g, 1, "other", 1, "moved", 0), 0);
	CU_ASSERT_EQUAL(guest_rmdir(&g, 1, "moved"), 0);
	/* Nothing is kept of a directory that is gone. */
	for (i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(guest_mkdir(&g, 1, "d", 0700, &d), 0);
		CU_ASSERT_EQUAL(guest_put(&g, d, ".env", "mine"), 0);
		CU_ASSERT_EQUAL(guest_unlink(&g, d, ".env"), 0);
		CU_ASSERT_EQUAL(low->ops->lookup(low, root, "d", &e), 0);
		CU_ASSERT_EQUAL(guest_rmdir(&g, 1, "d"), 0);
		guest_forget(&g, d, 1);
		CU_ASSERT_EQUAL(e.node->refs, 1);
		vfs_node_put(e.node);
	}
	guest_close(&g);
	p->ops->free(p);
}

const struct test_row hide_tests[] = {
    {"globs", test_globs},
    {"hidden names", test_hidden},
    {"names that no listing has", test_hidden_aliases},
    {"names that are hidden later", test_hidden_later},
    {"hidden names with a copy of the guest's own", test_scratch},
    {"directories with a copy of the guest's own", test_scratch_directories},
    {NULL, NULL},
};
