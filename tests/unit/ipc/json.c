/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader against hostile text, and the writer with any bytes. */
#include "ipc/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/ipc/ipc_test.h"

#define TOKENS 64

static struct json_token tokens[TOKENS];
static struct json j;

static int
parse_n(const char *text, size_t n)
{
	/* Just as long as the text: a read past it shows. */
	char *exact = malloc(n != 0 ? n : 1);
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	memcpy(exact, text, n);
	rc = json_parse(&j, exact, n, tokens, TOKENS);
	free(exact);
	j.text = text;
	return rc;
}

static int
parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void
accepted(void)
{
	static const char *const texts[] = {
	    "{}",
	    "[]",
	    " \t\r\n{ \"a\" : [ 1 , 2 ] } ",
	    "null",
	    "true",
	    "-0",
	    "0",
	    "-1.5e+10",
	    "1E-3",
	    "\"\\u0041\\n\\/\\\"\\\\\"",
	    "\"\\ud83d\\ude00\"",
	    "\"\xf0\x9f\xa6\x8a\"",
	    "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
	    "{\"a\":1,\"b\":1,\"A\":1}",
	    "\"\x7f\"",
	};
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_EQUAL(parse(texts[i]), 0);
}

static void
refused(void)
{
	static const char *const texts[] = {
	    "",
	    " ",
	    "{",
	    "}",
	    "[1,]",
	    "[,1]",
	    "[1 2]",
	    "{\"a\":1,}",
	    "{,}",
	    "{\"a\"}",
	    "{\"a\":}",
	    "{a:1}",
	    "{'a':1}",
	    "{1:1}",
	    "{\"a\":1 \"b\":2}",
	    "nul",
	    "nulll",
	    "True",
	    "01",
	    "-",
	    "-a",
	    "+1",
	    ".5",
	    "1.",
	    "1e",
	    "1e+",
	    "0x1",
	    "NaN",
	    "Infinity",
	    "\"",
	    "\"a",
	    "\"\\\"",
	    "\"\\x41\"",
	    "\"\\u12\"",
	    "\"\\u12g4\"",
	    "\"\\ud800\"",
	    "\"\\ud800\\n\"",
	    "\"\\ud800\\u0041\"",
	    "\"\\udc00\"",
	    "\"\t\"",
	    "\"\n\"",
	    "\"\x80\"",
	    "\"\xc0\x80\"",
	    "\"\xed\xa0\x80\"",
	    "\xef\xbb\xbf{}",
	    "{} {}",
	    "{}x",
	    "[1]]",
	    "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
	    "{\"a\":1,\"a\":2}",
	    "{\"a\":1,\"\\u0061\":2}", /* the same name once decoded */
	    "{\"a\":{\"b\":1,\"b\":1}}",
	    "{\"\\u0000\":1}",
	    "/**/{}",
	    "[1,//\n2]",
	};
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i]) != -EPROTO) {
			fprintf(stderr, "not refused: %s\n", texts[i]);
			CU_FAIL("accepted");
		}
	CU_ASSERT_EQUAL(parse_n("{}\0", 3), -EPROTO);
	CU_ASSERT_EQUAL(parse_n("\"a\0b\"", 5), -EPROTO);
}

/* Every prefix of a good text is refused, and read no further than it goes. */
static void
truncated(void)
{
	static const char text[] =
	    "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\xc3\xbc\",true,null],\"b\":{}}";
	size_t n;

	for (n = 0; n < sizeof(text) - 1; n++)
		CU_ASSERT_EQUAL(parse_n(text, n), -EPROTO);
	CU_ASSERT_EQUAL(parse_n(text, sizeof(text) - 1), 0);
}

static void
token_cap(void)
{
	char text[2 * TOKENS + 8] = "[";
	int i;

	for (i = 0; i < TOKENS - 2; i++)
		strcat(text, "1,");
	strcat(text, "1]");
	CU_ASSERT_EQUAL(parse(text), 0);
	text[strlen(text) - 1] = '\0';
	strcat(text, ",1]");
	CU_ASSERT_EQUAL(parse(text), -E2BIG);
}

static void
walking(void)
{
	const struct json_token *list, *t;
	char text[16];
	int64_t v;
	bool b;

	CU_ASSERT_EQUAL_FATAL(
	    parse("{\"x\":{\"n\":[5]},\"list\":[[1],{\"k\":\"v\"},\"s\"],\"t\":true}"), 0);
	list = json_member(&j, j.tokens, "list");
	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	CU_ASSERT_EQUAL(list->size, 3);
	CU_ASSERT_EQUAL(
	    json_string(&j, json_member(&j, json_element(&j, list, 1), "k"), text, sizeof(text)),
	    1);
	CU_ASSERT_STRING_EQUAL(text, "v");
	CU_ASSERT_TRUE(json_equals(&j, json_element(&j, list, 2), "s"));
	CU_ASSERT_PTR_NULL(json_element(&j, list, 3));
	CU_ASSERT_PTR_NULL(json_member(&j, list, "k"));
	CU_ASSERT_PTR_NULL(json_member(&j, j.tokens, "n"));
	CU_ASSERT_PTR_NULL(json_member(&j, NULL, "n"));
	CU_ASSERT_PTR_NULL(json_element(&j, NULL, 0));
	t = json_member(&j, json_member(&j, j.tokens, "x"), "n");
	CU_ASSERT_EQUAL(json_integer(&j, json_element(&j, t, 0), &v), 0);
	CU_ASSERT_EQUAL(v, 5);
	CU_ASSERT_EQUAL(json_bool(json_member(&j, j.tokens, "t"), &b), 0);
	CU_ASSERT_TRUE(b);
	CU_ASSERT_EQUAL(json_bool(t, &b), -EPROTO);
	CU_ASSERT_EQUAL(json_bool(NULL, &b), -EPROTO);
	CU_ASSERT_EQUAL(json_string(&j, NULL, text, sizeof(text)), -EPROTO);
}

