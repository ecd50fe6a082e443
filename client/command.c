/* SPDX-License-Identifier: Apache-2.0 */
/* The table of subcommands, and what they all need. */
#include "client/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ipc/log.h"

#define FAILED GONDOLIN_EXIT_FAILED

const struct command command_table[] = {
    {"exec", "[options] [--] COMMAND [ARGUMENTS...]",
	"run a command in a new sandbox, or with --session in a running one", FOR_EXEC, FAILED,
	command_exec, false},
    {"bash", "[options] [-- COMMAND [ARGUMENTS...]]", "start a new sandbox with a shell in it",
	FOR_BASH, FAILED, command_bash, false},
    {"attach", "ID [options] [-- COMMAND [ARGUMENTS...]]",
	"return to a detached terminal, or open another shell", FOR_ATTACH, FAILED, command_attach,
	false},
    {"list", "[options]", "show the sandboxes that run", FOR_LIST, EXIT_USAGE, command_list, false},
    {"cp", "SOURCE DESTINATION", "copy files; the guest's are ID:/PATH, and - is a tar stream", 0,
	EXIT_USAGE, command_cp, false},
    {"diff", "ID [PATH] [options]", "show what changed in a mount with mode = cow", FOR_DIFF,
	EXIT_USAGE, command_changes, false},
    {"apply", "ID [PATH] [options]", "put what diff showed into the host's directory", FOR_APPLY,
	EXIT_USAGE, command_changes, false},
    {"stop", "ID...", "end sandboxes", 0, EXIT_USAGE, command_stop, false},
    {"audit", "ID [--json] | --verify-log FILE",
	"compare the walls that stand with those that were declared", FOR_AUDIT, EXIT_USAGE,
	command_audit, false},
    {"policy", "check [options] URL...",
	"say what the network's policy would answer, without starting anything", FOR_POLICY,
	EXIT_USAGE, command_policy, false},
    {"image", "COMMAND [ARGUMENTS...]", "build, list, verify, tag and remove images", 0, EXIT_USAGE,
	command_image, false},
    {"build", "[options] [RECIPE]", "build an image", 0, EXIT_USAGE, command_image, false},
    {"version", "", "print the version", 0, EXIT_USAGE, command_version, false},
    {"help", "[COMMAND]", "explain a command", 0, EXIT_USAGE, command_help, false},
    {"--foreground", "FD [options] -- COMMAND [ARGUMENTS...]", "for gondolin-supervisor",
	FOR_FOREGROUND, FAILED, command_foreground, true},
};
const size_t command_count = sizeof(command_table) / sizeof(command_table[0]);

static void
explain(const struct command *c)
{
	printf("usage: gondolin %s %s\n\n%s\n", c->name, c->arguments, c->summary);
	if (c->options != 0) {
		printf("\n");
		options_help(stdout, c->options);
	}
	printf("\ngondolin(1) says more.\n");
}

static void
explain_all(void)
{
	size_t i;

	printf("usage: gondolin COMMAND [ARGUMENTS...]\n\n"
	       "Runs untrusted code in disposable micro-VMs.\n\n");
	for (i = 0; i < command_count; i++)
		if (!command_table[i].hidden)
			printf("  %-9s %s\n", command_table[i].name, command_table[i].summary);
	printf("\n`gondolin COMMAND --help` shows a command's options; gondolin(1) says more.\n");
}

bool
command_options(const struct command *c, struct options *o, char **words, int *code)
{
	if (c->options == 0) {
		memset(o, 0, sizeof(*o));
		if (words[0] != NULL &&
		    (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)) {
			explain(c);
			*code = 0;
			return true;
		}
		o->rest = words;
		while (words[o->n_rest] != NULL)
			o->n_rest++;
		return false;
	}
	if (options_parse(o, c->options, words) < 0) {
		*code = command_misused(c, "%s", o->error);
		options_clear(o);
		return true;
	}
	if (!options_has(o, OPT_HELP))
		return false;
	explain(c);
	options_clear(o);
	*code = 0;
	return true;
}

int
command_misused(const struct command *c, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_line("gondolin %s: %s", c->name, line);
	return c->usage_exit;
}

int
command_failed(const struct gondolin_error *error, int code)
{
	if (!error->reported)
		log_line("gondolin: %s", error->message);
	return code;
}

int
command_help(const struct command *c, char **words)
{
	size_t i;

	if (words[0] == NULL) {
		explain_all();
		return 0;
	}
	for (i = 0; i < command_count; i++)
		if (strcmp(command_table[i].name, words[0]) == 0) {
			explain(&command_table[i]);
			return 0;
		}
	return command_misused(c, "%.64s: no such command (gondolin help shows them)", words[0]);
}

int
command_version(const struct command *c, char **words)
{
	if (words[0] != NULL)
		return command_misused(c, "takes no arguments");
	printf("gondolin %s\n", gondolin_version());
	return 0;
}
