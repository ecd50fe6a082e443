/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of `gondolin`. */
#ifndef GONDOLIN_CLIENT_COMMAND_H
#define GONDOLIN_CLIENT_COMMAND_H

#include "client/gondolin.h"
#include "client/options.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct command {
	const char *name;
	const char *arguments; /* as in the synopsis */
	const char *summary;
	unsigned options; /* one bit of enum option_commands; 0 = it takes --help only */
	int usage_exit;   /* exit code of wrong usage */
	int (*run)(const struct command *c, char **words);
	bool hidden;
};

extern const struct command command_table[];
extern const size_t command_count;

/*
 * Reads the options of c from words.  Returns true where the command has nothing more to do: --help
 * was answered, or the usage was wrong; *code is then its exit code.
 */
bool command_options(const struct command *c, struct options *o, char **words, int *code);

/* Says what is wrong with the usage, and returns the exit code. */
int command_misused(const struct command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints an error of the library, unless that was done, and returns code. */
int command_failed(const struct gondolin_error *error, int code);

int command_exec(const struct command *c, char **words);
int command_bash(const struct command *c, char **words);
int command_attach(const struct command *c, char **words);
int command_foreground(const struct command *c, char **words);
int command_list(const struct command *c, char **words);
int command_stop(const struct command *c, char **words);
int command_cp(const struct command *c, char **words);
int command_policy(const struct command *c, char **words);
int command_audit(const struct command *c, char **words);
int command_changes(const struct command *c, char **words);
int command_image(const struct command *c, char **words);
int command_help(const struct command *c, char **words);
int command_version(const struct command *c, char **words);

#endif
