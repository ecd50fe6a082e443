/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's parser.  A text is refused with one line that names the file, or gives a
 * configuration whose words can be written and read back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool true_of_every_input)
{
	if (!true_of_every_input)
		abort();
}

static void
round_trip(const struct config *c)
{
	char error[CONFIG_ERROR_SIZE], *quoted, *text = NULL;
	struct config *again;
	size_t i;

	for (i = 1; i < c->command.n && i < 4; i++) {
		quoted = config_quote(c->command.v[i]);
		must(quoted != NULL);
		must(asprintf(&text, "image=a command={b,%s}", quoted) > 0);
		must(config_parse(&again, "again", text, strlen(text), error, sizeof(error)) == 0);
		must(strcmp(again->command.v[1], c->command.v[i]) == 0);
		config_free(again);
		free(quoted);
		free(text);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c;

	if (config_parse(&c, "fuzz", (const char *)data, size, error, sizeof(error)) < 0) {
		must(c == NULL && strncmp(error, "fuzz:", 5) == 0 && strchr(error, '\n') == NULL);
		return 0;
	}
	must(c->image != NULL && c->user != NULL && c->command.v != NULL && c->env.v != NULL);
	must(c->network == NULL || config_line(c, "network") == c->network->line);
	(void)config_unsupported(c, error, sizeof(error));
	round_trip(c);
	config_free(c);
	return 0;
}
