/* SPDX-License-Identifier: Apache-2.0 */
/* The server: negotiation, what the guest knows, numbers that it makes up. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vfs/guest.h"
#include "tests/unit/vfs/suites.h"
#include "vfsd/provider_host.h"

struct fixture {
	struct test_dir dir;
	struct vfs_provider *host;
	struct guest g;
};

static void
start(struct fixture *f, const struct vfs_server_config *config)
{
	struct vfs_host_config host = {.squash = true};

	test_dir_make(&f->dir);
	host.root = f->dir.fd;
	CU_ASSERT_EQUAL_FATAL(vfs_host_new(&host, &f->host), 0);
	guest_open(&f->g, f->host, config);
}

static void
stop(struct fixture *f)
{
	guest_close(&f->g);
	f->host->ops->free(f->host);
	test_dir_remove(&f->dir);
}

static void
test_init(void)
{
	static const struct {
		uint32_t major, minor;
		int expected;
	} rows[] = {
	    {7, 31, 0},
	    {7, 38, 0},
	    {7, 1000, 0},
	    {8, 0, 0},
	    {7, 30, -EPROTO},
	    {6, 40, -EPROTO},
	};
	struct fuse_init_out out;
	struct fixture f;
	size_t i;

	start(&f, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fuse_init_in in = {
		    .major = rows[i].major, .minor = rows[i].minor, .flags = ~0u};
		struct guest g;

		guest_open_raw(&g, f.host, NULL);
		CU_ASSERT_EQUAL(
		    guest_call(&g, FUSE_INIT, 0, &in, 16, NULL, NULL), rows[i].expected);
		if (rows[i].expected == 0) {
			memcpy(&out, guest_body(&g), sizeof(out));
			CU_ASSERT_EQUAL(out.major, 7);
			CU_ASSERT(out.minor >= 31 && out.minor <= 38);
			CU_ASSERT_EQUAL(out.max_write, 1u << 20);
			CU_ASSERT_FALSE(out.flags & FUSE_WRITEBACK_CACHE && rows[i].major == 7);
		}
		guest_close(&g);
	}
	stop(&f);
}

/* What the mount's limits make of the kernel's own. */
static void
test_init_limits(void)
{
	static const struct {
		struct vfs_limits limits;
		uint32_t flags;
		unsigned background, threshold, write;
	} rows[] = {
	    {{0}, ~0u, 64, 48, 1u << 20},
	    {{.background = 1, .write = 1u << 17}, ~0u, 1, 1, 1u << 17},
	    {{.background = 10, .write = 4096}, ~0u, 10, 8, 4096},
	    {{.background = 256, .write = 1u << 21}, ~0u, 64, 48, 1u << 20},
	    {{.write = 1u << 19}, ~(uint32_t)FUSE_MAX_PAGES, 64, 48, 1u << 17},
	    {{.write = 1u << 16}, ~(uint32_t)FUSE_MAX_PAGES, 64, 48, 1u << 16},
	};
	struct fuse_init_out out;
	struct fixture f;
	size_t i;

	start(&f, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct vfs_server_config config = {.limits = rows[i].limits};
		struct fuse_init_in in = {.major = 7, .minor = 38, .flags = rows[i].flags};
		struct guest g;

		guest_open_raw(&g, f.host, &config);
		CU_ASSERT_EQUAL(guest_call(&g, FUSE_INIT, 0, &in, sizeof(in), NULL, NULL), 0);
		memcpy(&out, guest_body(&g), sizeof(out));
		CU_ASSERT_EQUAL(out.max_background, rows[i].background);
		CU_ASSERT_EQUAL(out.congestion_threshold, rows[i].threshold);
		CU_ASSERT_EQUAL(out.max_write, rows[i].write);
		guest_close(&g);
	}
	stop(&f);
}

static void
test_before_init(void)
{
	struct fuse_getattr_in in = {0};
	struct fixture f;
	struct guest g;

	start(&f, NULL);
	guest_open_raw(&g, f.host, NULL);
	CU_ASSERT_EQUAL(guest_call(&g, FUSE_GETATTR, 1, &in, sizeof(in), NULL, NULL), -EPROTO);
	guest_close(&g);
	/* And INIT only once. */
	CU_ASSERT_EQUAL(
	    guest_call_data(&f.g, FUSE_INIT, 0, "\7\0\0\0\x26\0\0\0\0\0\0\0\0\0\0\0", 16, NULL, 0),
	    -EINVAL);
	stop(&f);
}

