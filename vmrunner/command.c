/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: from a client's Exec to its Exited. */
#include "vmrunner/command.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/message.h"
#include "vmrunner/output.h"
#include "vmrunner/vmrunner.h"

#define TERMINAL_MAX 65535u
/* Seconds that the guest has to end a command whose time is over: 5 until SIGKILL, and the way. */
#define OVERDUE 15.0

static void on_input(struct ev_loop *loop, ev_io *w, int events);
static void on_kill(struct ev_loop *loop, ev_timer *w, int events);
static void on_overdue(struct ev_loop *loop, ev_timer *w, int events);

void
commands_init(struct commands *all)
{
	memset(all, 0, sizeof(*all));
	TAILQ_INIT(&all->list);
}

/* ---- Birth and death ---- */

static void
close_input(struct command *c)
{
	if (c->input_fd < 0)
		return;
	ev_io_stop(c->vm->loop, &c->input);
	close(c->input_fd);
	c->input_fd = -1;
	c->input_ready = false;
}

static void
open_input(struct command *c, int fd)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	c->input_fd = fd;
	c->input_ready = false;
	ev_io_init(&c->input, on_input, fd, EV_READ);
	c->input.data = c;
	if (c->task.stage == AGENT_RUNNING)
		ev_io_start(c->vm->loop, &c->input);
}

static void
drop_exec(struct command *c)
{
	if (c->exec == NULL)
		return;
	c->vm->commands.waiting -= c->cost;
	gondolin__agent_exec__free_unpacked(c->exec, NULL);
	c->exec = NULL;
}

static void
command_free(struct command *c)
{
	struct commands *all = &c->vm->commands;
	unsigned i;

	ev_timer_stop(c->vm->loop, &c->kill);
	ev_timer_stop(c->vm->loop, &c->overdue);
	close_input(c);
	for (i = 0; i < AGENT_OUTPUTS; i++)
		output_clear(&c->output[i]);
	agent_forget(&c->vm->agent, &c->task);
	drop_exec(c);
	if (c->detached && c->over)
		all->n_ended--;
	TAILQ_REMOVE(&all->list, c, all);
	all->n--;
	free(c->path);
	free(c);
}

void
commands_clear(struct vmrunner *vm)
{
	struct command *c;

	while ((c = TAILQ_FIRST(&vm->commands.list)) != NULL)
		command_free(c);
}

/* The client, which is no longer the command's. */
static struct client *
take_client(struct command *c)
{
	struct client *client = c->client;

	c->client = NULL;
	if (client != NULL)
		client->command = NULL;
	return client;
}

/* Frees a command that nothing ran of, or nothing more is to be said of, with r for its client. */
static void
refuse(struct command *c, const struct refusal *r)
{
	struct client *client = take_client(c);

	command_free(c);
	if (client != NULL)
		client_refused(client, r);
}

void
command_settle(struct command *c)
{
	struct refusal failed = c->vm->machine.refusal;
	struct client *client;
	int status = c->status;
	bool timed_out = c->timed_out;

	if (!c->over || c->detached || c->output[AGENT_OUT].length > 0 ||
	    c->output[AGENT_ERR].length > 0)
		return;
	if (c->failed) {
		refuse(c, &failed);
		return;
	}
	/* The pipes are closed before the client hears of it, so that it may read to their end. */
	client = take_client(c);
	command_free(c);
	if (client != NULL)
		client_exited(client, status, timed_out);
}

/* Of the detached commands that ended, the one that was detached first makes room. */
static void
evict_ended(struct commands *all)
{
	struct command *c, *oldest = NULL;

	if (all->n_ended <= ENDED_MAX)
		return;
	TAILQ_FOREACH(c, &all->list, all)
	if (c->detached && c->over && (oldest == NULL || c->detached_as < oldest->detached_as))
		oldest = c;
	assert(oldest != NULL);
	command_free(oldest);
}

/* The guest has nothing of it any more. */
static void
command_over(struct command *c)
{
	unsigned i;

	c->over = true;
	ev_timer_stop(c->vm->loop, &c->kill);
	ev_timer_stop(c->vm->loop, &c->overdue);
	close_input(c);
	for (i = 0; i < AGENT_OUTPUTS; i++)
		if (!c->output[i].ended)
			output_end(&c->output[i]);
	if (!c->detached) {
		command_settle(c);
		return;
	}
	c->vm->commands.n_ended++;
	evict_ended(&c->vm->commands);
}

