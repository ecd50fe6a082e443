/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's port, dispatch and loop; the theory is in agent_state.h. */
#include "guest/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent_state.h"
#include "guest/limits.h"
#include "ipc/log.h"
#include "ipc/message.h"

#define EVENTS_MAX 64
/* Passes between two looks at the events: other descriptors become ready meanwhile. */
#define PASSES_MAX 8

static void
real_signal(pid_t pid, int signal)
{
	/* Before its setsid() the child has no group of its own yet. */
	if (kill(-pid, signal) < 0 && errno == ESRCH)
		kill(pid, signal);
}

static int
real_reap(pid_t pid, int *wait_status)
{
	while (waitpid(pid, wait_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

const struct agent_system agent_system_real = {
    spawn_command, real_signal, real_reap, network_configure};

uint64_t
agent_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int
agent_watch(struct agent *a, struct watch *w)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = w};

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, w->fd, &e) < 0 ? -errno : 0;
}

static int __attribute__((format(printf, 2, 3))) broken(struct agent *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(a->why, a->why_size, format, ap);
	va_end(ap);
	return -EPROTO;
}

static void
put_refused(struct agent *a, uint32_t id, int error, const char *message)
{
	Gondolin__AgentRefused refused = GONDOLIN__AGENT_REFUSED__INIT;
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;
	char text[SPAWN_MESSAGE_MAX];

	snprintf(text, sizeof(text), "%s", message);
	refused.id = id;
	refused.error = (uint32_t)error;
	refused.message = ipc_text(text);
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_REFUSED;
	m.refused = &refused;
	outbox_put_control(&a->out, &m);
}

/*
 * Finds the command that a frame names.  Returns 1; 0 where it ended already (its Exited or Refused
 * crossed the frame); -EPROTO where no Exec ever named it.
 */
static int
find_command(struct agent *a, uint32_t id, struct command **c)
{
	size_t i;

	for (i = 0; i < a->n_commands; i++)
		if (a->commands[i]->id == id && a->commands[i]->state != COMMAND_DONE) {
			*c = a->commands[i];
			return 1;
		}
	if (id == 0 || id > a->last_id)
		return broken(a, "a frame for command %u, which was never started", id);
	return 0;
}

/* ---- Exec ---- */

/* A C string in one allocation with others; false where the bytes hold a NUL. */
static bool
take_string(char **at, const ProtobufCBinaryData *b, const char **out)
{
	if (b->len > 0 && memchr(b->data, 0, b->len) != NULL)
		return false;
	if (b->len > 0)
		memcpy(*at, b->data, b->len);
	(*at)[b->len] = '\0';
	*out = *at;
	*at += b->len + 1;
	return true;
}

static bool
take_list(char **at, const ProtobufCBinaryData *list, size_t n, char **out, bool variables)
{
	const char *s;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!take_string(at, &list[i], &s) ||
		    (variables && (s[0] == '=' || strchr(s, '=') == NULL)))
			return false;
		out[i] = *at - list[i].len - 1;
	}
	out[n] = NULL;
	return true;
}

static size_t
list_size(const ProtobufCBinaryData *list, size_t n)
{
	size_t i, size = (n + 1) * sizeof(char *);

	for (i = 0; i < n; i++)
		size += list[i].len + 1;
	return size;
}

/*
 * Makes the request of a message, its strings in *memory (to be freed).  Returns NULL, or what is
 * wrong with the message.
 */
