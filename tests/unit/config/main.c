/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of sandbox.conf's parser. */
#include "tests/run.h"
#include "tests/unit/config/config_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct config *
parse(const char *text)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = NULL;

	if (config_parse(&c, "t.conf", text, strlen(text), error, sizeof(error)) != 0)
		fprintf(stderr, "refused: %s\n", error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

void
refuse(const char *text, const char *message)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = NULL;

	CU_ASSERT_EQUAL(
	    config_parse(&c, "t.conf", text, strlen(text), error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NULL(c);
	if (strcmp(error, message) != 0) {
		fprintf(stderr, "\n%s\n  said: %s\n  want: %s\n", text, error, message);
		CU_FAIL("another message");
	}
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
	config_free(c);
}

int
main(void)
{
	begin_tests();
	add_values_suite();
	add_add_suite();
	add_errors_suite();
	add_quote_suite();
	add_manual_suite();
	return run_tests();
}