/* vmrunner holds pipes and sockets of clients, never their files. */
static bool
are_pipes(const int *fds, size_t n)
{
	socklen_t size;
	size_t i;
	int type;

	for (i = 0; i < n; i++) {
		size = sizeof(type);
		if (fcntl(fds[i], F_GETPIPE_SZ) < 0 &&
		    getsockopt(fds[i], SOL_SOCKET, SO_TYPE, &type, &size) < 0)
			return false;
	}
	return true;
}

static int
take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static struct command *
command_make(struct vmrunner *vm, Gondolin__AgentExec *exec, int *fds)
{
	struct command *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->vm = vm;
	c->exec = exec;
	c->cost = exec_cost(exec);
	c->builtin = exec->builtin;
	if (c->builtin != GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE)
		c->path = ipc_string(&exec->argv[0]);
	c->input_fd = -1;
	ev_timer_init(&c->kill, on_kill, KILL_AFTER, 0.);
	c->kill.data = c;
	ev_init(&c->overdue, on_overdue);
	c->overdue.data = c;
	agent_task_init(&c->task, exec->tty);
	open_input(c, take(&fds[0]));
	output_init(&c->output[AGENT_OUT], c, take(&fds[1]));
	output_init(&c->output[AGENT_ERR], c, exec->tty ? -1 : take(&fds[2]));
	c->output[AGENT_ERR].ended = exec->tty;
	vm->commands.waiting += c->cost;
	vm->commands.n++;
	TAILQ_INSERT_TAIL(&vm->commands.list, c, all);
	return c;
}

int
command_new(struct vmrunner *vm, struct client *client, const Gondolin__ControlExec *m, int *fds,
    size_t n_fds, struct refusal *r)
{
	Gondolin__AgentExec *exec = NULL;
	struct command *c;
	int rc;

	if (n_fds != (m->tty ? 2 : 3) || !are_pipes(fds, n_fds))
		return refusal_set(r, 125, "a command needs %s, as pipes",
		    m->tty ? "stdin and stdout" : "stdin, stdout and stderr");
	rc = machine_accepts(&vm->machine, r);
	if (rc == 0)
		rc = exec_build(vm->setup->defaults, m, &exec, r);
	if (rc < 0)
		return rc;
	assert(exec != NULL);
	if (vm->commands.n >= AGENT_COMMANDS_MAX ||
	    vm->commands.waiting + exec_cost(exec) > WAITING_MAX) {
		gondolin__agent_exec__free_unpacked(exec, NULL);
		return refusal_set(r, 125,
		    "too many commands run or wait in this sandbox (at most %u): try again later",
		    AGENT_COMMANDS_MAX);
	}
	c = command_make(vm, exec, fds);
	c->client = client;
	client->command = c;
	agent_wants(&vm->agent, &c->task);
	return 0;
}

/* ---- What the client asks for ---- */

int
command_signal(struct command *c, int signal)
{
	if (signal < 1 || signal > 64)
		return -EPROTO;
	c->signals |= UINT64_C(1) << (signal - 1);
	agent_wants(&c->vm->agent, &c->task);
	return 0;
}

int
command_resize(struct command *c, uint32_t rows, uint32_t columns)
{
	if (!c->task.tty || rows > TERMINAL_MAX || columns > TERMINAL_MAX)
		return -EPROTO;
	c->resize = true;
	c->rows = rows;
	c->columns = columns;
	agent_wants(&c->vm->agent, &c->task);
	return 0;
}

void
command_detach(struct command *c)
{
	unsigned i;

	(void)take_client(c);
	c->detached = true;
	c->detached_as = ++c->vm->commands.detached;
	if (c->over)
		c->vm->commands.n_ended++;
	close_input(c);
	for (i = 0; i < AGENT_OUTPUTS; i++)
		output_redirect(&c->output[i], -1);
	report_command(c->vm, GONDOLIN__VMRUNNER_RECORD__KIND__DETACH, c->task.id);
	evict_ended(&c->vm->commands);
}

