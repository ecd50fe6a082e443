/* SPDX-License-Identifier: Apache-2.0 */
/* exec, bash, attach: a command in the foreground. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/command.h"
#include "client/terminal.h"
#include "ipc/log.h"

#define FAILED GONDOLIN_EXIT_FAILED

extern char **environ;

/* A login shell: the first that the guest has. */
static const char *const shells[][3] = {{"bash", "-l", NULL}, {"sh", "-l", NULL}};
#define N_SHELLS (sizeof(shells) / sizeof(shells[0]))

struct run {
	const struct command *command;
	struct options o;
	struct gondolin_session *session;
	bool owned; /* we started it */
	struct gondolin_exec_options exec;
	char **env; /* what exec.env points to */
	size_t n_env;
};

/* ---- What the command gets ---- */

static bool
sets(const struct option_values *env, const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, n) == 0 &&
		    (env->v[i][n] == '=' || env->v[i][n] == '\0'))
			return true;
	return false;
}

/* Adds NAME=VALUE as it is, and NAME with the value that it has here, if it has one. */
static void
add_env(struct run *r, const char *variable)
{
	const char *value = NULL;
	char *made;

	if (strchr(variable, '=') == NULL && (value = getenv(variable)) == NULL)
		return;
	if (asprintf(&made, value != NULL ? "%s=%s" : "%s", variable, value) < 0)
		abort();
	r->env[r->n_env++] = made;
}

static void
make_env(struct run *r)
{
	const struct option_values *given = &r->o.given[OPT_ENV];
	size_t i;

	r->env = calloc(given->n + 2, sizeof(*r->env));
	if (r->env == NULL)
		abort();
	for (i = 0; i < given->n; i++)
		add_env(r, given->v[i]);
	if (r->exec.tty && !sets(given, "TERM"))
		add_env(r, "TERM");
	r->exec.env = (const char *const *)r->env;
}

static int
prepare(struct run *r, bool want_tty)
{
	struct gondolin_exec_options *e = &r->exec;

	if (options_timeout(&r->o, &e->timeout_ms, &e->no_timeout) < 0)
		return command_misused(r->command, "%s", r->o.error);
	e->cwd = options_last(&r->o, OPT_CWD);
	e->user = options_last(&r->o, OPT_USER);
	want_tty = (want_tty || options_has(&r->o, OPT_TTY)) && !options_has(&r->o, OPT_NO_TTY);
	e->tty = want_tty && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
	if (e->tty)
		terminal_size(STDIN_FILENO, &e->rows, &e->columns);
	make_env(r);
	return 0;
}

static void
finish(struct run *r)
{
	size_t i;

	gondolin_session_close(r->session);
	for (i = 0; i < r->n_env; i++)
		free(r->env[i]);
	free(r->env);
	options_clear(&r->o);
}

/* ---- Where it runs ---- */

static int
open_session(struct run *r, const char *id)
{
	struct gondolin_error error;
	const char *option;

	if (options_shape_sandbox(&r->o, &option))
		return command_misused(
		    r->command, "--%s: a running sandbox stays as it is", option);
	if (gondolin_session_open(id, &r->session, &error) < 0)
		return command_failed(&error, FAILED);
	return 0;
}

static const char *
default_image(void)
{
	const char *name = getenv("GONDOLIN_DEFAULT_IMAGE");

	return name != NULL && name[0] != '\0' ? name : "debian";
}

static int
start_session(struct run *r)
{
	struct gondolin_start_options start = {
	    .config_path = options_last(&r->o, OPT_CONFIG),
	    .console = options_has(&r->o, OPT_CONSOLE),
	};
	struct gondolin_error error;
	char **env = NULL, *text;
	int rc;

	text = options_config(&r->o, start.config_path == NULL ? default_image() : NULL);
	if (text == NULL)
		return command_misused(r->command, "%s", r->o.error);
	env = options_env(&r->o, environ);
	start.config = text;
	start.config_length = strlen(text);
	start.env = env;
	rc = gondolin_session_start(&start, &r->session, &error);
	options_env_free(env);
	free(text);
	r->owned = rc == 0;
	return rc < 0 ? command_failed(&error, FAILED) : 0;
}

/* ---- Running it ---- */

static int
detached(struct run *r)
{
	const char *id = gondolin_session_id(r->session);
	struct gondolin_error error;

	if (r->owned && gondolin_session_release(r->session, &error) < 0)
		return command_failed(&error, FAILED);
	log_line("detached from %s: gondolin attach %s returns to it, gondolin stop %s ends it", id,
	    id, id);
	return 0;
}

static int
lost(struct run *r, const struct gondolin_result *result)
{
	struct gondolin_error error;

	if (!r->owned) {
		log_line("gondolin: %s: %s", gondolin_session_id(r->session), result->message);
		return FAILED;
	}
	gondolin_session_wait(r->session, &error);
	return command_failed(&error, FAILED);
}

