/* SPDX-License-Identifier: Apache-2.0 */
/* vmrunner's edge: what it is told, and what it reports. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"
#include "supervisor/programs.h"
#include "supervisor/sandbox_private.h"

#define ERROR_SIZE    SANDBOX_ERROR_SIZE
#define CONSOLE_WORDS SANDBOX_CONSOLE_WORDS

/* ---- What it is told ---- */

static void
send_to_vmrunner(struct sandbox *s, Gondolin__SupToVmrunner__BodyCase kind, void *body,
    const int *fds, size_t n_fds)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	int rc;

	m.body_case = kind;
	m.setup = body; /* all members of the union are pointers */
	rc = ipc_channel_send(&s->vmrunner, &m.base, fds, n_fds);
	if (rc < 0)
		sandbox_fail(s, "cannot speak to vmrunner: %s", strerror(-rc));
}

void
sandbox_shut_down(struct sandbox *s, unsigned grace_ms)
{
	Gondolin__VmrunnerShutdown m = GONDOLIN__VMRUNNER_SHUTDOWN__INIT;

	m.grace_ms = grace_ms;
	send_to_vmrunner(s, GONDOLIN__SUP_TO_VMRUNNER__BODY_SHUTDOWN, &m, NULL, 0);
}

static void
send_network(struct sandbox *s)
{
	Gondolin__VmrunnerNetwork m = GONDOLIN__VMRUNNER_NETWORK__INIT;
	ProtobufCBinaryData env[NETWORK_SECRETS_MAX];

	network_tell_guest(&s->network, &m, env);
	send_to_vmrunner(s, GONDOLIN__SUP_TO_VMRUNNER__BODY_NETWORK, &m, NULL, 0);
	network_forget_guest(&m);
}

void
sandbox_hand_machine(struct sandbox *s)
{
	Gondolin__VmrunnerMachine m = GONDOLIN__VMRUNNER_MACHINE__INIT;
	struct edge *e = s->machine.edges;
	const int fds[] = {e[EDGE_AGENT].b, e[EDGE_QMP].b, e[EDGE_CONSOLE].b};

	if (s->vmrunner.state != HELPER_RUNNING || !network_is_ready(&s->network) ||
	    e[EDGE_AGENT].b < 0)
		return;
	if (s->machine.attempt == 1 && network_is_wanted(&s->network))
		send_network(s);
	m.attempt = s->machine.attempt;
	m.alive_deadline_ms = machine_alive_deadline(&s->machine);
	m.hello_deadline_ms = machine_hello_deadline(&s->machine);
	m.last = machine_is_last_attempt(&s->machine);
	send_to_vmrunner(
	    s, GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE, &m, fds, sizeof(fds) / sizeof(fds[0]));
	edge_close(&e[EDGE_AGENT]);
	edge_close(&e[EDGE_QMP]);
	edge_close(&e[EDGE_CONSOLE]);
}

static void
send_setup(struct sandbox *s)
{
	Gondolin__VmrunnerSetup setup = GONDOLIN__VMRUNNER_SETUP__INIT;
	Gondolin__ExecDefaults defaults = GONDOLIN__EXEC_DEFAULTS__INIT;
	ProtobufCBinaryData env[CONFIG_WORDS_MAX];
	size_t i;

	for (i = 0; i < s->config->env.n; i++)
		env[i] = ipc_text(s->config->env.v[i]);
	defaults.env = env;
	defaults.n_env = s->config->env.n;
	defaults.user = ipc_text(s->config->user);
	defaults.cwd = ipc_text(s->config->cwd);
	defaults.timeout_ms = s->config->timeout * 1000u;
	setup.session_id = ipc_text(s->session.id);
	setup.defaults = &defaults;
	setup.trace_console = s->options->console;
	send_to_vmrunner(s, GONDOLIN__SUP_TO_VMRUNNER__BODY_SETUP, &setup, NULL, 0);
}

