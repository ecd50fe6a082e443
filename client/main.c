/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gondolin - the command line: starts sandboxes and talks to them.
 *
 * Reads:    its own arguments; through libgondolin what vmrunner relays of a guest: bytes to write
 * out, and capped, typed messages.
 * Holds:    what the invoking user holds: it runs as that user, outside every wall.
 * If taken: the user is.  It therefore parses nothing of the guest's but a tar stream (cp).
 */
#include <string.h>

#include "client/command.h"
#include "ipc/log.h"
#include "ipc/standard.h"

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	size_t i;
	int code;

	standard_begin();
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	for (i = 0; i < command_count; i++)
		if (strcmp(command_table[i].name, name) == 0) {
			code = command_table[i].run(&command_table[i], argv + 2);
			if (standard_end() < 0 && code == 0)
				code = EXIT_FAILED;
			return code;
		}
	log_line("gondolin: %s%.64s%s (gondolin help shows the commands)", argc > 1 ? "\"" : "",
	    argc > 1 ? name : "a command is missing", argc > 1 ? "\" is no command" : "");
	return EXIT_USAGE;
}
