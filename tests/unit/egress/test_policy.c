/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts and patterns. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "egress/placeholder.h"
#include "egress/policy.h"
#include "suites.h"

static void
test_hosts(void)
{
	static const struct {
		const char *host;
		enum policy_host_kind kind;
	} rows[] = {
	    {"example.org", POLICY_HOST_NAME},
	    {"a", POLICY_HOST_NAME},
	    {"_dmarc.example.org", POLICY_HOST_NAME},
	    {"xn--bcher-kva.example", POLICY_HOST_NAME},
	    {"1.example", POLICY_HOST_NAME},
	    {"0x7f.example", POLICY_HOST_NAME},
	    {"192.0.2.1", POLICY_HOST_IPV4},
	    {"2001:db8::1", POLICY_HOST_IPV6},
	    {"::1", POLICY_HOST_IPV6},
	    /* Every other spelling of a name or an address. */
	    {"", POLICY_HOST_BAD},
	    {"Example.org", POLICY_HOST_BAD},
	    {"example.org.", POLICY_HOST_BAD},
	    {".example.org", POLICY_HOST_BAD},
	    {"a..b", POLICY_HOST_BAD},
	    {"-a.example", POLICY_HOST_BAD},
	    {"a-.example", POLICY_HOST_BAD},
	    {"a b", POLICY_HOST_BAD},
	    {"a/b", POLICY_HOST_BAD},
	    {"a@b", POLICY_HOST_BAD},
	    {"a%2eb", POLICY_HOST_BAD},
	    {"b\xc3\xbc"
	     "cher.example",
		POLICY_HOST_BAD},
	    {"2130706433", POLICY_HOST_BAD},
	    {"0x7f000001", POLICY_HOST_BAD},
	    {"0x7f.1", POLICY_HOST_BAD},
	    {"127.0x1", POLICY_HOST_BAD},
	    {"127.1", POLICY_HOST_BAD},
	    {"0177.0.0.1", POLICY_HOST_BAD},
	    {"127.0.0.01", POLICY_HOST_BAD},
	    {"127.0.0.1.", POLICY_HOST_BAD},
	    {"[::1]", POLICY_HOST_BAD},
	    {"::0001", POLICY_HOST_BAD},
	    {"0:0:0:0:0:0:0:1", POLICY_HOST_BAD},
	    {"2001:DB8::1", POLICY_HOST_BAD},
	    {"fe80::1%eth0", POLICY_HOST_BAD},
	    {"::ffff:7f00:1", POLICY_HOST_BAD},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (policy_host_kind(rows[i].host, strlen(rows[i].host)) != rows[i].kind) {
			fprintf(stderr, "host %s\n", rows[i].host);
			CU_FAIL("kind");
		}
	CU_ASSERT_EQUAL(policy_host_kind("a\0b", 3), POLICY_HOST_BAD);
	CU_ASSERT_EQUAL(policy_host_kind("a\0", 2), POLICY_HOST_BAD);
}

struct question {
	enum policy_scheme scheme;
	const char *host;
	uint16_t port;
	const char *answer; /* pattern's text, NULL = refused */
};

static void
test_match(void)
{
	static const struct question rows[] = {
	    {POLICY_HTTPS, "api.example", 443, "bare"},
	    {POLICY_HTTP, "api.example", 80, "bare"},
	    {POLICY_HTTP, "api.example", 443, NULL},
	    {POLICY_HTTPS, "api.example", 80, NULL},
	    {POLICY_HTTPS, "api.example", 8443, NULL},
	    {POLICY_HTTPS, "x.api.example", 443, NULL},
	    {POLICY_HTTPS, "xapi.example", 443, NULL},
	    {POLICY_HTTPS, "api.example.evil", 443, NULL},
	    {POLICY_HTTPS, "a.wild.example", 443, "wild"},
	    {POLICY_HTTPS, "a.b.wild.example", 443, "wild"},
	    {POLICY_HTTPS, "wild.example", 443, NULL},
	    {POLICY_HTTPS, "notwild.example", 443, NULL},
	    {POLICY_HTTPS, "exact.example", 8443, "exact"},
	    {POLICY_HTTP, "exact.example", 8443, NULL},
	    {POLICY_HTTPS, "exact.example", 443, NULL},
	    {POLICY_HTTP, "plain.example", 80, "plain"},
	    {POLICY_HTTPS, "plain.example", 443, NULL},
	    {POLICY_HTTP, "port.example", 8080, "port"},
	    {POLICY_HTTPS, "port.example", 8080, "port"},
	    {POLICY_HTTP, "port.example", 80, NULL},
	    {POLICY_HTTPS, "192.0.2.7", 443, "v4"},
	    {POLICY_HTTPS, "192.0.2.8", 443, NULL},
	    {POLICY_HTTPS, "2001:db8::7", 443, "v6"},
	    {POLICY_HTTPS, "API.example", 443, NULL},
	    {POLICY_ANY_SCHEME, "api.example", 443, NULL},
	};
	const struct policy_pattern *found;
	struct policy p;
	size_t i;

	policy_init(&p);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "api.example", 0, "bare", 1), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "*.wild.example", 0, "wild", 2), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_HTTPS, "exact.example", 8443, "exact", 3), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_HTTP, "plain.example", 0, "plain", 4), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "port.example", 8080, "port", 5), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "192.0.2.7", 0, "v4", 6), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "2001:db8::7", 0, "v6", 7), 0);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "*.*.x", 0, "bad", 8), -EINVAL);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "a*", 0, "bad", 8), -EINVAL);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "*.10.0.0.1", 0, "bad", 8), -EINVAL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		found = policy_match(&p, rows[i].scheme, rows[i].host, rows[i].port);
		if ((found == NULL) != (rows[i].answer == NULL) ||
		    (found != NULL && strcmp(found->text, rows[i].answer) != 0)) {
			fprintf(stderr, "%s:%u\n", rows[i].host, rows[i].port);
			CU_FAIL("match");
		}
	}
	CU_ASSERT_PTR_NOT_NULL(policy_could_match(&p, "api.example", 0));
	CU_ASSERT_PTR_NOT_NULL(policy_could_match(&p, "api.example", 80));
	CU_ASSERT_PTR_NULL(policy_could_match(&p, "api.example", 22));
	CU_ASSERT_PTR_NULL(policy_could_match(&p, "other.example", 0));
	policy_clear(&p);
	CU_ASSERT_PTR_NULL(policy_match(&p, POLICY_HTTPS, "api.example", 443));
}

