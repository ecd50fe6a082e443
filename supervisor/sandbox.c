/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's life.
 *
 * Start: session directory, guard, audit log, identity, image; then QEMU and vmrunner at once,
 * since the kernel takes longest.  vmrunner gets the machine's edges and the control socket when it
 * answers Ready from inside its jail.  Clients may connect from then on; their commands wait in
 * vmrunner for the agent.
 *
 * End: one reason, said once, the first that is known.  Then everything is killed and removed in
 * the order processes, session directory, guard.  Nothing that the guest wrote outlives it, so QEMU
 * is killed rather than shut down where its command has ended; `stop` and signals give the guest
 * SHUTDOWN_GRACE_MS.
 */
#include "supervisor/sandbox.h"

#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/vmrunner.pb-c.h"
#include "supervisor/foreground.h"
#include "supervisor/guard.h"
#include "supervisor/machine.h"
#include "supervisor/mounts.h"
#include "supervisor/programs.h"
#include "supervisor/records.h"

#define SHUTDOWN_GRACE_MS 5000u
#define CONSOLE_WORDS     600u /* bytes of the console that a reason shows */
#define ERROR_SIZE        2048

enum phase { PHASE_STARTING, PHASE_UP, PHASE_STOPPING, PHASE_ENDED };

/* States of the channel to vmrunner. */
enum { AWAIT_READY = 1, RUNNING = 2 };

struct sandbox {
	const struct config *config;
	const struct sandbox_options *options;
	struct ev_loop *loop;
	enum phase phase;
	int code; /* to exit with */
	struct session session;
	struct session_info info;
	struct guard guard;
	struct audit_log log;
	struct identity identity;
	struct image_store store;
	struct image image;
	struct machine machine;
	struct process processes[PROCESSES];
	struct edge vmrunner_edge;
	struct ipc_channel vmrunner;
	struct mounts mounts;
	struct foreground foreground;
	int control_fd; /* listening; until vmrunner has it */
	int lifeline;
	char cgroup[512];
	int cgroup_fd;
	char
	    machine_reason[ERROR_SIZE]; /* why vmrunner gave the machine up, until QEMU has ended */
	char console[CONSOLE_WORDS + 256]; /* what it said last */
	bool machine_given_up;
	ev_signal signals[3];
	ev_io lifeline_readable, guard_exited;
	ev_idle all_heard;
};

/* ---- The end ---- */

static void
end(struct sandbox *s, int code)
{
	if (s->phase == PHASE_ENDED)
		return;
	s->phase = PHASE_ENDED;
	s->code = code;
	ev_break(s->loop, EVBREAK_ALL);
}

/* The sandbox failed: the first reason is the one that is said. */
static void __attribute__((format(printf, 2, 3))) fail(struct sandbox *s, const char *format, ...)
{
	char reason[ERROR_SIZE];
	va_list ap;

	if (s->phase == PHASE_ENDED)
		return;
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	log_line("gondolin: %s", reason);
	/* Nothing more can be done about a record that cannot be kept. */
	(void)record_event(&s->log, "failure", "reason", reason);
	end(s, EXIT_SANDBOX_FAILED);
}

/* What is not recorded must not happen. */
static void
recorded(struct sandbox *s, int rc)
{
	if (rc == -EPROTO)
		fail(s, "vmrunner sent a record without a kind");
	else if (rc < 0)
		fail(s, "%s: the audit log cannot be written: %s", s->config->audit, strerror(-rc));
}

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
		fail(s, "cannot speak to vmrunner: %s", strerror(-rc));
}

/* Ends the sandbox in order: the guest gets the chance to end its processes. */
static void
stop(struct sandbox *s, int code)
{
	Gondolin__VmrunnerShutdown shutdown = GONDOLIN__VMRUNNER_SHUTDOWN__INIT;

	if (s->phase != PHASE_UP) {
		end(s, code);
		return;
	}
	s->phase = PHASE_STOPPING;
	s->code = code;
	s->info.state = SESSION_STOPPING;
	(void)session_write(&s->session, &s->info);
	shutdown.grace_ms = SHUTDOWN_GRACE_MS;
	send_to_vmrunner(s, GONDOLIN__SUP_TO_VMRUNNER__BODY_SHUTDOWN, &shutdown, NULL, 0);
}

/* ---- The session's file ---- */

