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
 * the order QEMU, helpers (once their last records are heard), session directory, guard.  Nothing
 * that the guest wrote outlives it, so QEMU is killed rather than shut down where its command has
 * ended; `stop` and signals give the guest SHUTDOWN_GRACE_MS.
 */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/declared.h"
#include "supervisor/sandbox_private.h"

#define SHUTDOWN_GRACE_MS 5000u
#define WAKE_SECONDS      5.
#define FILES_MIN         640u
#define QEMU_OLDEST       "QEMU 7.2"
#define ERROR_SIZE        SANDBOX_ERROR_SIZE

/* ---- The end ---- */

void
sandbox_end(struct sandbox *s, int code)
{
	if (s->phase == PHASE_ENDED)
		return;
	s->phase = PHASE_ENDED;
	s->code = code;
	ev_break(s->loop, EVBREAK_ALL);
}

void
sandbox_fail(struct sandbox *s, const char *format, ...)
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
	sandbox_end(s, EXIT_SANDBOX_FAILED);
}

void
sandbox_recorded(struct sandbox *s, const char *who, int rc)
{
	if (rc == -EPROTO)
		sandbox_fail(s, "%s sent a record without a kind", who);
	else if (rc < 0)
		sandbox_fail(
		    s, "%s: the audit log cannot be written: %s", s->config->audit, strerror(-rc));
}

void
sandbox_stop(struct sandbox *s, int code)
{
	if (s->phase != PHASE_UP) {
		sandbox_end(s, code);
		return;
	}
	s->phase = PHASE_STOPPING;
	s->code = code;
	s->info.state = SESSION_STOPPING;
	(void)session_write(&s->session, &s->info);
	sandbox_shut_down(s, SHUTDOWN_GRACE_MS);
}

/* ---- The session's file ---- */

static void
add_process(struct session_info *info, const char *name, pid_t pid, uid_t uid, gid_t gid)
{
	struct session_process *row = &info->processes[info->n_processes++];

	snprintf(row->name, sizeof(row->name), "%s", name);
	row->pid = pid;
	row->uid = uid;
	row->gid = gid;
	row->start_time = session_process_start_time(pid);
}

void
sandbox_write_session(struct sandbox *s)
{
	enum process_id id;
	int rc;

	s->info.n_processes = 0;
	add_process(&s->info, guard_profile.name, s->guard.pid, geteuid(), getegid());
	for (id = 0; id < PROCESSES; id++)
		if (s->processes[id].pid > 0)
			add_process(&s->info, process_rows[id].name, s->processes[id].pid,
			    s->processes[id].uid, s->processes[id].gid);
	snprintf(s->info.accel, sizeof(s->info.accel), "%s", s->machine.kvm ? "kvm" : "tcg");
	rc = session_write(&s->session, &s->info);
	if (rc < 0)
		sandbox_fail(s, "cannot write session.json: %s", strerror(-rc));
}

/* ---- The machine ---- */

static bool
start_machine(struct sandbox *s)
{
	char error[ERROR_SIZE];
	struct process *qemu = &s->processes[PROCESS_QEMU];

	s->machine_given_up = false;
	s->machine_reason[0] = '\0';
	s->console[0] = '\0';
	if (machine_start(&s->machine, qemu, s->loop, &s->identity, s->cgroup_fd, s,
		sandbox_process_ended, error, sizeof(error)) < 0) {
		sandbox_fail(s, "%s", error);
		return false;
	}
	return sandbox_started(s, PROCESS_QEMU, s->machine.kvm ? "kvm" : "tcg");
}

/* What to do where QEMU did not like what it was started with. */
static const char *
advice(const struct sandbox *s, const struct process *qemu)
{
	if (s->phase != PHASE_STARTING || !WIFEXITED(qemu->status) ||
	    WEXITSTATUS(qemu->status) == 0 || qemu->violation[0] != '\0')
		return "";
	if (strstr(qemu->last_line, strerror(ENOMEM)) != NULL)
		return " (a smaller vm { memory } is needed, or larger limits)";
	return " (" QEMU_OLDEST " or newer is needed)";
}