static void
integers(void)
{
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} rows[] = {
	    {"9223372036854775807", 0, INT64_MAX},
	    {"9223372036854775808", -EPROTO, 0},
	    {"-9223372036854775808", 0, INT64_MIN},
	    {"-9223372036854775809", -EPROTO, 0},
	    {"99999999999999999999999", -EPROTO, 0},
	    {"-0", 0, 0},
	    {"1.0", -EPROTO, 0},
	    {"1e3", -EPROTO, 0},
	    {"\"1\"", -EPROTO, 0},
	};
	int64_t v;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(parse(rows[i].text), 0);
		v = 0;
		CU_ASSERT_EQUAL(json_integer(&j, j.tokens, &v), rows[i].rc);
		CU_ASSERT_EQUAL(v, rows[i].value);
	}
}

static void
strings(void)
{
	char text[8];

	CU_ASSERT_EQUAL_FATAL(parse("\"\\u00e9\\ud83d\\ude00\""), 0);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, text, sizeof(text)), 6);
	CU_ASSERT_STRING_EQUAL(text, "\xc3\xa9\xf0\x9f\x98\x80");
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, text, 6), -E2BIG);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, text, 0), -EPROTO);
	CU_ASSERT_EQUAL_FATAL(parse("\"a\\u0000b\""), 0);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, text, sizeof(text)), -EINVAL);
	CU_ASSERT_FALSE(json_equals(&j, j.tokens, "a"));
	CU_ASSERT_EQUAL_FATAL(parse("\"1234567\""), 0);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, text, sizeof(text)), 7);
	CU_ASSERT_EQUAL_FATAL(parse("\"12345678\""), 0);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, text, sizeof(text)), -E2BIG);
}

static void
writing(void)
{
	struct json_writer w;

	json_writer_init(&w);
	json_open(&w, '{');
	json_member_string(&w, "a", "x");
	json_key(&w, "b");
	json_open(&w, '[');
	json_put_integer(&w, INT64_MIN);
	json_put_null(&w);
	json_open(&w, '{');
	json_close(&w, '}');
	json_close(&w, ']');
	json_member_bool(&w, "c", true);
	json_member_integer(&w, "d", 7);
	json_close(&w, '}');
	CU_ASSERT_STRING_EQUAL(
	    w.text, "{\"a\":\"x\",\"b\":[-9223372036854775808,null,{}],\"c\":true,\"d\":7}");
	CU_ASSERT_EQUAL(parse(w.text), 0);
	json_writer_clear(&w);
}

/* Any bytes make valid JSON, and valid UTF-8 without NUL comes back as it was. */
static void
any_bytes(void)
{
	static const char controls[] =
	    "\x1b[\x7f\xc2\x80\xc2\x9b\x32J\xc2\xa0 \xd8\x9c\xe2\x80\x8f\xe2\x80\xae"
	    "\xe2\x81\xa6x\"\\";
	struct json_writer w;
	char text[256], back[1024];
	int i;

	for (i = 0; i < 256; i++)
		text[i] = (char)i;
	json_writer_init(&w);
	json_put_bytes(&w, text, 256);
	CU_ASSERT_EQUAL(parse(w.text), 0);
	json_writer_clear(&w);
	json_put_bytes(&w, text + 1, 127);
	CU_ASSERT_EQUAL_FATAL(parse(w.text), 0);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, back, sizeof(back)), 127);
	CU_ASSERT_EQUAL(memcmp(back, text + 1, 127), 0);
	json_writer_clear(&w);
	json_put_bytes(&w, "\xc3\xbc\xc3", 3);
	CU_ASSERT_STRING_EQUAL(w.text, "\"\xc3\xbc\xef\xbf\xbd\"");
	json_writer_clear(&w);
	/* What a terminal would obey is written as an escape, and read as it was. */
	json_put_string(&w, controls);
	CU_ASSERT_STRING_EQUAL(w.text,
	    "\"\\u001b[\\u007f\\u0080\\u009b2J\xc2\xa0 \\u061c\\u200f\\u202e\\u2066x\\\"\\\\\"");
	CU_ASSERT_EQUAL_FATAL(parse(w.text), 0);
	CU_ASSERT_EQUAL(json_string(&j, j.tokens, back, sizeof(back)), (ssize_t)strlen(controls));
	CU_ASSERT_STRING_EQUAL(back, controls);
	json_writer_clear(&w);
}

void
add_json_suite(void)
{
	CU_pSuite suite = CU_add_suite("json", NULL, NULL);

	CU_add_test(suite, "accepted", accepted);
	CU_add_test(suite, "refused", refused);
	CU_add_test(suite, "truncated", truncated);
	CU_add_test(suite, "cap of tokens", token_cap);
	CU_add_test(suite, "walking", walking);
	CU_add_test(suite, "integers", integers);
	CU_add_test(suite, "strings", strings);
	CU_add_test(suite, "writing", writing);
	CU_add_test(suite, "any bytes", any_bytes);
}
