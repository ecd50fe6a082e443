/* SPDX-License-Identifier: Apache-2.0 */
/* One command: its control connection and its pipes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"
#include "ipc/agent_frame.h"
#include "ipc/dispatch.h"
#include "ipc/log.h"
#include "ipc/message.h"

#define ROWS_DEFAULT    24
#define COLUMNS_DEFAULT 80
#define SIZE_MAX_TTY    65535u
#define DETACH_WAIT_MS  5000

/* ---- What vmrunner answers ---- */

#define WHILE(state) (1u << (state))

static int
on_started(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct gondolin_exec *x = ctx;
	const Gondolin__ControlStarted *m = body;

	(void)fds;
	(void)n_fds;
	x->tty = m->tty;
	x->state = GONDOLIN_EXEC_RUNNING;
	return 0;
}

static int
on_exited(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct gondolin_exec *x = ctx;
	const Gondolin__ControlExited *m = body;
	struct gondolin_result *r = &x->result;

	(void)fds;
	(void)n_fds;
	if (m->status > 255 || m->status < -SIGRTMAX)
		return -EPROTO;
	if (m->status < 0)
		r->signal = -m->status;
	r->timed_out = m->timed_out;
	if (m->timed_out)
		r->exit_code = GONDOLIN_EXIT_TIMEOUT;
	else
		r->exit_code = m->status < 0 ? GONDOLIN_EXIT_SIGNAL - m->status : m->status;
	x->state = GONDOLIN_EXEC_ENDED;
	return 0;
}

static int
on_refused(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct gondolin_exec *x = ctx;
	const Gondolin__ControlRefused *m = body;
	struct gondolin_result *r = &x->result;

	(void)fds;
	(void)n_fds;
	if (m->code < GONDOLIN_EXIT_FAILED || m->code > GONDOLIN_EXIT_NOT_FOUND)
		return -EPROTO;
	r->exit_code = (int)m->code;
	r->refused = !m->sandbox;
	r->lost = m->sandbox;
	log_escape(r->message, sizeof(r->message), m->message.data, m->message.len);
	x->state = GONDOLIN_EXEC_ENDED;
	return 0;
}

static const struct ipc_row exec_rows[] = {
    {GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED, "Started", WHILE(GONDOLIN_EXEC_WAITING), 0, 0,
	on_started},
    {GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED, "Exited", WHILE(GONDOLIN_EXEC_RUNNING), 0, 0,
	on_exited},
    {GONDOLIN__VMRUNNER_TO_CLIENT__BODY_REFUSED, "Refused",
	WHILE(GONDOLIN_EXEC_WAITING) | WHILE(GONDOLIN_EXEC_RUNNING), 0, 0, on_refused},
};

static const struct ipc_table exec_table = {
    .envelope = &gondolin__vmrunner_to_client__descriptor,
    .rows = exec_rows,
    .n_rows = sizeof(exec_rows) / sizeof(exec_rows[0]),
};

static void
lose(struct gondolin_exec *x, int rc)
{
	struct gondolin_result *r = &x->result;

	x->state = GONDOLIN_EXEC_ENDED;
	r->lost = true;
	r->exit_code = GONDOLIN_EXIT_FAILED;
	if (rc == 0)
		snprintf(
		    r->message, sizeof(r->message), "the sandbox ended before the command did");
	else
		snprintf(r->message, sizeof(r->message), "the connection to the sandbox broke: %s",
		    strerror(-rc));
}

enum gondolin_exec_state
gondolin_exec_update(struct gondolin_exec *x)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	const char *name;
	int rc;

	while (x->state != GONDOLIN_EXEC_ENDED) {
		rc = ipc_packet_receive(x->control, &p);
		if (rc == -EAGAIN)
			break;
		if (rc <= 0) {
			lose(x, rc);
			break;
		}
		rc = ipc_dispatch(&exec_table, x, WHILE(x->state), &p, &name);
		if (rc < 0)
			lose(x, rc);
	}
	return x->state;
}

/* ---- Sending one ---- */

