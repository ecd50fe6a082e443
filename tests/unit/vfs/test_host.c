/* SPDX-License-Identifier: Apache-2.0 */
/* A host directory, served: what the guest does to it, and what the host does meanwhile. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/vfs/guest.h"
#include "tests/unit/vfs/suites.h"
#include "vfsd/provider_host.h"

struct fixture {
	struct test_dir dir;
	int real; /* the same directory, to act as the host */
	struct vfs_provider *host;
	struct guest g;
};

static void
start_with(struct fixture *f, struct vfs_host_config config)
{
	test_dir_make(&f->dir);
	f->real = f->dir.fd;
	config.root = f->dir.fd;
	CU_ASSERT_EQUAL_FATAL(vfs_host_new(&config, &f->host), 0);
	guest_open(&f->g, f->host, NULL);
}

static void
start(struct fixture *f)
{
	start_with(f, (struct vfs_host_config){.squash = true, .uid = 0, .gid = 0});
}

static void
stop(struct fixture *f)
{
	guest_close(&f->g);
	f->host->ops->free(f->host);
	test_dir_remove(&f->dir);
}

static void
host_put(struct fixture *f, const char *path, const char *text)
{
	int fd = openat(f->real, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
test_files(void)
{
	char text[64];
	struct fixture f;
	struct stat st;

	start(&f);
	CU_ASSERT_EQUAL(guest_put(&f.g, 1, "a", "hello"), 0);
	CU_ASSERT_EQUAL(guest_get(&f.g, 1, "a", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "hello");
	CU_ASSERT_EQUAL(fstatat(f.real, "a", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0644);
	CU_ASSERT_EQUAL(st.st_uid, geteuid());
	host_put(&f, "a", "from the host");
	CU_ASSERT_EQUAL(guest_get(&f.g, 1, "a", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "from the host");
	CU_ASSERT_EQUAL(guest_unlink(&f.g, 1, "a"), 0);
	CU_ASSERT_EQUAL(guest_get(&f.g, 1, "a", text, sizeof(text)), -ENOENT);
	stop(&f);
}

static void
test_listing(void)
{
	char names[4096], name[16], text[8];
	struct fixture f;
	uint64_t d;
	int i, plus;

	start(&f);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "d", 0755, &d), 0);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		CU_ASSERT_EQUAL(guest_put(&f.g, d, name, "x"), 0);
	}
	for (plus = 0; plus < 2; plus++) {
		CU_ASSERT_EQUAL(guest_list(&f.g, d, plus, names, sizeof(names)), 0);
		CU_ASSERT_EQUAL(strlen(names), 500);
		CU_ASSERT_EQUAL(strncmp(names, "f000 f001 f002 ", 15), 0);
	}
	CU_ASSERT_EQUAL(guest_get(&f.g, d, "f042", text, sizeof(text)), 0);
	stop(&f);
}

static void
test_open_and_unlinked(void)
{
	uint64_t id, fh;
	struct fuse_attr a;
	struct fuse_setattr_in set = {.valid = FATTR_SIZE | FATTR_MODE, .size = 2, .mode = 0400};
	struct fixture f;
	char text[8];

	start(&f);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "a", O_RDWR, 0600, &id, &fh), 0);
	CU_ASSERT_EQUAL(guest_write(&f.g, id, fh, 0, "hello", 5), 5);
	CU_ASSERT_EQUAL(guest_unlink(&f.g, 1, "a"), 0);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, id, &a), 0);
	CU_ASSERT_EQUAL(a.nlink, 0);
	CU_ASSERT_EQUAL(a.size, 5);
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_SETATTR, id, &set, sizeof(set), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_read(&f.g, id, fh, 0, text, sizeof(text)), 2);
	CU_ASSERT_EQUAL(guest_release(&f.g, id, fh), 0);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, id, &a), -ESTALE);
	stop(&f);
}

