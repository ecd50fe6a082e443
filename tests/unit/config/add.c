/* SPDX-License-Identifier: Apache-2.0 */
/* A second text on top of a first one: the command line's options on a file. */
#include <errno.h>
#include <string.h>

#include "tests/unit/config/config_test.h"

static const char base[] = "image = a\n"
			   "timeout = 5\n"
			   "env = {\"A=1\"}\n"
			   "vm { cpus = 2  memory = 1G }\n"
			   "network { allow = {a.example}  dns = trusted\n"
			   "  dns-trusted-server = {\"192.0.2.1\"}\n"
			   "  secret T { hosts = {a.example}  env = T } }\n"
			   "mount '/w' { host = \".\"  mode = rw }\n";

static int
add(struct config **c, const char *text, char *error)
{
	error[0] = '\0';
	return config_add(c, "options", text, strlen(text), error, CONFIG_ERROR_SIZE);
}

static void
test_replaces_and_adds(void)
{
	char error[CONFIG_ERROR_SIZE];
	struct config *c = parse(base);

	CU_ASSERT_EQUAL_FATAL(
	    add(&c,
		"image = b\nlabel = x\nenv = {\"B=2\"}\nvm { cpus = 4 }\n"
		"network { allow = {b.example}  secret U { hosts = {b.example} env = U } }\n"
		"mount '/s' { memory = 1M }\n",
		error),
	    0);
	CU_ASSERT_STRING_EQUAL(c->name, "t.conf");
	CU_ASSERT_STRING_EQUAL(c->image, "b");
	CU_ASSERT_STRING_EQUAL(c->label, "x");
	CU_ASSERT_EQUAL(c->timeout, 5);
	CU_ASSERT_EQUAL_FATAL(c->env.n, 2);
	CU_ASSERT_STRING_EQUAL(c->env.v[0], "A=1");
	CU_ASSERT_STRING_EQUAL(c->env.v[1], "B=2");
	CU_ASSERT_PTR_NULL(c->env.v[2]);
	CU_ASSERT_EQUAL(c->vm.cpus, 4);
	CU_ASSERT_EQUAL(c->vm.memory, UINT64_C(1) << 30);
	CU_ASSERT_EQUAL(c->network->dns, CONFIG_DNS_TRUSTED);
	CU_ASSERT_EQUAL(c->network->timeouts.idle, 300);
	CU_ASSERT_EQUAL_FATAL(c->network->allow.n, 2);
	CU_ASSERT_STRING_EQUAL(c->network->allow.v[1].host, "b.example");
	CU_ASSERT_EQUAL_FATAL(c->network->n_secrets, 2);
	CU_ASSERT_STRING_EQUAL(c->network->secrets[0].name, "T");
	CU_ASSERT_STRING_EQUAL(c->network->secrets[1].name, "U");
	CU_ASSERT_EQUAL_FATAL(c->n_mounts, 2);
	CU_ASSERT_STRING_EQUAL(c->mounts[1].path, "/s");
	CU_ASSERT_EQUAL(c->mounts[1].mode, CONFIG_MOUNT_RW);
	CU_ASSERT_EQUAL(c->mounts[0].max_open, 4096);
	CU_ASSERT_EQUAL(config_line(c, "timeout"), 2);
	CU_ASSERT_EQUAL(config_line(c, "label"), 2);
	config_free(c);
}

/* A section that only the second text has gets its defaults like any other. */
static void
test_new_section(void)
{
	char error[CONFIG_ERROR_SIZE];
	struct config *c = parse("image = a");

	CU_ASSERT_EQUAL_FATAL(add(&c, "network { allow = {b.example} }", error), 0);
	CU_ASSERT_TRUE(c->network->websockets);
	CU_ASSERT_EQUAL(c->network->timeouts.connect, 10);
	CU_ASSERT_EQUAL(c->network->allow.n, 1);
	config_free(c);
}

static void
test_nothing(void)
{
	char error[CONFIG_ERROR_SIZE];
	struct config *c = parse(base);

	CU_ASSERT_EQUAL_FATAL(add(&c, "", error), 0);
	CU_ASSERT_EQUAL(c->vm.cpus, 2);
	CU_ASSERT_EQUAL(c->env.n, 1);
	CU_ASSERT_EQUAL(c->network->n_secrets, 1);
	config_free(c);
}

static void
test_refused(void)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
	    {"vm { memory = 1X }", "options:1: memory = \"1X\": "},
	    {"nosuch = 1", "options:1: unknown key nosuch"},
	    {"env = {\"A=2\"}", "options:3: env: A is set twice"},
	    {"image = b\nimage = c", "options:2: image is given twice"},
	    {"mount '/w' { memory = 1M }", "options: mount \"/w\" is given twice"},
	    {"network { secret T { hosts = {b.example} env = U } }",
		"options:1: network: secret \"T\" is given twice"},
	};
	char error[CONFIG_ERROR_SIZE];
	struct config *c;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = parse(base);
		CU_ASSERT_EQUAL(add(&c, rows[i].text, error), -EINVAL);
		CU_ASSERT_PTR_NULL(c);
		if (strstr(error, rows[i].error) != error)
			CU_ASSERT_STRING_EQUAL(error, rows[i].error);
	}
}

void
add_add_suite(void)
{
	CU_pSuite suite = CU_add_suite("a second text", NULL, NULL);

	CU_add_test(suite, "replaces and adds", test_replaces_and_adds);
	CU_add_test(suite, "a section of its own", test_new_section);
	CU_add_test(suite, "nothing", test_nothing);
	CU_add_test(suite, "refused", test_refused);
}
