/* SPDX-License-Identifier: Apache-2.0 */
/* The library against a stand-in for the supervisor: sessions, commands, copies. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/gondolin.h"
#include "tests/unit/client/client_test.h"

static char folder[] = "/tmp/gondolin-client-XXXXXX";

static int
set_up(void)
{
	char runtime[64];

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(runtime, sizeof(runtime), "%s/run", folder);
	return mkdir(runtime, 0700) < 0 || setenv("GONDOLIN_RUNTIME_DIR", runtime, 1) < 0;
}

static int
clean_up(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static int
start(const char *label, struct gondolin_session **session, struct gondolin_error *error)
{
	char text[64];
	struct gondolin_start_options o = {.config = text, .supervisor = STAND_IN};

	o.config_length = (size_t)snprintf(text, sizeof(text), "label = \"%s\"\n", label);
	return gondolin_session_start(&o, session, error);
}

/* The path of a file in the test's own folder. */
static const char *
in_folder(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CU_ASSERT(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool
holds(const char *path, const char *text)
{
	char bytes[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes) - 1) : -1;

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && strcmp(bytes, text) == 0;
}

/* ---- Sessions ---- */

static int
count_entry(void *ctx, const struct gondolin_entry *e)
{
	CU_ASSERT_STRING_EQUAL(e->image, "img");
	CU_ASSERT_STRING_EQUAL(e->label, "a \"label\"");
	CU_ASSERT_EQUAL(e->state, GONDOLIN_RUNNING);
	CU_ASSERT(e->pid > 0 && e->started > 0);
	++*(int *)ctx;
	return 0;
}

static int
count_live(void)
{
	struct gondolin_error error;
	int n = 0;

	CU_ASSERT_EQUAL(gondolin_list(count_entry, &n, &error), 0);
	return n;
}

static void
test_life(void)
{
	struct gondolin_session *s, *again;
	struct gondolin_status status;
	struct gondolin_error error;
	char prefix[5] = "";

	CU_ASSERT_EQUAL(count_live(), 0);
	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	CU_ASSERT_EQUAL(count_live(), 1);
	memcpy(prefix, gondolin_session_id(s), 4);
	CU_ASSERT_EQUAL_FATAL(gondolin_session_open(prefix, &again, &error), 0);
	CU_ASSERT_STRING_EQUAL(gondolin_session_id(again), gondolin_session_id(s));
	CU_ASSERT_EQUAL_FATAL(gondolin_session_status(again, &status, &error), 0);
	CU_ASSERT_EQUAL(status.state, GONDOLIN_RUNNING);
	CU_ASSERT_EQUAL(status.running, 3);
	CU_ASSERT_EQUAL(status.detached, 1);
	CU_ASSERT_EQUAL(gondolin_session_release(again, &error), -EINVAL);
	/* Ends with the handle that started it. */
	gondolin_session_close(s);
	CU_ASSERT_EQUAL(count_live(), 0);
	CU_ASSERT(gondolin_session_status(again, &status, &error) < 0);
	CU_ASSERT(error.message[0] != '\0');
	gondolin_session_close(again);
	gondolin_session_close(NULL);
}

static void
test_release_and_stop(void)
{
	struct gondolin_session *s, *again;
	struct gondolin_error error;

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	CU_ASSERT_EQUAL_FATAL(gondolin_session_open(gondolin_session_id(s), &again, &error), 0);
	CU_ASSERT_EQUAL(gondolin_session_release(s, &error), 0);
	CU_ASSERT_EQUAL(gondolin_session_wait(s, &error), -EINVAL);
	gondolin_session_close(s);
	CU_ASSERT_EQUAL(count_live(), 1);
	CU_ASSERT_EQUAL(gondolin_session_stop(again, &error), 0);
	CU_ASSERT_EQUAL(count_live(), 0);
	CU_ASSERT_EQUAL(gondolin_session_stop(again, &error), 0);
	gondolin_session_close(again);
}

static void
test_starts_that_fail(void)
{
	static const struct {
		const char *label;
		int code;
		bool reported;
		const char *message;
	} rows[] = {
	    {"silent", -ECHILD, true, "failed"},
	    {"failed", -ECHILD, true, "no image"},
	    {"killed", -ECHILD, false, "signal 9"},
	    {"other", -EPROTO, false, "hello"},
	};
	struct gondolin_session *s;
	struct gondolin_error error;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(start(rows[i].label, &s, &error), rows[i].code);
		CU_ASSERT_PTR_NULL(s);
		CU_ASSERT_EQUAL(error.code, rows[i].code);
		CU_ASSERT_EQUAL(error.reported, rows[i].reported);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.message, rows[i].message));
	}
}

