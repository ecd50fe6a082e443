/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: accepted, checked, each with one command. */
#include "vmrunner/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/message.h"
#include "vmrunner/vmrunner.h"

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events);
static void on_client_ended(void *ctx, int reason, const char *message);

void
control_init(struct control *k)
{
	memset(k, 0, sizeof(*k));
	k->fd = -1;
	TAILQ_INIT(&k->clients);
	TAILQ_INIT(&k->closed);
}

void
control_serve(struct vmrunner *vm, int fd)
{
	struct control *k = &vm->control;

	assert(k->fd < 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	k->fd = fd;
	ev_io_init(&k->acceptable, on_acceptable, fd, EV_READ);
	k->acceptable.data = vm;
	ev_io_start(vm->loop, &k->acceptable);
}

void
control_pause(struct vmrunner *vm, bool paused)
{
	if (vm->control.fd < 0)
		return;
	if (paused)
		ev_io_stop(vm->loop, &vm->control.acceptable);
	else
		ev_io_start(vm->loop, &vm->control.acceptable);
}

/* The memory stays until control_reap: its handler may be running. */
void
client_close(struct client *c)
{
	struct control *k = &c->vm->control;

	ipc_channel_close(&c->channel);
	TAILQ_REMOVE(&k->clients, c, all);
	k->n--;
	TAILQ_INSERT_TAIL(&k->closed, c, all);
}

void
control_reap(struct control *k)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&k->closed)) != NULL) {
		TAILQ_REMOVE(&k->closed, c, all);
		free(c);
	}
}

void
control_clear(struct vmrunner *vm)
{
	struct control *k = &vm->control;
	struct client *c;

	while ((c = TAILQ_FIRST(&k->clients)) != NULL)
		client_close(c);
	control_reap(k);
	if (k->fd < 0)
		return;
	ev_io_stop(vm->loop, &k->acceptable);
	close(k->fd);
	k->fd = -1;
}

/* ---- To the client ---- */

static void
send_to(struct client *c, const Gondolin__VmrunnerToClient *m)
{
	/* A client that does not read loses the message with its connection, soon or now. */
	(void)ipc_channel_send(&c->channel, &m->base, NULL, 0);
}

void
client_started(struct client *c, uint32_t id, bool tty)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlStarted started = GONDOLIN__CONTROL_STARTED__INIT;

	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED;
	m.started = &started;
	started.exec = id;
	started.tty = tty;
	send_to(c, &m);
}

void
client_exited(struct client *c, int status, bool timed_out)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlExited exited = GONDOLIN__CONTROL_EXITED__INIT;

	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED;
	m.exited = &exited;
	exited.status = status;
	exited.timed_out = timed_out;
	send_to(c, &m);
	client_close(c);
}

void
client_refused(struct client *c, const struct refusal *r)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlRefused refused = GONDOLIN__CONTROL_REFUSED__INIT;
	char message[sizeof(r->message)];

	memcpy(message, r->message, sizeof(message));
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_REFUSED;
	m.refused = &refused;
	refused.code = r->code;
	refused.sandbox = r->sandbox;
	refused.message = ipc_text(message);
	send_to(c, &m);
	client_close(c);
}

void
client_status(struct client *c)
{
	static const Gondolin__ControlStatusReply__State names[] = {
	    [MACHINE_NONE] = GONDOLIN__CONTROL_STATUS_REPLY__STATE__STARTING,
	    [MACHINE_STARTING] = GONDOLIN__CONTROL_STATUS_REPLY__STATE__STARTING,
	    [MACHINE_UP] = GONDOLIN__CONTROL_STATUS_REPLY__STATE__RUNNING,
	    [MACHINE_STOPPING] = GONDOLIN__CONTROL_STATUS_REPLY__STATE__STOPPING,
	    [MACHINE_FAILED] = GONDOLIN__CONTROL_STATUS_REPLY__STATE__STOPPING,
	    [MACHINE_STOPPED] = GONDOLIN__CONTROL_STATUS_REPLY__STATE__STOPPING,
	};
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlStatusReply status = GONDOLIN__CONTROL_STATUS_REPLY__INIT;
	const struct machine *machine = &c->vm->machine;
	unsigned running, detached;

	commands_count(&c->vm->commands, &running, &detached);
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STATUS;
	m.status = &status;
	status.state = names[machine->state];
	if (machine->state == MACHINE_FAILED && !machine->last)
		status.state = GONDOLIN__CONTROL_STATUS_REPLY__STATE__STARTING;
	status.running = running;
	status.detached = detached;
	send_to(c, &m);
	client_close(c);
}

/* ---- Connections ---- */

void
control_add(struct vmrunner *vm, int fd)
{
	struct control *k = &vm->control;
	struct client *c = calloc(1, sizeof(*c));
	struct refusal r;

	if (c == NULL)
		abort();
	c->vm = vm;
	ipc_channel_open(&c->channel, vm->loop, fd, &control_table, c, on_client_ended);
	c->channel.state = CLIENT_NEW;
	TAILQ_INSERT_TAIL(&k->clients, c, all);
	k->n++;
	if (k->n <= CLIENTS_MAX)
		return;
	refusal_set(
	    &r, 125, "too many clients of this sandbox (at most %u): try again later", CLIENTS_MAX);
	client_refused(c, &r);
}

/*
 * The socket lies in a directory of the user's alone; this is the second lock.  Seen from here the
 * user is uid 0: mapped to it in the user namespace, or root where root started the suite.  Anybody
 * else is another number or the overflow uid.
 */
static bool
is_owner(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

static void
on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct vmrunner *vm = w->data;
	int fd;

	(void)loop;
	(void)events;
	fd = accept4(vm->control.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (!is_owner(fd)) {
		log_line("refused a client of another user on the control socket");
		close(fd);
		return;
	}
	control_add(vm, fd);
}

static void
on_client_ended(void *ctx, int reason, const char *message)
{
	struct client *c = ctx;

	if (reason == -EPROTO)
		log_line("a client broke the protocol%s%s", message != NULL ? ": " : "",
		    message != NULL ? message : "");
	if (c->command != NULL)
		command_left(c->command);
	client_close(c);
}
