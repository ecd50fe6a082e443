/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives: round trips, and what a hostile one may not do. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/tar_private.h"
#include "tests/run.h"

/* ---- An archive in memory ---- */

struct archive {
	uint8_t *bytes;
	size_t length, capacity, at;
};

static int
archive_write(void *ctx, const void *bytes, size_t n)
{
	struct archive *a = ctx;

	if (a->length + n > a->capacity) {
		a->capacity = (a->length + n) * 2;
		a->bytes = realloc(a->bytes, a->capacity);
		if (a->bytes == NULL)
			abort();
	}
	memcpy(a->bytes + a->length, bytes, n);
	a->length += n;
	return 0;
}

/* Small odd pieces, as pipes give them. */
static ssize_t
archive_read(void *ctx, void *bytes, size_t n)
{
	struct archive *a = ctx;

	if (n > 777)
		n = 777;
	if (n > a->length - a->at)
		n = a->length - a->at;
	if (n > 0)
		memcpy(bytes, a->bytes + a->at, n);
	a->at += n;
	return (ssize_t)n;
}

static void
archive_clear(struct archive *a)
{
	free(a->bytes);
	*a = (struct archive){0};
}

static void
add_data(struct archive *a, const char *data, size_t n)
{
	static const uint8_t zeros[TAR_BLOCK];

	archive_write(a, data, n);
	archive_write(a, zeros, tar_padding(n));
}

static void
add(struct archive *a, enum tar_type type, const char *name, const char *target, unsigned mode,
    const char *data)
{
	struct tar_entry e = {
	    .type = type, .size = strlen(data), .mode = mode, .uid = 1, .gid = 2, .mtime = 1000000};
	uint8_t head[TAR_ENTRY_MAX];

	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.target, sizeof(e.target), "%s", target);
	archive_write(a, head, tar_header_encode(&e, head));
	add_data(a, data, strlen(data));
}

static void
add_end(struct archive *a)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	archive_write(a, zeros, sizeof(zeros));
}

/* ---- Directories ---- */

static char scratch[] = "/tmp/gondolin-tar-XXXXXX";
static unsigned serial;

static int
new_directory(char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%u", scratch, serial++);
	if (mkdir(path, 0755) < 0)
		abort();
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
make_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void
make_link(int dir, const char *name, const char *target)
{
	if (symlinkat(target, dir, name) < 0)
		abort();
}

static void
set_mode(int dir, const char *name, mode_t mode)
{
	if (fchmodat(dir, name, mode, 0) < 0)
		abort();
}

static bool
file_is(int dir, const char *name, const char *text)
{
	char got[256] = "";
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, got, sizeof(got) - 1);
		close(fd);
	}
	return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static unsigned