static void
add_process(struct session_info *info, const char *name, pid_t pid, uid_t uid)
{
	struct session_process *row = &info->processes[info->n_processes++];

	snprintf(row->name, sizeof(row->name), "%s", name);
	row->pid = pid;
	row->uid = uid;
	row->start_time = session_process_start_time(pid);
}

static void
write_session(struct sandbox *s)
{
	enum process_id id;
	int rc;

	s->info.n_processes = 0;
	add_process(&s->info, guard_profile.name, s->guard.pid, geteuid());
	for (id = 0; id < PROCESSES; id++)
		if (s->processes[id].pid > 0)
			add_process(&s->info, process_rows[id].name, s->processes[id].pid,
			    s->processes[id].uid);
	snprintf(s->info.accel, sizeof(s->info.accel), "%s", s->machine.kvm ? "kvm" : "tcg");
	rc = session_write(&s->session, &s->info);
	if (rc < 0)
		fail(s, "cannot write session.json: %s", strerror(-rc));
}

/* ---- The machine ---- */

static void process_ended(void *ctx, struct process *p);

static bool
start_machine(struct sandbox *s)
{
	char error[ERROR_SIZE];
	struct process *qemu = &s->processes[PROCESS_QEMU];

	s->machine_given_up = false;
	s->machine_reason[0] = '\0';
	s->console[0] = '\0';
	if (machine_start(&s->machine, qemu, s->loop, &s->identity, s->cgroup_fd, s, process_ended,
		error, sizeof(error)) < 0) {
		fail(s, "%s", error);
		return false;
	}
	recorded(s, record_process(&s->log, "process-start", process_rows[PROCESS_QEMU].name,
			qemu->pid, s->machine.kvm ? "kvm" : "tcg"));
	return s->phase != PHASE_ENDED;
}

/* Hands vfsd its end of the machine's port, as soon as both are there. */
static void
hand_port(struct sandbox *s)
{
	int rc = mounts_hand_port(&s->mounts, &s->machine.edges[EDGE_VFS]);

	if (rc < 0)
		fail(s, "cannot speak to vfsd: %s", strerror(-rc));
}

/* Hands vmrunner its ends of the machine's edges. */
static void
hand_machine(struct sandbox *s)
{
	Gondolin__VmrunnerMachine m = GONDOLIN__VMRUNNER_MACHINE__INIT;
	struct edge *e = s->machine.edges;
	const int fds[] = {e[EDGE_AGENT].b, e[EDGE_QMP].b, e[EDGE_CONSOLE].b};

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

/*
 * The machine is gone, and both ends of the story are known: vmrunner's reason, if it had one, and
 * how QEMU ended.
 */
static void
machine_ended(struct sandbox *s)
{
	struct process *qemu = &s->processes[PROCESS_QEMU];
	bool was_kvm = s->machine.kvm;
	char how[ERROR_SIZE], reason[ERROR_SIZE + 16];

	process_describe_end(qemu, how, sizeof(how));
	if (s->machine_reason[0] != '\0')
		snprintf(reason, sizeof(reason), "%s", s->machine_reason);
	else
		snprintf(reason, sizeof(reason), "qemu %s", how);
	if (s->phase == PHASE_STOPPING) {
		end(s, s->code);
		return;
	}
	if (s->phase == PHASE_UP || !machine_failed(&s->machine)) {
		fail(s, "%s%s%s", reason,
		    s->console[0] != '\0' ? "; the console's last words: " : "", s->console);
		return;
	}
	log_line("gondolin: %s; trying once more%s", reason,
	    was_kvm && !s->machine.kvm ? " with accel = tcg" : "");
	if (start_machine(s)) {
		write_session(s);
		hand_machine(s);
		hand_port(s);
	}
}

/* ---- Processes ---- */

static void
process_ended(void *ctx, struct process *p)
{
	struct sandbox *s = ctx;
	char how[ERROR_SIZE];

	process_describe_end(p, how, sizeof(how));
	recorded(s, record_process(&s->log, "process-end", process_rows[p->id].name, p->pid, how));
	if (p->id != PROCESS_QEMU) {
		fail(s, "%s %s: the sandbox is gone", process_rows[p->id].name, how);
		return;
	}
	/* vmrunner sees the same end on its side; whoever comes first, the other's part is waited
	 * for. */
	if (s->machine_given_up || p->violation[0] != '\0' || !ipc_channel_is_open(&s->vmrunner))
		machine_ended(s);
}

static void
on_guard_exited(struct ev_loop *loop, ev_io *w, int events)
{
	(void)events;
	ev_io_stop(loop, w);
	fail(w->data, "the guard process died: the sandbox is gone");
}

static bool
start_vmrunner(struct sandbox *s)
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

	if (program_path(process_rows[PROCESS_VMRUNNER].program, path, sizeof(path), error,
		sizeof(error)) < 0 ||
	    edge_make(&s->vmrunner_edge, EDGE_VMRUNNER) < 0 ||
	    process_start(p, s->loop, &how, s, process_ended, error, sizeof(error)) < 0) {
		fail(s, "%s", error);
		return false;
	}
	close(s->vmrunner_edge.b);
	s->vmrunner_edge.b = -1;
	recorded(s, record_process(
			&s->log, "process-start", process_rows[PROCESS_VMRUNNER].name, p->pid, ""));
	return s->phase != PHASE_ENDED;
}

