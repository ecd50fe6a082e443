/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor - starts one sandbox's processes, each behind its wall, and ends them together.
 *
 * Reads:    the configuration, which is the user's; typed and capped messages of its own children.
 * Holds:    the configuration, child pids, the audit log.  The invoking user's rights, or root's.
 * If taken: the attacker is the invoking user.  So it has no parser for a byte that a guest or a
 * remote wrote.
 */
#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/standard.h"
#include "supervisor/config.h"
#include "supervisor/declared.h"
#include "supervisor/network_policy.h"
#include "supervisor/sandbox.h"

enum {
	OPTION_CONFIG = 'c',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_CHECK = 256,
	OPTION_AUDIT,
	OPTION_JSON,
	OPTION_LIFELINE,
	OPTION_OPTIONS,
	OPTION_CONSOLE
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"audit", no_argument, NULL, OPTION_AUDIT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"lifeline", required_argument, NULL, OPTION_LIFELINE},
    {"options", required_argument, NULL, OPTION_OPTIONS},
    {"console", no_argument, NULL, OPTION_CONSOLE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static const char usage[] =
    "Usage: gondolin-supervisor --config FILE [--check | --audit [--json]]\n"
    "\n"
    "Runs one sandbox in the foreground.  With `command` in the configuration: runs it, streams "
    "its\n"
    "output and exits with its code; without: serves until it is told to stop.\n"
    "\n"
    "  -c, --config FILE   the configuration (sandbox.conf(5)); - is standard input\n"
    "      --check         check the configuration and stop\n"
    "      --audit         print the declared policy of every process, and start nothing\n"
    "      --json          with --audit: as JSON\n"
    "      --console       show what the guest's console says\n"
    "      --lifeline FD   end when this inherited socket closes (for programs)\n"
    "      --options FD    add the configuration text in this inherited file (for programs)\n"
    "  -h, --help          this text\n"
    "  -V, --version       the version\n"
    "\n"
    "Exit: the command's code, 128+signal; 124 time-out, 125 the sandbox failed, 126 not "
    "executable,\n"
    "127 not found.\n";

struct arguments {
	const char *config;
	bool check, audit, json, console;
	int lifeline, options;
};

/* Returns the descriptor that text names, of a file of this type, or -1. */
static int
parse_descriptor(const char *option, const char *text, mode_t type)
{
	struct stat st;
	char *rest;
	long fd = strtol(text, &rest, 10);

	if (*rest != '\0' || rest == text || fd <= STDERR_FILENO || fd > INT_MAX)
		log_line("gondolin: %s %s: not a descriptor above 2", option, text);
	else if (fstat((int)fd, &st) < 0 || (st.st_mode & S_IFMT) != type)
		log_line("gondolin: %s %s: no %s was inherited there", option, text,
		    type == S_IFSOCK ? "socket" : "file");
	else
		return (int)fd;
	return -1;
}

/* --config, and what --options adds to it.  Returns 0, or -errno with a line in error. */
static int
load(struct config **c, const struct arguments *a, char *error, size_t error_size)
{
	char path[32];
	int rc = 0;

	assert(a->config != NULL || a->options >= 0);
	*c = NULL;
	if (a->config != NULL)
		rc = config_load(c, a->config, error, error_size);
	if (rc < 0 || a->options < 0)
		return rc;
	snprintf(path, sizeof(path), "/dev/fd/%d", a->options);
	rc = config_add_file(c, CONFIG_OPTIONS_NAME, path, error, error_size);
	close(a->options);
	return rc;
}

/* What the grammar alone cannot tell.  Returns 0, or -errno with a line in error. */
static int
check(const struct config *c, char *error, size_t error_size)
{
	struct network_policy policy;
	int rc = config_unsupported(c, error, error_size);

	if (rc < 0 || c->network == NULL)
		return rc;
	rc = network_policy_build(&policy, c, error, error_size);
	if (rc == 0)
		network_policy_clear(&policy);
	return rc;
}

/* Returns -1 to go on, else the exit code. */
static int
parse_arguments(int argc, char **argv, struct arguments *a)
{
	int option;

	while ((option = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
			a->config = optarg;
			break;
		case OPTION_CHECK:
			a->check = true;
			break;
		case OPTION_AUDIT:
			a->audit = true;
			break;
		case OPTION_JSON:
			a->json = true;
			break;
		case OPTION_LIFELINE:
			a->lifeline = parse_descriptor("--lifeline", optarg, S_IFSOCK);
			if (a->lifeline < 0)
				return EXIT_SANDBOX_FAILED;
			break;
		case OPTION_OPTIONS:
			a->options = parse_descriptor("--options", optarg, S_IFREG);
			if (a->options < 0)
				return EXIT_SANDBOX_FAILED;
			break;
		case OPTION_CONSOLE:
			a->console = true;
			break;
		case OPTION_HELP:
			fputs(usage, stdout);
			return 0;
		case OPTION_VERSION:
			puts("gondolin-supervisor " GONDOLIN_VERSION);
			return 0;
		default:
			return EXIT_SANDBOX_FAILED;
		}
	}
	if ((a->config != NULL || a->options >= 0) && optind == argc)
		return -1;
	log_line(optind < argc
		     ? "gondolin: %s: not an option; the command belongs into the configuration"
		     : "gondolin: --config FILE is needed; see gondolin-supervisor --help",
	    optind < argc ? argv[optind] : "");
	return EXIT_SANDBOX_FAILED;
}

int
main(int argc, char **argv)
{
	struct arguments a = {.lifeline = -1, .options = -1};
	struct config *config = NULL;
	char error[CONFIG_ERROR_SIZE];
	int code;

	standard_begin();
	code = parse_arguments(argc, argv, &a);
	if (code >= 0)
		return code == 0 && standard_end() < 0 ? EXIT_SANDBOX_FAILED : code;
	if (load(&config, &a, error, sizeof(error)) < 0 ||
	    check(config, error, sizeof(error)) < 0) {
		log_line("gondolin: %s", error);
		code = EXIT_SANDBOX_FAILED;
	} else if (a.check) {
		code = 0;
	} else if (a.audit) {
		code = declared_print(config, a.json) == 0 ? 0 : 1;
	} else {
		const struct sandbox_options options = {
		    .config_path = a.config, .lifeline = a.lifeline, .console = a.console};

		code = sandbox_run(config, &options);
	}
	config_free(config);
	return code;
}
