/* SPDX-License-Identifier: Apache-2.0 */
/* Unified diffs: patch(1) is the oracle, and what is no text is not shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/changes/changes_test.h"

static void
expect(const char *a, const char *b, const char *want)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	changes_text_print(out, "f", a, a != NULL ? strlen(a) : 0, b, b != NULL ? strlen(b) : 0);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, want);
	free(text);
}

static void
test_known(void)
{
	expect("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nfive\n6\n7\n8\n",
	    "--- a/f\n+++ b/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
	expect(NULL, "new",
	    "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+new\n\\ No newline at end of file\n");
	expect("a\nb\n", NULL, "--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n");
	expect("a\n", "a", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
	expect("0\n1\n2\n3\n4\n5\n6\n7\n8\n", "x\n1\n2\n3\n4\n5\n6\n7\ny\n",
	    "--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n-0\n+x\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n "
	    "7\n-8\n+y\n");
	expect(NULL, "", "--- /dev/null\n+++ b/f\n");
}

/* Applies a unified diff to a text of lines: what patch(1) does where all offsets are right. */
static void
patch(const char *a, const char *diff, char *out)
{
	const char *at = a, *end, *line = diff;
	int from, n = 0, last = 0;

	*out = '\0';
	for (; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (sscanf(line, "@@ -%d%n", &from, &n) == 1) {
			if (line[n] == ',' && line[n + 1] == '0')
				from++;
			for (; last + 1 < from; last++) {
				strncat(out, at, (size_t)(strchr(at, '\n') + 1 - at));
				at = strchr(at, '\n') + 1;
			}
		} else if (*line == ' ' || (*line == '-' && line[1] != '-')) {
			CU_ASSERT_EQUAL(strncmp(line + 1, at, (size_t)(end - line)), 0);
			if (*line == ' ')
				strncat(out, at, (size_t)(end - line));
			at = strchr(at, '\n') + 1;
			last++;
		} else if (*line == '+' && line[1] != '+') {
			strncat(out, line + 1, (size_t)(end - line));
		}
	}
	strcat(out, at);
}

static void
random_text(char *out, unsigned *seed, int lines, int letters)
{
	int i;

	for (i = 0; i < lines; i++) {
		*seed = *seed * 1103515245u + 12345u;
		out += sprintf(out, "%c\n", 'a' + (int)(*seed >> 16) % letters);
	}
	*out = '\0';
}

static void
test_random(void)
{
	static char a[8192], b[8192], back[16384];
	unsigned seed = 1;
	char *text;
	size_t size;
	FILE *out;
	int i;

	for (i = 0; i < 2000; i++) {
		random_text(a, &seed, i % 40, 2 + i % 7);
		random_text(b, &seed, (i * 7) % 40, 2 + i % 7);
		out = open_memstream(&text, &size);
		changes_text_print(out, "f", a, strlen(a), b, strlen(b));
		fclose(out);
		patch(a, text, back);
		CU_ASSERT_STRING_EQUAL(back, b);
		free(text);
	}
	/* More edits than the search is willing to keep. */
	random_text(a, &seed, 2000, 26);
	for (i = 0; a[i] != '\0'; i++)
		b[i] = a[i] == '\n' ? '\n' : (char)(a[i] - 'a' + 'A');
	b[i] = '\0';
	out = open_memstream(&text, &size);
	changes_text_print(out, "f", a, strlen(a), b, strlen(b));
	fclose(out);
	patch(a, text, back);
	CU_ASSERT_STRING_EQUAL(back, b);
	free(text);
}

static void
test_is_text(void)
{
	static const struct {
		const char *text;
		bool is;
	} rows[] = {
	    {"", true},
	    {"plain\ttext\nwith gr\xc3\xbc\xc3\x9f"
	     "e\r\n",
		true},
	    {"\033[2J", false},
	    {"over\rwritten", false},
	    {"ends\r", false},
	    {"\x7f", false},
	    {"\xc2\x9b"
	     "31m",
		false}, /* C1's CSI */
	    {"a\xe2\x80\xae"
	     "b",
		false}, /* right-to-left override */
	    {"a\xe2\x81\xa6"
	     "b",
		false}, /* isolate */
	    {"a\xd8\x9c"
	     "b",
		false},
	    {"\xe2\x80\x99", true},
	    {"\xff", false},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(changes_is_text(rows[i].text, strlen(rows[i].text)), rows[i].is);
	CU_ASSERT_FALSE(changes_is_text("a\0b", 3));
}

void
add_text_suite(void)
{
	CU_pSuite suite = CU_add_suite("text", NULL, NULL);

	CU_add_test(suite, "known diffs", test_known);
	CU_add_test(suite, "random texts", test_random);
	CU_add_test(suite, "what is text", test_is_text);
}
