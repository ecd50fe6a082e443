/* SPDX-License-Identifier: Apache-2.0 */
/* The test's end of everything that vmrunner talks to. */
#include "rig.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"

#define ROUNDS 12 /* a message, its frames, their write; each takes a round or two */

static void
pair(int type, int fds[2])
{
	CU_ASSERT_FATAL(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
}

void
rig_init(struct rig *r, const Gondolin__VmrunnerSetup *setup)
{
	Gondolin__VmrunnerSetup none = GONDOLIN__VMRUNNER_SETUP__INIT;
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerToSup *ready;
	int fds[2];

	(void)signal(SIGPIPE, SIG_IGN);
	memset(r, 0, sizeof(*r));
	r->vm = calloc(1, sizeof(*r->vm));
	CU_ASSERT_FATAL(r->vm != NULL);
	pair(SOCK_SEQPACKET, fds);
	r->supervisor = fds[0];
	r->port = r->qmp = r->console = -1;
	CU_ASSERT_FATAL(agent_reader_init(&r->reader) == 0);
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SETUP;
	memcpy(&none, setup != NULL ? setup : &none, sizeof(none));
	m.setup = &none;
	rig_order(r, &m, NULL, 0);
	CU_ASSERT_FATAL(ipc_receive_now(fds[1], &supervisor_table, r->vm, SUPERVISOR_SETUP) == 0);
	vmrunner_init(r->vm, ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV));
	vmrunner_serve(r->vm, fds[1]);
	ready = rig_report(r);
	CU_ASSERT_FATAL(ready != NULL && ready->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_READY);
	gondolin__vmrunner_to_sup__free_unpacked(ready, NULL);
}

static void
close_machine(struct rig *r)
{
	int *fds[] = {&r->port, &r->qmp, &r->console};
	size_t i;

	for (i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void
rig_clear(struct rig *r)
{
	struct ev_loop *loop = r->vm->loop;

	close_machine(r);
	close(r->supervisor);
	vmrunner_clear(r->vm);
	ev_loop_destroy(loop);
	free(r->vm);
	agent_reader_clear(&r->reader);
}

void
rig_turn(struct rig *r)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		ev_run(r->vm->loop, EVRUN_NOWAIT);
}

/* ---- The supervisor ---- */

void
rig_order(struct rig *r, const Gondolin__SupToVmrunner *m, const int *fds, size_t n)
{
	CU_ASSERT_FATAL(ipc_packet_send(r->supervisor, &m->base, fds, n) == 0);
}

void
rig_machine(struct rig *r, const Gondolin__VmrunnerMachine *attempt)
{
	Gondolin__VmrunnerMachine machine = GONDOLIN__VMRUNNER_MACHINE__INIT;
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	int port[2], qmp[2], console[2];
	int fds[3];

	close_machine(r);
	r->reader.start = r->reader.end = 0;
	machine.attempt = 1;
	machine.last = true;
	if (attempt != NULL)
		machine = *attempt;
	pair(SOCK_STREAM, port);
	pair(SOCK_STREAM, qmp);
	pair(SOCK_STREAM, console);
	r->port = port[0];
	r->qmp = qmp[0];
	r->console = console[0];
	fds[0] = port[1];
	fds[1] = qmp[1];
	fds[2] = console[1];
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE;
	m.machine = &machine;
	rig_order(r, &m, fds, 3);
	close(port[1]);
	close(qmp[1]);
	close(console[1]);
	rig_turn(r);
}

void
rig_up(struct rig *r)
{
	rig_machine(r, NULL);
	rig_hello(r, AGENT_PROTOCOL);
	CU_ASSERT_FATAL(rig_state(r, NULL) == GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UP);
}

Gondolin__VmrunnerToSup *
rig_report(struct rig *r)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};

	if (ipc_packet_receive(r->supervisor, &p) != 1)
		return NULL;
	return (Gondolin__VmrunnerToSup *)ipc_message_decode(
	    &gondolin__vmrunner_to_sup__descriptor, bytes, p.length);
}

Gondolin__VmrunnerToSup *
rig_record(struct rig *r, Gondolin__VmrunnerRecord__Kind kind)
{
	Gondolin__VmrunnerToSup *m;

	rig_turn(r);
	while ((m = rig_report(r)) != NULL) {
		if (m->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_RECORD &&
		    m->record->kind == kind)
			return m;
		gondolin__vmrunner_to_sup__free_unpacked(m, NULL);
	}
	CU_FAIL("no such record");
	return NULL;
}