static size_t
count(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static int
check(const struct gondolin_exec_options *o, struct gondolin_error *error)
{
	size_t n = count(o->argv), i;

	if (n == 0 || o->argv[0][0] == '\0')
		return client_fail(error, -EINVAL, "no command was given");
	if (n > AGENT_ARGV_MAX || count(o->env) > AGENT_ARGV_MAX)
		return client_fail(
		    error, -E2BIG, "a command has at most %u words and variables", AGENT_ARGV_MAX);
	for (i = 0; o->env != NULL && o->env[i] != NULL; i++)
		if (strchr(o->env[i], '=') == NULL || o->env[i][0] == '=')
			return client_fail(
			    error, -EINVAL, "environment \"%s\": not NAME=VALUE", o->env[i]);
	if (o->cwd != NULL && o->cwd[0] != '/')
		return client_fail(
		    error, -EINVAL, "working directory \"%s\": not an absolute path", o->cwd);
	return 0;
}

static uint32_t
size_or(unsigned value, unsigned fallback)
{
	if (value == 0)
		return fallback;
	return value > SIZE_MAX_TTY ? SIZE_MAX_TTY : value;
}

/*
 * Makes the pipes that were not given.  theirs[] is what to send, and closed by the caller where it
 * differs from given[].
 */
static int
make_streams(struct gondolin_exec *x, const int given[3], size_t n, int theirs[3])
{
	size_t i;
	int ends[2];

	for (i = 0; i < n; i++) {
		if (given[i] >= 0) {
			theirs[i] = given[i];
			continue;
		}
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		x->streams[i] = ends[i == 0 ? 1 : 0];
		theirs[i] = ends[i == 0 ? 0 : 1];
	}
	return 0;
}

static int
send_with_streams(struct gondolin_exec *x, const Gondolin__ClientToVmrunner *m, bool tty,
    const int given[3], struct gondolin_error *error)
{
	int theirs[3] = {-1, -1, -1};
	size_t i, n = tty ? 2 : 3;
	int rc;

	rc = make_streams(x, given, n, theirs);
	if (rc < 0)
		client_fail(error, rc, "cannot make pipes for the command: %s", strerror(-rc));
	else if ((rc = client_send(x->control, m, theirs, n)) == -EMSGSIZE)
		rc = client_fail(error, -E2BIG,
		    "the command and its environment are longer than 60 KiB; pass long input by "
		    "stdin or as a file");
	else if (rc < 0)
		client_fail(error, rc, "cannot send the command to the sandbox: %s", strerror(-rc));
	for (i = 0; i < n; i++)
		if (theirs[i] != given[i])
			client_close(&theirs[i]);
	return rc;
}

static struct gondolin_exec *
exec_new(int control)
{
	struct gondolin_exec *x = calloc(1, sizeof(*x));
	int i;

	if (x == NULL)
		abort();
	x->control = control;
	for (i = 0; i < 3; i++)
		x->streams[i] = -1;
	return x;
}

static ProtobufCBinaryData *
bytes_list(const char *const *list, size_t n)
{
	ProtobufCBinaryData *b = calloc(n + 1, sizeof(*b));
	size_t i;

	if (b == NULL)
		abort();
	for (i = 0; i < n; i++)
		b[i] = ipc_text(list[i]);
	return b;
}

int
client_exec_begin(int control, const struct gondolin_exec_options *o,
    Gondolin__AgentBuiltin builtin, const int given[3], struct gondolin_exec **exec,
    struct gondolin_error *error)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	struct gondolin_exec *x = exec_new(control);
	int rc;

	*exec = NULL;
	rc = check(o, error);
	if (rc < 0)
		goto out;
	rc = client_non_blocking(control);
	if (rc < 0) {
		client_fail(error, rc, "descriptor %d: %s", control, strerror(-rc));
		goto out;
	}
	e.n_argv = count(o->argv);
	e.argv = bytes_list(o->argv, e.n_argv);
	e.n_env = count(o->env);
	e.env = bytes_list(o->env, e.n_env);
	e.user = ipc_text(o->user);
	e.cwd = ipc_text(o->cwd);
	e.tty = o->tty;
	e.rows = o->tty ? size_or(o->rows, ROWS_DEFAULT) : 0;
	e.columns = o->tty ? size_or(o->columns, COLUMNS_DEFAULT) : 0;
	e.timeout_ms = o->timeout_ms;
	e.no_timeout = o->no_timeout;
	e.builtin = builtin;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC;
	m.exec = &e;
	rc = send_with_streams(x, &m, o->tty, given, error);
	free(e.argv);
	free(e.env);
out:
	if (rc < 0)
		gondolin_exec_free(x);
	else
		*exec = x;
	return rc;
}

static const int no_streams[3] = {-1, -1, -1};

int
client_exec_begin_fed(const struct gondolin_session *session, const struct gondolin_exec_options *o,
    Gondolin__AgentBuiltin builtin, struct gondolin_exec **exec, int *input,
    struct gondolin_error *error)
{
	int given[3] = {-1, -1, -1}, pair[2], rc, control = client_connect(session, error);

