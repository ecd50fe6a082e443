/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a client's Exec, and the session's defaults. */
#include "vmrunner/exec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/agent_frame.h"
#include "ipc/log.h"

#define USER_MAX     256u
#define CWD_MAX      4096u
#define TERMINAL_MAX 65535u /* rows and columns: struct winsize has 16 bits */
#define WORD_COST    64u    /* malloc's and protobuf-c's own for each word */
#define ENVELOPE     64u    /* packed bytes around the Exec */

int
refusal_set(struct refusal *r, unsigned code, const char *format, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	r->code = code;
	r->sandbox = false;
	log_escape(r->message, sizeof(r->message), text,
	    n < 0                      ? 0
	    : (size_t)n < sizeof(text) ? (size_t)n
				       : sizeof(text) - 1);
	return -ECANCELED;
}

void
refusal_from_guest(struct refusal *r, uint32_t error, const uint8_t *message, size_t n)
{
	unsigned code = error == ENOENT ? 127 : 126;

	if (n == 0)
		refusal_set(r, code, "the command could not be run: %s", strerror((int)error));
	else
		refusal_set(r, code, "%.*s", (int)n, (const char *)message);
}

/* The length of the name of NAME=VALUE; 0 where it has none. */
static size_t
name_length(const ProtobufCBinaryData *word)
{
	const uint8_t *equals = word->len > 0 ? memchr(word->data, '=', word->len) : NULL;

	return equals != NULL ? (size_t)(equals - word->data) : 0;
}

static bool
has_nul(const ProtobufCBinaryData *word)
{
	return word->len > 0 && memchr(word->data, '\0', word->len) != NULL;
}

static int
check_words(const Gondolin__ControlExec *m, struct refusal *r)
{
	size_t i;

	if (m->n_argv == 0)
		return refusal_set(r, 125, "no command was given");
	if (m->n_argv > AGENT_ARGV_MAX || m->n_env > AGENT_ARGV_MAX)
		return refusal_set(
		    r, 126, "the argument list is too long: at most %u words", AGENT_ARGV_MAX);
	for (i = 0; i < m->n_argv; i++)
		if (has_nul(&m->argv[i]))
			return refusal_set(r, 125, "argument %zu holds a NUL byte", i);
	for (i = 0; i < m->n_env; i++)
		if (has_nul(&m->env[i]) || name_length(&m->env[i]) == 0)
			return refusal_set(
			    r, 125, "an environment word is not NAME=VALUE without NUL bytes");
	return 0;
}

static int
check(const Gondolin__ControlExec *m, struct refusal *r)
{
	int rc = check_words(m, r);

	if (rc < 0)
		return rc;
	if (m->user.len > USER_MAX || has_nul(&m->user))
		return refusal_set(r, 125, "the user's name is too long or holds a NUL byte");
	if (m->cwd.len > CWD_MAX || has_nul(&m->cwd))
		return refusal_set(r, 125, "the directory's name is too long or holds a NUL byte");
	if (m->cwd.len > 0 && m->cwd.data[0] != '/')
		return refusal_set(r, 125, "the directory is not an absolute path of the guest");
	if (m->rows > TERMINAL_MAX || m->columns > TERMINAL_MAX)
		return refusal_set(
		    r, 125, "a terminal has at most %u rows and columns", TERMINAL_MAX);
	if (m->builtin != GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE && (m->n_argv != 1 || m->tty))
		return refusal_set(r, 125, "a file transfer takes one guest path, no terminal");
	return 0;
}

/* True where one of words[from..n) sets the same name. */
static bool
is_set_again(
    const ProtobufCBinaryData *word, const ProtobufCBinaryData *words, size_t from, size_t n)
{
	size_t length = name_length(word);
	size_t i;

	for (i = from; i < n; i++)
		if (name_length(&words[i]) == length &&
		    memcmp(words[i].data, word->data, length) == 0)
			return true;
	return false;
}

/* Puts each name's last word into out; returns their number. */
static size_t
merge_env(const Gondolin__ExecDefaults *defaults, const Gondolin__ControlExec *m,
    ProtobufCBinaryData *out)
{
	size_t i, n = 0;

	for (i = 0; defaults != NULL && i < defaults->n_env; i++)
		if (!is_set_again(&defaults->env[i], m->env, 0, m->n_env) &&
		    !is_set_again(&defaults->env[i], defaults->env, i + 1, defaults->n_env))
			out[n++] = defaults->env[i];
	for (i = 0; i < m->n_env; i++)
		if (!is_set_again(&m->env[i], m->env, i + 1, m->n_env))
			out[n++] = m->env[i];
	return n;
}

/* A copy that owns its words. */
static Gondolin__AgentExec *
copy(const Gondolin__AgentExec *e, size_t size)
{
	Gondolin__AgentExec *own;
	uint8_t *bytes = malloc(size + 1);

	if (bytes == NULL)
		abort();
	gondolin__agent_exec__pack(e, bytes);
	own = gondolin__agent_exec__unpack(NULL, size, bytes);
	if (own == NULL)
		abort();
	free(bytes);
	return own;
}

static uint32_t
timeout_of(const Gondolin__ExecDefaults *defaults, const Gondolin__ControlExec *m)
{
	if (m->no_timeout)
		return 0;
	if (m->timeout_ms != 0 || defaults == NULL)
		return m->timeout_ms;
	return defaults->timeout_ms;
}

int
exec_build(const Gondolin__ExecDefaults *defaults, const Gondolin__ControlExec *m,
    Gondolin__AgentExec **out, struct refusal *r)
{
	Gondolin__AgentExec e = GONDOLIN__AGENT_EXEC__INIT;
	ProtobufCBinaryData *env;
	size_t size;
	int rc = check(m, r);

	if (rc < 0)
		return rc;
	env = calloc(m->n_env + (defaults != NULL ? defaults->n_env : 0) + 1, sizeof(*env));
	if (env == NULL)
		abort();
	e.n_argv = m->n_argv;
	e.argv = m->argv;
	e.n_env = merge_env(defaults, m, env);
	e.env = env;
	e.user = m->user.len > 0 || defaults == NULL ? m->user : defaults->user;
	e.cwd = m->cwd.len > 0 || defaults == NULL ? m->cwd : defaults->cwd;
	e.tty = m->tty;
	e.rows = m->rows;
	e.columns = m->columns;
	e.timeout_ms = timeout_of(defaults, m);
	e.builtin = m->builtin;
	size = gondolin__agent_exec__get_packed_size(&e);
	if (e.n_env > AGENT_ARGV_MAX || size > AGENT_PAYLOAD_MAX - ENVELOPE)
		rc = refusal_set(r, 126, "the argument list is too long: at most %u bytes",
		    AGENT_PAYLOAD_MAX - ENVELOPE);
	else
		*out = copy(&e, size);
	free(env);
	return rc;
}

size_t
exec_cost(const Gondolin__AgentExec *e)
{
	return gondolin__agent_exec__get_packed_size(e) + WORD_COST * (e->n_argv + e->n_env + 4);
}
