/* SPDX-License-Identifier: Apache-2.0 */
/* The world around a vmrunner, for fuzz targets. */
#include "vmrunner_world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/control.pb-c.h"

#define ROUNDS 4

static void
pair(int type, int fds[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
}

void
world_open(struct world *w)
{
	Gondolin__VmrunnerMachine attempt = GONDOLIN__VMRUNNER_MACHINE__INIT;
	int supervisor[2], port[2], qmp[2], console[2], fds[3];

	(void)signal(SIGPIPE, SIG_IGN);
	memset(w, 0, sizeof(*w));
	w->vm = calloc(1, sizeof(*w->vm));
	if (w->vm == NULL)
		abort();
	w->vm->setup = gondolin__vmrunner_setup__unpack(NULL, 0, NULL);
	pair(SOCK_SEQPACKET, supervisor);
	pair(SOCK_STREAM, port);
	pair(SOCK_STREAM, qmp);
	pair(SOCK_STREAM, console);
	vmrunner_init(w->vm, ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV));
	vmrunner_serve(w->vm, supervisor[1]);
	w->supervisor = supervisor[0];
	w->port = port[0];
	w->qmp = qmp[0];
	w->console = console[0];
	fds[0] = port[1];
	fds[1] = qmp[1];
	fds[2] = console[1];
	attempt.last = true;
	if (machine_start(&w->vm->machine, &attempt, fds) < 0)
		abort();
	if (world_guest(w, (const uint8_t *)"\4\0\0\0\0\0\0\0\0\0\0\0\x0a\2\x08\2", 16) != NULL)
		abort();
}

void
world_close(struct world *w)
{
	struct ev_loop *loop = w->vm->loop;
	size_t i;

	for (i = 0; i < w->n_clients; i++)
		close(w->clients[i]);
	world_turn(w);
	close(w->supervisor);
	close(w->port);
	close(w->qmp);
	close(w->console);
	vmrunner_clear(w->vm);
	ev_loop_destroy(loop);
	free(w->vm);
}

static void
empty(int fd)
{
	static uint8_t bytes[1 << 17];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

void
world_turn(struct world *w)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ev_run(w->vm->loop, EVRUN_NOWAIT);
		empty(w->supervisor);
		empty(w->port);
	}
}

int
world_connect(struct world *w)
{
	int fds[2];

	if (w->n_clients == WORLD_CLIENTS)
		return -1;
	pair(SOCK_SEQPACKET, fds);
	control_add(w->vm, fds[1]);
	w->clients[w->n_clients++] = fds[0];
	return fds[0];
}

void
world_send(int client, const uint8_t *bytes, size_t length, size_t n)
{
	int fds[3] = {-1, -1, -1}, far[2];
	size_t i;

	for (i = 0; i < n; i++) {
		if (pipe2(far, O_CLOEXEC | O_NONBLOCK) < 0)
			abort();
		fds[i] = far[i == 0 ? 0 : 1];
		close(far[i == 0 ? 1 : 0]);
	}
	(void)ipc_packet_send_bytes(client, bytes, length, fds, n);
	for (i = 0; i < n; i++)
		close(fds[i]);
}

void
world_exec(struct world *w, bool tty)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	uint8_t word[] = "word", bytes[256];
	ProtobufCBinaryData argv = {.len = 4, .data = word};

	e.n_argv = 1;
	e.argv = &argv;
	e.tty = tty;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC;
	m.exec = &e;
	world_send(
	    world_connect(w), bytes, gondolin__client_to_vmrunner__pack(&m, bytes), tty ? 2 : 3);
	world_turn(w);
}

const char *
world_guest(struct world *w, const uint8_t *bytes, size_t n)
{
	struct agent *a = &w->vm->agent;
	const char *violation = NULL;
	uint8_t *space;
	size_t room;

	while (n > 0 && violation == NULL && a->fd >= 0) {
		space = agent_reader_space(&a->reader, &room);
		if (room > n)
			room = n;
		memcpy(space, bytes, room);
		agent_reader_filled(&a->reader, room);
		bytes += room;
		n -= room;
		violation = agent_process(a);
	}
	if (violation != NULL) {
		agent_close(a);
		machine_agent_ended(&w->vm->machine, violation);
	}
	return violation;
}

void
world_started(struct world *w, uint32_t id)
{
	uint8_t frame[] = "\4\0\0\0\0\0\0\0\0\0\0\0\x12\2\x08\0";

	frame[15] = (uint8_t)(id & 127);
	(void)world_guest(w, frame, 16);
}

void
world_exited(struct world *w, uint32_t id)
{
	uint8_t frames[] = "\0\0\0\0\0\0\0\0\2\0\0\0"
			   "\0\0\0\0\0\0\0\0\3\0\0\0"
			   "\4\0\0\0\0\0\0\0\0\0\0\0\x1a\2\x08\0";

	frames[4] = frames[16] = frames[39] = (uint8_t)(id & 127);
	(void)world_guest(w, frames, 40);
}
