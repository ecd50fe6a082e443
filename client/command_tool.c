/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image, build, audit, diff, apply: programs of their own, since what they link (libcrypto above
 * all) takes longer to load than a whole `gondolin exec` in a running sandbox takes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/program.h"
#include "ipc/log.h"

/* words[-1] is the command's name, which the program gets as its argv[0]. */
static int
become(const char *program, char **words)
{
	char path[4096];

	if (program_find(program, path, sizeof(path)) < 0) {
		log_line(
		    "gondolin: %s was not found beside this program nor in " GONDOLIN_LIBEXECDIR
		    "; install it",
		    program);
		return GONDOLIN_EXIT_FAILED;
	}
	execv(path, words - 1);
	log_line("gondolin: cannot start %s: %s", path, strerror(errno));
	return GONDOLIN_EXIT_FAILED;
}

int
command_image(const struct command *c, char **words)
{
	(void)c;
	return become("gondolin-image", words);
}

int
command_audit(const struct command *c, char **words)
{
	(void)c;
	return become("gondolin-audit", words);
}

int
command_changes(const struct command *c, char **words)
{
	(void)c;
	return become("gondolin-changes", words);
}