mode_of(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static int
extract(struct archive *a, int dir, const struct tar_extract_options *options, char *why)
{
	static const struct tar_extract_options none;
	const struct tar_source source = {archive_read, a};

	a->at = 0;
	return tar_extract(dir, &source, options != NULL ? options : &none, why);
}

/* ---- Tests ---- */

static void
test_round_trip(void)
{
	const struct tar_write_options options = {0};
	char from_path[PATH_MAX], to_path[PATH_MAX], why[TAR_WHY_MAX], link[16] = "";
	int from = new_directory(from_path), to = new_directory(to_path);
	struct archive a = {0};
	const struct tar_sink sink = {archive_write, &a};
	struct stat st;

	mkdirat(from, "t", 0755);
	mkdirat(from, "t/empty", 0700);
	mkdirat(from, "t/closed", 0755);
	make_file(from, "t/closed/file", "inside");
	set_mode(from, "t/closed/file", 04751);
	set_mode(from, "t/closed", 0555);
	make_link(from, "t/link", "/etc/passwd");
	mkfifoat(from, "t/fifo", 0600);
	CU_ASSERT_EQUAL(tar_write_tree(from, "t", "t", &sink, &options), 0);
	CU_ASSERT_EQUAL(a.length % TAR_BLOCK, 0);
	CU_ASSERT_EQUAL(extract(&a, to, NULL, why), 0);
	CU_ASSERT_TRUE(file_is(to, "t/closed/file", "inside"));
	CU_ASSERT_EQUAL(mode_of(to, "t/closed/file"), S_IFREG | 0751);
	CU_ASSERT_EQUAL(mode_of(to, "t/closed"), S_IFDIR | 0555);
	CU_ASSERT_EQUAL(mode_of(to, "t/empty"), S_IFDIR | 0700);
	CU_ASSERT_EQUAL(mode_of(to, "t/fifo"), 0);
	CU_ASSERT_EQUAL(readlinkat(to, "t/link", link, sizeof(link)), 11);
	CU_ASSERT_EQUAL(memcmp(link, "/etc/passwd", 11), 0);
	/* Again, over what is there; and now without write permission on the closed directory. */
	set_mode(to, "t/closed", 0755);
	CU_ASSERT_EQUAL(extract(&a, to, NULL, why), 0);
	CU_ASSERT_EQUAL(fstatat(to, "t/closed/file", &st, 0), 0);
	CU_ASSERT_EQUAL(mode_of(to, "t/closed"), S_IFDIR | 0755);
	archive_clear(&a);
	close(from);
	close(to);
}

static void
test_rename_first(void)
{
	const struct tar_extract_options rename = {.rename_first = "new"};
	const struct tar_extract_options directory = {.rename_first = "d", .directory_only = true};
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0}, content = {0};

	add(&a, TAR_DIRECTORY, "old", "", 0755, "");
	add(&a, TAR_FILE, "old/file", "", 0644, "text");
	add(&a, TAR_HARDLINK, "old/again", "old/file", 0644, "");
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, &rename, why), 0);
	CU_ASSERT_TRUE(file_is(dir, "new/file", "text"));
	CU_ASSERT_TRUE(file_is(dir, "new/again", "text"));
	add(&content, TAR_DIRECTORY, ".", "", 0700, "");
	add(&content, TAR_FILE, "./a", "", 0644, "a");
	add_end(&content);
	CU_ASSERT_EQUAL(extract(&content, dir, &directory, why), 0);
	CU_ASSERT_TRUE(file_is(dir, "d/a", "a"));
	CU_ASSERT_EQUAL(extract(&content, dir, NULL, why), 0);
	CU_ASSERT_TRUE(file_is(dir, "a", "a"));
	CU_ASSERT_EQUAL(mode_of(dir, "."), S_IFDIR | 0755);
	archive_clear(&content);
	add(&content, TAR_FILE, "f", "", 0644, "a");
	add_end(&content);
	CU_ASSERT_EQUAL(extract(&content, dir, &directory, why), -ENOTDIR);
	CU_ASSERT_STRING_EQUAL(why, "d: cannot unpack: Not a directory");
	archive_clear(&content);
	archive_clear(&a);
	close(dir);
}

static void
test_bad_new_names(void)
{
	static const char *const names[] = {"", ".", "..", "a/b", "/"};
	struct tar_extract_options options = {0};
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	size_t i;

	add_end(&a);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		options.rename_first = names[i];
		CU_ASSERT_EQUAL(extract(&a, dir, &options, why), -EINVAL);
	}
	archive_clear(&a);
	close(dir);
}

static void
fill(char *out, size_t n, size_t component)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = i % (component + 1) == component && i + 1 < n ? '/' : 'n';
	out[n] = '\0';
}

/* Each length around ustar's 100 and 255, and the longest: what goes in comes out. */
static void
test_names_and_numbers(void)
{
	static const size_t lengths[] = {
	    1, 99, 100, 101, 102, 155, 156, 200, 255, 256, 257, 300, 4096};
	static struct tar_entry e, got;
	uint8_t head[TAR_ENTRY_MAX];
	struct tar_reader *r;
	struct archive a;
	const struct tar_source source = {archive_read, &a};
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(&e, 0, sizeof(e));
		e.type = TAR_SYMLINK;
		e.mode = 07777;
		e.uid = i % 2 != 0 ? UINT32_MAX : 07777777;
		e.gid = i % 2 != 0 ? 07777777 : UINT32_MAX;
		e.mtime = i % 2 != 0 ? -1 : INT64_C(1) << 33;
		fill(e.name, lengths[i], 50);
		fill(e.target, lengths[i], 4096);
		a = (struct archive){0};
		archive_write(&a, head, tar_header_encode(&e, head));
		CU_ASSERT_EQUAL(a.length % TAR_BLOCK, 0);
		r = tar_reader_new(&source);
		CU_ASSERT_EQUAL(tar_reader_next(r, &got, &why), 1);
		CU_ASSERT_STRING_EQUAL(got.name, e.name);
		CU_ASSERT_STRING_EQUAL(got.target, e.target);
		CU_ASSERT_EQUAL(got.uid, e.uid);
		CU_ASSERT_EQUAL(got.gid, e.gid);
		CU_ASSERT_EQUAL(got.mtime, e.mtime);
		CU_ASSERT_EQUAL(got.mode, e.mode);
		tar_reader_free(r);
		archive_clear(&a);
	}
	memset(&e, 0, sizeof(e));
	e.type = TAR_FILE;
	strcpy(e.name, "big");
	e.size = UINT64_C(8) << 30;
	archive_write(&a, head, tar_header_encode(&e, head));
	r = tar_reader_new(&source);
	CU_ASSERT_EQUAL(tar_reader_next(r, &got, &why), 1);
	CU_ASSERT_EQUAL(got.size, e.size);
	CU_ASSERT_EQUAL(tar_reader_data(r, head, sizeof(head)), -EPROTO);
	tar_reader_free(r);
	archive_clear(&a);
}

