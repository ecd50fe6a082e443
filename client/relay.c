/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in the foreground: its pipes to our own stdin, stdout and stderr.
 *
 * Everything is non-blocking and one poll(2) waits for all of it: the control connection, a
 * signalfd, and three pumps.  A terminal becomes raw when the command runs, not before: until then
 * Ctrl-C is a signal, and ends us.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/pump.h"
#include "client/terminal.h"
#include "ipc/log.h"

#define DETACH_KEY     0x1d /* Ctrl-] */
#define AGAIN_MS       5000
#define HANGUP_WAIT_MS 5000
#define POLL_MAX       8

struct relay {
	struct gondolin_exec *x;
	struct pump pumps[3]; /* by stream: 0 is stdin */
	struct pollfd fds[POLL_MAX];
	size_t first[4]; /* of each pump's part of fds, and the end of the last */
	int signals;     /* signalfd */
	sigset_t mask_before;
	struct sigaction pipe_before;
	bool detachable;     /* by Ctrl-] */
	bool terminal;       /* ours is to be raw while the command runs */
	bool running;        /* seen */
	int64_t interrupted; /* when SIGINT came last, in milliseconds; 0 = never */
	int64_t hangup;      /* when SIGHUP came */
	bool done;
	enum gondolin_foreground_end end;
};

/* ---- Signals ---- */

static void
abandon(struct relay *r, int signal)
{
	r->done = true;
	r->end = GONDOLIN_FOREGROUND_ABANDONED;
	r->x->result.exit_code = GONDOLIN_EXIT_SIGNAL + signal;
	r->x->result.signal = signal;
}

/* What the command says does not arrive, or what it is told is cut: it is not to go on so. */
static void
fail(struct relay *r, int stream, int error)
{
	struct gondolin_result *result = &r->x->result;

	r->done = true;
	r->end = GONDOLIN_FOREGROUND_FAILED;
	*result = (struct gondolin_result){.exit_code = GONDOLIN_EXIT_FAILED};
	snprintf(result->message, sizeof(result->message),
	    "%s cannot be %s: %s; the command was ended",
	    stream == 0   ? "stdin"
	    : stream == 1 ? "stdout"
			  : "stderr",
	    stream == 0 ? "read" : "written", strerror(error));
}

static void
on_forward(struct relay *r, int signal)
{
	if (r->x->state != GONDOLIN_EXEC_RUNNING)
		abandon(r, signal);
	else
		gondolin_exec_signal(r->x, signal);
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
was_interrupted(const struct relay *r)
{
	return r->interrupted != 0 && now_ms() - r->interrupted < AGAIN_MS;
}

static void
on_interrupt(struct relay *r, int signal)
{
	if (was_interrupted(r)) {
		abandon(r, signal);
		return;
	}
	r->interrupted = now_ms();
	on_forward(r, signal);
}

/* Our terminal or session is gone: a command that ignores that must not keep us. */
static void
on_hangup(struct relay *r, int signal)
{
	on_forward(r, signal);
	r->hangup = now_ms();
}

static void
send_size(struct relay *r)
{
	unsigned rows, columns;

	if (r->running && terminal_size(STDIN_FILENO, &rows, &columns))
		gondolin_exec_resize(r->x, rows, columns);
}

static void
on_size(struct relay *r, int signal)
{
	(void)signal;
	if (r->terminal)
		send_size(r);
}

static void
on_stop(struct relay *r, int signal)
{
	bool raw = terminal_is_raw();

	(void)signal;
	terminal_restore();
	kill(getpid(), SIGSTOP);
	if (raw)
		terminal_raw(STDIN_FILENO);
	on_size(r, SIGWINCH);
}

static void
on_deadly(struct relay *r, int signal)
{
	abandon(r, signal);
}

static const struct {
	int signal;
	void (*handle)(struct relay *r, int signal);
} signal_table[] = {
    {SIGINT, on_interrupt},
    {SIGTERM, on_forward},
    {SIGQUIT, on_forward},
    {SIGHUP, on_hangup},
    {SIGWINCH, on_size},
    {SIGTSTP, on_stop},
    {SIGALRM, on_deadly},
    {SIGUSR1, on_deadly},
    {SIGUSR2, on_deadly},
    {SIGXCPU, on_deadly},
    {SIGXFSZ, on_deadly},
    {SIGVTALRM, on_deadly},
    {SIGPROF, on_deadly},
};
#define N_SIGNALS (sizeof(signal_table) / sizeof(signal_table[0]))

static void
on_signals(struct relay *r)
{
	struct signalfd_siginfo info;
	size_t i;

	while (!r->done && read(r->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		/* The supervisor hands one on that came to our whole group: we had it already. */
		if (!r->detachable && info.ssi_signo == SIGINT &&
		    info.ssi_pid == (uint32_t)getppid() && was_interrupted(r))
			continue;
		for (i = 0; i < N_SIGNALS; i++)
			if (signal_table[i].signal == (int)info.ssi_signo)
				signal_table[i].handle(r, signal_table[i].signal);
	}
}

static int
signals_take(struct relay *r)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	sigset_t mask;
	size_t i;

	sigemptyset(&mask);
	/* What nohup(1) or a shell's background ignores stays so. */
	for (i = 0; i < N_SIGNALS; i++)
		if (sigaction(signal_table[i].signal, NULL, &before) == 0 &&
		    before.sa_handler != SIG_IGN)
			sigaddset(&mask, signal_table[i].signal);
	r->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (r->signals < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &mask, &r->mask_before);
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGPIPE, &ignore, &r->pipe_before);
	return 0;
}