static void
test_any(void)
{
	static const char *const yes[] = {"example.org", "a.b.c.example"};
	static const char *const no[] = {"localhost", "x.localhost", "printer", "printer.local",
	    "a.internal", "x.onion", "router.home.arpa", "192.0.2.1", "2001:db8::1", "127.1"};
	struct policy p;
	size_t i;

	policy_init(&p);
	CU_ASSERT_EQUAL(policy_add(&p, POLICY_ANY_SCHEME, "*", 0, "*", 1), 0);
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(policy_match(&p, POLICY_HTTPS, yes[i], 443));
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CU_ASSERT_PTR_NULL(policy_match(&p, POLICY_HTTPS, no[i], 443));
	policy_clear(&p);
}

static void
test_placeholder(void)
{
	char a[PLACEHOLDER_LENGTH + 1], b[PLACEHOLDER_LENGTH + 1];

	CU_ASSERT_EQUAL(placeholder_make(a), 0);
	CU_ASSERT_EQUAL(placeholder_make(b), 0);
	CU_ASSERT(strcmp(a, b) != 0 && strlen(a) == PLACEHOLDER_LENGTH);
	CU_ASSERT(placeholder_is_valid(a, PLACEHOLDER_LENGTH));
	a[20] = 'G';
	CU_ASSERT(!placeholder_is_valid(a, PLACEHOLDER_LENGTH));
	CU_ASSERT(!placeholder_is_valid(b, PLACEHOLDER_LENGTH - 1));
}

CU_TestInfo policy_tests[] = {
    {"hosts", test_hosts},
    {"match", test_match},
    {"any public name", test_any},
    {"placeholders", test_placeholder},
    CU_TEST_INFO_NULL,
};