static void
test_forget(void)
{
	struct fuse_entry_out e, again;
	struct vfs_usage use;
	struct fuse_attr a;
	struct fixture f;

	start(&f, NULL);
	CU_ASSERT_EQUAL(guest_put(&f.g, 1, "a", "text"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &e), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &again), 0);
	CU_ASSERT_EQUAL(e.nodeid, again.nodeid);
	guest_forget(&f.g, e.nodeid, 1);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, e.nodeid, &a), 0);
	guest_forget(&f.g, e.nodeid, 1);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, e.nodeid, &a), -ESTALE);
	/* Once more, and far too many, and the root, and nobody. */
	guest_forget(&f.g, e.nodeid, 1);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &again), 0);
	CU_ASSERT_NOT_EQUAL(e.nodeid, again.nodeid);
	guest_forget(&f.g, again.nodeid, UINT64_MAX);
	guest_forget(&f.g, 1, UINT64_MAX);
	guest_forget(&f.g, 0, 1);
	guest_forget(&f.g, UINT64_MAX, 1);
	CU_ASSERT_EQUAL(guest_getattr(&f.g, 1, &a), 0);
	vfs_server_usage(f.g.server, &use);
	CU_ASSERT_EQUAL(use.nodes, 1);
	CU_ASSERT_EQUAL(use.handles, 0);
	stop(&f);
}

static void
test_node_limit(void)
{
	struct vfs_server_config config = {.limits = {.nodes = 3, .handles = 2}};
	struct fuse_entry_out e;
	uint64_t id, fh, fh2, fh3;
	struct fixture f;
	int i;

	start(&f, &config);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "a", O_RDWR, 0600, &id, &fh), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, id, O_RDONLY, &fh2), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, id, O_RDONLY, &fh3), -ENFILE);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "d", 0700, NULL), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "e", 0700, NULL), -ENOMEM);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &e), 0);
	guest_forget(&f.g, id, 1001);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "e", 0700, NULL), 0);
	stop(&f);
}

/* What finds no room is not done, either. */
static void
test_no_room(void)
{
	const struct vfs_server_config config = {.limits = {.handles = 1, .nodes = 3}};
	struct fuse_entry_out a;
	uint64_t id, first, second;
	struct fixture f;
	struct stat st;

	start(&f, &config);
	CU_ASSERT_EQUAL(guest_put(&f.g, 1, "a", "text"), 0);
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a", &a), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, a.nodeid, O_RDONLY, &first), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, a.nodeid, O_WRONLY | O_TRUNC, &second), -ENFILE);
	CU_ASSERT_EQUAL(fstatat(f.dir.fd, "a", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_size, 4);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "b", O_RDWR, 0600, &id, &second), -ENFILE);
	CU_ASSERT_EQUAL(fstatat(f.dir.fd, "b", &st, 0), -1);
	CU_ASSERT_EQUAL(guest_release(&f.g, a.nodeid, first), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "c", 0700, NULL), 0);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "d", 0700, NULL), -ENOMEM);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "d", O_RDWR, 0600, &id, &first), -ENOMEM);
	CU_ASSERT_EQUAL(fstatat(f.dir.fd, "d", &st, 0), -1);
	stop(&f);
}

/* Handles belong to their node, and to files or to directories. */
static void
test_wrong_handles(void)
{
	struct fuse_release_in release = {0};
	struct fuse_read_in read_in = {.size = 16};
	uint64_t a, b, fa, fb;
	struct fixture f;
	char bytes[16];

	start(&f, NULL);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "a", O_RDWR, 0600, &a, &fa), 0);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "b", O_RDONLY, 0600, &b, &fb), 0);
	CU_ASSERT_EQUAL(guest_read(&f.g, a, fb, 0, bytes, 1), -EBADF);
	CU_ASSERT_EQUAL(guest_read(&f.g, a, 12345, 0, bytes, 1), -EBADF);
	CU_ASSERT_EQUAL(guest_write(&f.g, b, fb, 0, "x", 1), -EBADF);
	read_in.fh = fa;
	CU_ASSERT_EQUAL(
	    guest_call(&f.g, FUSE_READDIR, a, &read_in, sizeof(read_in), NULL, NULL), -EBADF);
	release.fh = fa;
	CU_ASSERT_EQUAL(
	    guest_call(&f.g, FUSE_RELEASEDIR, a, &release, sizeof(release), NULL, NULL), -EBADF);
	CU_ASSERT_EQUAL(guest_release(&f.g, a, fa), 0);
	CU_ASSERT_EQUAL(guest_release(&f.g, a, fa), -EBADF);
	CU_ASSERT_EQUAL(guest_read(&f.g, a, fa, 0, bytes, 1), -EBADF);
	stop(&f);
}

static void
test_ranges(void)
{
	static const struct {
		uint64_t offset;
		uint32_t size;
		int expected;
	} rows[] = {
	    {0, 16, 0},
	    {INT64_MAX, 0, 0},
	    {INT64_MAX, 1, -EINVAL},
	    {1ull << 63, 1, -EINVAL},
	    {UINT64_MAX, 1, -EINVAL},
	    {0, (1u << 20) + 1, -EINVAL},
	    {0, UINT32_MAX, -EINVAL},
	};
	struct fuse_fallocate_in allocate = {.offset = INT64_MAX, .length = 2};
	uint64_t id, fh;
	struct fixture f;
	size_t i;

	start(&f, NULL);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "a", O_RDWR, 0600, &id, &fh), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fuse_read_in in = {.fh = fh, .offset = rows[i].offset, .size = rows[i].size};

		CU_ASSERT_EQUAL(
		    guest_call(&f.g, FUSE_READ, id, &in, sizeof(in), NULL, NULL), rows[i].expected);
	}
	CU_ASSERT_EQUAL(guest_write(&f.g, id, fh, UINT64_MAX, "x", 1), -EFBIG);
	CU_ASSERT_EQUAL(guest_write(&f.g, id, fh, INT64_MAX, "x", 1), -EFBIG);
	allocate.fh = fh;
	CU_ASSERT_EQUAL(
	    guest_call(&f.g, FUSE_FALLOCATE, id, &allocate, sizeof(allocate), NULL, NULL), -EFBIG);
	stop(&f);
}

