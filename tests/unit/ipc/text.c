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
	uint32_t code;
	char text[4];
	size_t n;

	for (code = 0; code <= 0x10ffff; code++) {
		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		n = utf8_encode(code, text);
		if (utf8_sequence(text, n) != n)
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

void
add_text_suite(void)
{
	CU_pSuite suite = CU_add_suite("text", NULL, NULL);

	CU_add_test(suite, "UTF-8 sequences", sequences);
	CU_add_test(suite, "every code point", there_and_back);
	CU_add_test(suite, "UTF-8 texts", texts);
	CU_add_test(suite, "whole reads and writes", whole);
	CU_add_test(suite, "log_escape", escapes);
}