static const char *
make_request(const Gondolin__AgentExec *m, struct spawn_request *r, void **memory)
{
	char **pointers, *at;

	*memory = NULL;
	if (m->n_argv == 0)
		return "no command";
	if (m->n_argv > AGENT_ARGV_MAX || m->n_env > AGENT_ARGV_MAX)
		return "too many words";
	if (m->rows > UINT16_MAX || m->columns > UINT16_MAX)
		return "impossible terminal size";
	if (m->builtin != GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE && (m->n_argv != 1 || m->tty))
		return "a builtin with more than one path or with a terminal";
	*memory = malloc(list_size(m->argv, m->n_argv) + list_size(m->env, m->n_env) + m->user.len +
			 m->cwd.len + 2);
	if (*memory == NULL)
		return "out of memory";
	pointers = *memory;
	at = (char *)(pointers + m->n_argv + m->n_env + 2);
	*r = (struct spawn_request){
	    .argv = pointers,
	    .env = pointers + m->n_argv + 1,
	    .tty = m->tty,
	    .rows = (uint16_t)m->rows,
	    .columns = (uint16_t)m->columns,
	    .builtin = m->builtin,
	};
	if (!take_list(&at, m->argv, m->n_argv, r->argv, false))
		return "a NUL in the command";
	if (!take_list(&at, m->env, m->n_env, r->env, true))
		return "a variable that is not NAME=VALUE";
	if (!take_string(&at, &m->user, &r->user) || !take_string(&at, &m->cwd, &r->cwd))
		return "a NUL in the user or the working directory";
	return NULL;
}

static int
on_exec(struct agent *a, const void *body)
{
	const Gondolin__AgentExec *m = body;
	struct spawn_request r;
	const char *wrong;
	void *memory = NULL;
	int rc;

	if (m->id <= a->last_id)
		return broken(a, "command id %u after %u", m->id, a->last_id);
	a->last_id = m->id;
	if (a->n_commands == AGENT_COMMANDS_MAX) {
		put_refused(a, m->id, EAGAIN, "too many commands at once");
		return 0;
	}
	wrong = make_request(m, &r, &memory);
	if (wrong != NULL) {
		put_refused(a, m->id, EINVAL, wrong);
		goto out;
	}
	r.local = mount_watch_local(&a->mounts);
	r.variables = a->variables;
	rc = command_start(a, m->id, m->timeout_ms, &r);
	if (rc < 0)
		put_refused(a, m->id, -rc, strerror(-rc));
out:
	free(memory);
	return 0;
}

/* ---- The network ---- */

/*
 * The variables of every command: where the sandbox's CA is, then what the host gives.  One
 * allocation; NULL where a word is no variable.
 */
static char **
make_variables(const Gondolin__AgentNetwork *m)
{
	const size_t n = network_n_variables;
	char **list, *at;
	size_t i;

	list = malloc(n * sizeof(char *) + list_size(m->env, m->n_env));
	if (list == NULL)
		return NULL;
	for (i = 0; i < n; i++)
		list[i] = (char *)(uintptr_t)network_variables[i];
	at = (char *)(list + n + m->n_env + 1);
	if (take_list(&at, m->env, m->n_env, list + n, true))
		return list;
	free(list);
	return NULL;
}

static int
on_network(struct agent *a, const void *body)
{
	const Gondolin__AgentNetwork *m = body;
	const struct network_settings settings = {m->ca.data, m->ca.len, m->mtu};
	char why[128];

	if (a->variables != NULL || a->last_id != 0)
		return broken(a, "a network that comes too late");
	if (m->ca.len == 0 || m->ca.len > AGENT_CA_MAX || m->mtu < AGENT_MTU_MIN ||
	    m->mtu > AGENT_MTU_MAX || m->n_env > AGENT_ARGV_MAX)
		return broken(a, "a network out of its ranges");
	a->variables = make_variables(m);
	if (a->variables == NULL)
		return broken(a, "a network with a variable that is not NAME=VALUE");
	if (a->options->system->network(&settings, why, sizeof(why)) < 0)
		return broken(a, "no network: %s", why);
	return 0;
}

/* ---- The other messages ---- */