	*exec = NULL;
	if (control < 0)
		return control;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		rc = -errno;
		close(control);
		return client_fail(error, rc, "socketpair: %s", strerror(-rc));
	}
	given[0] = pair[0];
	rc = client_exec_begin(control, o, builtin, given, exec, error);
	close(pair[0]);
	if (rc < 0) {
		close(pair[1]);
		return rc;
	}
	client_non_blocking(pair[1]);
	*input = pair[1];
	return 0;
}

int
gondolin_exec_start(struct gondolin_session *session, const struct gondolin_exec_options *options,
    struct gondolin_exec **exec, struct gondolin_error *error)
{
	int control = client_connect(session, error);

	*exec = NULL;
	if (control < 0)
		return control;
	return client_exec_begin(
	    control, options, GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE, no_streams, exec, error);
}

int
gondolin_exec_attach(struct gondolin_session *session, unsigned rows, unsigned columns,
    struct gondolin_exec **exec, struct gondolin_error *error)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlAttach a = GONDOLIN__CONTROL_ATTACH__INIT;
	int rc, control = client_connect(session, error);
	struct gondolin_exec *x;

	*exec = NULL;
	if (control < 0)
		return control;
	x = exec_new(control);
	a.rows = size_or(rows, ROWS_DEFAULT);
	a.columns = size_or(columns, COLUMNS_DEFAULT);
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_ATTACH;
	m.attach = &a;
	rc = send_with_streams(x, &m, true, no_streams, error);
	if (rc < 0)
		gondolin_exec_free(x);
	else
		*exec = x;
	return rc;
}

/* ---- The handle ---- */

int
gondolin_exec_stream(const struct gondolin_exec *x, int stream)
{
	return stream < 0 || stream > 2 ? -1 : x->streams[stream];
}

void
gondolin_exec_close_stream(struct gondolin_exec *x, int stream)
{
	if (stream >= 0 && stream <= 2)
		client_close(&x->streams[stream]);
}

int
gondolin_exec_fd(const struct gondolin_exec *x)
{
	return x->control;
}

void
gondolin_exec_wait(struct gondolin_exec *x, struct gondolin_result *result)
{
	struct pollfd readable = {.fd = x->control, .events = POLLIN};

	while (gondolin_exec_update(x) != GONDOLIN_EXEC_ENDED)
		if (poll(&readable, 1, -1) < 0 && errno != EINTR)
			lose(x, -errno);
	*result = x->result;
}

int
gondolin_exec_signal(struct gondolin_exec *x, int signal)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlSignal s = GONDOLIN__CONTROL_SIGNAL__INIT;

	if (signal < 1 || signal > SIGRTMAX)
		return -EINVAL;
	s.signal = signal;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL;
	m.signal = &s;
	return client_send(x->control, &m, NULL, 0);
}

int
gondolin_exec_resize(struct gondolin_exec *x, unsigned rows, unsigned columns)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlResize r = GONDOLIN__CONTROL_RESIZE__INIT;

	if (rows < 1 || rows > SIZE_MAX_TTY || columns < 1 || columns > SIZE_MAX_TTY)
		return -EINVAL;
	r.rows = rows;
	r.columns = columns;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_RESIZE;
	m.resize = &r;
	return client_send(x->control, &m, NULL, 0);
}

/*
 * The pipes stay open until vmrunner closes the connection: it must not take their end for the end
 * of the command's input.
 */
int
gondolin_exec_detach(struct gondolin_exec *x)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlDetach d = GONDOLIN__CONTROL_DETACH__INIT;
	struct pollfd readable = {.fd = x->control, .events = POLLIN};
	int rc;

	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_DETACH;
	m.detach = &d;
	rc = client_send(x->control, &m, NULL, 0);
	while (rc == 0 && gondolin_exec_update(x) != GONDOLIN_EXEC_ENDED) {
		rc = poll(&readable, 1, DETACH_WAIT_MS);
		if (rc == 0)
			return -ETIMEDOUT;
		rc = rc < 0 && errno != EINTR ? -errno : 0;
	}
	if (rc == 0 && !x->result.lost)
		rc = -ESRCH; /* it ended just before */
	return rc;
}

void
gondolin_exec_free(struct gondolin_exec *x)
{
	int i;

	if (x == NULL)
		return;
	for (i = 0; i < 3; i++)
		client_close(&x->streams[i]);
	client_close(&x->control);
	free(x);
}