/* ---- vfsd ---- */

static void
vfsd_ready(void *ctx)
{
	hand_port(ctx);
}

static void
vfsd_records(void *ctx, const Gondolin__VfsdRecords *r)
{
	struct sandbox *s = ctx;
	size_t i;

	for (i = 0; i < r->n_records && s->phase != PHASE_ENDED; i++)
		recorded(s, record_vfsd(&s->log, r->records[i]));
}

static void
vfsd_broken(void *ctx, const char *reason)
{
	fail(ctx, "vfsd %s: the sandbox is gone", reason);
}

static const struct mounts_events mounts_events = {vfsd_ready, vfsd_records, vfsd_broken};

static bool
start_vfsd(struct sandbox *s)
{
	char error[ERROR_SIZE];
	const struct process_start how = {
	    .identity = identity_of(&s->identity, PROCESS_VFSD), .cgroup_fd = s->cgroup_fd};
	struct process *p = &s->processes[PROCESS_VFSD];

	if (s->config->n_mounts == 0)
		return true;
	if (mounts_start(&s->mounts, p, s->loop, &how, &mounts_events, s, process_ended, error,
		sizeof(error)) < 0) {
		fail(s, "%s", error);
		return false;
	}
	recorded(s,
	    record_process(&s->log, "process-start", process_rows[PROCESS_VFSD].name, p->pid, ""));
	return s->phase != PHASE_ENDED;
}

/* ---- Messages of vmrunner ---- */

/* NULL is no bytes: vmrunner's own default. */
static ProtobufCBinaryData
bytes_of(char *s)
{
	ProtobufCBinaryData bytes = {0};

	if (s != NULL) {
		bytes.len = strlen(s);
		bytes.data = (uint8_t *)s;
	}
	return bytes;
}

static void
send_setup(struct sandbox *s)
{
	Gondolin__VmrunnerSetup setup = GONDOLIN__VMRUNNER_SETUP__INIT;
	Gondolin__ExecDefaults defaults = GONDOLIN__EXEC_DEFAULTS__INIT;
	ProtobufCBinaryData env[CONFIG_WORDS_MAX];
	size_t i;

	for (i = 0; i < s->config->env.n; i++)
		env[i] = bytes_of(s->config->env.v[i]);
	defaults.env = env;
	defaults.n_env = s->config->env.n;
	defaults.user = bytes_of(s->config->user);
	defaults.cwd = bytes_of(s->config->cwd);
	defaults.timeout_ms = s->config->timeout * 1000u;
	setup.session_id = bytes_of(s->session.id);
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
		end(s, EXIT_SANDBOX_FAILED);
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
		end(s, code);
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
		fail(s, "%s", error);
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
	s->vmrunner.state = RUNNING;
	hand_machine(s);
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
		write_session(s);
		recorded(s, record_event(&s->log, "machine-up", NULL, NULL));
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
		machine_ended(s);
	return 0;
}

static int
on_stop(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)body;
	(void)fds;
	(void)n_fds;
	stop(ctx, 0);
	return 0;
}

static int
on_record(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct sandbox *s = ctx;

	(void)fds;
	(void)n_fds;
	recorded(s, record_vmrunner(&s->log, body));
	return 0;
}

