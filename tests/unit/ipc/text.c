/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, escaping for logs, and whole reads and writes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/log.h"
#include "ipc/utf8.h"
#include "tests/unit/ipc/ipc_test.h"

static void
sequences(void)
{
	static const struct {
		const char *text;
		size_t n, want;
	} rows[] = {
	    {"a", 1, 1},
	    {"", 0, 0},
	    {"\0", 1, 1},
	    {"\x7f", 1, 1},
	    {"\x80", 1, 0},
	    {"\xc3\xbc", 2, 2},
	    {"\xc3\xbc", 1, 0},
	    {"\xc0\x80", 2, 0},     /* NUL, overlong */
	    {"\xc1\xbf", 2, 0},     /* overlong */
	    {"\xe0\x9f\xbf", 3, 0}, /* overlong */
	    {"\xe0\xa0\x80", 3, 3},
	    {"\xed\x9f\xbf", 3, 3},
	    {"\xed\xa0\x80", 3, 0}, /* a surrogate */
	    {"\xef\xbf\xbf", 3, 3},
	    {"\xf0\x8f\xbf\xbf", 4, 0}, /* overlong */
	    {"\xf0\x90\x80\x80", 4, 4},
	    {"\xf4\x8f\xbf\xbf", 4, 4}, /* U+10FFFF */
	    {"\xf4\x90\x80\x80", 4, 0}, /* past it */
	    {"\xf5\x80\x80\x80", 4, 0},
	    {"\xf0\x90\x80", 3, 0},
	    {"\xe0\xa0\x41", 3, 0},
	    {"\xff", 1, 0},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(utf8_sequence(rows[i].text, rows[i].n), rows[i].want);
}

/* What is encoded is one whole sequence again, for every code point. */
static void
there_and_back(void)
{
	uint32_t code, again = 0;
	char text[4];
	size_t n;

	for (code = 0; code <= 0x10ffff; code++) {
		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		n = utf8_encode(code, text);
		if (utf8_sequence(text, n) != n || utf8_decode(text, n, &again) != n ||
		    again != code)
			CU_FAIL("not a sequence");
	}
}

static void
texts(void)
{
	CU_ASSERT(utf8_is_valid("", 0));
	CU_ASSERT(utf8_is_valid("gr\xc3\xbc\xc3\x9f"
				"e\0",
	    8));
	CU_ASSERT_FALSE(utf8_is_valid("gr\xc3\xbc", 3));
	CU_ASSERT_FALSE(utf8_is_valid("\xff", 1));
	CU_ASSERT_FALSE(utf8_is_valid("ok\x80", 3));
}

/* More than a pipe holds: both sides stop and go on. */
enum { WHOLE = 300000 };

static void *
writes_whole(void *arg)
{
	static const char bytes[WHOLE] = {1};
	int *fd = arg, rc = file_write_all(*fd, bytes, sizeof(bytes));

	close(*fd);
	*fd = rc;
	return NULL;
}

static void
whole(void)
{
	static char bytes[WHOLE + 1];
	int fds[2], fd;
	pthread_t writer;

	CU_ASSERT_FATAL(pipe2(fds, O_CLOEXEC) == 0);
	CU_ASSERT_FATAL(pthread_create(&writer, NULL, writes_whole, &fds[1]) == 0);
	CU_ASSERT_EQUAL(file_read_all(fds[0], bytes, 1000), 1000);
	CU_ASSERT_EQUAL(file_read_all(fds[0], bytes, sizeof(bytes)), WHOLE - 1000);
	CU_ASSERT_EQUAL(file_read_all(fds[0], bytes, sizeof(bytes)), 0);
	pthread_join(writer, NULL);
	CU_ASSERT_EQUAL(fds[1], 0);
	close(fds[0]);
	CU_ASSERT_EQUAL(file_read_all(-1, bytes, 1), -EBADF);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(file_write_all(fd, bytes, 1), -ENOSPC);
	CU_ASSERT_EQUAL(file_write_all(fd, bytes, 0), 0);
	close(fd);
}

static void
escapes(void)
{
	char out[32];

	CU_ASSERT_STRING_EQUAL(log_escape(out, sizeof(out), "a b~", 4), "a b~");
	CU_ASSERT_STRING_EQUAL(
	    log_escape(out, sizeof(out), "\n\x1b\\\xff\0", 5), "\\x0a\\x1b\\x5c\\xff\\x00");
	CU_ASSERT_STRING_EQUAL(log_escape(out, 8, "", 0), "");
	CU_ASSERT_STRING_EQUAL(log_escape(out, 8, "abcdefgh", 8), "a...");
	CU_ASSERT_STRING_EQUAL(log_escape(out, 12, "abc\ndef", 7), "abc\\x0a...");
}

static void
controls(void)
{
	static const struct {
		uint32_t code;
		bool is;
	} rows[] = {
	    {0, true},
	    {'\t', true},
	    {0x1f, true},
	    {' ', false},
	    {'~', false},
	    {0x7f, true},
	    {0x80, true},
	    {0x9b, true}, /* CSI */
	    {0x9f, true},
	    {0xa0, false},
	    {0xfc, false},
	    {0x061b, false},
	    {0x061c, true},
	    {0x200d, false}, /* joins emoji */
	    {0x200e, true},
	    {0x200f, true},
	    {0x2010, false},
	    {0x2029, false},
	    {0x202a, true},
	    {0x202e, true},
	    {0x202f, false},
	    {0x2065, false},
	    {0x2066, true},
	    {0x2069, true},
	    {0x206a, false},
	    {0x1f600, false},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(utf8_is_control(rows[i].code), rows[i].is);
	CU_ASSERT_EQUAL(utf8_decode("\xff", 1, &(uint32_t){0}), 0);
}

/* What log_line writes for a text, in a pipe instead of descriptor 2. */
static const char *
line_of(const char *text)
{
	static char line[LOG_LINE_MAX + 1];
	int fds[2], kept = dup(STDERR_FILENO);
	ssize_t n;

	CU_ASSERT_FATAL(kept >= 0 && pipe2(fds, O_CLOEXEC) == 0);
	CU_ASSERT_FATAL(dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
	log_line("%s", text);
	CU_ASSERT_FATAL(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
	n = read(fds[0], line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	close(fds[1]);
	close(kept);
	return line;
}

/* A peer's text reaches the user's terminal as something to read, and does nothing there. */
static void
lines(void)
{
	static const struct {
		const char *text, *line;
	} rows[] = {
	    {"", "\n"},
	    {"gr\xc3\xbc\xc3\x9f\x65 \xf0\x9f\x98\x80 \\",
		"gr\xc3\xbc\xc3\x9f\x65 \xf0\x9f\x98\x80 \\\n"},
	    {"\x1b[2J\r\n\x7f", "\\x1b[2J\\x0d\\x0a\\x7f\n"},
	    {"\x9b\x32J", "\\x9b2J\n"},          /* CSI of a terminal of 8 bits */
	    {"\xc2\x9b\x32J", "\\xc2\\x9b2J\n"}, /* and of one that knows UTF-8 */
	    {"\xc2\x9d\x30;t\xc2\x9c", "\\xc2\\x9d0;t\\xc2\\x9c\n"},
	    {"a\xe2\x80\xae\x62", "a\\xe2\\x80\\xaeb\n"},    /* right-to-left override */
	    {"a\xe2\x81\xa6\x62", "a\\xe2\\x81\\xa6\x62\n"}, /* isolate */
	    {"cut \xe2\x80", "cut \\xe2\\x80\n"},
	    {"\xc0\x9b \xed\xa0\x80", "\\xc0\\x9b \\xed\\xa0\\x80\n"}, /* overlong; a surrogate */
	};
	char text[2 * LOG_LINE_MAX];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_STRING_EQUAL(line_of(rows[i].text), rows[i].line);
	/* What is cut is cut to whole lines of whole characters, however long each gets. */
	memset(text, '\x9b', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(strlen(line_of(text)), 1021);
	for (i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xbc", 2);
	CU_ASSERT_TRUE(strlen(line_of(text)) <= LOG_LINE_MAX);
	CU_ASSERT_PTR_EQUAL(strchr(line_of(text), '\n'), line_of(text) + strlen(line_of(text)) - 1);
}

void
add_text_suite(void)
{
	CU_pSuite suite = CU_add_suite("text", NULL, NULL);

	CU_add_test(suite, "UTF-8 sequences", sequences);
	CU_add_test(suite, "every code point", there_and_back);
	CU_add_test(suite, "UTF-8 texts", texts);
	CU_add_test(suite, "controls", controls);
	CU_add_test(suite, "log_line", lines);
	CU_add_test(suite, "whole reads and writes", whole);
	CU_add_test(suite, "log_escape", escapes);
}
