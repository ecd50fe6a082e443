/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's state: see machine.h. */
#include "vmrunner/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "vmrunner/vmrunner.h"

#define READ_MAX   4096
#define ROUNDS_MAX 16 /* reads of the console in one event */

static const struct qmp_events qmp_events;
static void on_deadline(struct ev_loop *loop, ev_timer *w, int events);
static void on_grace(struct ev_loop *loop, ev_timer *w, int events);
static void on_console(struct ev_loop *loop, ev_io *w, int events);

void
machine_init(struct machine *m, struct vmrunner *vm, bool trace)
{
	memset(m, 0, sizeof(*m));
	m->vm = vm;
	m->console_fd = -1;
	console_init(&m->console, trace);
	qmp_init(&m->qmp, vm->loop, &qmp_events, m);
	ev_init(&m->alive_deadline, on_deadline);
	ev_init(&m->hello_deadline, on_deadline);
	ev_init(&m->grace, on_grace);
	m->alive_deadline.data = m;
	m->hello_deadline.data = m;
	m->grace.data = m;
}

static void
close_all(struct machine *m)
{
	struct ev_loop *loop = m->vm->loop;

	ev_timer_stop(loop, &m->alive_deadline);
	ev_timer_stop(loop, &m->hello_deadline);
	ev_timer_stop(loop, &m->grace);
	agent_close(&m->vm->agent);
	qmp_close(&m->qmp);
	if (m->console_fd >= 0) {
		ev_io_stop(loop, &m->console_readable);
		close(m->console_fd);
		m->console_fd = -1;
	}
}

void
machine_clear(struct machine *m)
{
	close_all(m);
	qmp_clear(&m->qmp);
}

static bool
runs(const struct machine *m)
{
	return m->state == MACHINE_STARTING || m->state == MACHINE_UP ||
	       m->state == MACHINE_STOPPING;
}

/* ---- Its end ---- */

/* The machine is gone, or is given up; m->refusal says why. */
static void
finish(struct machine *m)
{
	bool was_up = m->state == MACHINE_UP, stopping = m->state == MACHINE_STOPPING;

	close_all(m);
	m->draining = false;
	if (stopping)
		refusal_set(&m->refusal, 125, "the sandbox was stopped");
	m->state = stopping ? MACHINE_STOPPED : MACHINE_FAILED;
	m->refusal.sandbox = true;
	m->last = m->last || was_up || stopping;
	report_state(m->vm, stopping ? GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__STOPPED
				     : GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED);
	commands_fail(m->vm, &m->refusal, m->last);
}

/* Gives the machine up.  While last words are read the first reason stays. */
#define FAIL_AS(m, tells, ...)                                        \
	do {                                                          \
		if (!(m)->draining || (m)->refusal.message[0] == 0) { \
			(m)->console_tells = (tells);                 \
			refusal_set(&(m)->refusal, 125, __VA_ARGS__); \
		}                                                     \
		if (!(m)->draining)                                   \
			finish(m);                                    \
	} while (0)

/* For a reason that lies with the host or with QEMU. */
#define FAIL(m, ...) FAIL_AS(m, false, __VA_ARGS__)
/* For what the guest did: its kernel and its init say why on the console. */
#define GUEST_FAIL(m, ...) FAIL_AS(m, true, __VA_ARGS__)

static ssize_t
read_console(struct machine *m)
{
	char bytes[READ_MAX];
	ssize_t n = read(m->console_fd, bytes, sizeof(bytes));

	if (n <= 0)
		return n;
	if (!m->alive) {
		m->alive = true;
		ev_timer_stop(m->vm->loop, &m->alive_deadline);
		report_state(m->vm, GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__ALIVE);
	}
	if (console_add(&m->console, bytes, (size_t)n))
		GUEST_FAIL(m, "the guest's kernel gave up: %s", m->console.panic);
	return n;
}

/* A descriptor closed: QEMU is gone.  What it and the kernel said last may tell why. */
static void
lost(struct machine *m)
{
	int i;

	if (!runs(m) || m->draining)
		return;
	m->draining = true;
	m->refusal.message[0] = '\0';
	m->console_tells = false;
	for (i = 0; i < ROUNDS_MAX && m->console_fd >= 0; i++)
		if (read_console(m) <= 0)
			break;
	qmp_drain(&m->qmp);
	if (m->refusal.message[0] == '\0') {
		m->gone = true;
		refusal_set(&m->refusal, 125, "QEMU ended unexpectedly");
	}
	finish(m);
}

void
machine_agent_ended(struct machine *m, const char *violation)
{
	if (violation == NULL)
		lost(m);
	else
		FAIL(m, "the guest's agent %s", violation);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct machine *m = w->data;

	(void)loop;
	(void)events;
	if (w == &m->alive_deadline)
		GUEST_FAIL(m, "the guest's kernel printed nothing within %u ms", m->alive_ms);
	else
		GUEST_FAIL(m, "the guest's agent did not answer within %u ms", m->hello_ms);
}

static void
on_console(struct ev_loop *loop, ev_io *w, int events)
{
	struct machine *m = w->data;
	ssize_t n;
	int i;

	(void)loop;
	(void)events;
	for (i = 0; i < ROUNDS_MAX && m->console_fd >= 0; i++) {
		n = read_console(m);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			lost(m);
		else if (n < READ_MAX)
			return;
	}
}

/* ---- QMP ---- */

static void
on_shutdown_event(struct machine *m, const struct qmp_message *e)
{
	if (strcmp(e->reason, "guest-shutdown") == 0)
		GUEST_FAIL(m, "the guest powered itself off");
	else if (strcmp(e->reason, "guest-reset") == 0)
		GUEST_FAIL(m, "the guest restarted itself");
	else
		FAIL(m, "QEMU was told to end: %s", e->reason[0] != '\0' ? e->reason : "no reason");
}