static struct command *
find_detached(struct commands *all, uint32_t id)
{
	struct command *c = NULL, *last = NULL;

	TAILQ_FOREACH(c, &all->list, all)
	{
		if (!c->detached)
			continue;
		if (id != 0 && c->task.id == id)
			return c;
		if (id == 0 && (last == NULL || c->detached_as > last->detached_as))
			last = c;
	}
	return last;
}

int
command_attach(struct vmrunner *vm, struct client *client, const Gondolin__ControlAttach *m,
    int *fds, struct refusal *r)
{
	struct command *c = find_detached(&vm->commands, m->exec);
	int copy = -1;

	if (c == NULL && m->exec == 0)
		return refusal_set(r, 125, "no command of this sandbox is detached");
	if (c == NULL)
		return refusal_set(
		    r, 125, "no detached command of this sandbox has the id %u", m->exec);
	if (!are_pipes(fds, 2))
		return refusal_set(r, 125, "a command needs stdin and stdout, as pipes");
	if (!c->task.tty) {
		copy = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return refusal_set(r, 125, "vmrunner is out of descriptors");
	}
	c->detached = false;
	if (c->over)
		vm->commands.n_ended--;
	c->client = client;
	client->command = c;
	report_command(vm, GONDOLIN__VMRUNNER_RECORD__KIND__ATTACH, c->task.id);
	if (!c->over && !c->task.input_ended)
		open_input(c, take(&fds[0]));
	output_redirect(&c->output[AGENT_OUT], take(&fds[1]));
	output_redirect(&c->output[AGENT_ERR], copy);
	if (c->over || c->task.stage == AGENT_RUNNING)
		client_started(client, c->task.id, c->task.tty);
	if (c->task.tty && m->rows != 0 && m->columns != 0 &&
	    command_resize(c, m->rows, m->columns) < 0)
		log_line("a client attached with an impossible terminal size");
	command_settle(c);
	return 0;
}

void
command_left(struct command *c)
{
	struct refusal r;
	unsigned i;

	(void)take_client(c);
	if (c->task.stage == AGENT_HELD) {
		refusal_set(&r, 125, "the client left before the command began");
		report_refused(c->vm, c->exec, &r);
		command_free(c);
		return;
	}
	if (c->over) {
		command_free(c);
		return;
	}
	close_input(c);
	for (i = 0; i < AGENT_OUTPUTS; i++)
		output_discard(&c->output[i]);
	(void)command_signal(c, SIGHUP);
	ev_timer_start(c->vm->loop, &c->kill);
}

static void
on_kill(struct ev_loop *loop, ev_timer *w, int events)
{
	struct command *c = w->data;

	(void)loop;
	(void)events;
	(void)command_signal(c, SIGKILL);
}

/* The guest keeps the time; that it does is not left to it. */
static void
on_overdue(struct ev_loop *loop, ev_timer *w, int events)
{
	struct command *c = w->data;

	(void)loop;
	(void)events;
	/* Output that the client does not take may be what holds the guest up. */
	if (c->output[AGENT_OUT].length == 0 && c->output[AGENT_ERR].length == 0)
		machine_agent_ended(&c->vm->machine, "did not end a command whose time was over");
}

static void
on_input(struct ev_loop *loop, ev_io *w, int events)
{
	struct command *c = w->data;

	(void)events;
	ev_io_stop(loop, w);
	c->input_ready = true;
	agent_wants(&c->vm->agent, &c->task);
}

/* ---- Frames to the guest ---- */

/*
 * A producer sends one kind of frame.  Returns 0 where it has nothing more to send now, or -EAGAIN
 * where the command should have another turn.
 */
static int
produce_exec(struct command *c)
{
	struct refusal r;
	int rc;

	/* Each command leaves a record: with a slow supervisor it waits (commands_start). */
	if (report_is_slow(c->vm)) {
		c->vm->commands.held = true;
		return 0;
	}
	rc = agent_ask(&c->vm->agent, &c->task, c->exec);
	if (rc == -EAGAIN)
		return rc;
	if (rc < 0) {
		refusal_set(&r, 125, "this sandbox ran too many commands: start another");
		report_refused(c->vm, c->exec, &r);
		refuse(c, &r);
		return 0;
	}
	if (c->path == NULL)
		report_start(c->vm, c->exec);
	if (c->exec->timeout_ms != 0) {
		ev_timer_set(&c->overdue, c->exec->timeout_ms / 1000. + OVERDUE, OVERDUE);
		ev_timer_start(c->vm->loop, &c->overdue);
	}
	drop_exec(c);
	return 0;
}