void
sandbox_machine_ended(struct sandbox *s)
{
	struct process *qemu = &s->processes[PROCESS_QEMU];
	bool was_kvm = s->machine.kvm;
	char how[ERROR_SIZE], reason[ERROR_SIZE + 64];

	process_describe_end(qemu, how, sizeof(how));
	if (s->machine_reason[0] != '\0')
		snprintf(reason, sizeof(reason), "%s", s->machine_reason);
	else
		snprintf(reason, sizeof(reason), "qemu %s%s", how, advice(s, qemu));
	if (s->phase == PHASE_STOPPING) {
		sandbox_end(s, s->code);
		return;
	}
	if (s->phase == PHASE_UP || !machine_failed(&s->machine)) {
		sandbox_fail(s, "%s%s%s", reason,
		    s->console[0] != '\0' ? "; the console's last words: " : "", s->console);
		return;
	}
	log_line("gondolin: %s; trying once more%s", reason,
	    was_kvm && !s->machine.kvm ? " with accel = tcg" : "");
	if (start_machine(s)) {
		sandbox_write_session(s);
		sandbox_hand_machine(s);
		sandbox_hand_port(s);
	}
}

/* ---- Processes ---- */

bool
sandbox_started(struct sandbox *s, enum process_id id, const char *how)
{
	const struct process *p = &s->processes[id];
	const char *name = process_rows[id].name;

	sandbox_recorded(s, name, record_process(&s->log, "process-start", name, p->pid, how));
	return s->phase != PHASE_ENDED;
}

static void
on_wake_over(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	sandbox_fail(w->data, "netproxy and egress parted: the sandbox is gone");
}

/*
 * netproxy and egress end with code 0 where the other one closed their edge.  The kernel closes a
 * dying process's edges before it tells its parent, so whoever died is named when its own end is
 * heard; where nobody did, the sandbox ends all the same.
 */
static bool
followed_another(struct sandbox *s, const struct process *p)
{
	enum process_id other = p->id == PROCESS_NETPROXY ? PROCESS_EGRESS : PROCESS_NETPROXY;

	if (p->status != 0 || (p->id != PROCESS_NETPROXY && p->id != PROCESS_EGRESS) ||
	    s->processes[other].pid <= 0)
		return false;
	ev_timer_init(&s->wake, on_wake_over, WAKE_SECONDS, 0.);
	s->wake.data = s;
	ev_timer_start(s->loop, &s->wake);
	return true;
}

void
sandbox_process_ended(void *ctx, struct process *p)
{
	const char *name = process_rows[p->id].name;
	struct sandbox *s = ctx;
	char how[ERROR_SIZE];

	process_describe_end(p, how, sizeof(how));
	sandbox_recorded(s, name, record_process(&s->log, "process-end", name, p->pid, how));
	if (p->id != PROCESS_QEMU) {
		if (!followed_another(s, p))
			sandbox_fail(s, "%s %s: the sandbox is gone", name, how);
		return;
	}
	/* vmrunner sees the same end on its side; whoever comes first, the other's part is waited
	 * for. */
	if (s->machine_given_up || p->violation[0] != '\0' || !ipc_channel_is_open(&s->vmrunner))
		sandbox_machine_ended(s);
}

static void
on_guard_exited(struct ev_loop *loop, ev_io *w, int events)
{
	(void)events;
	ev_io_stop(loop, w);
	sandbox_fail(w->data, "the guard process died: the sandbox is gone");
}

/* ---- Signals and the lifeline ---- */

/*
 * With a command in the foreground a signal is for it, and its end is ours; the next one stops the
 * sandbox.  What the terminal's keys send reaches the command's relay without us.
 */
static void
on_signal(struct ev_loop *loop, ev_io *w, int events)
{
	struct sandbox *s = w->data;
	struct signalfd_siginfo info;
	int number;

	(void)loop;
	(void)events;
	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	number = (int)info.ssi_signo;
	if (s->foreground.pid > 0 && s->code == 0) {
		s->code = 128 + number;
		if (info.ssi_code != SI_KERNEL)
			foreground_signal(&s->foreground, number);
		return;
	}
	if (s->phase == PHASE_STOPPING)
		sandbox_end(s, 128 + number);
	else
		sandbox_stop(s, 128 + number);
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
		sandbox_end(s, 0);
}