/* Archives of one entry that must be refused, and why. */
static void
test_refused_entries(void)
{
	static const struct {
		enum tar_type type;
		const char *name, *target, *data, *why;
	} rows[] = {
	    {TAR_FILE, "/etc/x", "", "", "absolute"},
	    {TAR_FILE, "../x", "", "", "absolute"},
	    {TAR_FILE, "a/../../x", "", "", "absolute"},
	    {TAR_FILE, "a/..", "", "", "absolute"},
	    {TAR_FILE, "a//b", "", "", "absolute"},
	    {TAR_FILE, "a/./b", "", "", "absolute"},
	    {TAR_FILE, "././b", "", "", "absolute"},
	    {TAR_FILE, "a/", "", "", "absolute"},
	    {TAR_FILE, "", "", "", "absolute"},
	    {TAR_FILE, ".", "", "", "no directory"},
	    {TAR_FILE, "a", "b", "", "no link"},
	    {TAR_DIRECTORY, "a", "", "data", "with data"},
	    {TAR_SYMLINK, "a", "b", "data", "with data"},
	    {TAR_SYMLINK, "a", "", "", "to nothing"},
	    {TAR_SYMLINK, ".", "b", "", "no directory"},
	    {TAR_HARDLINK, "a", "/etc/passwd", "", "outside"},
	    {TAR_HARDLINK, "a", "../x", "", "outside"},
	    {TAR_HARDLINK, "a", "", "", "outside"},
	    {TAR_HARDLINK, "a", "a", "", "itself"},
	    {(enum tar_type)'3', "null", "", "", "no file, directory or link"},
	    {(enum tar_type)'4', "disk", "", "", "no file, directory or link"},
	    {(enum tar_type)'6', "fifo", "", "", "no file, directory or link"},
	    {(enum tar_type)'S', "sparse", "", "", "no file, directory or link"},
	    {(enum tar_type)'L', "long", "", "", "no file, directory or link"},
	};
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(&a, rows[i].type, rows[i].name, rows[i].target, 0644, rows[i].data);
		add_end(&a);
		CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
		if (strstr(why, rows[i].why) == NULL)
			printf("row %zu: %s\n", i, why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, rows[i].why));
		archive_clear(&a);
	}
	close(dir);
}

static void
test_too_deep(void)
{
	char path[PATH_MAX], why[TAR_WHY_MAX], name[TAR_NAME_MAX + 1];
	int dir = new_directory(path);
	struct archive a = {0};

	fill(name, 2 * TAR_DEPTH_MAX + 1, 1);
	add(&a, TAR_FILE, name, "", 0644, "");
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
	archive_clear(&a);
	fill(name, 2 * TAR_DEPTH_MAX - 1, 1);
	add(&a, TAR_FILE, name, "", 0644, "deep");
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), 0);
	CU_ASSERT_TRUE(file_is(dir, name, "deep"));
	archive_clear(&a);
	close(dir);
}

static void
fix_checksum(struct tar_header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	unsigned sum = 0;
	size_t i;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (i = 0; i < TAR_BLOCK; i++)
		sum += bytes[i];
	snprintf(h->checksum, sizeof(h->checksum) - 1, "%06o", sum);
}