struct seen {
	int n, denied;
	char last[64];
};

static void
on_record(void *ctx, const struct vfs_record *r)
{
	struct seen *seen = ctx;

	seen->n++;
	seen->denied += r->denied;
	snprintf(seen->last, sizeof(seen->last), "%s %s %s %d", r->operation, r->path,
	    r->second != NULL ? r->second : "-", r->result);
}

static void
test_records(void)
{
	struct seen seen = {0};
	struct vfs_server_config config = {.record = on_record, .ctx = &seen, .trace = true};
	struct fuse_mknod_in node = {.mode = S_IFBLK | 0600};
	struct fixture f;
	uint64_t d;

	start(&f, &config);
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, 1, "d", 0700, &d), 0);
	CU_ASSERT_STRING_EQUAL(seen.last, "mkdir d - 0");
	CU_ASSERT_EQUAL(guest_mkdir(&f.g, d, "e", 0700, NULL), 0);
	CU_ASSERT_STRING_EQUAL(seen.last, "mkdir d/e - 0");
	CU_ASSERT_EQUAL(guest_rename(&f.g, d, "e", 1, "f", 0), 0);
	CU_ASSERT_STRING_EQUAL(seen.last, "rename2 d/e f 0");
	CU_ASSERT_EQUAL(guest_symlink(&f.g, 1, "l", "/etc"), 0);
	CU_ASSERT_STRING_EQUAL(seen.last, "symlink l /etc 0");
	CU_ASSERT_EQUAL(seen.denied, 0);
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_MKNOD, 1, &node, sizeof(node), "n", NULL), -EPERM);
	CU_ASSERT_EQUAL(seen.denied, 1);
	/* What is no request of the mount's, too. */
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 12345, "x", NULL), -ESTALE);
	CU_ASSERT_STRING_EQUAL(seen.last, "lookup ? - -116");
	CU_ASSERT_EQUAL(guest_lookup(&f.g, 1, "a/b", NULL), -EINVAL);
	CU_ASSERT_STRING_EQUAL(seen.last, "lookup ? - -22");
	CU_ASSERT_EQUAL(guest_call(&f.g, 4711, 1, NULL, 0, NULL, NULL), -ENOSYS);
	CU_ASSERT_STRING_EQUAL(seen.last, "unknown ? - -38");
	stop(&f);
}

/* A lock that waits has one record, with what came of it. */
static void
test_record_of_a_lock(void)
{
	struct seen seen = {0};
	struct vfs_server_config config = {.record = on_record, .ctx = &seen, .trace = true};
	struct fuse_lk_in lock = {.lk = {.type = F_WRLCK}, .lk_flags = FUSE_LK_FLOCK};
	struct fixture f;
	uint64_t id, first, second;
	int n;

	start(&f, &config);
	CU_ASSERT_EQUAL(guest_create(&f.g, 1, "a", O_RDWR, 0600, &id, &first), 0);
	CU_ASSERT_EQUAL(guest_open_file(&f.g, id, O_RDWR, &second), 0);
	lock.fh = first;
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_SETLKW, id, &lock, sizeof(lock), NULL, NULL), 0);
	CU_ASSERT_STRING_EQUAL(seen.last, "setlkw a - 0");
	n = seen.n;
	lock.fh = second;
	CU_ASSERT_EQUAL(guest_call(&f.g, FUSE_SETLKW, id, &lock, sizeof(lock), NULL, NULL), 1);
	CU_ASSERT_EQUAL(seen.n, n);
	CU_ASSERT_EQUAL(guest_release(&f.g, id, second), 0);
	CU_ASSERT_EQUAL(seen.n, n + 2);
	CU_ASSERT_EQUAL(f.g.n_later, 1);
	CU_ASSERT_EQUAL(f.g.later[0].error, -EBADF);
	stop(&f);
}

const struct test_row server_tests[] = {
    {"negotiation", test_init},
    {"limits in the negotiation", test_init_limits},
    {"nothing before INIT", test_before_init},
    {"counts of lookups and forgets", test_forget},
    {"limits of nodes and handles", test_node_limit},
    {"no room", test_no_room},
    {"handles of others", test_wrong_handles},
    {"offsets and sizes out of range", test_ranges},
    {"records", test_records},
    {"the record of a lock", test_record_of_a_lock},
    {NULL, NULL},
};