Gondolin__VmrunnerMachineState__State
rig_state(struct rig *r, char *reason)
{
	Gondolin__VmrunnerMachineState__State state =
	    GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UNSPECIFIED;
	Gondolin__VmrunnerToSup *m;

	if (reason != NULL)
		reason[0] = '\0';
	rig_turn(r);
	while ((m = rig_report(r)) != NULL) {
		if (m->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_MACHINE_STATE) {
			state = m->machine_state->state;
			CU_ASSERT_FATAL(m->machine_state->reason.len <= 256);
			if (reason != NULL && m->machine_state->reason.len > 0)
				memcpy(reason, m->machine_state->reason.data,
				    m->machine_state->reason.len);
			if (reason != NULL)
				reason[m->machine_state->reason.len] = '\0';
		}
		gondolin__vmrunner_to_sup__free_unpacked(m, NULL);
	}
	return state;
}

/* ---- The agent ---- */

void
rig_bytes(int fd, const void *bytes, size_t n)
{
	CU_ASSERT_FATAL(send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

static void
send_frame(struct rig *r, uint32_t id, enum agent_kind kind, const void *bytes, size_t n)
{
	struct agent_header h = {.length = (uint32_t)n, .id = id, .kind = kind};
	uint8_t frame[AGENT_HEADER_SIZE + AGENT_PAYLOAD_MAX];

	agent_header_encode(&h, frame);
	if (n > 0)
		memcpy(frame + AGENT_HEADER_SIZE, bytes, n);
	rig_bytes(r->port, frame, AGENT_HEADER_SIZE + n);
	rig_turn(r);
}

void
rig_data(struct rig *r, uint32_t id, enum agent_kind kind, const void *bytes, size_t n)
{
	send_frame(r, id, kind, bytes, n);
}

void
rig_say(struct rig *r, const Gondolin__GuestToHost *m)
{
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	size_t n = gondolin__guest_to_host__pack(m, bytes);

	send_frame(r, 0, AGENT_CONTROL, bytes, n);
}

void
rig_hello(struct rig *r, uint32_t version)
{
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;
	Gondolin__AgentHello hello = GONDOLIN__AGENT_HELLO__INIT;

	hello.version = version;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_HELLO;
	m.hello = &hello;
	rig_say(r, &m);
}

void
rig_started(struct rig *r, uint32_t id)
{
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;
	Gondolin__AgentStarted started = GONDOLIN__AGENT_STARTED__INIT;

	started.id = id;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_STARTED;
	m.started = &started;
	rig_say(r, &m);
}

void
rig_exited(struct rig *r, uint32_t id, int status)
{
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;
	Gondolin__AgentExited exited = GONDOLIN__AGENT_EXITED__INIT;

	exited.id = id;
	exited.status = status;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_EXITED;
	m.exited = &exited;
	rig_say(r, &m);
}

bool
rig_frame(struct rig *r, struct agent_header *h, Gondolin__HostToGuest **m, uint8_t *bytes)
{
	const uint8_t *payload;
	uint8_t *space;
	size_t room;
	ssize_t n;
	int rc;

	*m = NULL;
	rig_turn(r);
	while ((rc = agent_reader_next(&r->reader, h, &payload)) == 0) {
		space = agent_reader_space(&r->reader, &room);
		n = read(r->port, space, room);
		if (n <= 0)
			return false;
		agent_reader_filled(&r->reader, (size_t)n);
		rig_turn(r);
	}
	CU_ASSERT_FATAL(rc == 1);
	if (h->kind == AGENT_CONTROL) {
		*m = (Gondolin__HostToGuest *)ipc_message_decode(
		    &gondolin__host_to_guest__descriptor, payload, h->length);
		CU_ASSERT_FATAL(*m != NULL);
	} else if (h->length > 0) {
		memcpy(bytes, payload, h->length);
	}
	return true;
}

Gondolin__HostToGuest *
rig_control(struct rig *r, Gondolin__HostToGuest__BodyCase body)
{
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	Gondolin__HostToGuest *m;
	struct agent_header h;

	CU_ASSERT_FATAL(rig_frame(r, &h, &m, bytes));
	CU_ASSERT_FATAL(m != NULL && m->body_case == body);
	return m;
}

/* ---- Clients ---- */

void
rig_connect(struct rig *r, struct rig_client *c)
{
	int fds[2];

	pair(SOCK_SEQPACKET, fds);
	control_add(r->vm, fds[1]);
	*c = (struct rig_client){.fd = fds[0], .in = -1, .out = -1, .err = -1};
}

void
rig_send(struct rig_client *c, const Gondolin__ClientToVmrunner *m, const int *fds, size_t n)
{
	CU_ASSERT_FATAL(ipc_packet_send(c->fd, &m->base, fds, n) == 0);
}

static void
make_pipe(int *near, int *far, bool near_reads)
{
	int fds[2];

	CU_ASSERT_FATAL(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	*near = fds[near_reads ? 0 : 1];
	*far = fds[near_reads ? 1 : 0];
}

void
rig_exec(struct rig *r, struct rig_client *c, const Gondolin__ControlExec *e)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlExec copy = *e;
	int fds[3];
	size_t i, n = e->tty ? 2 : 3;

	make_pipe(&c->in, &fds[0], false);
	make_pipe(&c->out, &fds[1], true);
	if (!e->tty)
		make_pipe(&c->err, &fds[2], true);
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC;
	m.exec = &copy;
	rig_send(c, &m, fds, n);
	for (i = 0; i < n; i++)
		close(fds[i]);
	rig_turn(r);
}

void
rig_attach(struct rig *r, struct rig_client *c, uint32_t exec)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlAttach attach = GONDOLIN__CONTROL_ATTACH__INIT;
	int fds[2];

	make_pipe(&c->in, &fds[0], false);
	make_pipe(&c->out, &fds[1], true);
	attach.exec = exec;
	attach.rows = 30;
	attach.columns = 100;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_ATTACH;
	m.attach = &attach;
	rig_send(c, &m, fds, 2);
	close(fds[0]);
	close(fds[1]);
	rig_turn(r);
}

void
rig_disconnect(struct rig_client *c)
{
	int *fds[] = {&c->fd, &c->in, &c->out, &c->err};
	size_t i;

	for (i = 0; i < 4; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

uint32_t
rig_run(struct rig *r, struct rig_client *c, bool tty)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");
	Gondolin__HostToGuest *m;
	uint32_t id;

	e.n_argv = 1;
	e.argv = &argv;
	e.tty = tty;
	rig_connect(r, c);
	rig_exec(r, c, &e);
	m = rig_control(r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	id = m->exec->id;
	CU_ASSERT(id != 0 && m->exec->tty == tty);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	rig_started(r, id);
	rig_expect_started(c, id);
	return id;
}

Gondolin__VmrunnerToClient *
rig_answer(struct rig_client *c, bool *end)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	int rc = ipc_packet_receive(c->fd, &p);
	Gondolin__VmrunnerToClient *m;

	if (end != NULL)
		*end = rc == 0;
	if (rc != 1)
		return NULL;
	m = (Gondolin__VmrunnerToClient *)ipc_message_decode(
	    &gondolin__vmrunner_to_client__descriptor, bytes, p.length);
	CU_ASSERT_FATAL(m != NULL);
	return m;
}

static Gondolin__VmrunnerToClient *
expect(struct rig_client *c, Gondolin__VmrunnerToClient__BodyCase body)
{
	Gondolin__VmrunnerToClient *m = rig_answer(c, NULL);

	CU_ASSERT_FATAL(m != NULL);
	CU_ASSERT_EQUAL_FATAL(m->body_case, body);
	return m;
}

void
rig_expect_refused(struct rig_client *c, unsigned code, const char *part)
{
	Gondolin__VmrunnerToClient *m = expect(c, GONDOLIN__VMRUNNER_TO_CLIENT__BODY_REFUSED);
	char text[257] = "";
	bool end;

	CU_ASSERT_EQUAL(m->refused->code, code);
	CU_ASSERT_FATAL(m->refused->message.len < sizeof(text));
	memcpy(text, m->refused->message.data, m->refused->message.len);
	CU_ASSERT(strstr(text, part) != NULL);
	if (strstr(text, part) == NULL)
		fprintf(stderr, "refused with \"%s\", not \"%s\"\n", text, part);
	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	CU_ASSERT(rig_answer(c, &end) == NULL && end);
}

void
rig_expect_started(struct rig_client *c, uint32_t id)
{
	Gondolin__VmrunnerToClient *m = expect(c, GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED);

	CU_ASSERT_EQUAL(m->started->exec, id);
	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
}

void
rig_expect_exited(struct rig_client *c, int status)
{
	Gondolin__VmrunnerToClient *m = expect(c, GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED);
	bool end;

	CU_ASSERT_EQUAL(m->exited->status, status);
	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	CU_ASSERT(rig_answer(c, &end) == NULL && end);
}