/* One byte of a good header is changed; with a right checksum or without. */
static void
test_damaged_headers(void)
{
	static const struct {
		size_t offset;
		char byte;
		bool fix;
		const char *why;
	} rows[] = {
	    {offsetof(struct tar_header, name), 'x', false, "checksum"},
	    {offsetof(struct tar_header, magic), 'x', true, "not ustar"},
	    {offsetof(struct tar_header, magic) + 5, ' ', true, "not ustar"},
	    {offsetof(struct tar_header, version), '1', true, "not ustar"},
	    {offsetof(struct tar_header, size), '9', true, "octal"},
	    {offsetof(struct tar_header, size), (char)0x80, true, "octal"},
	    {offsetof(struct tar_header, mode), '-', true, "octal"},
	    {offsetof(struct tar_header, mtime), (char)0xff, true, "octal"},
	};
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(&a, TAR_FILE, "file", "", 0644, "text");
		add_end(&a);
		a.bytes[rows[i].offset] = (uint8_t)rows[i].byte;
		if (rows[i].fix)
			fix_checksum((struct tar_header *)a.bytes);
		CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, rows[i].why));
		archive_clear(&a);
	}
	close(dir);
}

/* Every length at which the archive may be cut off. */
static void
test_truncated(void)
{
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	size_t whole;

	add(&a, TAR_FILE, "file", "", 0644, "text");
	add_end(&a);
	whole = a.length;
	for (a.length = 0; a.length < whole; a.length += 64)
		CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
	a.length = whole;
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), 0);
	archive_write(&a, "x", 1);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
	CU_ASSERT_STRING_EQUAL(why, "archive: bytes after the archive's end");
	archive_clear(&a);
	close(dir);
}

static void
add_pax(struct archive *a, char type, const char *records, size_t n)
{
	struct tar_header *h;
	size_t at = a->length;

	add(a, TAR_FILE, "pax", "", 0644, "");
	h = (struct tar_header *)(a->bytes + at);
	h->type = type;
	snprintf(h->size, sizeof(h->size), "%011zo", n);
	fix_checksum(h);
	add_data(a, records, n);
}

static void
test_extended_headers(void)
{
#define ROW(type, text, rc, why)                      \
	{                                             \
		type, text, sizeof(text) - 1, rc, why \
	}
	static const struct {
		char type;
		const char *records;
		size_t length;
		int rc;
		const char *why;
	} rows[] = {
	    ROW('x', "12 path=abc\n", 0, ""),
	    ROW('x', "12 path=abc\n17 comment=hello\n", 0, ""),
	    ROW('x', "20 mtime=1234567.89\n", 0, ""),
	    ROW('x', "11 mtime=-5\n", -EPROTO, "malformed"),
	    ROW('g', "17 comment=hello\n", 0, ""),
	    ROW('g', "12 path=abc\n", -EPROTO, "global"),
	    ROW('x', "13 path=/abc\n", -EPROTO, "absolute"),
	    ROW('x', "12 path=a\0c\n", -EPROTO, "bad value"),
	    ROW('x', "8 path=\n", -EPROTO, "bad value"),
	    ROW('x', "10 size=-1\n", -EPROTO, "malformed"),
	    ROW('x', "11 size=-1\n", -EPROTO, "bad value"),
	    ROW('x', "29 size=99999999999999999999\n", -EPROTO, "bad value"),
	    ROW('x', "22 GNU.sparse.major=1\n", -EPROTO, "sparse"),
	    ROW('x', "12 path=abc", -EPROTO, "malformed"),
	    ROW('x', "99 path=abc\n", -EPROTO, "malformed"),
	    ROW('x', "1 path=abc\n", -EPROTO, "malformed"),
	    ROW('x', " path=abc\n", -EPROTO, "malformed"),
	    ROW('x', "8 =path\n", -EPROTO, "malformed"),
	    ROW('x', "garbage", -EPROTO, "malformed"),
	    ROW('x', "99999999999999999999999 path=abc\n", -EPROTO, "malformed"),
	};
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add_pax(&a, rows[i].type, rows[i].records, rows[i].length);
		add(&a, TAR_FILE, "file", "", 0644, "");
		add_end(&a);
		if (extract(&a, dir, NULL, why) != rows[i].rc || strstr(why, rows[i].why) == NULL) {
			printf("row %zu: %s\n", i, why);
			CU_FAIL("an extended header");
		}
		archive_clear(&a);
	}
	CU_ASSERT_TRUE(file_is(dir, "abc", ""));
	add_pax(&a, 'x', "12 path=abc\n", 12);
	add_pax(&a, 'x', "12 path=abc\n", 12);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
	archive_clear(&a);
	add_pax(&a, 'x', "12 path=abc\n", 12);
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -EPROTO);
	archive_clear(&a);
	close(dir);
}

