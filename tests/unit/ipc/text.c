/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 and escaping for logs. */
#include <string.h>

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
	CU_add_test(suite, "log_escape", escapes);
}