static void
signals_give_back(struct relay *r)
{
	client_close(&r->signals);
	sigaction(SIGPIPE, &r->pipe_before, NULL);
	sigprocmask(SIG_SETMASK, &r->mask_before, NULL);
}

/* ---- Streams ---- */

static void
open_output(struct relay *r)
{
	int i;

	for (i = 1; i <= 2; i++)
		pump_open(&r->pumps[i], gondolin_exec_stream(r->x, i), i, PUMP_SINK_SHARED, -1);
}

/* Until the command runs stdin stays untouched: what we do not take, the next reader has. */
static void
on_running(struct relay *r)
{
	r->running = true;
	if (!r->x->tty)
		r->terminal = false;
	if (r->terminal && terminal_raw(STDIN_FILENO) < 0)
		r->terminal = false;
	pump_open(&r->pumps[0], STDIN_FILENO, gondolin_exec_stream(r->x, 0), PUMP_SOURCE_SHARED,
	    r->terminal && r->detachable ? DETACH_KEY : -1);
	on_size(r, SIGWINCH);
}

static void
on_escape(struct relay *r)
{
	r->pumps[0].escaped = false;
	r->done = true;
	if (gondolin_exec_detach(r->x) == 0)
		r->end = GONDOLIN_FOREGROUND_DETACHED;
	/* Otherwise it ended at the same moment, and the result says how. */
}

/* Whether the poll said something about pump i. */
static bool
is_ready(const struct relay *r, int i)
{
	size_t k;

	for (k = r->first[i]; k < r->first[i + 1]; k++)
		if (r->fds[k].revents != 0)
			return true;
	return false;
}

static void
run_input(struct relay *r)
{
	struct pump *p = &r->pumps[0];

	if (is_ready(r, 0))
		pump_run(p);
	if (p->error != 0)
		fail(r, 0, p->error);
	else if (p->escaped)
		on_escape(r);
	else if (pump_is_done(p) || r->x->state == GONDOLIN_EXEC_ENDED) {
		pump_close(p);
		if (r->running)
			gondolin_exec_close_stream(r->x, 0);
	}
}

/*
 * Our reader left: so do we, as a reader of the command.  Its next write fails as if they were
 * joined by one pipe; a terminal is hung up.
 */