/* Ways out of the destination that lead over links: none is taken. */
static void
test_links_are_not_followed(void)
{
	char path[PATH_MAX], outside_path[PATH_MAX], victim[PATH_MAX + 8], why[TAR_WHY_MAX];
	int dir = new_directory(path), outside = new_directory(outside_path);
	struct archive a = {0};

	snprintf(victim, sizeof(victim), "%s/victim", outside_path);
	make_file(outside, "victim", "safe");
	/* The archive's own link, then a file below it. */
	add(&a, TAR_SYMLINK, "out", outside_path, 0777, "");
	add(&a, TAR_FILE, "out/new", "", 0644, "evil");
	add_end(&a);
	CU_ASSERT(extract(&a, dir, NULL, why) < 0);
	CU_ASSERT_EQUAL(mode_of(outside, "new"), 0);
	archive_clear(&a);
	/* A directory entry over that link. */
	add(&a, TAR_DIRECTORY, "out", "", 0777, "");
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), -ENOTDIR);
	archive_clear(&a);
	/* A hard link to what the link leads to. */
	add(&a, TAR_HARDLINK, "mine", "out/victim", 0644, "");
	add_end(&a);
	CU_ASSERT(extract(&a, dir, NULL, why) < 0);
	CU_ASSERT_EQUAL(mode_of(dir, "mine"), 0);
	archive_clear(&a);
	/* A file over a link replaces the link. */
	make_link(dir, "file", victim);
	add(&a, TAR_FILE, "file", "", 0644, "mine");
	add(&a, TAR_FILE, "out", "", 0644, "mine");
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), 0);
	CU_ASSERT_TRUE(file_is(dir, "file", "mine"));
	CU_ASSERT_TRUE(file_is(dir, "out", "mine"));
	CU_ASSERT_TRUE(file_is(outside, "victim", "safe"));
	archive_clear(&a);
	/* A file over a directory does not. */
	mkdirat(dir, "full", 0755);
	add(&a, TAR_FILE, "full", "", 0644, "");
	add_end(&a);
	CU_ASSERT(extract(&a, dir, NULL, why) < 0);
	CU_ASSERT_EQUAL(mode_of(dir, "full"), S_IFDIR | 0755);
	archive_clear(&a);
	close(dir);
	close(outside);
}