static void
watch(struct sandbox *s)
{
	ev_io_init(&s->signalled, on_signal, s->signal_fd, EV_READ);
	s->signalled.data = s;
	ev_io_start(s->loop, &s->signalled);
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
		sandbox_fail(s, "%s", error);
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
	declared_processes(s->config, &s->info);
	rc = session_listen(&s->session, 64);
	if (rc < 0) {
		sandbox_fail(s, "cannot make control.sock: %s", strerror(-rc));
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
	int rc;

	if (l->line == 0)
		return true;
	s->cgroup_fd = jail_cgroup_make(
	    s->session.id, &limits, s->cgroup, sizeof(s->cgroup), error, sizeof(error));
	if (s->cgroup_fd >= 0)
		return true;
	rc = s->cgroup_fd;
	s->cgroup_fd = -1;
	s->cgroup[0] = '\0';
	/* None to be had is what the manual says; one that is there and cannot be used is news. */
	if (!l->required && rc != -EOPNOTSUPP)
		log_line("gondolin: no cgroup holds the limits: %s", error);
	if (!l->required)
		return true;
	sandbox_fail(s, "%s:%u: limits cannot be enforced: %s", s->config->name, l->line, error);
	return false;
}

/* What we hold, and QEMU's wall: its last descriptor before exec lies above all of its own. */
static bool
raise_files_limit(struct sandbox *s)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= FILES_MIN)
		return true;
	files.rlim_cur = FILES_MIN;
	if (files.rlim_cur <= files.rlim_max && setrlimit(RLIMIT_NOFILE, &files) == 0)
		return true;
	sandbox_fail(s, "at most %llu open files are allowed; raise that to %u or more (ulimit -n)",
	    (unsigned long long)files.rlim_max, FILES_MIN);
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
		sandbox_fail(s, "%s", error);
		return false;
	}
	if (!make_session(s) || !make_cgroup(s))
		return false;
	if (guard_start(&s->guard, &s->session, s->cgroup, error, sizeof(error)) < 0 ||
	    (s->config->audit != NULL && audit_log_open(&s->log, s->config->audit, s->session.id,
					     error, sizeof(error)) < 0) ||
	    /* After the guard, which has no use for secrets. */
	    network_prepare(&s->network, s->config, error, sizeof(error)) < 0) {
		sandbox_fail(s, "%s", error);
		return false;
	}
	s->machine.link = network_link(&s->network);
	return true;
}

static bool
start(struct sandbox *s)
{
	if (!raise_files_limit(s) || !prepare(s))
		return false;
	sandbox_recorded(
	    s, "supervisor", record_event(&s->log, "sandbox-start", "image", s->image.id));
	if (s->phase == PHASE_ENDED || !start_machine(s) || !sandbox_start_vmrunner(s) ||
	    !sandbox_start_vfsd(s) || !sandbox_start_network(s))
		return false;
	watch(s);
	sandbox_write_session(s);
	return s->phase != PHASE_ENDED;
}

static void
clean_up(struct sandbox *s)
{
	enum process_id id;

	process_end_now(&s->processes[PROCESS_QEMU]);
	sandbox_hear_out(s);
	mounts_clear(&s->mounts);
	network_clear(&s->network);
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

/*
 * From here on signals wait for the loop, so that none ends us between two steps of the start.
 *
 * An exec undoes neither ignored nor blocked ones: what whoever started us blocked comes, and what
 * nohup(1) or a shell's background ignores stays so.
 */
static int
take_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction before;
	sigset_t mask;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaddset(&mask, numbers[i]);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
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
	    .network = NETWORK_EMPTY,
	    .control_fd = -1,
	    .cgroup_fd = -1,
	    .lifeline = o->lifeline,
	};
	enum process_id id;

	s.signal_fd = take_signals();
	audit_log_init(&s.log);
	for (id = 0; id < PROCESSES; id++)
		process_init(&s.processes[id], id);
	/* Not the default loop: that one reaps all children, ours before we learn how they ended.
	 */
	s.loop = ev_loop_new(EVFLAG_NOENV);
	if (s.loop == NULL || s.signal_fd < 0) {
		log_line("gondolin: cannot make an event loop: %s", strerror(errno));
		return EXIT_SANDBOX_FAILED;
	}
	if (start(&s))
		ev_run(s.loop, 0);
	clean_up(&s);
	ev_loop_destroy(s.loop);
	close(s.signal_fd);
	return s.code;
}