static const struct ipc_row vmrunner_rows[] = {
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_READY, "Ready", AWAIT_READY, 0, 0, on_ready},
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_MACHINE_STATE, "MachineState", RUNNING, 0, 0,
	on_machine_state},
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_STOP, "Stop", RUNNING, 0, 0, on_stop},
    {GONDOLIN__VMRUNNER_TO_SUP__BODY_RECORD, "Record", RUNNING, 0, 0, on_record},
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
	fail(s, "vmrunner broke its protocol (%s%s%s): the sandbox is gone", strerror(-reason),
	    message != NULL ? " in " : "", message != NULL ? message : "");
}

/* ---- Signals and the lifeline ---- */

/*
 * With a command in the foreground a signal is for it (the terminal's own reach it without us), and
 * its end is ours; the second one ends the sandbox.
 */
static void
on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	struct sandbox *s = w->data;

	(void)loop;
	(void)events;
	if (s->foreground.pid > 0 && s->code == 0) {
		s->code = 128 + w->signum;
		if (w->signum != SIGINT)
			foreground_signal(&s->foreground, w->signum);
		return;
	}
	if (s->phase == PHASE_STOPPING)
		end(s, 128 + w->signum);
	else
		stop(s, 128 + w->signum);
}

static void
on_lifeline(struct ev_loop *loop, ev_io *w, int events)
{
	static const char release[] = "release";
	struct sandbox *s = w->data;
	char packet[16];
	ssize_t n;

	(void)events;
	n = recv(s->lifeline, packet, sizeof(packet), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	ev_io_stop(loop, w);
	close(s->lifeline);
	s->lifeline = -1;
	if (n != (ssize_t)strlen(release) || memcmp(packet, release, strlen(release)) != 0)
		end(s, 0);
}

static void
watch(struct sandbox *s)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ev_signal_init(&s->signals[i], on_signal, numbers[i]);
		s->signals[i].data = s;
		ev_signal_start(s->loop, &s->signals[i]);
	}
	ev_io_init(&s->guard_exited, on_guard_exited, s->guard.pidfd, EV_READ);
	s->guard_exited.data = s;
	ev_io_start(s->loop, &s->guard_exited);
	ev_io_init(&s->lifeline_readable, on_lifeline, s->lifeline, EV_READ);
	s->lifeline_readable.data = s;
	if (s->lifeline >= 0)
		ev_io_start(s->loop, &s->lifeline_readable);
}

/* ---- Start and end ---- */

static bool
make_session(struct sandbox *s)
{
	char error[ERROR_SIZE];
	int rc;

	if (session_create(&s->session, s->config->id, error, sizeof(error)) < 0) {
		fail(s, "%s", error);
		return false;
	}
	memcpy(s->info.id, s->session.id, sizeof(s->info.id));
	s->info.pid = getpid();
	s->info.start_time = session_process_start_time(s->info.pid);
	s->info.created = (int64_t)time(NULL);
	s->info.root_started = s->identity.root_started;
	snprintf(s->info.image, sizeof(s->info.image), "%s", s->config->image);
	snprintf(s->info.image_id, sizeof(s->info.image_id), "%s", s->image.id);
	snprintf(s->info.label, sizeof(s->info.label), "%s",
	    s->config->label != NULL ? s->config->label : "");
	snprintf(s->info.config, sizeof(s->info.config), "%s",
	    s->options->config_path != NULL ? s->options->config_path : "");
	rc = session_listen(&s->session, 64);
	if (rc < 0) {
		fail(s, "cannot make control.sock: %s", strerror(-rc));
		return false;
	}
	s->control_fd = rc;
	return true;
}

static bool
make_cgroup(struct sandbox *s)
{
	const struct config_limits *l = &s->config->limits;
	const struct jail_cgroup_limits limits = {l->memory, l->cpu, l->pids};
	char error[ERROR_SIZE];

	if (l->line == 0)
		return true;
	s->cgroup_fd = jail_cgroup_make(
	    s->session.id, &limits, s->cgroup, sizeof(s->cgroup), error, sizeof(error));
	if (s->cgroup_fd >= 0)
		return true;
	s->cgroup_fd = -1;
	s->cgroup[0] = '\0';
	if (!l->required)
		return true;
	fail(s, "%s:%u: limits cannot be enforced: %s", s->config->name, l->line, error);
	return false;
}