static int
produce_signals(struct command *c)
{
	Gondolin__HostToGuest m = GONDOLIN__HOST_TO_GUEST__INIT;
	Gondolin__AgentSignal s = GONDOLIN__AGENT_SIGNAL__INIT;

	m.body_case = GONDOLIN__HOST_TO_GUEST__BODY_SIGNAL;
	m.signal = &s;
	s.id = c->task.id;
	while (c->signals != 0) {
		s.signal = __builtin_ctzll(c->signals) + 1;
		if (agent_send(&c->vm->agent, &m) < 0)
			return -EAGAIN;
		c->signals &= c->signals - 1;
	}
	return 0;
}

static int
produce_resize(struct command *c)
{
	Gondolin__HostToGuest m = GONDOLIN__HOST_TO_GUEST__INIT;
	Gondolin__AgentResize z = GONDOLIN__AGENT_RESIZE__INIT;

	if (!c->resize)
		return 0;
	m.body_case = GONDOLIN__HOST_TO_GUEST__BODY_RESIZE;
	m.resize = &z;
	z.id = c->task.id;
	z.rows = c->rows;
	z.columns = c->columns;
	if (agent_send(&c->vm->agent, &m) < 0)
		return -EAGAIN;
	c->resize = false;
	return 0;
}

static int
produce_credit(struct command *c)
{
	Gondolin__HostToGuest m = GONDOLIN__HOST_TO_GUEST__INIT;
	Gondolin__AgentCredit credit = GONDOLIN__AGENT_CREDIT__INIT;
	unsigned i;

	m.body_case = GONDOLIN__HOST_TO_GUEST__BODY_CREDIT;
	m.credit = &credit;
	credit.id = c->task.id;
	for (i = 0; i < AGENT_OUTPUTS; i++) {
		credit.bytes = output_credit(&c->output[i]);
		credit.stream = i == AGENT_OUT ? AGENT_STDOUT : AGENT_STDERR;
		if (credit.bytes == 0)
			continue;
		if (agent_send(&c->vm->agent, &m) < 0)
			return -EAGAIN;
		c->task.output[i].credit += credit.bytes;
	}
	return 0;
}

static int
produce_close(struct command *c)
{
	Gondolin__HostToGuest m = GONDOLIN__HOST_TO_GUEST__INIT;
	Gondolin__AgentClose nobody = GONDOLIN__AGENT_CLOSE__INIT;
	unsigned i;

	m.body_case = GONDOLIN__HOST_TO_GUEST__BODY_CLOSE;
	m.close = &nobody;
	nobody.id = c->task.id;
	for (i = 0; i < AGENT_OUTPUTS; i++) {
		nobody.stream = i == AGENT_OUT ? AGENT_STDOUT : AGENT_STDERR;
		if (!c->output[i].close)
			continue;
		if (!c->output[i].ended && agent_send(&c->vm->agent, &m) < 0)
			return -EAGAIN;
		c->output[i].close = false;
	}
	return 0;
}