/* All that vmrunner had sent before the command's end has been heard. */
static void
on_all_heard(struct ev_loop *loop, ev_idle *w, int events)
{
	struct sandbox *s = w->data;

	(void)events;
	ev_idle_stop(loop, w);
	if (s->phase == PHASE_UP && !s->machine_given_up && ipc_channel_is_open(&s->vmrunner))
		sandbox_end(s, EXIT_SANDBOX_FAILED);
}

/*
 * 125 is the command's own code, or that of a sandbox that failed under it.  vmrunner reports a
 * failure before it refuses the command, so the report lies in the channel by now: what is there is
 * heard first.
 */
static void
foreground_ended(void *ctx, int code)
{
	struct sandbox *s = ctx;

	if (code != EXIT_SANDBOX_FAILED) {
		sandbox_end(s, code);
		return;
	}
	ev_idle_init(&s->all_heard, on_all_heard);
	s->all_heard.data = s;
	ev_idle_start(s->loop, &s->all_heard);
}

static void
start_foreground(struct sandbox *s)
{
	char error[ERROR_SIZE], path[4096];
	int fd = session_connect(&s->session);

	if (fd < 0)
		snprintf(error, sizeof(error), "cannot connect to control.sock: %s", strerror(-fd));
	if (fd < 0 || program_path("gondolin", path, sizeof(path), error, sizeof(error)) < 0 ||
	    foreground_start(&s->foreground, s->loop, s->config, fd, path, s, foreground_ended,
		error, sizeof(error)) < 0)
		sandbox_fail(s, "%s", error);
}

static void
announce(struct sandbox *s)
{
	char packet[4400], place[64], folder[4096];
	ssize_t n;

	snprintf(place, sizeof(place), "/proc/self/fd/%d", s->session.dir_fd);
	n = readlink(place, folder, sizeof(folder) - 1);
	folder[n > 0 ? n : 0] = '\0';
	snprintf(packet, sizeof(packet), "ready %s %s\n", s->session.id, folder);
	/* A reader that is gone shows on the lifeline itself. */
	if (send(s->lifeline, packet, strlen(packet), MSG_NOSIGNAL) < 0)
		return;
}

static int
on_ready(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct sandbox *s = ctx;
	Gondolin__VmrunnerServe serve = GONDOLIN__VMRUNNER_SERVE__INIT;

	(void)body;
	(void)fds;
	(void)n_fds;
	s->vmrunner.state = HELPER_RUNNING;
	sandbox_hand_machine(s);
	send_to_vmrunner(s, GONDOLIN__SUP_TO_VMRUNNER__BODY_SERVE, &serve, &s->control_fd, 1);
	close(s->control_fd);
	s->control_fd = -1;
	if (s->phase == PHASE_ENDED)
		return 0;
	if (s->lifeline >= 0)
		announce(s);
	else if (s->config->command.n > 0)
		start_foreground(s);
	else if (isatty(STDERR_FILENO) || isatty(STDOUT_FILENO))
		log_line("gondolin: session %s; gondolin attach %s, gondolin stop %s",
		    s->session.id, s->session.id, s->session.id);
	return 0;
}

/* The last whole lines of the console that fit, without empty ones, parted by " | ". */
static void
console_words(char *out, size_t size, const char *text, size_t n)
{
	size_t from, to, used = 0;

	from = n > CONSOLE_WORDS ? n - CONSOLE_WORDS : 0;
	while (from > 0 && from < n && text[from - 1] != '\n')
		from++;
	out[0] = '\0';
	for (; from < n; from = to + 1) {
		for (to = from; to < n && text[to] != '\n' && text[to] != '\r'; to++)
			;
		if (to == from || used + 8 > size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s", used > 0 ? " | " : "");
		log_escape(out + used, size - used, text + from, to - from);
		used += strlen(out + used);
	}
}

static int
on_machine_state(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct sandbox *s = ctx;
	const Gondolin__VmrunnerMachineState *m = body;
	struct process *qemu = &s->processes[PROCESS_QEMU];

	(void)fds;
	(void)n_fds;
	/* What an attempt that is over still had to say. */
	if (m->attempt != s->machine.attempt)
		return 0;
	switch (m->state) {
	case GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__ALIVE:
		machine_alive(&s->machine);
		return 0;
	case GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UP:
		if (s->phase != PHASE_STARTING)
			return -EPROTO;
		s->phase = PHASE_UP;
		s->info.state = SESSION_RUNNING;
		sandbox_write_session(s);
		sandbox_recorded(s, "vmrunner", record_event(&s->log, "machine-up", NULL, NULL));
		return 0;
	case GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED:
		/* A QEMU that ended by itself has the better story: how. */
		if (!m->qemu_gone)
			log_escape(s->machine_reason, sizeof(s->machine_reason), m->reason.data,
			    m->reason.len);
		console_words(
		    s->console, sizeof(s->console), (const char *)m->console.data, m->console.len);
		s->machine_given_up = true;
		break;
	case GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__STOPPED:
		s->machine_given_up = true;
		break;
	default:
		return -EPROTO;
	}
	if (qemu->pid > 0)
		process_kill(qemu); /* process_ended goes on */
	else
		sandbox_machine_ended(s);
	return 0;
}

static int
on_stop(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)body;
	(void)fds;
	(void)n_fds;
	sandbox_stop(ctx, 0);
	return 0;
}

