/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in requests and answers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "egress/secret.h"
#include "suites.h"

#define ONE    "GONDOLIN_SECRET_00000000000000000000000000000001"
#define TWO    "GONDOLIN_SECRET_00000000000000000000000000000002"
#define OTHER  "GONDOLIN_SECRET_000000000000000000000000000000ff"
#define VALUE  "va/lue\"+&1"
#define VALUE2 "second-value"

static void
add(struct secrets *s, const char *name, const char *value, const char *placeholder,
    const char *host, unsigned in, bool http)
{
	struct policy hosts;

	policy_init(&hosts);
	CU_ASSERT_EQUAL(policy_add(&hosts, POLICY_ANY_SCHEME, host, 0, host, 1), 0);
	CU_ASSERT_EQUAL(
	    secrets_add(s, name, value, strlen(value), placeholder, &hosts, in, http), 0);
}

static void
set_up(struct secrets *s)
{
	secrets_init(s);
	add(s, "ONE", VALUE, ONE, "one.example", SECRET_HEADER | SECRET_QUERY, false);
	add(s, "TWO", VALUE2, TWO, "*.two.example", SECRET_HEADER | SECRET_BODY, true);
}

struct row {
	const char *host;
	bool https;
	uint16_t port;
	const char *name, *value, *path;
	const char *sent, *sent_path; /* value and path as sent; NULL: refused */
};

static const struct row rows[] = {
    {"one.example", true, 443, "x", "a" ONE "b" ONE, "/", "a" VALUE "b" VALUE, "/"},
    {"one.example", true, 443, "x", "y", "/?t=" ONE, "y", "/?t=va%2Flue%22%2B%261"},
    {"one.example", true, 443, "x", OTHER, "/", OTHER, "/"},
    {"one.example", true, 443, "x", "GONDOLIN_SECRET_00", "/", "GONDOLIN_SECRET_00", "/"},
    {"one.example", true, 443, "authorization", "Bearer " ONE, "/", "Bearer " VALUE, "/"},
    {"a.two.example", false, 80, "x", TWO, "/", VALUE2, "/"},
    {"a.two.example", true, 443, "x", TWO, "/", VALUE2, "/"},
    {"one.example", false, 80, "x", ONE, "/", NULL, NULL},  /* https only */
    {"one.example", true, 8443, "x", ONE, "/", NULL, NULL}, /* its own port only */
    {"two.example", true, 443, "x", TWO, "/", NULL, NULL},  /* below it only */
    {"evil.example", true, 443, "x", ONE, "/", NULL, NULL},
    {"one.example", true, 443, "x", TWO, "/", NULL, NULL},
    {"one.example", true, 443, ONE, "y", "/", NULL, NULL},
    {"one.example", true, 443, "x", "y", "/" ONE, NULL, NULL},
    {"a.two.example", true, 443, "x", "y", "/?t=" TWO, NULL, NULL},
};

static void
test_requests(void)
{
	struct secrets s;
	struct refusal r;
	size_t i;

	set_up(&s);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct field h = {
		    rows[i].name, rows[i].value, strlen(rows[i].name), strlen(rows[i].value)};
		struct request q = {
		    .headers = &h, .n_headers = 1, .path = {rows[i].path, strlen(rows[i].path)}};
		const struct secret_set *set =
		    secrets_for(&s, rows[i].https, rows[i].host, rows[i].port);
		struct secret_use u = {0};
		bool ok = secrets_put_in(&s, set, &q, &u, &r);

		CU_ASSERT_EQUAL(ok, rows[i].sent != NULL);
		if (ok && rows[i].sent != NULL) {
			struct field sent = fields_get(&u.headers, 0);

			CU_ASSERT(sent.value_length == strlen(rows[i].sent) &&
				  memcmp(sent.value, rows[i].sent, sent.value_length) == 0);
			CU_ASSERT(u.path.length == strlen(rows[i].sent_path) &&
				  memcmp(u.path.bytes, rows[i].sent_path, u.path.length) == 0);
		}
		secret_use_clear(&u);
	}
	secrets_clear(&s);
}

