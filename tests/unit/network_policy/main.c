/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's hosts as policy, and the URLs that are asked about it. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/policy_url.h"
#include "supervisor/network_policy.h"
#include "tests/run.h"
#include "tests/unit/network_policy/network_test.h"

static int
build(struct network_policy *p, const char *name, const char *text, char *error)
{
	struct config *c;
	int rc = config_parse(&c, name, text, strlen(text), error, CONFIG_ERROR_SIZE);

	if (rc == 0)
		rc = network_policy_build(p, c, error, CONFIG_ERROR_SIZE);
	config_free(c);
	return rc;
}

static void
test_build(void)
{
	static const char text[] = "image = a\n"
				   "network {\n"
				   "allow = {\"a.example\",\n \"https://*.b.example:8443\"}\n"
				   "allow-internal = {\"a.example\"}\n"
				   "secret T { hosts = {\"c.example\"} env = T }\n"
				   "secret U { hosts = {\"*.d.example:1\"} env = T }\n"
				   "}\n";
	char error[CONFIG_ERROR_SIZE];
	struct network_policy p;
	const struct policy_pattern *found;

	CU_ASSERT_EQUAL_FATAL(build(&p, "t.conf", text, error), 0);
	found = policy_match(&p.allow, POLICY_HTTPS, "x.b.example", 8443);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->line, 4);
	CU_ASSERT_STRING_EQUAL(found->text, "https://*.b.example:8443");
	CU_ASSERT_PTR_NULL(policy_match(&p.allow, POLICY_HTTP, "x.b.example", 8443));
	CU_ASSERT_PTR_NOT_NULL(policy_names(&p.internal, "a.example"));
	/* A secret's hosts allow nothing. */
	CU_ASSERT_PTR_NULL(policy_match(&p.allow, POLICY_HTTPS, "c.example", 443));
	CU_ASSERT_EQUAL_FATAL(p.n_secrets, 2);
	CU_ASSERT_PTR_NOT_NULL(policy_match(&p.secret_hosts[0], POLICY_HTTPS, "c.example", 443));
	CU_ASSERT_PTR_NOT_NULL(policy_match(&p.secret_hosts[1], POLICY_HTTPS, "e.d.example", 1));
	network_policy_clear(&p);
	network_policy_clear(&p);
	CU_ASSERT_EQUAL(p.n_secrets, 0);
}

static void
test_command_line(void)
{
	char error[CONFIG_ERROR_SIZE];
	struct network_policy p;

	CU_ASSERT_EQUAL_FATAL(
	    build(&p, CONFIG_OPTIONS_NAME, "image = a\nnetwork { allow = {\"a.example\"} }", error),
	    0);
	CU_ASSERT_EQUAL(p.allow.v[0].line, 0);
	network_policy_clear(&p);
}

/* n times the format with its number, between two texts. */
static char *
repeat(const char *before, const char *format, unsigned n, const char *after)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(before, out);
	for (i = 0; i < n; i++) {
		const char *mark = strchr(format, '#');

		fprintf(out, "%.*s%u%s", (int)(mark - format), format, i, mark + 1);
	}
	fputs(after, out);
	CU_ASSERT_EQUAL_FATAL(fclose(out), 0);
	return text;
}

static void
test_refused(void)
{
	char *hosts = repeat("image = a network { secret T { env = T hosts = {", "\"h#.example\",",
	    65, "\"x.example\"} } }");
	const struct {
		const char *text, *error;
	} rows[] = {
	    {"image = a\nnetwork { allow = {\"10.1\"} }", "t.conf:2: "},
	    {hosts, "t.conf:1: network: secret \"T\" has more than 64 hosts"},
	};
	char error[CONFIG_ERROR_SIZE];
	struct network_policy p;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(build(&p, "t.conf", rows[i].text, error), -EINVAL);
		CU_ASSERT_EQUAL(strncmp(error, rows[i].error, strlen(rows[i].error)), 0);
	}
	free(hosts);
}

/* ---- URLs ---- */

static void
test_urls(void)
{
	static const struct {
		const char *text;
		enum policy_url_kind kind;
		bool websocket;
		const char *host;
		uint16_t port;
		const char *path;
	} rows[] = {
	    {"a.example", POLICY_URL_HTTPS, false, "a.example", 443, "/"},
	    {"A.Example:8443/x", POLICY_URL_HTTPS, false, "a.example", 8443, "/x"},
	    {"http://a.example", POLICY_URL_HTTP, false, "a.example", 80, "/"},
	    {"HTTPS://a.example/a?b#c", POLICY_URL_HTTPS, false, "a.example", 443, "/a?b"},
	    {"https://a.example?q", POLICY_URL_HTTPS, false, "a.example", 443, "/?q"},
	    {"https://a.example#f", POLICY_URL_HTTPS, false, "a.example", 443, "/"},
	    {"wss://a.example/", POLICY_URL_HTTPS, true, "a.example", 443, "/"},
	    {"ws://a.example/", POLICY_URL_HTTP, true, "a.example", 80, "/"},
	    {"https://[2001:DB8::1]:1/", POLICY_URL_HTTPS, false, "2001:db8::1", 1, "/"},
	    {"https://[2001:db8::1]", POLICY_URL_HTTPS, false, "2001:db8::1", 443, "/"},
	    {"tcp://db.example:5432", POLICY_URL_TCP, false, "db.example", 5432, "/"},
	};
	struct policy_url u;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_PTR_NULL_FATAL(policy_url_parse(&u, rows[i].text));
		CU_ASSERT_EQUAL(u.kind, rows[i].kind);
		CU_ASSERT_EQUAL(u.websocket, rows[i].websocket);
		CU_ASSERT_STRING_EQUAL(u.host, rows[i].host);
		CU_ASSERT_EQUAL(u.port, rows[i].port);
		CU_ASSERT_STRING_EQUAL(u.path, rows[i].path);
	}
}

static void
test_no_urls(void)
{
	static const char *const rows[] = {"", "ftp://a.example", "://a", "https://", "https:///x",
	    "https://u@a.example", "https://u:p@a.example/", "https://a:0", "https://a:65536",
	    "https://a:", "https://a:1x/", "https://a:000001/", "https://[::1", "https://[::1]x",
	    "https://[]/", "tcp://a.example"};
	static char longest[POLICY_URL_PATH_SIZE + 64];
	struct policy_url u;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(policy_url_parse(&u, rows[i]));
	memset(longest, 'a', sizeof(longest) - 1);
	CU_ASSERT_PTR_NOT_NULL(policy_url_parse(&u, longest));
	memcpy(longest, "a.example/", 10);
	CU_ASSERT_PTR_NOT_NULL(policy_url_parse(&u, longest));
	longest[POLICY_URL_PATH_SIZE + 6] = '\0';
	CU_ASSERT_PTR_NULL(policy_url_parse(&u, longest));
}

int
main(void)
{
	CU_pSuite s;

	begin_tests();
	s = CU_add_suite("network policy", NULL, NULL);
	CU_add_test(s, "lists become policy", test_build);
	CU_add_test(s, "the command line has no lines", test_command_line);
	CU_add_test(s, "what is refused", test_refused);
	CU_add_test(s, "URLs", test_urls);
	CU_add_test(s, "what is no URL", test_no_urls);
	add_secrets_suite();
	return run_tests();
}