static int
on_record(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct sandbox *s = ctx;

	(void)fds;
	(void)n_fds;
	sandbox_recorded(s, "vmrunner", record_vmrunner(&s->log, body));
	return 0;
}

static const struct ipc_row vmrunner_rows[] = {
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_READY, "Ready", HELPER_AWAITED, 0, 0, on_ready},
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_MACHINE_STATE, "MachineState", HELPER_RUNNING, 0, 0,
	on_machine_state},
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_STOP, "Stop", HELPER_RUNNING, 0, 0, on_stop},
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_RECORD, "Record", HELPER_RUNNING | HELPER_LEAVING, 0, 0,
	on_record},
};

static const struct ipc_table vmrunner_table = {
    .envelope = &gondolin__vmrunner_to_sup__descriptor,
    .rows = vmrunner_rows,
    .n_rows = sizeof(vmrunner_rows) / sizeof(vmrunner_rows[0]),
};

static void
vmrunner_ended(void *ctx, int reason, const char *message)
{
	struct sandbox *s = ctx;

	/* Its end of the channel closes when it dies: how it died says more, and follows. */
	if (reason == 0)
		return;
	sandbox_fail(s, "vmrunner broke its protocol (%s%s%s): the sandbox is gone",
	    strerror(-reason), message != NULL ? " in " : "", message != NULL ? message : "");
}

/* ---- The start ---- */

bool
sandbox_start_vmrunner(struct sandbox *s)
{
	char error[ERROR_SIZE], path[4096];
	char name[] = "gondolin-vmrunner";
	char *const argv[] = {name, NULL};
	struct process_start how = {
	    .program = path,
	    .argv = argv,
	    .identity = identity_of(&s->identity, PROCESS_VMRUNNER),
	    .fds = &s->vmrunner_edge.b,
	    .n_fds = 1,
	    .cgroup_fd = s->cgroup_fd,
	};
	struct process *p = &s->processes[PROCESS_VMRUNNER];
	int rc = edge_make(&s->vmrunner_edge, EDGE_VMRUNNER);

	if (rc < 0) {
		sandbox_fail(s, "cannot make a socketpair: %s", strerror(-rc));
		return false;
	}
	if (program_path(process_rows[PROCESS_VMRUNNER].program, path, sizeof(path), error,
		sizeof(error)) < 0 ||
	    process_start(p, s->loop, &how, s, sandbox_process_ended, error, sizeof(error)) < 0) {
		sandbox_fail(s, "%s", error);
		return false;
	}
	close(s->vmrunner_edge.b);
	s->vmrunner_edge.b = -1;
	if (!sandbox_started(s, PROCESS_VMRUNNER, ""))
		return false;
	ipc_channel_open(
	    &s->vmrunner, s->loop, s->vmrunner_edge.a, &vmrunner_table, s, vmrunner_ended);
	s->vmrunner_edge.a = -1;
	s->vmrunner.state = HELPER_AWAITED;
	send_setup(s);
	return s->phase != PHASE_ENDED;
}