static void
test_basic(void)
{
	struct buffer given = {0}, want = {0};
	struct secret_use u = {0};
	struct secrets s;
	struct refusal r;
	struct field h = {.name = "proxy-authorization", .name_length = 19}, sent;
	struct request q = {.headers = &h, .n_headers = 1, .path = {"/", 1}};

	set_up(&s);
	buffer_add(&given, "BASIC ", 6);
	base64_encode("user:" ONE, 5 + PLACEHOLDER_LENGTH, &given);
	buffer_add(&want, "BASIC ", 6);
	base64_encode("user:" VALUE, 5 + strlen(VALUE), &want);
	h.value = (const char *)given.bytes;
	h.value_length = given.length;
	CU_ASSERT(secrets_put_in(&s, secrets_for(&s, true, "one.example", 443), &q, &u, &r));
	sent = fields_get(&u.headers, 0);
	CU_ASSERT(
	    sent.value_length == want.length && memcmp(sent.value, want.bytes, want.length) == 0);
	CU_ASSERT_EQUAL(u.used, 1);
	secret_use_clear(&u);
	memset(&u, 0, sizeof(u));
	CU_ASSERT(!secrets_put_in(&s, secrets_for(&s, true, "evil.example", 443), &q, &u, &r));
	secret_use_clear(&u);
	buffer_clear(&given);
	buffer_clear(&want);
	secrets_clear(&s);
}

/* In base64 of any text, at any alignment, nothing is left that tells the value. */
static void
test_answers(void)
{
	struct secrets s;
	const struct secret_set *set;
	struct buffer out = {0}, text = {0}, plain = {0};
	char before[8];
	size_t n;

	set_up(&s);
	set = secrets_for(&s, false, "a.two.example", 8080);
	CU_ASSERT_EQUAL(set->scrub, 2);
	CU_ASSERT_EQUAL(set->bound, 0);
	CU_ASSERT_EQUAL(secrets_scrub_value(set, "=" VALUE2 "=", strlen(VALUE2) + 2, &out), 2);
	CU_ASSERT(out.length == PLACEHOLDER_LENGTH + 2 &&
		  memcmp(out.bytes, "=" TWO "=", out.length) == 0);
	for (n = 0; n < 6; n++) {
		memset(before, 'u', sizeof(before));
		out.length = text.length = plain.length = 0;
		buffer_add(&plain, before, n);
		buffer_add(&plain, VALUE2 "tail", strlen(VALUE2) + 4);
		base64_encode(plain.bytes, plain.length, &text);
		CU_ASSERT_EQUAL(secrets_scrub_value(set, text.bytes, text.length, &out), 2);
		CU_ASSERT_PTR_NOT_NULL(memmem(out.bytes, out.length, TWO, PLACEHOLDER_LENGTH));
	}
	out.length = 0;
	set = secrets_for(&s, true, "one.example", 443);
	CU_ASSERT_EQUAL(secrets_scrub_value(set, VALUE2, strlen(VALUE2), &out), 0);
	buffer_clear(&out);
	buffer_clear(&text);
	buffer_clear(&plain);
	secrets_clear(&s);
}