static int
on_signal(struct agent *a, const void *body)
{
	const Gondolin__AgentSignal *m = body;
	struct command *c = NULL;
	int rc;

	if (m->signal < 1 || m->signal > 64)
		return broken(a, "signal %d", m->signal);
	rc = find_command(a, m->id, &c);
	if (rc == 1)
		command_signal(a, c, m->signal);
	return rc < 0 ? rc : 0;
}

static int
on_resize(struct agent *a, const void *body)
{
	const Gondolin__AgentResize *m = body;
	struct command *c = NULL;
	int rc;

	if (m->rows > UINT16_MAX || m->columns > UINT16_MAX)
		return broken(a, "terminal of %u rows, %u columns", m->rows, m->columns);
	rc = find_command(a, m->id, &c);
	if (rc == 1)
		command_resize(c, (uint16_t)m->rows, (uint16_t)m->columns);
	return rc < 0 ? rc : 0;
}

static int
on_credit(struct agent *a, const void *body)
{
	const Gondolin__AgentCredit *m = body;
	struct command *c = NULL;
	int rc;

	if (m->stream != AGENT_STDOUT && m->stream != AGENT_STDERR)
		return broken(a, "credit for stream %u", m->stream);
	rc = find_command(a, m->id, &c);
	if (rc == 1 && command_credit(c, (enum agent_kind)m->stream, m->bytes) < 0)
		return broken(a, "%u bytes of credit for command %u", m->bytes, m->id);
	return rc < 0 ? rc : 0;
}

static int
on_close(struct agent *a, const void *body)
{
	const Gondolin__AgentClose *m = body;
	struct command *c = NULL;
	int rc;

	if (m->stream != AGENT_STDOUT && m->stream != AGENT_STDERR)
		return broken(a, "close of stream %u", m->stream);
	rc = find_command(a, m->id, &c);
	if (rc == 1)
		command_close(c, (enum agent_kind)m->stream);
	return rc < 0 ? rc : 0;
}

static int
on_shutdown(struct agent *a, const void *body)
{
	const Gondolin__AgentShutdown *m = body;

	if (a->shutdown)
		return broken(a, "a second shutdown");
	a->shutdown = true;
	a->grace_ms = m->grace_ms;
	if (a->options->shutdown != NULL)
		a->options->shutdown(a->options->ctx, a->grace_ms);
	return 0;
}

static const struct {
	Gondolin__HostToGuest__BodyCase tag;
	int (*handle)(struct agent *a, const void *body);
} handlers[] = {
    {GONDOLIN__HOST_TO_GUEST__BODY_EXEC, on_exec},
    {GONDOLIN__HOST_TO_GUEST__BODY_SIGNAL, on_signal},
    {GONDOLIN__HOST_TO_GUEST__BODY_RESIZE, on_resize},
    {GONDOLIN__HOST_TO_GUEST__BODY_CREDIT, on_credit},
    {GONDOLIN__HOST_TO_GUEST__BODY_SHUTDOWN, on_shutdown},
    {GONDOLIN__HOST_TO_GUEST__BODY_CLOSE, on_close},
    {GONDOLIN__HOST_TO_GUEST__BODY_NETWORK, on_network},
};

static int
on_control(struct agent *a, const uint8_t *bytes, size_t n)
{
	const ProtobufCMessage *body = NULL;
	ProtobufCMessage *m;
	uint32_t tag = 0;
	int rc = -EPROTO;
	size_t i;

	m = ipc_message_decode(&gondolin__host_to_guest__descriptor, bytes, n);
	if (m != NULL)
		body = ipc_envelope_body(m, &tag);
	if (body == NULL) {
		rc = broken(a, "a control frame of %zu bytes that is no message", n);
		goto out;
	}
	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].tag == tag)
			rc = handlers[i].handle(a, body);
out:
	if (m != NULL)
		protobuf_c_message_free_unpacked(m, NULL);
	return rc;
}

