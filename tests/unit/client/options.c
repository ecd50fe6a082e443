/* SPDX-License-Identifier: Apache-2.0 */
/* Options to configuration text, which the supervisor's own parser then reads back. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/options.h"
#include "supervisor/config.h"
#include "tests/unit/client/client_test.h"

#define WORDS_MAX 10

struct row {
	char *words[WORDS_MAX];
	const char *text; /* NULL = an error, which names errors */
	const char *error;
};

static const struct row rows[] = {
    {{NULL}, "", NULL},
    {{"--image", "debian", NULL}, "image = \"debian\"\n", NULL},
    {{"--image=debian", NULL}, "image = \"debian\"\n", NULL},
    {{"--image=a", "--image=b", NULL}, "image = \"b\"\n", NULL},
    {{"--id", "box", NULL}, "id = \"box\"\n", NULL},
    {{"--label", "a b", NULL}, "label = \"a b\"\n", NULL},
    {{"--audit", "turn.jsonl", NULL}, "audit = \"turn.jsonl\"\n", NULL},
    {{"--hooks", "p.js", NULL}, "hooks = \"p.js\"\n", NULL},
    {{"--cpus", "2", NULL}, "vm {\ncpus = \"2\"\n}\n", NULL},
    {{"--memory=1G", "--accel", "tcg", NULL}, "vm {\nmemory = \"1G\"\naccel = \"tcg\"\n}\n", NULL},
    {{"--rootfs", "memory", "--start", "cold", NULL},
	"vm {\nrootfs = \"memory\"\nstart = \"cold\"\n}\n", NULL},
    {{"--vmm", "qemu", NULL}, "", NULL},
    {{"--vmm", "krun", NULL}, NULL, "qemu"},
    {{"--mount-hostfs", "/a:/b", NULL}, "mount \"/b\" { host = \"/a\" mode = rw }\n", NULL},
    {{"--mount-hostfs", ".:/w:ro", NULL}, "mount \"/w\" { host = \".\" mode = ro }\n", NULL},
    {{"--mount-hostfs", "/a:b:/c:rw", NULL}, "mount \"/c\" { host = \"/a:b\" mode = rw }\n", NULL},
    {{"--mount-hostfs", "/a", NULL}, NULL, "--mount-hostfs"},
    {{"--mount-hostfs", ":/a", NULL}, NULL, "--mount-hostfs"},
    {{"--mount-hostfs", "/a:b", NULL}, NULL, "absolute"},
    {{"--mount-memfs", "/t", NULL}, "mount \"/t\" { memory = \"256M\" }\n", NULL},
    {{"--mount-memfs", "/t:1G", NULL}, "mount \"/t\" { memory = \"1G\" }\n", NULL},
    {{"--mount-memfs", "t", NULL}, NULL, "--mount-memfs"},
    {{"--allow-host", "a.example", "--allow-host", "*.b.example", NULL},
	"network {\nallow = {\"a.example\", \"*.b.example\"}\n}\n", NULL},
    {{"--allow-internal", "a.example", NULL}, "network {\nallow-internal = {\"a.example\"}\n}\n",
	NULL},
    {{"--dns", "trusted", "--dns-trusted-server", "192.0.2.1", NULL},
	"network {\ndns = \"trusted\"\ndns-trusted-server = {\"192.0.2.1\"}\n}\n", NULL},
    {{"--dns-synthetic-host-mapping", "per-host", NULL}, "", NULL},
    {{"--dns-synthetic-host-mapping", "single", NULL}, NULL, "per-host"},
    {{"--disable-websockets", NULL}, "network {\nwebsockets = \"false\"\n}\n", NULL},
    {{"--disable-websockets=no", NULL}, NULL, "takes no value"},
    {{"--host-secret", "T@a.example,b.example", NULL},
	"network {\nsecret T { hosts = {\"a.example\", \"b.example\"} env = \"T\" }\n}\n", NULL},
    {{"--host-secret", "T@a.example=v,w=x", NULL},
	"network {\nsecret T { hosts = {\"a.example\"} env = \"GONDOLIN_SECRET_T\" }\n}\n", NULL},
    {{"--host-secret", "T", NULL}, NULL, "NAME@HOST"},
    {{"--host-secret", "T=v@a.example", NULL}, NULL, "NAME@HOST"},
    {{"--host-secret", "a b@c.example", NULL}, NULL, "NAME@HOST"},
    {{"--tcp-map", "pg.internal=127.0.0.1:5432", NULL},
	"network {\ntcp \"pg.internal:5432\" { to = \"127.0.0.1:5432\" }\n}\n", NULL},
    {{"--tcp-map", "pg.internal:1=127.0.0.1:5432", NULL},
	"network {\ntcp \"pg.internal:1\" { to = \"127.0.0.1:5432\" }\n}\n", NULL},
    {{"--tcp-map", "pg.internal", NULL}, NULL, "--tcp-map"},
    {{"--listen", "--route", "/=8000", NULL},
	"ingress {\nlisten = \"127.0.0.1:0\"\nroute \"/\" { port = \"8000\" }\n}\n", NULL},
    {{"--listen=127.0.0.1:3000", "--route", "/a=1", "--route", "/b=2", NULL},
	"ingress {\nlisten = \"127.0.0.1:3000\"\nroute \"/a\" { port = \"1\" }\n"
	"route \"/b\" { port = \"2\" }\n}\n",
	NULL},
    {{"--listen", NULL}, NULL, "--route"},
    {{"--ssh-allow-host", "github.com", "--ssh-agent", "--ssh-known-hosts", "k", NULL},
	"ssh {\nallow = {\"github.com\"}\nagent = true\nknown-hosts = \"k\"\n}\n", NULL},
    {{"--rootfs-size", "2G", NULL}, NULL, "not supported"},
    {{"--resume", "x", NULL}, NULL, "not supported"},
    {{"--ssh-credential", "x=y", NULL}, NULL, "not supported"},
    {{"--ssh", NULL}, NULL, "not supported"},
    {{"--cwd", "/w", "--env", "A=1", "--user", "u", "--tty", "--timeout", "5", NULL},
	"user = \"u\"\n", NULL},
    {{"--image", NULL}, NULL, "missing"},
    {{"--imag", "x", NULL}, NULL, "no such option"},
    {{"--json", NULL}, NULL, "no such option"},
    {{"-x", NULL}, NULL, "no such option"},
    {{"-tx", NULL}, NULL, "no such option"},
};