/* As the usual encoders write them. */
static const char *const spellings[] = {
    "va/lue\"+&1 <\xc3\xa9\xf0\x9f\x98\x80>'\\",
    "va\\/lue\\\"+&1 <\xc3\xa9\xf0\x9f\x98\x80>'\\\\",                 /* a JSON string */
    "va/lue\\\"+\\u00261 \\u003c\xc3\xa9\xf0\x9f\x98\x80\\u003e'\\\\", /* Go */
    "va/lue\\u0022\\u002B\\u00261 \\u003C\\u00E9\\uD83D\\uDE00\\u003E\\u0027\\\\", /* .NET */
    "va\\/lue\\\"+&1 <\\u00e9\\ud83d\\ude00>'\\\\",                                /* PHP, Python */
    "va/lue\\x22\\x2b\\x261 \\x3c\\xc3\\xa9\\xf0\\x9f\\x98\\x80\\x3e\\'\\\\",      /* bytes */
    "va/lue&quot;+&amp;1 &lt;\xc3\xa9\xf0\x9f\x98\x80&gt;&#39;\\",
    "va&#x2F;lue&#34;&#43;&amp;1 &#60;&#xe9;&#x1F600;&#062;&apos;&#x5C;",
    "va%2Flue%22%2B%261%20%3C%C3%A9%F0%9F%98%80%3E%27%5C",
    "va%2flue%22%2b%261+%3c%c3%a9%f0%9f%98%80%3e%27%5c", /* a form */
    "va\\u002flue\\u0022+\\u00261\\u0020\\x3c\\u00e9\\ud83d\\ude00\\u003e'\\u005c",
};

static void
test_spellings(void)
{
	struct buffer out = {0}, text = {0}, plain = {0};
	const struct secret_set *set;
	struct secrets s;
	char escape[8];
	size_t i;

	secrets_init(&s);
	add(&s, "ONE", spellings[0], ONE, "one.example", SECRET_HEADER, false);
	set = secrets_for(&s, true, "one.example", 443);
	for (i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		out.length = text.length = 0;
		buffer_add(&text, "{\"", 2);
		buffer_add(&text, spellings[i], strlen(spellings[i]));
		buffer_add(&text, "\"}", 2);
		CU_ASSERT_EQUAL(secrets_scrub_value(set, text.bytes, text.length, &out), 1);
		CU_ASSERT(out.length == PLACEHOLDER_LENGTH + 4 &&
			  memcmp(out.bytes, "{\"" ONE "\"}", out.length) == 0);
	}
	/* base64 with each of its characters escaped */
	out.length = text.length = 0;
	base64_encode(spellings[0], strlen(spellings[0]), &plain);
	for (i = 0; i < plain.length; i++) {
		snprintf(escape, sizeof(escape), "\\u%04x", plain.bytes[i]);
		buffer_add(&text, escape, 6);
	}
	CU_ASSERT_EQUAL(secrets_scrub_value(set, text.bytes, text.length, &out), 1);
	CU_ASSERT(out.length < PLACEHOLDER_LENGTH + 36);
	buffer_clear(&plain);
	buffer_clear(&out);
	buffer_clear(&text);
	secrets_clear(&s);
}

static void
test_refused_secrets(void)
{
	struct secrets s;
	struct policy none;

	set_up(&s);
	policy_init(&none);
	CU_ASSERT_EQUAL(secrets_add(&s, "X", "short", 5, OTHER, &none, 1, false), -EINVAL);
	CU_ASSERT_EQUAL(secrets_add(&s, "X", "a\nlonger one", 12, OTHER, &none, 1, false), -EINVAL);
	CU_ASSERT_EQUAL(secrets_add(&s, "X", "long enough", 11, "x", &none, 1, false), -EINVAL);
	CU_ASSERT_EQUAL(secrets_add(&s, "X", "long enough", 11, ONE, &none, 1, false), -EINVAL);
	secrets_clear(&s);
}

static void
test_base64(void)
{
	static const char *const bad[] = {
	    "a", "ab=", "ab==x", "a===", "ab=c", "YR==", "YWJ=", "Y-8="};
	struct buffer out = {0};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(!base64_decode(bad[i], strlen(bad[i]), &out));
	out.length = 0;
	CU_ASSERT(base64_decode("YWJjZA==", 8, &out) && out.length == 4 &&
		  memcmp(out.bytes, "abcd", 4) == 0);
	buffer_clear(&out);
}

CU_TestInfo secret_tests[] = {
    {"requests", test_requests},
    {"basic credentials", test_basic},
    {"answers", test_answers},
    {"spellings", test_spellings},
    {"values that are refused", test_refused_secrets},
    {"base64", test_base64},
    CU_TEST_INFO_NULL,
};