/*
 * Relays a command that was sent, and frees it.  Returns the exit code, or -ENOENT where it was not
 * found and `quiet` says that the caller knows what to do.
 */
static int
relay(struct run *r, struct gondolin_exec *x, bool quiet)
{
	struct gondolin_result result;
	enum gondolin_foreground_end end = gondolin_exec_relay(x, &result);

	gondolin_exec_free(x);
	if (end == GONDOLIN_FOREGROUND_DETACHED)
		return detached(r);
	if (end == GONDOLIN_FOREGROUND_FAILED)
		log_line("gondolin: %s", result.message);
	else if (result.lost)
		return lost(r, &result);
	if (result.refused && quiet)
		return -ENOENT;
	if (result.refused)
		log_line("gondolin: %s", result.message);
	return result.exit_code;
}

static int
run_words(struct run *r, const char *const *argv, bool quiet)
{
	struct gondolin_error error;
	struct gondolin_exec *x;

	r->exec.argv = argv;
	if (gondolin_exec_start(r->session, &r->exec, &x, &error) < 0)
		return command_failed(&error, FAILED);
	return relay(r, x, quiet);
}

static int
run_shell(struct run *r)
{
	size_t i;
	int code = -ENOENT;

	for (i = 0; code == -ENOENT && i < N_SHELLS; i++)
		code = run_words(r, shells[i], i + 1 < N_SHELLS);
	return code;
}

static int
run_given_or_shell(struct run *r, char **words)
{
	return words[0] != NULL ? run_words(r, (const char *const *)words, false) : run_shell(r);
}

/* ---- The commands ---- */

int
command_exec(const struct command *c, char **words)
{
	struct run r = {.command = c};
	const char *id;
	int code;

	if (command_options(c, &r.o, words, &code))
		return code;
	id = options_last(&r.o, OPT_SESSION);
	if (r.o.n_rest == 0)
		code = command_misused(c,
		    "a command is missing, as in: gondolin exec -- uname -a (gondolin-supervisor "
		    "runs the one of a configuration)");
	else if ((code = prepare(&r, false)) == 0 &&
		 (code = id != NULL ? open_session(&r, id) : start_session(&r)) == 0)
		code = run_words(&r, (const char *const *)r.o.rest, false);
	finish(&r);
	return code;
}

int
command_bash(const struct command *c, char **words)
{
	struct run r = {.command = c};
	int code;

	if (command_options(c, &r.o, words, &code))
		return code;
	code = prepare(&r, true);
	if (code == 0)
		code = start_session(&r);
	if (code == 0)
		code = run_given_or_shell(&r, r.o.rest);
	finish(&r);
	return code;
}

/* The terminal that was detached last, else a new shell. */
static int
return_or_shell(struct run *r)
{
	struct gondolin_error error;
	struct gondolin_exec *x;
	int code;

	if (gondolin_exec_attach(r->session, r->exec.rows, r->exec.columns, &x, &error) < 0)
		return command_failed(&error, FAILED);
	code = relay(r, x, true);
	return code == -ENOENT ? run_shell(r) : code;
}

int
command_attach(const struct command *c, char **words)
{
	struct run r = {.command = c};
	const char *id = NULL;
	char **rest;
	int code;

	/* The id may stand before the options, as in the upstream project's command. */
	if (words[0] != NULL && words[0][0] != '-')
		id = *words++;
	if (command_options(c, &r.o, words, &code))
		return code;
	rest = r.o.rest;
	if (id == NULL && *rest != NULL)
		id = *rest++;
	if (*rest != NULL && strcmp(*rest, "--") == 0)
		rest++;
	if (id == NULL)
		code = command_misused(c, "a session id is missing (gondolin list shows them)");
	else if ((code = prepare(&r, true)) == 0 && (code = open_session(&r, id)) == 0)
		code = rest[0] != NULL ? run_words(&r, (const char *const *)rest, false)
				       : return_or_shell(&r);
	finish(&r);
	return code;
}

/* What gondolin-supervisor runs for the `command` of a configuration. */
int
command_foreground(const struct command *c, char **words)
{
	struct run r = {.command = c};
	struct stat st;
	char *end;
	long fd;
	int code;

	if (words[0] == NULL)
		return command_misused(c, "a descriptor is missing");
	errno = 0;
	fd = strtol(words[0], &end, 10);
	if (errno != 0 || *end != '\0' || fd <= STDERR_FILENO || fd > 1 << 20 ||
	    fstat((int)fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return command_misused(c, "%.32s: no connected socket", words[0]);
	if (command_options(c, &r.o, words + 1, &code))
		return code;
	code = prepare(&r, false);
	r.exec.argv = (const char *const *)r.o.rest;
	if (code == 0)
		code = gondolin_foreground((int)fd, &r.exec);
	finish(&r);
	return code;
}