static int
on_frame(struct agent *a, const struct agent_header *h, const uint8_t *payload)
{
	struct command *c = NULL;
	int rc;

	if (h->kind == AGENT_CONTROL)
		return on_control(a, payload, h->length);
	if (h->kind != AGENT_STDIN)
		return broken(a, "a data frame of kind %d", h->kind);
	rc = find_command(a, h->id, &c);
	if (rc <= 0)
		return rc;
	rc = command_input(a, c, payload, h->length);
	if (rc == -EPROTO)
		return broken(a, "stdin of command %u out of order or past its credit", h->id);
	return rc;
}

/* ---- The port ---- */

/* The host asked for the end: of all, or of what the commands still do and say. */
static bool
is_over(const struct agent *a)
{
	return a->shutdown &&
	       (a->options->shutdown == NULL || (a->n_commands == 0 && a->out.used == 0));
}

/* Frames that are whole already.  Each may be answered, so each waits for room in the outbox. */
static int
take_frames(struct agent *a, bool *blocked)
{
	const uint8_t *payload;
	struct agent_header h;
	int rc;

	while (!is_over(a)) {
		*blocked = !outbox_has_control_room(&a->out);
		if (*blocked)
			return 0;
		rc = agent_reader_next(&a->reader, &h, &payload);
		if (rc < 0)
			return broken(a, "a malformed frame header");
		if (rc == 0)
			return 0;
		rc = on_frame(a, &h, payload);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Returns 1 where bytes were read, 0 where there were none or no room, or -errno. */
static int
port_pass(struct agent *a)
{
	bool blocked = false;
	size_t room;
	uint8_t *at;
	ssize_t n;
	int rc;

	rc = take_frames(a, &blocked);
	if (rc < 0 || blocked || is_over(a) || !a->port.readable)
		return rc;
	at = agent_reader_space(&a->reader, &room);
	n = read(a->port.fd, at, room);
	if (n < 0 && errno == EAGAIN) {
		a->port.readable = false;
		return 0;
	}
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (n == 0)
		return -EPIPE;
	agent_reader_filled(&a->reader, (size_t)n);
	rc = take_frames(a, &blocked);
	return rc < 0 ? rc : 1;
}

static int
flush(struct agent *a)
{
	int rc;

	if (!a->port.writable)
		return 0;
	rc = outbox_flush(&a->out, a->port.fd);
	if (rc == -EAGAIN)
		a->port.writable = false;
	return rc < 0 && rc != -EAGAIN ? rc : 0;
}

/* ---- The loop ---- */

static void
drop_done(struct agent *a)
{
	size_t i, n = 0;

	for (i = 0; i < a->n_commands; i++) {
		if (a->commands[i]->state == COMMAND_DONE)
			command_free(a, a->commands[i]);
		else
			a->commands[n++] = a->commands[i];
	}
	a->n_commands = n;
}

/* Returns 1 where anything moved, 0, or -errno. */
static int
pass(struct agent *a)
{
	bool moved;
	size_t i;
	int rc;

	rc = port_pass(a);
	if (rc < 0)
		return rc;
	moved = rc > 0;
	/* The outbox fills in this order, so the order changes. */
	a->first++;
	for (i = 0; i < a->n_commands; i++)
		moved = command_pass(a, a->commands[(a->first + i) % a->n_commands]) || moved;
	drop_done(a);
	rc = flush(a);
	return rc < 0 ? rc : moved;
}

static int
run_timers(struct agent *a)
{
	struct itimerspec spec = {0};
	uint64_t now, next = 0, ticks;
	size_t i;

	if (a->timer.readable) {
		a->timer.readable = false;
		if (read(a->timer.fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
			return -errno;
		a->armed_ms = 0;
		now = agent_now_ms();
		for (i = 0; i < a->n_commands; i++)
			if (a->commands[i]->deadline_ms != 0 && a->commands[i]->deadline_ms <= now)
				command_timeout(a, a->commands[i]);
	}
	for (i = 0; i < a->n_commands; i++)
		if (a->commands[i]->deadline_ms != 0 &&
		    (next == 0 || a->commands[i]->deadline_ms < next))
			next = a->commands[i]->deadline_ms;
	if (next == a->armed_ms)
		return 0;
	a->armed_ms = next;
	spec.it_value.tv_sec = (time_t)(next / 1000);
	spec.it_value.tv_nsec = (long)(next % 1000) * 1000000;
	return timerfd_settime(a->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

static int
wait_events(struct agent *a, bool block)
{
	struct epoll_event events[EVENTS_MAX];
	struct watch *w;
	int i, n;

	n = epoll_wait(a->epoll, events, EVENTS_MAX, block ? -1 : 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++) {
		w = events[i].data.ptr;
		if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
			w->readable = true;
		if ((events[i].events & ~(uint32_t)(EPOLLIN | EPOLLRDHUP)) != 0)
			w->writable = true;
	}
	return 0;
}

static int
serve(struct agent *a)
{
	int i, rc;

	for (;;) {
		for (i = 0, rc = 1; rc > 0 && i < PASSES_MAX; i++)
			rc = pass(a);
		if (rc < 0 || is_over(a))
			return rc < 0 ? rc : 0;
		i = rc;
		rc = run_timers(a);
		if (rc == 0)
			rc = wait_events(a, i == 0);
		if (rc < 0)
			return rc;
	}
}

/* AGENT_COMMANDS_MAX commands need more descriptors than a command is given. */
static int
raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	if (files.rlim_cur >= LIMIT_FILES_AGENT)
		return 0;
	files.rlim_cur = LIMIT_FILES_AGENT < files.rlim_max ? LIMIT_FILES_AGENT : files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? -errno : 0;
}

static int
open_agent(struct agent *a)
{
	int rc;

	rc = raise_limits();
	if (rc == 0)
		rc = agent_reader_init(&a->reader);
	if (rc == 0)
		rc = outbox_init(&a->out);
	if (rc < 0)
		return rc;
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0)
		return -errno;
	a->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->timer.fd < 0 || fcntl(a->port.fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	mount_watch_open(&a->mounts);
	rc = agent_watch(a, &a->timer);
	return rc < 0 ? rc : agent_watch(a, &a->port);
}

static void
close_agent(struct agent *a)
{
	size_t i;

	for (i = 0; i < a->n_commands; i++)
		command_free(a, a->commands[i]);
	free(a->variables);
	mount_watch_close(&a->mounts);
	if (a->timer.fd >= 0)
		close(a->timer.fd);
	if (a->epoll >= 0)
		close(a->epoll);
	agent_reader_clear(&a->reader);
	outbox_clear(&a->out);
}

static void
put_hello(struct agent *a)
{
	Gondolin__AgentHello hello = GONDOLIN__AGENT_HELLO__INIT;
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;

	hello.version = AGENT_PROTOCOL;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_HELLO;
	m.hello = &hello;
	outbox_put_control(&a->out, &m);
}

int
agent_run(const struct agent_options *options, uint32_t *grace_ms, char *why, size_t why_size)
{
	struct agent a = {
	    .options = options,
	    .port = {.fd = options->port, .writable = true},
	    .timer = {.fd = -1},
	    .mounts = {.fd = -1},
	    .epoll = -1,
	    .why = why,
	    .why_size = why_size,
	};
	int rc;

	why[0] = '\0';
	/* A command that does not read is an errno of ours, not our end. */
	signal(SIGPIPE, SIG_IGN);
	rc = open_agent(&a);
	if (rc == 0) {
		put_hello(&a);
		rc = serve(&a);
	}
	if (rc < 0 && why[0] == '\0')
		snprintf(
		    why, why_size, "%s", rc == -EPIPE ? "the host closed the port" : strerror(-rc));
	*grace_ms = a.grace_ms;
	close_agent(&a);
	return rc;
}