/* The image is what a configuration cannot do without. */
static void
check_parses(const char *text)
{
	char error[CONFIG_ERROR_SIZE] = "", *whole;
	struct config *config = NULL;
	int n =
	    asprintf(&whole, "%s%s", text, strstr(text, "image =") != NULL ? "" : "image = x\n");

	CU_ASSERT_FATAL(n >= 0);
	CU_ASSERT_EQUAL(
	    config_parse(&config, "options", whole, (size_t)n, error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(error, "");
	config_free(config);
	free(whole);
}

static void
check_row(const struct row *row)
{
	char *text = NULL;
	struct options o;

	if (options_parse(&o, FOR_EXEC, (char **)(size_t)row->words) == 0)
		text = options_config(&o, NULL);
	if (row->text == NULL) {
		CU_ASSERT_PTR_NULL(text);
		CU_ASSERT_PTR_NOT_NULL(strstr(o.error, row->error));
	} else {
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT_STRING_EQUAL(text, row->text);
		check_parses(text);
	}
	free(text);
	options_clear(&o);
}

static void
test_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

/* Every option of the table that shapes a sandbox has a row. */
static void
test_all_covered(void)
{
	char wanted[80];
	size_t i, j, k, length;
	bool found;

	for (i = 0; i < OPT_COUNT; i++) {
		if ((option_table[i].commands & FOR_NEW) == 0 ||
		    (option_table[i].section == SECTION_NONE && option_table[i].refused == NULL))
			continue;
		length = (size_t)snprintf(wanted, sizeof(wanted), "--%s", option_table[i].name);
		found = false;
		for (j = 0; j < sizeof(rows) / sizeof(rows[0]); j++)
			for (k = 0; k < WORDS_MAX && rows[j].words[k] != NULL; k++)
				found |= strncmp(rows[j].words[k], wanted, length) == 0 &&
					 (rows[j].words[k][length] == '\0' ||
					     rows[j].words[k][length] == '=');
		CU_ASSERT(found || option_table[i].refused != NULL);
	}
}

/* Whatever a value holds, it stays a value; or the configuration is refused. */
static void
check_value(const char *value, bool refused)
{
	char error[CONFIG_ERROR_SIZE], mount[128], *text;
	char *words[] = {"--image", (char *)(size_t)value, "--mount-hostfs", mount, NULL};
	struct config *config = NULL;
	struct options o;

	snprintf(mount, sizeof(mount), "%s:/w", value);
	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, words), 0);
	text = options_config(&o, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	config_parse(&config, "options", text, strlen(text), error, sizeof(error));
	CU_ASSERT_EQUAL(config == NULL, refused);
	if (config != NULL) {
		CU_ASSERT_STRING_EQUAL(config->image, value);
		CU_ASSERT_EQUAL_FATAL(config->n_mounts, 1);
		CU_ASSERT_STRING_EQUAL(config->mounts[0].host, value);
		CU_ASSERT_EQUAL(config->vm.cpus, 1);
	}
	config_free(config);
	free(text);
	options_clear(&o);
}

static void
test_hostile_values(void)
{
	static const struct {
		const char *value;
		bool refused;
	} cases[] = {
	    {"x\" vm { cpus = 64 } #", false},
	    {"x\"\nvm { cpus = 64 }\n#", true},
	    {"${HOME}", false},
	    {"back\\slash\\", false},
	    {"'single'", false},
	    {"# no comment", false},
	    {"/* nor this */", false},
	    {"}", false},
	    {"a\tb", true},
	    {"\xc3\xa9", false},
	};
	char *words[] = {"--image", "\xff", NULL};
	struct options o;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_value(cases[i].value, cases[i].refused);
	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, words), 0);
	CU_ASSERT_PTR_NULL(options_config(&o, NULL));
	options_clear(&o);
}