static void
test_attributes(void)
{
	struct fuse_setattr_in set = {
	    .valid = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_MTIME | FATTR_ATIME,
	    .mode = 06754,
	    .uid = 1000,
	    .gid = 1001,
	    .mtime = 12345,
	    .mtimensec = 678,
	    .atime = (uint64_t)-5,
	};
	struct fuse_entry_out e;
	struct fuse_attr a;
	struct fixture f;
	struct stat st;

	start(&f);
	CU_ASSERT_EQUAL(guest_put(&f.g, 1, "a", "hello"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &e), 0);
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_SETATTR, e.nodeid, &set, sizeof(set), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, e.nodeid, &a), 0);
	CU_ASSERT_EQUAL(a.mode, S_IFREG | 06754);
	CU_ASSERT_EQUAL(a.uid, 1000);
	CU_ASSERT_EQUAL(a.gid, 1001);
	CU_ASSERT_EQUAL(a.mtime, 12345);
	CU_ASSERT_EQUAL(a.mtimensec, 678);
	CU_ASSERT_EQUAL(fstatat(f.real, "a", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0754);
	CU_ASSERT_EQUAL(st.st_uid, geteuid());
	CU_ASSERT_EQUAL(st.st_mtim.tv_sec, 12345);
	set.valid = FATTR_KILL_SUIDGID;
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_SETATTR, e.nodeid, &set, sizeof(set), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, e.nodeid, &a), 0);
	CU_ASSERT_EQUAL(a.mode, S_IFREG | 0754);
	set.valid = FATTR_MTIME;
	set.mtimensec = 1000000000;
	CU_ASSERT_EQUAL(
	    guest_call(&f.g, FUSE_SETATTR, e.nodeid, &set, sizeof(set), NULL, NULL), -EINVAL);
	stop(&f);
}

/* A set-group-ID directory hands its group down, for the guest alone. */
static void
test_group_directories(void)
{
	struct fuse_setattr_in set = {.valid = FATTR_MODE | FATTR_GID, .mode = 02775, .gid = 77};
	struct fuse_entry_out e;
	struct fixture f;
	struct stat st;
	uint64_t d;

	start(&f);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "d", 0755, &d), 0);
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_SETATTR, d, &set, sizeof(set), NULL, NULL), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, d, "sub", 0755, NULL), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, d, "sub", &e), 0);
	CU_ASSERT_EQUAL(e.attr.mode, S_IFDIR | 02755);
	CU_ASSERT_EQUAL(e.attr.gid, 77);
	CU_ASSERT_EQUAL(guest_put(&f.g, d, "file", "x"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, d, "file", &e), 0);
	CU_ASSERT_EQUAL(e.attr.mode, S_IFREG | 0644);
	CU_ASSERT_EQUAL(e.attr.gid, 77);
	CU_ASSERT_EQUAL(fstatat(f.real, "d", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mode & S_ISGID, 0);
	stop(&f);
}

static void
test_renames(void)
{
	struct fuse_entry_out e, sub;
	struct fixture f;
	char text[16];
	uint64_t a, b;

	start(&f);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "a", 0755, &a), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "b", 0755, &b), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, a, "sub", 0755, NULL), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, a, "sub", &sub), 0);
	CU_ASSERT_EQUAL(guest_put(&f.g, sub.nodeid, "file", "deep"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, sub.nodeid, "file", &e), 0);
	/* By the guest: what is below follows. */
	CU_ASSERT_EQUAL(guest_rename(&f.g, 1, "a", b, "c", 0), 0);
	CU_ASSERT_EQUAL(guest_get(&f.g, sub.nodeid, "file", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "deep");
	/* By the host: stale until it is looked up again, then the same node. */
	CU_ASSERT_EQUAL(renameat(f.real, "b/c", f.real, "z"), 0);
	CU_ASSERT_EQUAL(guest_get(&f.g, sub.nodeid, "file", text, sizeof(text)), -ESTALE);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "z", &e), 0);
	CU_ASSERT_EQUAL(e.nodeid, a);
	CU_ASSERT_EQUAL(guest_get(&f.g, sub.nodeid, "file", text, sizeof(text)), 0);
	/* Flags. */
	CU_ASSERT_EQUAL(guest_rename(&f.g, 1, "z", 1, "b", RENAME_NOREPLACE), -EEXIST);
	CU_ASSERT_EQUAL(guest_rename(&f.g, 1, "z", 1, "b", RENAME_EXCHANGE), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "b", &e), 0);
	CU_ASSERT_EQUAL(e.nodeid, a);
	CU_ASSERT_EQUAL(guest_rename(&f.g, 1, "b", 1, "q", RENAME_WHITEOUT), -EINVAL);
	CU_ASSERT_EQUAL(guest_rename(&f.g, 1, "b", a, "q", 0), -EINVAL);
	stop(&f);
}

