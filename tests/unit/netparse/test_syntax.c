/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, authorities and targets: one spelling each passes. */
#include <stdio.h>
#include <string.h>

#include "netproxy/http_syntax.h"
#include "suites.h"

static void
test_hosts(void)
{
	static const struct {
		const char *text, *canonical; /* NULL: refused */
	} rows[] = {
	    {"example.org", "example.org"},
	    {"EXAMPLE.Org", "example.org"},
	    {"a_b.example", "a_b.example"},
	    {"xn--bcher-kva.example", "xn--bcher-kva.example"},
	    {"localhost", "localhost"},
	    {"192.0.2.1", "192.0.2.1"},
	    {"[2001:DB8::1]", "2001:db8::1"},
	    {"[2001:db8:0:0:0:0:0:1]", "2001:db8::1"},
	    {"[::ffff:192.0.2.1]", "::ffff:192.0.2.1"},
	    {"1.example", "1.example"},
	    {"0x7f.example", "0x7f.example"},
	    {"", NULL},
	    {"example.org.", NULL},
	    {".example.org", NULL},
	    {"a..b", NULL},
	    {"-a.example", NULL},
	    {"a-.example", NULL},
	    {"b\303\274cher.example", NULL},
	    {"a b", NULL},
	    {"a/b", NULL},
	    {"a@b", NULL},
	    {"a%2eb", NULL},
	    {"2130706433", NULL},
	    {"0177.0.0.1", NULL},
	    {"127.1", NULL},
	    {"127.0.0.01", NULL},
	    {"0x7f000001", NULL},
	    {"0x7f.0.0.0x1", NULL},
	    {"1.2.3.256", NULL},
	    {"1.2.3.4.5", NULL},
	    {"[::1", NULL},
	    {"::1", NULL},
	    {"[fe80::1%eth0]", NULL},
	    {"[fe80::1%25eth0]", NULL},
	    {"[]", NULL},
	    {"[127.0.0.1]", NULL},
	    {"[v1.a]", NULL},
	};
	char out[HTTP_HOST_MAX + 1], label[70], whole[300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_text t = {rows[i].text, strlen(rows[i].text)};
		int rc = http_host_canonical(t, out);

		CU_ASSERT_EQUAL(rc == 0, rows[i].canonical != NULL);
		if (rc == 0 && rows[i].canonical != NULL)
			CU_ASSERT_STRING_EQUAL(out, rows[i].canonical);
		if ((rc == 0) != (rows[i].canonical != NULL))
			fprintf(stderr, "host %s\n", rows[i].text);
	}
	memset(label, 'a', sizeof(label));
	CU_ASSERT_EQUAL(http_host_canonical((struct http_text){label, 63}, out), 0);
	CU_ASSERT_NOT_EQUAL(http_host_canonical((struct http_text){label, 64}, out), 0);
	for (size_t i = 0; i < sizeof(whole); i++)
		whole[i] = i % 2 == 0 ? 'a' : '.';
	CU_ASSERT_EQUAL(http_host_canonical((struct http_text){whole, 253}, out), 0);
	CU_ASSERT_NOT_EQUAL(http_host_canonical((struct http_text){whole, 255}, out), 0);
	CU_ASSERT_NOT_EQUAL(http_host_canonical((struct http_text){"a\0b", 3}, out), 0);
}

static void
test_authorities(void)
{
	static const struct {
		const char *text;
		int port; /* -1: refused */
	} rows[] = {
	    {"a.example", 0},
	    {"a.example:80", 80},
	    {"a.example:65535", 65535},
	    {"[::1]", 0},
	    {"[::1]:443", 443},
	    {"a.example:", -1},
	    {"a.example:0", -1},
	    {"a.example:080", -1},
	    {"a.example:65536", -1},
	    {"a.example:+80", -1},
	    {"a.example: 80", -1},
	    {"a.example:8a", -1},
	    {"a.example:80:80", -1},
	    {"user@a.example", -1},
	    {"user:80@a.example", -1},
	    {":80", -1},
	    {"[::1]80", -1},
	    {"::1:80", -1},
	    {"a.example:100000", -1},
	};
	struct http_authority a;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_text t = {rows[i].text, strlen(rows[i].text)};
		int rc = http_authority_parse(t, &a);

		CU_ASSERT_EQUAL(rc == 0, rows[i].port >= 0);
		if ((rc == 0) != (rows[i].port >= 0))
			fprintf(stderr, "authority %s\n", rows[i].text);
		if (rc == 0)
			CU_ASSERT_EQUAL(a.port, rows[i].port);
	}
}

static void
test_targets(void)
{
	static const char *const good[] = {"/", "/a/b", "/a//b", "//a", "/a;b=c/d", "/%41",
	    "/a%2Fb", "/a?b=../c", "/a?x=%2e%2e/", "/...", "/.a", "/a..b", "/a.", "/?",
	    "/a|b{c}[d]^`\"<>", "/@scope%2fname", "/..a;b"};
	static const char *const bad[] = {"", "a", "*", "?a", "/a b", "/a\tb", "/a#b", "/a\\b",
	    "/\303\274", "/..", "/.", "/../a", "/a/..", "/a/../b", "/a/./b", "/%2e%2e/a", "/%2E./a",
	    "/.%2e", "/%2e", "/..;x=y/a", "/a/..;/b", "/%", "/%4", "/%4g", "/%00", "/a?%zz",
	    "/a\177", "/a/..?b"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!http_is_origin_target((struct http_text){good[i], strlen(good[i])})) {
			CU_FAIL("refused");
			fprintf(stderr, "target %s\n", good[i]);
		}
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (http_is_origin_target((struct http_text){bad[i], strlen(bad[i])})) {
			CU_FAIL("passed");
			fprintf(stderr, "target %s\n", bad[i]);
		}
	}
}

static void
test_words(void)
{
	CU_ASSERT_TRUE(http_is_method(HTTP_TEXT("GET")));
	CU_ASSERT_TRUE(http_is_method(HTTP_TEXT("M-SEARCH")));
	CU_ASSERT_FALSE(http_is_method(HTTP_TEXT("CONNECT")));
	CU_ASSERT_FALSE(http_is_method(HTTP_TEXT("get")));
	CU_ASSERT_FALSE(http_is_method(HTTP_TEXT("")));
	CU_ASSERT_FALSE(http_is_method(HTTP_TEXT("GE T")));
	CU_ASSERT_FALSE(http_is_method(HTTP_TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG")));
	CU_ASSERT_TRUE(http_is_field_value(HTTP_TEXT("")));
	CU_ASSERT_TRUE(http_is_field_value(HTTP_TEXT("a\tb \303\274")));
	CU_ASSERT_FALSE(http_is_field_value(HTTP_TEXT(" a")));
	CU_ASSERT_FALSE(http_is_field_value(HTTP_TEXT("a\0b")));
	CU_ASSERT_FALSE(http_is_field_value(HTTP_TEXT("a\rb")));
	CU_ASSERT_FALSE(http_is_field_value(HTTP_TEXT("a\177")));
	CU_ASSERT_FALSE(http_is_token(HTTP_TEXT("a(b)")));
	CU_ASSERT_TRUE(http_text_is_nocase(HTTP_TEXT("ChunkeD"), "chunked"));
	CU_ASSERT_FALSE(http_text_is_nocase(HTTP_TEXT("chunkedd"), "chunked"));
}

CU_TestInfo syntax_tests[] = {
    {"hosts", test_hosts},
    {"authorities", test_authorities},
    {"targets", test_targets},
    {"words", test_words},
    CU_TEST_INFO_NULL,
};