static int
produce_input(struct command *c)
{
	struct agent *a = &c->vm->agent;
	uint8_t *space;
	size_t room;
	ssize_t n;

	/* Without credit the guest's next Credit gives the turn. */
	if (!c->input_ready || c->task.input_credit == 0)
		return 0;
	space = agent_input_space(a, &c->task, &room);
	if (space == NULL)
		return -EAGAIN;
	n = read(c->input_fd, space, room);
	if (n > 0) {
		agent_input_sent(a, &c->task, (size_t)n);
		c->bytes_in += (uint64_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		agent_input_sent(a, &c->task, 0);
		close_input(c);
		return 0;
	}
	if ((size_t)n == room)
		return -EAGAIN;
	c->input_ready = false;
	ev_io_start(c->vm->loop, &c->input);
	return 0;
}

/* Until Started comes the guest may still refuse: nothing but the Exec is sent before. */
static const struct {
	enum agent_stage stage;
	int (*produce)(struct command *c);
} producers[] = {
    {AGENT_HELD, produce_exec},
    {AGENT_RUNNING, produce_signals},
    {AGENT_RUNNING, produce_resize},
    {AGENT_RUNNING, produce_close},
    {AGENT_RUNNING, produce_credit},
    {AGENT_RUNNING, produce_input},
};

static struct command *
command_of(struct agent_task *t)
{
	return (struct command *)((char *)t - offsetof(struct command, task));
}

static bool
on_turn(void *ctx, struct agent_task *t)
{
	struct command *c = command_of(t);
	enum agent_stage stage = t->stage;
	size_t i;

	(void)ctx;
	for (i = 0; i < sizeof(producers) / sizeof(producers[0]); i++)
		if (producers[i].stage == stage && producers[i].produce(c) < 0)
			return true;
	return false;
}

/* ---- What the guest says ---- */

static void
on_hello(void *ctx)
{
	struct vmrunner *vm = ctx;

	network_send(vm);
	machine_up(&vm->machine);
	commands_start(vm);
}

static void
on_started(void *ctx, struct agent_task *t)
{
	struct command *c = command_of(t);

	(void)ctx;
	if (c->client != NULL)
		client_started(c->client, t->id, t->tty);
	if (c->input_fd >= 0)
		ev_io_start(c->vm->loop, &c->input);
	/* What the client asked for in the meantime. */
	agent_wants(&c->vm->agent, t);
}

static void
on_output(void *ctx, struct agent_task *t, unsigned output, const uint8_t *bytes, size_t n)
{
	struct command *c = command_of(t);

	(void)ctx;
	c->bytes_out += n;
	if (n == 0)
		output_end(&c->output[output]);
	else
		output_bytes(&c->output[output], bytes, n);
}

static void
on_exited(void *ctx, struct agent_task *t, int status, bool timed_out)
{
	struct command *c = command_of(t);

	(void)ctx;
	c->status = status;
	c->timed_out = timed_out;
	report_end(c, NULL);
	command_over(c);
}

static void
on_refused(void *ctx, struct agent_task *t, uint32_t error, const uint8_t *message, size_t n)
{
	struct command *c = command_of(t);
	struct refusal r;

	(void)ctx;
	refusal_from_guest(&r, error, message, n);
	c->status = (int)r.code;
	report_end(c, r.message);
	refuse(c, &r);
}

static void
on_credit(void *ctx, struct agent_task *t)
{
	struct command *c = command_of(t);

	(void)ctx;
	if (c->input_ready)
		agent_wants(&c->vm->agent, t);
}

static void
on_ended(void *ctx, const char *violation)
{
	struct vmrunner *vm = ctx;

	machine_agent_ended(&vm->machine, violation);
}

const struct agent_events command_events = {
    .hello = on_hello,
    .started = on_started,
    .output = on_output,
    .exited = on_exited,
    .refused = on_refused,
    .credit = on_credit,
    .turn = on_turn,
    .ended = on_ended,
};

/* ---- All of them ---- */

void
commands_start(struct vmrunner *vm)
{
	struct command *c;

	TAILQ_FOREACH(c, &vm->commands.list, all)
	if (c->task.stage == AGENT_HELD)
		agent_wants(&vm->agent, &c->task);
}

void
commands_fail(struct vmrunner *vm, const struct refusal *r, bool with_waiting)
{
	struct command *c, *next;

	for (c = TAILQ_FIRST(&vm->commands.list); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->over || (c->task.stage == AGENT_HELD && !with_waiting))
			continue;
		if (c->task.stage == AGENT_HELD) {
			report_refused(vm, c->exec, r);
			refuse(c, r);
			continue;
		}
		agent_forget(&vm->agent, &c->task);
		c->failed = true;
		c->status = (int)r->code;
		report_end(c, r->message);
		if (c->detached || c->client == NULL)
			command_free(c);
		else
			command_over(c);
	}
}

void
commands_count(const struct commands *all, unsigned *running, unsigned *detached)
{
	const struct command *c = NULL;

	*running = *detached = 0;
	TAILQ_FOREACH(c, &all->list, all)
	{
		if (!c->over)
			++*running;
		if (c->detached && !c->over)
			++*detached;
	}
}