/* What the host puts in the way of a known node. */
static void
test_swapped(void)
{
	struct fuse_entry_out d, file;
	uint64_t fh;
	struct test_dir outside;
	char text[80];
	struct fixture f;

	start(&f);
	test_dir_make(&outside);
	CU_ASSERT_EQUAL(mkdirat(f.real, "d", 0755), 0);
	host_put(&f, "d/file", "inside");
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "d", &d), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, d.nodeid, "file", &file), 0);
	/* The directory goes out of the mount, and a link to it takes its place. */
	snprintf(text, sizeof(text), "%s/d", outside.path);
	CU_ASSERT_EQUAL(renameat(f.real, "d", AT_FDCWD, text), 0);
	CU_ASSERT_EQUAL(symlinkat(text, f.real, "d"), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, file.nodeid, O_RDWR, &fh), -ESTALE);
	CU_ASSERT_EQUAL(guest_put(&f.g, d.nodeid, "new", "x"), -ESTALE);
	CU_ASSERT_EQUAL(guest_unlink(&f.g, d.nodeid, "file"), -ESTALE);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "d", &d), 0);
	CU_ASSERT_EQUAL(d.attr.mode & S_IFMT, S_IFLNK);
	CU_ASSERT_EQUAL(guest_put(&f.g, d.nodeid, "new", "x"), -ENOTDIR);
	/* Another file under a known name. */
	host_put(&f, "a", "one");
	host_put(&f, "b", "two");
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &file), 0);
	CU_ASSERT_EQUAL(renameat(f.real, "b", f.real, "a"), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, file.nodeid, O_RDWR | O_TRUNC, &fh), -ESTALE);
	CU_ASSERT_EQUAL(guest_get(&f.g, 1, "a", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "two");
	CU_ASSERT_EQUAL(faccessat(outside.fd, "d/new", F_OK, 0), -1);
	stop(&f);
	test_dir_remove(&outside);
}

static void
test_links(void)
{
	struct fuse_entry_out e, other;
	char target[64];
	struct fixture f;

	start(&f);
	CU_ASSERT_EQUAL(guest_put(&f.g, 1, "a", "text"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &e), 0);
	CU_ASSERT_EQUAL(guest_link(&f.g, e.nodeid, 1, "b"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "b", &other), 0);
	CU_ASSERT_EQUAL(other.nodeid, e.nodeid);
	CU_ASSERT_EQUAL(other.attr.nlink, 2);
	CU_ASSERT_EQUAL(guest_link(&f.g, e.nodeid, 1, "b"), -EEXIST);
	CU_ASSERT_EQUAL(guest_link(&f.g, 1, 1, "root"), -EPERM);
	CU_ASSERT_EQUAL(guest_symlink(&f.g, 1, "l", "/etc/passwd"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "l", &e), 0);
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_READLINK, e.nodeid, NULL, 0, NULL, NULL), 0);
	memcpy(target, guest_body(&f.g), guest_body_length(&f.g));
	target[guest_body_length(&f.g)] = '\0';
	CU_ASSERT_STRING_EQUAL(target, "/etc/passwd");
	/* A link is never followed here, whatever is asked of it. */
	CU_ASSERT_EQUAL(guest_lookup(&f.g, e.nodeid, "x", &other), -ENOTDIR);
	CU_ASSERT_EQUAL(guest_get(&f.g, 1, "l", target, sizeof(target)), -EINVAL);
	stop(&f);
}