/* All that needs a path, before any child but the guard runs. */
static bool
prepare(struct sandbox *s)
{
	char error[ERROR_SIZE];

	if (image_store_open(&s->store, NULL, error, sizeof(error)) < 0 ||
	    image_resolve(&s->store, s->config->image, &s->image, error, sizeof(error)) < 0 ||
	    machine_prepare(&s->machine, s->config, &s->image, error, sizeof(error)) < 0 ||
	    identity_take(&s->identity, s->config->uids.first, s->config->uids.last, error,
		sizeof(error)) < 0 ||
	    mounts_prepare(&s->mounts, s->config, &s->identity, error, sizeof(error)) < 0) {
		fail(s, "%s", error);
		return false;
	}
	if (!make_session(s) || !make_cgroup(s))
		return false;
	if (guard_start(&s->guard, &s->session, s->cgroup, error, sizeof(error)) < 0 ||
	    (s->config->audit != NULL && audit_log_open(&s->log, s->config->audit, s->session.id,
					     error, sizeof(error)) < 0)) {
		fail(s, "%s", error);
		return false;
	}
	return true;
}

static bool
start(struct sandbox *s)
{
	if (!prepare(s))
		return false;
	recorded(s, record_event(&s->log, "sandbox-start", "image", s->image.id));
	if (s->phase == PHASE_ENDED || !start_machine(s) || !start_vmrunner(s) || !start_vfsd(s))
		return false;
	ipc_channel_open(
	    &s->vmrunner, s->loop, s->vmrunner_edge.a, &vmrunner_table, s, vmrunner_ended);
	s->vmrunner_edge.a = -1;
	s->vmrunner.state = AWAIT_READY;
	send_setup(s);
	if (s->phase == PHASE_ENDED)
		return false;
	watch(s);
	write_session(s);
	return s->phase != PHASE_ENDED;
}

static void
clean_up(struct sandbox *s)
{
	enum process_id id;

	ipc_channel_close(&s->vmrunner);
	mounts_clear(&s->mounts);
	for (id = 0; id < PROCESSES; id++)
		process_end_now(&s->processes[id]);
	/* Its control socket is closed by now. */
	if (s->foreground.pid > 0)
		(void)foreground_wait(&s->foreground);
	edge_close(&s->vmrunner_edge);
	machine_clear(&s->machine);
	if (s->control_fd >= 0)
		close(s->control_fd);
	if (s->cgroup_fd >= 0)
		close(s->cgroup_fd);
	if (s->cgroup[0] != '\0')
		jail_cgroup_remove(s->cgroup);
	if (record_event(&s->log, "sandbox-end", NULL, NULL) < 0 &&
	    s->code != EXIT_SANDBOX_FAILED) {
		log_line("gondolin: %s: the end could not be recorded", s->config->audit);
		s->code = EXIT_SANDBOX_FAILED;
	}
	audit_log_close(&s->log);
	session_remove(&s->session);
	guard_dismiss(&s->guard);
	image_close(&s->image);
	image_store_close(&s->store);
	identity_release(&s->identity);
	/* Last: whoever waits for it finds nothing left behind. */
	if (s->lifeline >= 0)
		close(s->lifeline);
}

int
sandbox_run(const struct config *c, const struct sandbox_options *o)
{
	struct sandbox s = {
	    .config = c,
	    .options = o,
	    .session = SESSION_EMPTY,
	    .guard = {.pidfd = -1, .pipe = -1},
	    .identity = {.lock_fd = -1},
	    .vmrunner_edge = {-1, -1},
	    .mounts = MOUNTS_EMPTY,
	    .control_fd = -1,
	    .cgroup_fd = -1,
	    .lifeline = o->lifeline,
	};
	enum process_id id;

	signal(SIGPIPE, SIG_IGN);
	audit_log_init(&s.log);
	for (id = 0; id < PROCESSES; id++)
		process_init(&s.processes[id], id);
	/* Not the default loop: that one reaps all children, ours before we learn how they ended.
	 */
	s.loop = ev_loop_new(EVFLAG_NOENV);
	if (s.loop == NULL) {
		log_line("gondolin: cannot make an event loop: %s", strerror(errno));
		return EXIT_SANDBOX_FAILED;
	}
	if (start(&s))
		ev_run(s.loop, 0);
	clean_up(&s);
	ev_loop_destroy(s.loop);
	return s.code;
}
