/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's options: one table for all commands, and the configuration that they mean.
 *
 * An option is `--name value` or `--name=value`, or a letter; `--` ends them, and where the words
 * are a guest's command, so does the first word that is none.  What is given more than once adds up
 * where the option is a list, and the last counts where it is not.
 */
#ifndef GONDOLIN_CLIENT_OPTIONS_H
#define GONDOLIN_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define OPTIONS_ERROR_SIZE 512u

/* Who takes an option, as a bit mask. */
enum option_commands {
	FOR_EXEC = 1 << 0,
	FOR_BASH = 1 << 1,
	FOR_ATTACH = 1 << 2,
	FOR_LIST = 1 << 3,
	FOR_AUDIT = 1 << 4,
	FOR_FOREGROUND = 1 << 5,
	FOR_POLICY = 1 << 6,
	FOR_DIFF = 1 << 7,
	FOR_APPLY = 1 << 8,
	FOR_NEW = FOR_EXEC | FOR_BASH,
	FOR_COMMAND = FOR_NEW | FOR_ATTACH | FOR_FOREGROUND,
	FOR_NETWORK = FOR_NEW | FOR_POLICY, /* what `policy check` judges by */
	FOR_ALL = FOR_COMMAND | FOR_LIST | FOR_AUDIT | FOR_POLICY | FOR_DIFF | FOR_APPLY,
};

/* In the order in which help shows them and the configuration gets them. */
enum option_id {
	/* the command */
	OPT_SESSION,
	OPT_CWD,
	OPT_ENV,
	OPT_USER,
	OPT_TIMEOUT,
	OPT_TTY,
	OPT_NO_TTY,
	/* the sandbox */
	OPT_CONFIG,
	OPT_IMAGE,
	OPT_ID,
	OPT_LABEL,
	OPT_AUDIT,
	OPT_HOOKS,
	OPT_CONSOLE,
	/* the machine */
	OPT_CPUS,
	OPT_MEMORY,
	OPT_ACCEL,
	OPT_ROOTFS,
	OPT_START,
	OPT_VMM,
	/* files */
	OPT_MOUNT_HOSTFS,
	OPT_MOUNT_MEMFS,
	/* network */
	OPT_ALLOW_HOST,
	OPT_ALLOW_INTERNAL,
	OPT_DNS,
	OPT_DNS_TRUSTED_SERVER,
	OPT_DNS_MAPPING,
	OPT_DISABLE_WEBSOCKETS,
	OPT_HOST_SECRET,
	OPT_TCP_MAP,
	/* ingress */
	OPT_LISTEN,
	OPT_ROUTE,
	/* ssh */
	OPT_SSH_ALLOW_HOST,
	OPT_SSH_AGENT,
	OPT_SSH_KNOWN_HOSTS,
	/* known from the upstream project, without a counterpart here */
	OPT_ROOTFS_SIZE,
	OPT_RESUME,
	OPT_SSH_CREDENTIAL,
	OPT_SSH,
	OPT_SSH_USER,
	OPT_SSH_PORT,
	OPT_SSH_LISTEN,
	/* other commands */
	OPT_ALL,
	OPT_JSON,
	OPT_VERIFY_LOG,
	OPT_PATCH,
	OPT_CHANGE,
	OPT_FORCE,
	OPT_HELP,
	OPT_COUNT,
};

enum option_section {
	SECTION_NONE, /* no part of the configuration */
	SECTION_TOP,
	SECTION_VM,
	SECTION_NETWORK,
	SECTION_INGRESS,
	SECTION_SSH,
	SECTION_COUNT,
};

enum option_argument {
	ARGUMENT_NONE,
	ARGUMENT_REQUIRED,
	ARGUMENT_OPTIONAL, /* with "=" only */
};

/* What config_write_options() needs to know while it writes. */
struct option_writer {
	FILE *out;
	char error[OPTIONS_ERROR_SIZE];
};

struct option {
	const char *name; /* without the dashes */
	char letter;      /* 0 = none */
	unsigned commands;
	enum option_argument argument;
	const char *metavar;
	const char *help;
	enum option_section section;
	const char *key;   /* in the configuration */
	const char *fixed; /* ARGUMENT_NONE and _OPTIONAL: the value of the key */
	bool list;
	/* Writes one value that is more than a key.  Returns 0, or -EINVAL with w->error. */
	int (*write)(struct option_writer *w, const char *value);
	const char *refused; /* why it cannot be had, and what to do instead */
};

extern const struct option option_table[OPT_COUNT];

struct option_values {
	const char **v;
	size_t n;
};

struct options {
	struct option_values given[OPT_COUNT]; /* pointers into argv, or `fixed`, or "" */
	char **rest;                           /* what is no option */
	size_t n_rest;
	char error[OPTIONS_ERROR_SIZE];
};

/*
 * Reads the options of one command from words (NULL-terminated; without the command's name), and
 * gathers the others, in their order, where o->rest points within it.  Returns 0; -EINVAL with
 * o->error, a line that names the option and what it takes.
 */
int options_parse(struct options *o, unsigned command, char **words);

void options_clear(struct options *o);

bool options_has(const struct options *o, enum option_id id);

/* The value given last, or NULL. */
const char *options_last(const struct options *o, enum option_id id);

/* True where anything was given that shapes a sandbox; *name is the first such option's. */
bool options_shape_sandbox(const struct options *o, const char **name);

/* Prints the options that a command takes, one or two lines each. */
void options_help(FILE *out, unsigned command);

/*
 * The text of a configuration that says what the options say.  Values are quoted, whatever they
 * hold.  image is what to name where no option does; NULL = nothing.  Returns memory that the
 * caller frees, or NULL with o->error.
 */
char *options_config(struct options *o, const char *image);

/*
 * Environment for gondolin-supervisor: `base` and the variables that hold what is not to appear in
 * a configuration (the values of secrets).  Freed by options_env_free().
 */
char **options_env(const struct options *o, char *const *base);
void options_env_free(char **env);

/* `--timeout`: seconds, 0 = none.  Returns 0, or -EINVAL with o->error. */
int options_timeout(struct options *o, unsigned *timeout_ms, bool *no_timeout);

#endif