static void
test_temporary(void)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0600};
	struct fuse_entry_out e;
	struct fixture f;
	int error;

	start(&f);
	error = guest_call(&f.g, FUSE_TMPFILE, 1, &in, sizeof(in), "/", NULL);
	CU_ASSERT_EQUAL(error, 0);
	memcpy(&e, guest_body(&f.g), sizeof(e));
	CU_ASSERT_EQUAL(guest_link(&f.g, e.nodeid, 1, "named"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "named", &e), 0);
	stop(&f);
}

/* Deeper than any path that the kernel takes at once. */
static void
test_deep(void)
{
	char name[201], text[8];
	struct fixture f;
	uint64_t at = 1;
	int i;

	memset(name, 'n', 200);
	name[200] = '\0';
	start(&f);
	for (i = 0; i < 60; i++)
		CU_ASSERT_EQUAL_FATAL(guest_mkdir(&f.g, at, name, 0755, &at), 0);
	CU_ASSERT_EQUAL(guest_put(&f.g, at, "file", "deep"), 0);
	CU_ASSERT_EQUAL(guest_get(&f.g, at, "file", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "deep");
	stop(&f);
}

/* Opens a file and says whether the guest may keep what it has cached of it. */
static bool
keeps_cache(struct fixture *f, uint64_t id)
{
	struct fuse_open_in in = {.flags = O_RDONLY};
	struct fuse_open_out out;

	CU_ASSERT_EQUAL(guest_call(&f->g, FUSE_OPEN, id, &in, sizeof(in), NULL, NULL), 0);
	memcpy(&out, guest_body(&f->g), sizeof(out));
	CU_ASSERT_EQUAL(guest_release(&f->g, id, out.fh), 0);
	return out.open_flags & FOPEN_KEEP_CACHE;
}

/*
 * The host may change a file twice within one tick of its clock, and the guest read it in between:
 * times tell nothing of what was changed just before.
 */
static void
test_same_tick(void)
{
	struct fuse_entry_out e;
	struct timespec now;
	struct fixture f;
	struct stat st;
	bool kept;

	start(&f);
	host_put(&f, "a", "1");
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &e), 0);
	(void)keeps_cache(&f, e.nodeid);
	kept = keeps_cache(&f, e.nodeid);
	clock_gettime(CLOCK_REALTIME, &now);
	CU_ASSERT_EQUAL(fstatat(f.real, "a", &st, 0), 0);
	/* On a machine that was held up in between there is nothing to be seen. */
	if (now.tv_sec == st.st_ctim.tv_sec && now.tv_nsec - st.st_ctim.tv_nsec < 10000000)
		CU_ASSERT_FALSE(kept);
	while (!keeps_cache(&f, e.nodeid))
		;
	stop(&f);
}

/* Directories that the guest forgot are held by what it knows below them: they are bounded too. */
static void
test_node_bound(void)
{
	struct fixture f;
	uint64_t above = 1, d = 1;
	int i, error = 0;

	start_with(&f, (struct vfs_host_config){.squash = true, .nodes = 8});
	for (i = 0; i < 20 && error == 0; i++) {
		above = d;
		error = guest_mkdir(&f.g, above, "d", 0700, &d);
		if (error == 0 && above != 1)
			guest_forget(&f.g, above, 1);
	}
	CU_ASSERT_EQUAL(error, -ENOMEM);
	CU_ASSERT_EQUAL(i, 8);
	guest_forget(&f.g, above, 1);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "e", 0700, &d), 0);
	stop(&f);
}

const struct test_row host_tests[] = {
    {"files", test_files},
    {"listings", test_listing},
    {"open and unlinked", test_open_and_unlinked},
    {"attributes", test_attributes},
    {"set-group-ID directories", test_group_directories},
    {"renames by guest and host", test_renames},
    {"swapped by the host", test_swapped},
    {"links", test_links},
    {"files without a name", test_temporary},
    {"very deep directories", test_deep},
    {"a bound on nodes", test_node_bound},
    {"two changes in one tick", test_same_tick},
    {NULL, NULL},
};