static void
test_no_such(void)
{
	static const char *const ids[] = {"nosuch", "", "../x", "A", "a/b"};
	struct gondolin_start_options o = {.config = "", .supervisor = "/nonexistent"};
	struct gondolin_session *s;
	struct gondolin_error error;
	size_t i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		CU_ASSERT(gondolin_session_open(ids[i], &s, &error) < 0);
		CU_ASSERT_PTR_NULL(s);
		CU_ASSERT(error.message[0] != '\0');
	}
	CU_ASSERT_EQUAL(gondolin_session_start(&o, &s, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/nonexistent"));
	o.config_length = (1u << 20) + 1;
	CU_ASSERT_EQUAL(gondolin_session_start(&o, &s, NULL), -EINVAL);
}

/* ---- Commands ---- */

struct text {
	const char *in;
	size_t given;
	char out[2][64];
	int refuse; /* what the output callback returns */
};

static ssize_t
give(void *ctx, void *buffer, size_t size)
{
	struct text *t = ctx;
	size_t n = strlen(t->in + t->given);

	n = n > 3 ? 3 : n;
	CU_ASSERT(size >= 3);
	memcpy(buffer, t->in + t->given, n);
	t->given += n;
	return (ssize_t)n;
}

static int
take(void *ctx, int stream, const void *bytes, size_t length)
{
	struct text *t = ctx;
	size_t used = strlen(t->out[stream - 1]);

	CU_ASSERT_FATAL(used + length < sizeof(t->out[0]));
	memcpy(t->out[stream - 1] + used, bytes, length);
	return t->refuse;
}

static void
test_run(void)
{
	static const char *const argv[] = {"cat", NULL};
	const struct gondolin_exec_options o = {.argv = argv};
	struct text t = {.in = "hello, world"}, refused = {.in = "x", .refuse = -ENOSPC};
	const struct gondolin_io io = {give, take, &t}, none = {NULL, NULL, NULL},
				 full = {give, take, &refused};
	struct gondolin_result result;
	struct gondolin_session *s;
	struct gondolin_error error;

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	CU_ASSERT_EQUAL(gondolin_exec_run(s, &o, &io, &result, &error), 0);
	CU_ASSERT_STRING_EQUAL(t.out[0], "hello, world");
	CU_ASSERT_STRING_EQUAL(t.out[1], "meow\n");
	CU_ASSERT_EQUAL(result.exit_code, 7);
	CU_ASSERT_EQUAL(gondolin_exec_run(s, &o, &none, &result, &error), 0);
	CU_ASSERT_EQUAL(result.exit_code, 7);
	CU_ASSERT_EQUAL(gondolin_exec_run(s, &o, &full, &result, &error), -ENOSPC);
	gondolin_session_close(s);
}

static void
test_wrong_options(void)
{
	static const char *const none[] = {NULL}, *const empty[] = {"", NULL},
				 *const ok[] = {"a", NULL}, *const bad[] = {"A", NULL},
				 *const nameless[] = {"=b", NULL};
	const struct gondolin_exec_options rows[] = {
	    {.argv = NULL},
	    {.argv = none},
	    {.argv = empty},
	    {.argv = ok, .env = bad},
	    {.argv = ok, .env = nameless},
	    {.argv = ok, .cwd = "relative"},
	};
	struct gondolin_session *s;
	struct gondolin_error error;
	struct gondolin_exec *x;
	const char *words[1026];
	char *word = malloc(70000);
	const char *const huge[] = {word, NULL};
	size_t i;

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(gondolin_exec_start(s, &rows[i], &x, &error), -EINVAL);
		CU_ASSERT_PTR_NULL(x);
	}
	for (i = 0; i < 1025; i++)
		words[i] = "a";
	words[1025] = NULL;
	CU_ASSERT_EQUAL(
	    gondolin_exec_start(s, &(struct gondolin_exec_options){.argv = words}, &x, &error),
	    -E2BIG);
	memset(word, 'a', 69999);
	word[69999] = '\0';
	CU_ASSERT_EQUAL(
	    gondolin_exec_start(s, &(struct gondolin_exec_options){.argv = huge}, &x, &error),
	    -E2BIG);
	free(word);
	gondolin_session_close(s);
}

/* ---- Copies ---- */

static void
test_copies(void)
{
	char from[96], to[96], back[96], path[160];
	struct gondolin_session *s;
	struct gondolin_error error;

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	mkdir(in_folder(from, sizeof(from), "from"), 0700);
	write_file(in_folder(path, sizeof(path), "from/a"), "one");
	CU_ASSERT_EQUAL(symlink("a", in_folder(path, sizeof(path), "from/link")), 0);
	/* Under a new name, and into what is a directory. */
	in_folder(to, sizeof(to), "guest");
	CU_ASSERT_EQUAL(gondolin_copy_in(s, from, to, &error), 0);
	CU_ASSERT(holds(in_folder(path, sizeof(path), "guest/a"), "one"));
	CU_ASSERT_EQUAL(gondolin_copy_in(s, from, to, &error), 0);
	CU_ASSERT(holds(in_folder(path, sizeof(path), "guest/from/link"), "one"));
	in_folder(back, sizeof(back), "back");
	CU_ASSERT_EQUAL(gondolin_copy_out(s, to, back, &error), 0);
	CU_ASSERT(holds(in_folder(path, sizeof(path), "back/from/a"), "one"));
	CU_ASSERT_EQUAL(
	    gondolin_copy_out(s, in_folder(path, sizeof(path), "guest/a"), back, &error), 0);
	CU_ASSERT(holds(in_folder(path, sizeof(path), "back/a"), "one"));
	gondolin_session_close(s);
}