static void
run_output(struct relay *r, int i)
{
	struct pump *p = &r->pumps[i];

	if (r->x->state == GONDOLIN_EXEC_ENDED)
		pump_finish(p);
	else if (is_ready(r, i))
		pump_run(p);
	if (!p->broken || gondolin_exec_stream(r->x, i) < 0)
		return;
	if (p->error != 0)
		fail(r, i, p->error);
	pump_close(p);
	gondolin_exec_close_stream(r->x, i);
	if (r->x->tty && !r->done)
		abandon(r, SIGPIPE);
}

/* ---- The loop ---- */

static void
collect(struct relay *r)
{
	size_t i, n = 0;

	r->fds[n++] = (struct pollfd){.fd = r->signals, .events = POLLIN};
	if (r->x->state != GONDOLIN_EXEC_ENDED)
		r->fds[n++] = (struct pollfd){.fd = r->x->control, .events = POLLIN};
	for (i = 0; i < 3; i++) {
		r->first[i] = n;
		n += pump_poll(&r->pumps[i], r->fds + n);
	}
	r->first[3] = n;
}

/* How long a poll may take: without end, except that a hung up command has its deadline. */
static int
patience(const struct relay *r)
{
	int64_t left;

	if (r->hangup == 0)
		return -1;
	left = r->hangup + HANGUP_WAIT_MS - now_ms();
	return left > 0 ? (int)left : 0;
}

static void
turn(struct relay *r)
{
	int wait = patience(r), n = 0;

	if (wait != 0)
		n = poll(r->fds, r->first[3], wait);
	if (n == 0)
		abandon(r, SIGHUP);
	if (n <= 0)
		return;
	gondolin_exec_update(r->x);
	if (!r->running && r->x->state == GONDOLIN_EXEC_RUNNING)
		on_running(r);
	if (r->fds[0].revents != 0)
		on_signals(r);
	if (!r->done)
		run_input(r);
	run_output(r, 1);
	run_output(r, 2);
	if (r->x->state == GONDOLIN_EXEC_ENDED && pump_is_done(&r->pumps[1]) &&
	    pump_is_done(&r->pumps[2]))
		r->done = true;
}

static enum gondolin_foreground_end
relay(struct gondolin_exec *x, bool detachable, struct gondolin_result *result)
{
	struct relay r = {
	    .x = x,
	    .pumps = {PUMP_EMPTY, PUMP_EMPTY, PUMP_EMPTY},
	    .detachable = detachable,
	};
	int rc = signals_take(&r), i;

	if (rc < 0) {
		x->result.exit_code = GONDOLIN_EXIT_FAILED;
		snprintf(
		    x->result.message, sizeof(x->result.message), "signalfd: %s", strerror(-rc));
		*result = x->result;
		return GONDOLIN_FOREGROUND_FAILED;
	}
	r.terminal = isatty(STDIN_FILENO) == 1;
	open_output(&r);
	while (!r.done) {
		collect(&r);
		turn(&r);
	}
	terminal_restore();
	signals_give_back(&r);
	for (i = 0; i < 3; i++)
		pump_close(&r.pumps[i]);
	*result = x->result;
	return r.end;
}

enum gondolin_foreground_end
gondolin_exec_relay(struct gondolin_exec *x, struct gondolin_result *result)
{
	return relay(x, true, result);
}

int
gondolin_foreground(int control, const struct gondolin_exec_options *options)
{
	static const int no_streams[3] = {-1, -1, -1};
	struct gondolin_exec_options o = *options;
	struct gondolin_result result;
	struct gondolin_error error;
	enum gondolin_foreground_end end;
	struct gondolin_exec *x;

	o.tty = o.tty && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
	if (o.tty)
		terminal_size(STDIN_FILENO, &o.rows, &o.columns);
	if (client_exec_begin(control, &o, GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE, no_streams,
		&x, &error) < 0) {
		log_line("gondolin: %s", error.message);
		return GONDOLIN_EXIT_FAILED;
	}
	end = relay(x, false, &result);
	gondolin_exec_free(x);
	if (result.refused || end == GONDOLIN_FOREGROUND_FAILED)
		log_line("gondolin: %s", result.message);
	return result.exit_code;
}
