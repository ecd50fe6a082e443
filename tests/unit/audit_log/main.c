/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the audit log: the chain, and every way of breaking it. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/audit_log.h"
#include "tests/run.h"

static char directory[256];
static char path[300];
static char error[AUDIT_LOG_ERROR_SIZE];
static char content[1 << 20];

static int
make_directory(void)
{
	snprintf(directory, sizeof(directory), "%s/gondolin-test-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", directory);
	return 0;
}

static int
remove_directory(void)
{
	return rmdir(directory);
}

static void
append(const char *session, unsigned n)
{
	struct audit_log log;
	struct json_writer *w;
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(audit_log_open(&log, path, session, error, sizeof(error)), 0);
	for (i = 0; i < n; i++) {
		w = audit_log_begin(&log, "exec-start");
		json_member_integer(w, "exec", i);
		json_member_string(w, "argv", "sh \"quoted\" \xff\n");
		CU_ASSERT_EQUAL(audit_log_end(&log), 0);
	}
	audit_log_close(&log);
	audit_log_close(&log);
}

static void
get(void)
{
	FILE *f = fopen(path, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	content[fread(content, 1, sizeof(content) - 1, f)] = '\0';
	fclose(f);
}

static void
put(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void
expect(int rc, uint64_t lines, const char *why)
{
	struct audit_log_summary s;
	char want[600] = "";

	error[0] = '\0';
	CU_ASSERT_EQUAL(audit_log_verify(path, &s, error, sizeof(error)), rc);
	CU_ASSERT_EQUAL(s.lines, lines);
	if (why != NULL)
		snprintf(want, sizeof(want), "%s:%u: %s", path, (unsigned)lines + 1, why);
	CU_ASSERT_STRING_EQUAL(error, want);
}

static void
chain(void)
{
	struct audit_log_summary s;
	struct stat st;

	append("aaaa", 3);
	append("bbbb", 2);
	expect(0, 5, NULL);
	CU_ASSERT_EQUAL(audit_log_verify(path, &s, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(s.sessions, 2);
	CU_ASSERT_EQUAL(strlen(s.last), 64);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	get();
	CU_ASSERT_EQUAL(strncmp(content, "{\"time\":\"2", 10), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(content,
	    "Z\",\"seq\":1,\"session\":\"aaaa\",\"event\":\"exec-start\",\"exec\":0,\"argv\":\"sh "
	    "\\\"quoted\\\" \xef\xbf\xbd\\u000a\",\"prev\":\"00000000000000000000000000000000000000"
	    "00000000000000000000000000\"}\n"));
	unlink(path);
}

/* Every byte of a log counts: each changed on its own is found (or the line is no JSON any more).
 */
static void
any_change_shows(void)
{
	struct audit_log_summary s;
	size_t i, n;

	append("aaaa", 3);
	get();
	n = strlen(content);
	for (i = 0; i < n; i++) {
		/* The last line is covered by nothing yet, except for what verify checks itself. */
		if (strchr(content + i, '\n') == content + n - 1)
			break;
		content[i] ^= 1;
		put(content, n);
		CU_ASSERT_EQUAL(audit_log_verify(path, &s, error, sizeof(error)), -EPROTO);
		content[i] ^= 1;
	}
	CU_ASSERT_TRUE(i > 100);
	unlink(path);
}

static void
cuts(void)
{
	char *second, *third;
	size_t n;

	append("aaaa", 3);
	get();
	n = strlen(content);
	second = strchr(content, '\n') + 1;
	third = strchr(second, '\n') + 1;
	put(second, n - (size_t)(second - content));
	expect(-EPROTO, 0, "seq is 2, expected 1: lines are missing or out of order");
	put(content, n - 1);
	expect(-EPROTO, 2, "torn: no newline at its end");
	put(content, n - 10);
	expect(-EPROTO, 2, "torn: no newline at its end");
	memmove(second, third, strlen(third) + 1);
	put(content, strlen(content));
	expect(-EPROTO, 1, "seq is 3, expected 2: lines are missing or out of order");
	put("\n", 1);
	expect(-EPROTO, 0, "not a line of JSON");
	put("{}\n", 3);
	expect(-EPROTO, 0, "no time, or not in UTC as this log has it");
	memset(content, ' ', sizeof(content));
	put(content, sizeof(content));
	expect(-EPROTO, 0, "longer than any line of this log");
	put("", 0);
	expect(0, 0, NULL);
	unlink(path);
	CU_ASSERT_EQUAL(
	    audit_log_verify(path, &(struct audit_log_summary){0}, error, sizeof(error)), -ENOENT);
}

/* A forged beginning: seq starts at 1, but prev is not zero. */
static void
other_beginning(void)
{
	char *prev;

	append("aaaa", 2);
	get();
	prev = strstr(content, "\"prev\":\"") + 8;
	*prev = '1';
	put(content, strlen(content));
	expect(-EPROTO, 0, "prev is not zero: the log's beginning is missing");
	unlink(path);
}

static void
refused_files(void)
{
	static const char torn[] = "{\"time\":\"2026-01-02T03:04:05.678Z\",\"seq\":1";
	struct audit_log log, other;
	char link_path[600];

	CU_ASSERT_EQUAL(audit_log_open(&log, path, "a", error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(audit_log_open(&other, path, "b", error, sizeof(error)), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "another sandbox writes to it"));
	CU_ASSERT_EQUAL(other.fd, -1);
	audit_log_close(&log);
	snprintf(link_path, sizeof(link_path), "%s/link", directory);
	CU_ASSERT_EQUAL(symlink(path, link_path), 0);
	CU_ASSERT_EQUAL(audit_log_open(&log, link_path, "a", error, sizeof(error)), -ELOOP);
	unlink(link_path);
	CU_ASSERT_EQUAL(audit_log_open(&log, directory, "a", error, sizeof(error)), -EISDIR);
	CU_ASSERT_EQUAL(audit_log_open(&log, "/dev/null", "a", error, sizeof(error)), -EINVAL);
	put(torn, sizeof(torn) - 1);
	CU_ASSERT_EQUAL(audit_log_open(&log, path, "a", error, sizeof(error)), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "the last line is torn"));
	put("hello\n", 6);
	CU_ASSERT_EQUAL(audit_log_open(&log, path, "a", error, sizeof(error)), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "no audit log to continue"));
	memset(content, 'x', AUDIT_LOG_LINE_MAX * 2);
	content[AUDIT_LOG_LINE_MAX * 2 - 1] = '\n';
	put(content, AUDIT_LOG_LINE_MAX * 2);
	CU_ASSERT_EQUAL(audit_log_open(&log, path, "a", error, sizeof(error)), -EPROTO);
	unlink(path);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(audit_log_open(&log, path, "a", error, sizeof(error)), -EINVAL);
	unlink(path);
}

/* A full disk (here: a limit in the middle of a line) is an error, and leaves whole lines only. */
static void
full_disk(void)
{
	struct rlimit old, limit;
	struct audit_log log;
	struct stat st;

	append("aaaa", 2);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL_FATAL(audit_log_open(&log, path, "b", error, sizeof(error)), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){(rlim_t)st.st_size + 10, old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
	audit_log_begin(&log, "x");
	CU_ASSERT_EQUAL(audit_log_end(&log), -ENOSPC);
	limit.rlim_cur = (rlim_t)st.st_size;
	setrlimit(RLIMIT_FSIZE, &limit);
	audit_log_begin(&log, "x");
	CU_ASSERT_EQUAL(audit_log_end(&log), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	expect(0, 2, NULL);
	/* With room again the chain goes on where it was. */
	audit_log_begin(&log, "x");
	CU_ASSERT_EQUAL(audit_log_end(&log), 0);
	audit_log_close(&log);
	expect(0, 3, NULL);
	unlink(path);
}

static void
long_lines(void)
{
	static char text[AUDIT_LOG_LINE_MAX + 1];
	struct audit_log log;
	struct json_writer *w;

	CU_ASSERT_EQUAL_FATAL(audit_log_open(&log, path, "a", error, sizeof(error)), 0);
	memset(text, 'x', AUDIT_LOG_LINE_MAX);
	w = audit_log_begin(&log, "x");
	json_member_string(w, "text", text);
	CU_ASSERT_EQUAL(audit_log_end(&log), -EMSGSIZE);
	w = audit_log_begin(&log, "x");
	/* Just as long as a line may be, its newline included. */
	text[AUDIT_LOG_LINE_MAX - w->length - sizeof(",\"text\":\"\",\"prev\":\"\"}\n") + 1 - 64] =
	    '\0';
	json_member_string(w, "text", text);
	CU_ASSERT_EQUAL(audit_log_end(&log), 0);
	CU_ASSERT_EQUAL(log.size, AUDIT_LOG_LINE_MAX);
	audit_log_close(&log);
	append("b", 1);
	expect(0, 2, NULL);
	unlink(path);
}

static void
no_log(void)
{
	struct audit_log log;
	struct json_writer *w;

	audit_log_init(&log);
	w = audit_log_begin(&log, "x");
	json_member_string(w, "a", "b");
	CU_ASSERT_EQUAL(audit_log_end(&log), 0);
	audit_log_begin(&log, "x");
	CU_ASSERT_EQUAL(audit_log_end(&log), 0);
	CU_ASSERT_EQUAL(log.seq, 0);
	audit_log_close(&log);
}

int
main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
	    {"two sessions, one chain", chain},
	    {"any change shows", any_change_shows},
	    {"cuts", cuts},
	    {"another beginning", other_beginning},
	    {"files that are refused", refused_files},
	    {"a full disk", full_disk},
	    {"long lines", long_lines},
	    {"no log", no_log},
	};
	CU_pSuite suite;
	size_t i;

	begin_tests();
	suite = CU_add_suite("audit_log", make_directory, remove_directory);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	return run_tests();
}
