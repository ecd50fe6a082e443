/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told: the manual page has each key, and the examples are right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config_grammar.h"
#include "tests/unit/config/config_test.h"

static char page[1 << 16];

static void
look_for(const char *before, const char *name, const char *after)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s", before, name, after);
	if (strstr(page, text) == NULL) {
		fprintf(stderr, "sandbox.conf(5) has no %s\n", name);
		CU_FAIL("a key is not in the manual page");
	}
}

static void
look_for_keys(const struct config_section_spec *spec)
{
	size_t i;

	for (i = 0; i < spec->n_keys; i++)
		if (strcmp(spec->name, "timeouts") == 0)
			look_for(".Ic ", spec->keys[i].name, "\n");
		else
			look_for("Ic ", spec->keys[i].name, " No =");
	for (i = 0; i < spec->n_sections; i++) {
		/* A section of the file is a subsection of the page; those in it are items. */
		look_for(spec == &config_grammar ? ".Ss " : "Ic ", spec->sections[i].name, "");
		look_for_keys(&spec->sections[i]);
	}
}

static void
manual_page(void)
{
	FILE *f = fopen(SOURCE_DIR "/docs/man/sandbox.conf.5", "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_FATAL(fread(page, 1, sizeof(page) - 1, f) > 1000);
	fclose(f);
	look_for_keys(&config_grammar);
}

static void
examples(void)
{
	static const char *const names[] = {
	    SOURCE_DIR "/examples/agent-turn.conf", SOURCE_DIR "/examples/network.conf"};
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (config_load(&c, names[i], error, sizeof(error)) < 0)
			fprintf(stderr, "%s\n", error);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		CU_ASSERT_EQUAL(config_unsupported(c, error, sizeof(error)), 0);
		CU_ASSERT_EQUAL(c->command.n, 3);
		config_free(c);
	}
}

void
add_manual_suite(void)
{
	CU_pSuite suite = CU_add_suite("manual", NULL, NULL);

	CU_add_test(suite, "the manual page has each key", manual_page);
	CU_add_test(suite, "the examples are right", examples);
}