static void
test_missing_parents(void)
{
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	struct stat st;

	add(&a, TAR_FILE, "a/b/c/file", "", 0600, "1");
	add(&a, TAR_FILE, "a/x", "", 0600, "2");
	add(&a, TAR_FILE, "a/b/again", "", 0600, "3");
	add_end(&a);
	CU_ASSERT_EQUAL(extract(&a, dir, NULL, why), 0);
	CU_ASSERT_TRUE(file_is(dir, "a/b/c/file", "1"));
	CU_ASSERT_TRUE(file_is(dir, "a/x", "2"));
	CU_ASSERT_TRUE(file_is(dir, "a/b/again", "3"));
	CU_ASSERT_EQUAL(mode_of(dir, "a/b"), S_IFDIR | 0755);
	CU_ASSERT_EQUAL(fstatat(dir, "a/x", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mtim.tv_sec, 1000000);
	archive_clear(&a);
	close(dir);
}

static void
test_names_in_messages_are_escaped(void)
{
	char path[PATH_MAX], why[TAR_WHY_MAX];
	int dir = new_directory(path);
	struct archive a = {0};

	mkdirat(dir, "bell\a\n", 0755);
	add(&a, TAR_FILE, "bell\a\n", "", 0600, "");
	add_end(&a);
	CU_ASSERT(extract(&a, dir, NULL, why) < 0);
	CU_ASSERT_STRING_EQUAL(why, "bell\\x07\\x0a: cannot replace: Is a directory");
	archive_clear(&a);
	close(dir);
}

static int
sink_full(void *ctx, const void *bytes, size_t n)
{
	(void)ctx;
	(void)bytes;
	(void)n;
	return -EPIPE;
}

static void
count_warning(void *ctx, const char *line)
{
	(void)line;
	++*(unsigned *)ctx;
}

static void
test_writer_failures(void)
{
	unsigned warnings = 0;
	const struct tar_write_options options = {count_warning, &warnings};
	const struct tar_sink full = {sink_full, NULL};
	char path[PATH_MAX];
	int dir = new_directory(path);
	struct archive a = {0};
	const struct tar_sink sink = {archive_write, &a};

	make_file(dir, "file", "text");
	CU_ASSERT_EQUAL(tar_write_tree(dir, "file", "file", &full, &options), -EPIPE);
	CU_ASSERT_EQUAL(warnings, 0);
	CU_ASSERT_EQUAL(tar_write_tree(dir, "absent", "absent", &sink, &options), -ENOENT);
	CU_ASSERT_EQUAL(warnings, 1);
	CU_ASSERT_EQUAL(a.length, 2 * TAR_BLOCK);
	mkfifoat(dir, "fifo", 0600);
	CU_ASSERT_EQUAL(tar_write_tree(dir, "fifo", "fifo", &sink, &options), 0);
	CU_ASSERT_EQUAL(warnings, 2);
	archive_clear(&a);
	close(dir);
}

/* Paths as people give them; relative ones from inside the scratch directory "p". */
static void
test_paths(void)
{
	static const struct {
		const char *path;
		int rc;
		const char *name;
	} sources[] =
	    {
		{"d/f", 0, "f"},
		{"d/", 0, "d"},
		{"d", 0, "d"},
		{"d//", 0, "d"},
		{".", 0, "."},
		{"d/.", 0, "."},
		{"d/..", 0, "."},
		{"/", 0, "."},
		{"", -ENOENT, ""},
		{"absent/f", -ENOENT, ""},
	    },
	  destinations[] = {
	      {"d", 0, NULL},
	      {"d/", 0, NULL},
	      {"link", 0, NULL},
	      {"d/f", 0, "f"},
	      {"d/new", 0, "new"},
	      {"d/new/", 0, "new"},
	      {"absent/f", -ENOENT, NULL},
	      {"d/f/x", -ENOTDIR, NULL},
	      {"absent/.", -ENOENT, NULL},
	  };
	struct tar_extract_options options;
	char path[PATH_MAX], name[NAME_MAX + 1];
	int dir = new_directory(path), fd, rc;
	size_t i;

	mkdirat(dir, "d", 0755);
	make_file(dir, "d/f", "");
	make_link(dir, "link", "d");
	CU_ASSERT_EQUAL_FATAL(fchdir(dir), 0);
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		rc = tar_open_source(sources[i].path, &fd, name);
		CU_ASSERT_EQUAL(rc, sources[i].rc);
		if (rc == 0) {
			CU_ASSERT_STRING_EQUAL(name, sources[i].name);
			close(fd);
		}
	}
	for (i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
		rc = tar_open_destination(destinations[i].path, &fd, &options, name);
		CU_ASSERT_EQUAL(rc, destinations[i].rc);
		if (rc != 0)
			continue;
		CU_ASSERT_EQUAL(options.rename_first == NULL, destinations[i].name == NULL);
		if (options.rename_first != NULL)
			CU_ASSERT_STRING_EQUAL(options.rename_first, destinations[i].name);
		close(fd);
	}
	CU_ASSERT_EQUAL(chdir("/"), 0);
	close(dir);
}

static int
set_up(void)
{
	umask(022);
	return mkdtemp(scratch) == NULL;
}

static int
tear_down(void)
{
	char command[128];

	snprintf(command, sizeof(command), "chmod -R u+w %s; rm -rf %s", scratch, scratch);
	return system(command);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
	    {"round trip", test_round_trip},
	    {"links are not followed", test_links_are_not_followed},
	    {"rename first", test_rename_first},
	    {"bad new names", test_bad_new_names},
	    {"names and numbers", test_names_and_numbers},
	    {"refused entries", test_refused_entries},
	    {"too deep", test_too_deep},
	    {"damaged headers", test_damaged_headers},
	    {"truncated", test_truncated},
	    {"extended headers", test_extended_headers},
	    {"missing parents", test_missing_parents},
	    {"names in messages are escaped", test_names_in_messages_are_escaped},
	    {"writer failures", test_writer_failures},
	    {"paths", test_paths},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"tar", set_up, tear_down, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	return run_suites(suites);
}
