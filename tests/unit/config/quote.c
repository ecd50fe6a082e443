/* SPDX-License-Identifier: Apache-2.0 */
/* config_quote: what it writes is read back as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/config_test.h"

static void
round_trip(const char *s)
{
	char *quoted = config_quote(s), *text = NULL;
	struct config *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(quoted);
	CU_ASSERT_FATAL(
	    asprintf(&text, "image = mini\ncommand = {sh, %s, %s}\n", quoted, quoted) > 0);
	c = parse(text);
	CU_ASSERT_EQUAL(c->command.n, 3);
	CU_ASSERT_STRING_EQUAL(c->command.v[1], s);
	CU_ASSERT_STRING_EQUAL(c->command.v[2], s);
	config_free(c);
	free(text);
	free(quoted);
}

static void
hostile_strings(void)
{
	static const char *const strings[] = {
	    "",
	    "plain",
	    "${HOME}",
	    "$${HOME}",
	    "\\${HOME}",
	    "\\\\${HOME}",
	    "$",
	    "${",
	    "$\\{",
	    "\"",
	    "'",
	    "\\",
	    "\\\\\"",
	    "\" } network { allow = {\"*\"} } #",
	    "a\nb\r\n\tc\n",
	    "# no comment",
	    "/* no */ // comment",
	    "*/",
	    "\x01\x02\x7f\x1b[31m",
	    "\x01"
	    "1", /* a digit behind an escape */
	    "\x1b"
	    "bad",
	    "\\0",
	    "\\x41\\101",
	    "{a, b} = c += d ( )",
	    "vm|memory",
	    "include(\"/etc/passwd\")",
	    "gr\xc3\xbc\xc3\x9f \xf0\x9f\xa6\x8a",
	    " leading and trailing ",
	};
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		round_trip(strings[i]);
}

static void
every_character(void)
{
	char s[256], pair[4] = "";
	int i, j;

	for (i = 1; i < 128; i++)
		s[i - 1] = (char)i;
	s[127] = '\0';
	round_trip(s);
	/* Every character behind each that means something in a string. */
	for (i = 1; i < 128; i++)
		for (j = 0; j < 4; j++) {
			pair[0] = "\\$\"\n"[j];
			pair[1] = (char)i;
			pair[2] = '{';
			round_trip(pair);
		}
}

static void
refused_strings(void)
{
	char *big = malloc(CONFIG_VALUE_MAX + 2), *quoted;

	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	CU_ASSERT_PTR_NULL(config_quote("\xff"));
	CU_ASSERT_PTR_NULL(config_quote("\xc3"));
	memset(big, 'x', CONFIG_VALUE_MAX + 1);
	big[CONFIG_VALUE_MAX + 1] = '\0';
	CU_ASSERT_PTR_NULL(config_quote(big));
	big[CONFIG_VALUE_MAX] = '\0';
	quoted = config_quote(big);
	CU_ASSERT_PTR_NOT_NULL(quoted);
	free(quoted);
	free(big);
}

void
add_quote_suite(void)
{
	CU_pSuite suite = CU_add_suite("quote", NULL, NULL);

	CU_add_test(suite, "hostile strings", hostile_strings);
	CU_add_test(suite, "every character", every_character);
	CU_add_test(suite, "strings that no value may hold", refused_strings);
}
