/* SPDX-License-Identifier: Apache-2.0 */
/* Judging requests. */
#include <stdio.h>
#include <string.h>

#include "egress/request.h"
#include "suites.h"

static struct span
span_of(const char *s)
{
	return (struct span){s, strlen(s)};
}

static struct request
good(void)
{
	return (struct request){
	    .id = 1,
	    .https = true,
	    .host = span_of("api.example"),
	    .sni = span_of("api.example"),
	    .destination = span_of("api.example"),
	    .destination_address = {"\xc6\x12\0\1", 4},
	    .port = 443,
	    .destination_port = 443,
	    .method = span_of("GET"),
	    .path = span_of("/"),
	    .end = true,
	};
}

/* The rule that refuses it, or "" where it is allowed. */
static const char *
judge(const struct request *q)
{
	struct policy allow;
	struct request_rules rules = {.allow = &allow, .synthetic = true};
	struct refusal r = {0};
	const struct policy_pattern *p;

	policy_init(&allow);
	(void)policy_add(&allow, POLICY_ANY_SCHEME, "api.example", 0, "api.example", 1);
	(void)policy_add(&allow, POLICY_ANY_SCHEME, "192.0.2.7", 0, "192.0.2.7", 2);
	p = request_judge(&rules, q, &r);
	policy_clear(&allow);
	return p != NULL ? "" : r.rule;
}

static void
test_paths(void)
{
	static const char *const fine[] = {"/", "/a/b", "/a/", "/a%2Fb", "/@scope%2fname", "/a;b=c",
	    "/...", "/.well-known/x", "/a..b", "/?q=../..", "/?//", "/x?a=%zz", "/%41", "/;x"};
	static const char *const bad[] = {"", "a", "*", "http://api.example/", "//evil", "/a//b",
	    "/..", "/../a", "/a/..", "/a/../b", "/.", "/./a", "/%2e%2e/a", "/%2E/a", "/.%2e",
	    "/..;/a", "/..;x=y/b", "/%2e%2e;/a", "/a b", "/a\tb", "/a\x7f", "/\xc3\xbc", "/a#b",
	    "/a\\b", "/%", "/%4", "/%zz", "/%00", "/a%5cb", "/a\r\nHost: evil"};
	struct request q = good();
	size_t i;

	for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		q.path = span_of(fine[i]);
		if (judge(&q)[0] != '\0') {
			fprintf(stderr, "path %s\n", fine[i]);
			CU_FAIL("fine");
		}
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		q.path = span_of(bad[i]);
		if (strcmp(judge(&q), "bad-path") != 0) {
			fprintf(stderr, "path %s\n", bad[i]);
			CU_FAIL("bad");
		}
	}
	q.path = span_of("*");
	q.method = span_of("OPTIONS");
	CU_ASSERT_STRING_EQUAL(judge(&q), "");
}

static void
test_names(void)
{
	struct request q = good();

	CU_ASSERT_STRING_EQUAL(judge(&q), "");
	q.sni = span_of("evil.example");
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch");
	q = good();
	q.sni = span_of("");
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch");
	q = good();
	q.destination = span_of("evil.example");
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch");
	q = good();
	q.destination = span_of("");
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch");
	q = good();
	q.destination_port = 8443;
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch");
	q = good();
	q.host = q.sni = q.destination = span_of("evil.example");
	CU_ASSERT_STRING_EQUAL(judge(&q), "not-allowed");
	q.host = span_of("EVIL.example");
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-host");
	q = good();
	q.https = false;
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch"); /* an SNI without TLS */
	q.sni = span_of("");
	q.port = q.destination_port = 80;
	CU_ASSERT_STRING_EQUAL(judge(&q), "");
	q.port = 70000;
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-port");
}

static void
test_addresses(void)
{
	struct request q = good();

	q.host = span_of("192.0.2.7");
	q.sni = q.destination = span_of("");
	q.destination_address = (struct span){"\xc0\0\2\7", 4};
	CU_ASSERT_STRING_EQUAL(judge(&q), "");
	q.destination_address = (struct span){"\xc0\0\2\x08", 4};
	CU_ASSERT_STRING_EQUAL(judge(&q), "name-mismatch");
	q.host = span_of("192.0.2.8");
	CU_ASSERT_STRING_EQUAL(judge(&q), "not-allowed");
	q.host = span_of("3221225991");
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-host");
}

static void
test_headers(void)
{
	static const struct field bad[] = {
	    {"Host", "x", 4, 1},
	    {"host", "x", 4, 1},
	    {"connection", "x", 10, 1},
	    {"content-length", "1", 14, 1},
	    {"transfer-encoding", "chunked", 17, 7},
	    {"expect", "100-continue", 6, 12},
	    {"upgrade", "h2c", 7, 3},
	    {"te", "gzip", 2, 4},
	    {"x y", "z", 3, 1},
	    {"x:", "z", 2, 1},
	    {"", "z", 0, 1},
	    {"x\0y", "z", 3, 1},
	    {"x", "a\nb", 1, 3},
	    {"x", "a\rb", 1, 3},
	    {"x", "a\0b", 1, 3},
	    {"x", " a", 1, 2},
	    {"x", "a\t", 1, 2},
	};
	struct field twice[] = {{"authorization", "a", 13, 1}, {"authorization", "b", 13, 1}};
	struct request q = good();
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		q.headers = &bad[i];
		q.n_headers = 1;
		CU_ASSERT_STRING_EQUAL(judge(&q), "bad-request");
	}
	q.headers = twice;
	CU_ASSERT_STRING_EQUAL(judge(&q), "");
	q.n_headers = 2;
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-request");
}

static void
test_bodies(void)
{
	struct request q = good();

	q.method = span_of("POST");
	q.has_body = q.has_length = true;
	q.body = span_of("abc");
	q.length = 3;
	CU_ASSERT_STRING_EQUAL(judge(&q), "");
	q.length = 4;
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-request");
	q.end = false;
	CU_ASSERT_STRING_EQUAL(judge(&q), "");
	q.length = 2;
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-request");
	q.has_body = false;
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-request");
	q = good();
	q.method = span_of("CONNECT");
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-method");
	q.method = span_of("get");
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-method");
	q.method = span_of("GET /");
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-method");
	q = good();
	q.upgrade = true;
	CU_ASSERT_STRING_EQUAL(judge(&q), "no-websockets");
	q.method = span_of("POST");
	CU_ASSERT_STRING_EQUAL(judge(&q), "bad-request");
}

CU_TestInfo request_tests[] = {
    {"paths", test_paths},
    {"names agree", test_names},
    {"addresses", test_addresses},
    {"headers", test_headers},
    {"bodies and methods", test_bodies},
    CU_TEST_INFO_NULL,
};