static void
test_default_image(void)
{
	char *given[] = {"--image", "mine", NULL}, *none[] = {NULL};
	struct options o;
	char *text;

	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, none), 0);
	text = options_config(&o, "debian");
	CU_ASSERT_STRING_EQUAL(text, "image = \"debian\"\n");
	free(text);
	options_clear(&o);
	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, given), 0);
	text = options_config(&o, "debian");
	CU_ASSERT_STRING_EQUAL(text, "image = \"mine\"\n");
	free(text);
	options_clear(&o);
}

static void
test_rest(void)
{
	char *words[] = {"--env", "A=1", "-e", "B", "-t", "--", "--image", "x", NULL};
	char *bare[] = {"-t", "ls", "--image", "x", NULL};
	char *dash[] = {"-", "x", NULL};
	char *mixed[] = {"url", "--config", "f", "-", "--", "--json", NULL};
	struct options o;

	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, words), 0);
	CU_ASSERT_EQUAL(o.given[OPT_ENV].n, 2);
	CU_ASSERT(options_has(&o, OPT_TTY));
	CU_ASSERT_FALSE(options_has(&o, OPT_IMAGE));
	CU_ASSERT_EQUAL(o.n_rest, 2);
	CU_ASSERT_STRING_EQUAL(o.rest[0], "--image");
	options_clear(&o);

	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, bare), 0);
	CU_ASSERT_EQUAL(o.n_rest, 3);
	options_clear(&o);

	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, dash), 0);
	CU_ASSERT_EQUAL(o.n_rest, 2);
	options_clear(&o);

	/* Only a guest's command has options that are not ours. */
	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_POLICY, mixed), 0);
	CU_ASSERT_EQUAL(o.n_rest, 3);
	CU_ASSERT_STRING_EQUAL(o.rest[0], "url");
	CU_ASSERT_STRING_EQUAL(o.rest[1], "-");
	CU_ASSERT_STRING_EQUAL(o.rest[2], "--json");
	CU_ASSERT_PTR_NULL(o.rest[3]);
	CU_ASSERT(options_has(&o, OPT_CONFIG) && !options_has(&o, OPT_JSON));
	options_clear(&o);
}

static void
test_timeout(void)
{
	static const struct {
		const char *value;
		int rc;
		unsigned ms;
		bool none;
	} cases[] = {
	    {"0", 0, 0, true},
	    {"5", 0, 5000, false},
	    {"4000000", 0, 4000000000u, false},
	    {"4000001", -1, 0, false},
	    {"-1", -1, 0, false},
	    {" 1", -1, 0, false},
	    {"1s", -1, 0, false},
	    {"", -1, 0, false},
	    {"99999999999999999999", -1, 0, false},
	};
	char *words[] = {"--timeout", NULL, NULL};
	struct options o;
	unsigned ms;
	bool none;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		words[1] = (char *)(size_t)cases[i].value;
		CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, words), 0);
		rc = options_timeout(&o, &ms, &none);
		CU_ASSERT_EQUAL(rc < 0, cases[i].rc < 0);
		if (rc == 0) {
			CU_ASSERT_EQUAL(ms, cases[i].ms);
			CU_ASSERT_EQUAL(none, cases[i].none);
		}
		options_clear(&o);
	}
}

static bool
has_variable(char **env, const char *variable)
{
	size_t i;

	for (i = 0; env[i] != NULL; i++)
		if (strcmp(env[i], variable) == 0)
			return true;
	return false;
}

static void
test_environment(void)
{
	char *base[] = {"PATH=/bin", "SSH_AUTH_SOCK=/old", NULL};
	char *words[] = {"--host-secret", "T@a.example=v=w", "--host-secret", "U@a.example",
	    "--ssh-agent=/new", NULL};
	struct options o;
	char **env;

	CU_ASSERT_EQUAL_FATAL(options_parse(&o, FOR_EXEC, words), 0);
	env = options_env(&o, base);
	CU_ASSERT(has_variable(env, "PATH=/bin"));
	CU_ASSERT(has_variable(env, "GONDOLIN_SECRET_T=v=w"));
	CU_ASSERT(has_variable(env, "SSH_AUTH_SOCK=/new"));
	CU_ASSERT_FALSE(has_variable(env, "SSH_AUTH_SOCK=/old"));
	CU_ASSERT_PTR_NULL(env[3]);
	options_env_free(env);
	options_clear(&o);
}

void
add_options_suite(void)
{
	CU_pSuite s = CU_add_suite("options", NULL, NULL);

	CU_add_test(s, "configuration of each option", test_rows);
	CU_add_test(s, "every option is tested", test_all_covered);
	CU_add_test(s, "hostile values", test_hostile_values);
	CU_add_test(s, "the image of who names none", test_default_image);
	CU_add_test(s, "words after the options", test_rest);
	CU_add_test(s, "time-out", test_timeout);
	CU_add_test(s, "the supervisor's environment", test_environment);
}