static void
test_copies_that_fail(void)
{
	struct gondolin_session *s;
	struct gondolin_error error;
	char path[96];

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	CU_ASSERT_EQUAL(gondolin_copy_in(s, "/nonexistent", "/x", &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/nonexistent"));
	CU_ASSERT_EQUAL(gondolin_copy_in(s, folder, "x", &error), -EINVAL);
	CU_ASSERT(gondolin_copy_in(s, "/etc/hostname", "/nonexistent/x/y", &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "in the guest: "));
	CU_ASSERT(gondolin_copy_out(s, "/nonexistent", folder, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "in the guest: /nonexistent"));
	CU_ASSERT(gondolin_copy_out(
		      s, "/etc/hostname", in_folder(path, sizeof(path), "no/such"), &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "no/such"));
	gondolin_session_close(s);
}

static void
test_hostile_archives(void)
{
	static const struct {
		const char *path, *error;
	} refused[] = {
	    {"/evil-parent", "archive: a name that is"},
	    {"/evil-absolute", "archive: a name that is"},
	    {"/evil-link", "evil-link/up: "},
	    {"/evil-hardlink", "archive: a hard link to a name outside"},
	    {"/evil-device", "archive: an entry that is no"},
	    {"/evil-end", "evil-end: the archive ends"},
	};
	char target[96], outside[96], path[160];
	struct gondolin_session *s;
	struct gondolin_error error;
	size_t i;

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	mkdir(in_folder(target, sizeof(target), "target"), 0700);
	in_folder(outside, sizeof(outside), "evil");
	write_file(in_folder(path, sizeof(path), "secret"), "kept");
	write_file(in_folder(path, sizeof(path), "target/authorized_keys"), "mine");
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		CU_ASSERT(gondolin_copy_out(s, refused[i].path, target, &error) < 0);
		CU_ASSERT_PTR_EQUAL(strstr(error.message, refused[i].error), error.message);
		CU_ASSERT(access(outside, F_OK) < 0);
		CU_ASSERT(access(in_folder(path, sizeof(path), "target/evil"), F_OK) < 0);
	}
	CU_ASSERT(access("/evil", F_OK) < 0);
	/* A file under another name than asked for gets the one that was. */
	CU_ASSERT_EQUAL(gondolin_copy_out(s, "/evil-name", target, &error), 0);
	CU_ASSERT(holds(in_folder(path, sizeof(path), "target/evil-name"), "key"));
	CU_ASSERT(holds(in_folder(path, sizeof(path), "target/authorized_keys"), "mine"));
	CU_ASSERT(holds(in_folder(path, sizeof(path), "secret"), "kept"));
	gondolin_session_close(s);
}

static void
test_streams(void)
{
	char path[160], archive[96];
	struct gondolin_session *s;
	struct gondolin_error error;
	int fd;

	CU_ASSERT_EQUAL_FATAL(start("ok", &s, &error), 0);
	in_folder(archive, sizeof(archive), "archive.tar");
	fd = open(archive, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(gondolin_tar_out(s, in_folder(path, sizeof(path), "from"), fd, &error), 0);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	mkdir(in_folder(path, sizeof(path), "unpacked"), 0700);
	CU_ASSERT_EQUAL(gondolin_tar_in(s, fd, path, &error), 0);
	CU_ASSERT(holds(in_folder(path, sizeof(path), "unpacked/from/a"), "one"));
	close(fd);
	gondolin_session_close(s);
}

void
add_library_suite(void)
{
	CU_pSuite s = CU_add_suite("library", set_up, clean_up);

	CU_add_test(s, "the life of a session", test_life);
	CU_add_test(s, "release and stop", test_release_and_stop);
	CU_add_test(s, "starts that fail", test_starts_that_fail);
	CU_add_test(s, "what is not there", test_no_such);
	CU_add_test(s, "a command with callbacks", test_run);
	CU_add_test(s, "commands that cannot be", test_wrong_options);
	CU_add_test(s, "copies", test_copies);
	CU_add_test(s, "copies that fail", test_copies_that_fail);
	CU_add_test(s, "hostile archives", test_hostile_archives);
	CU_add_test(s, "tar streams", test_streams);
}