static void
on_panicked_event(struct machine *m, const struct qmp_message *e)
{
	(void)e;
	GUEST_FAIL(m, "the guest's kernel gave up: %s",
	    m->console.panic[0] != '\0' ? m->console.panic : "it panicked");
}

static void
on_block_event(struct machine *m, const struct qmp_message *e)
{
	if (e->nospace)
		FAIL(m, "the host disk is full: free some space where the sandbox keeps its disk");
	else if (strcmp(e->action, "stop") == 0)
		FAIL(m, "the machine's disk failed: %s", e->reason);
	else
		log_line("the guest had a disk error: %s", e->reason);
}

static void
on_stop_event(struct machine *m, const struct qmp_message *e)
{
	(void)e;
	FAIL(m, "QEMU paused the machine");
}

static void
on_qmp_event(void *ctx, const struct qmp_message *e)
{
	static const struct {
		const char *name;
		void (*handle)(struct machine *m, const struct qmp_message *e);
	} rows[] = {
	    {"SHUTDOWN", on_shutdown_event},
	    {"GUEST_PANICKED", on_panicked_event},
	    {"BLOCK_IO_ERROR", on_block_event},
	    {"STOP", on_stop_event},
	};
	struct machine *m = ctx;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, e->text) == 0) {
			rows[i].handle(m, e);
			return;
		}
	}
}

static void
on_qmp_ended(void *ctx, const char *violation)
{
	struct machine *m = ctx;

	if (violation == NULL)
		lost(m);
	else
		FAIL(m, "QEMU %s", violation);
}

static const struct qmp_events qmp_events = {.event = on_qmp_event, .ended = on_qmp_ended};

/* ---- Its life ---- */

static void
deadline(struct machine *m, ev_timer *w, uint32_t ms)
{
	if (ms == 0)
		return;
	ev_now_update(m->vm->loop);
	ev_timer_set(w, ms / 1000., 0.);
	ev_timer_start(m->vm->loop, w);
}

int
machine_start(struct machine *m, const Gondolin__VmrunnerMachine *a, int *fds)
{
	if (m->state != MACHINE_NONE && m->state != MACHINE_FAILED)
		return -EPROTO;
	m->state = MACHINE_STARTING;
	m->attempt = a->attempt;
	m->last = a->last;
	m->alive = false;
	m->gone = false;
	m->alive_ms = a->alive_deadline_ms;
	m->hello_ms = a->hello_deadline_ms;
	memset(&m->refusal, 0, sizeof(m->refusal));
	console_init(&m->console, m->console.trace);
	agent_open(&m->vm->agent, fds[0]);
	qmp_open(&m->qmp, fds[1]);
	m->console_fd = fds[2];
	(void)fcntl(m->console_fd, F_SETFL, O_NONBLOCK);
	fds[0] = fds[1] = fds[2] = -1;
	ev_io_init(&m->console_readable, on_console, m->console_fd, EV_READ);
	m->console_readable.data = m;
	ev_io_start(m->vm->loop, &m->console_readable);
	deadline(m, &m->alive_deadline, a->alive_deadline_ms);
	deadline(m, &m->hello_deadline, a->hello_deadline_ms);
	return 0;
}

void
machine_up(struct machine *m)
{
	if (m->state != MACHINE_STARTING)
		return;
	m->state = MACHINE_UP;
	ev_timer_stop(m->vm->loop, &m->alive_deadline);
	ev_timer_stop(m->vm->loop, &m->hello_deadline);
	report_state(m->vm, GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UP);
}

static void
on_grace(struct ev_loop *loop, ev_timer *w, int events)
{
	struct machine *m = w->data;

	(void)loop;
	(void)events;
	if (qmp_execute(&m->qmp, "quit") < 0)
		lost(m);
}

void
machine_shutdown(struct machine *m, uint32_t grace_ms)
{
	if (m->state == MACHINE_STOPPING || m->state == MACHINE_STOPPED)
		return;
	m->ask_shutdown = m->state == MACHINE_UP;
	m->grace_ms = grace_ms;
	if (!runs(m)) {
		m->state = MACHINE_STOPPING;
		finish(m);
		return;
	}
	m->state = MACHINE_STOPPING;
	ev_timer_stop(m->vm->loop, &m->alive_deadline);
	ev_timer_stop(m->vm->loop, &m->hello_deadline);
	if (m->ask_shutdown)
		deadline(m, &m->grace, grace_ms);
	else if (qmp_execute(&m->qmp, "quit") < 0)
		lost(m);
}

void
machine_flush(struct machine *m)
{
	Gondolin__HostToGuest message = GONDOLIN__HOST_TO_GUEST__INIT;
	Gondolin__AgentShutdown shutdown = GONDOLIN__AGENT_SHUTDOWN__INIT;

	if (!m->ask_shutdown || m->state != MACHINE_STOPPING)
		return;
	message.body_case = GONDOLIN__HOST_TO_GUEST__BODY_SHUTDOWN;
	message.shutdown = &shutdown;
	shutdown.grace_ms = m->grace_ms;
	if (agent_send(&m->vm->agent, &message) == 0)
		m->ask_shutdown = false;
}

int
machine_accepts(const struct machine *m, struct refusal *r)
{
	if (m->state == MACHINE_STOPPING) {
		(void)refusal_set(r, 125, "the sandbox is stopping");
		r->sandbox = true;
		return -ECANCELED;
	}
	if (m->state == MACHINE_STOPPED || (m->state == MACHINE_FAILED && m->last)) {
		*r = m->refusal;
		return -ECANCELED;
	}
	return 0;
}
