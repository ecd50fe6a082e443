/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: one command each, in order, and what happens when they do not keep to it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rig.h"
#include "tests.h"

static void
exec_word(struct rig *r, struct rig_client *c, const char *word)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text(word);

	e.n_argv = 1;
	e.argv = &argv;
	rig_connect(r, c);
	rig_exec(r, c, &e);
}

static void
finish(struct rig *r, uint32_t id, int status)
{
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
	rig_data(r, id, AGENT_STDERR, NULL, 0);
	rig_exited(r, id, status);
}

/* The whole life of a command, and its records. */
static void
test_exec(void)
{
	Gondolin__HostToGuest *m;
	Gondolin__VmrunnerToSup *record;
	struct agent_header h;
	struct rig_client c;
	struct rig r;
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	record = rig_record(&r, GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_START);
	CU_ASSERT(record->record->exec == id && record->record->n_argv == 1);
	gondolin__vmrunner_to_sup__free_unpacked(record, NULL);
	CU_ASSERT(write(c.in, "question", 8) == 8);
	CU_ASSERT_FATAL(rig_frame(&r, &h, &m, bytes));
	CU_ASSERT(h.kind == AGENT_STDIN && h.id == id && h.length == 8);
	CU_ASSERT(memcmp(bytes, "question", 8) == 0);
	close(c.in);
	c.in = -1;
	CU_ASSERT_FATAL(rig_frame(&r, &h, &m, bytes));
	CU_ASSERT(h.kind == AGENT_STDIN && h.id == id && h.length == 0);
	rig_data(&r, id, AGENT_STDOUT, "answer", 6);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 6 && memcmp(bytes, "answer", 6) == 0);
	finish(&r, id, 3);
	rig_expect_exited(&c, 3);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 0);
	CU_ASSERT(read(c.err, bytes, sizeof(bytes)) == 0);
	record = rig_record(&r, GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_END);
	CU_ASSERT(record->record->exec == id && record->record->status == 3);
	CU_ASSERT(record->record->bytes_in == 8 && record->record->bytes_out == 6);
	gondolin__vmrunner_to_sup__free_unpacked(record, NULL);
	CU_ASSERT(r.vm->commands.n == 0 && r.vm->control.n == 0);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* A file transfer leaves its own record. */
static void
test_file_record(void)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("/etc");
	Gondolin__VmrunnerToSup *record;
	Gondolin__HostToGuest *m;
	struct rig_client c;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	e.n_argv = 1;
	e.argv = &argv;
	e.builtin = GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_OUT;
	rig_connect(&r, &c);
	rig_exec(&r, &c, &e);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	id = m->exec->id;
	CU_ASSERT(m->exec->builtin == e.builtin);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	rig_started(&r, id);
	rig_data(&r, id, AGENT_STDOUT, "tar", 3);
	finish(&r, id, 0);
	record = rig_record(&r, GONDOLIN__VMRUNNER_RECORD__KIND__FILE_OUT);
	CU_ASSERT(record->record->path.len == 4 && record->record->bytes_out == 3);
	gondolin__vmrunner_to_sup__free_unpacked(record, NULL);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* Before the machine is up a command waits; a client that leaves takes it along. */
static void
test_waiting(void)
{
	struct rig_client early, gone;
	Gondolin__VmrunnerToSup *record;
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig r;
	uint8_t bytes[AGENT_PAYLOAD_MAX];

	rig_init(&r, NULL);
	exec_word(&r, &early, "first");
	exec_word(&r, &gone, "second");
	rig_disconnect(&gone);
	record = rig_record(&r, GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_REFUSED);
	CU_ASSERT(record->record->argv[0].len == 6);
	gondolin__vmrunner_to_sup__free_unpacked(record, NULL);
	CU_ASSERT(rig_answer(&early, NULL) == NULL);
	rig_up(&r);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	CU_ASSERT(m->exec->argv[0].len == 5);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	CU_ASSERT(!rig_frame(&r, &h, &m, bytes));
	CU_ASSERT_EQUAL(r.vm->commands.waiting, 0);
	rig_disconnect(&early);
	rig_clear(&r);
}

/* A client that vanishes: SIGHUP, its output is taken and dropped, then SIGKILL. */
static void
test_vanished(void)
{
	static uint8_t bytes[AGENT_PAYLOAD_MAX];
	Gondolin__HostToGuest *m;
	struct rig_client c;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	rig_disconnect(&c);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_SIGNAL);
	CU_ASSERT(m->signal->id == id && m->signal->signal == SIGHUP);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	rig_data(&r, id, AGENT_STDOUT, bytes, AGENT_OUTPUT_START);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_CREDIT);
	CU_ASSERT_EQUAL(m->credit->bytes, AGENT_OUTPUT_START);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	/* Nothing else is waited for, so this round lasts until the timer comes. */
	if (ev_is_active(&TAILQ_FIRST(&r.vm->commands.list)->kill))
		ev_run(r.vm->loop, EVRUN_ONCE);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_SIGNAL);
	CU_ASSERT(m->signal->id == id && m->signal->signal == SIGKILL);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	finish(&r, id, -9);
	CU_ASSERT_EQUAL(r.vm->commands.n, 0);
	rig_clear(&r);
}

static void
send_signal(struct rig_client *c, int signal)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlSignal s = GONDOLIN__CONTROL_SIGNAL__INIT;

	s.signal = signal;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL;
	m.signal = &s;
	rig_send(c, &m, NULL, 0);
}

static void
send_resize(struct rig_client *c, uint32_t rows, uint32_t columns)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlResize s = GONDOLIN__CONTROL_RESIZE__INIT;

	s.rows = rows;
	s.columns = columns;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_RESIZE;
	m.resize = &s;
	rig_send(c, &m, NULL, 0);
}

/* Signals and resizes before Started wait for it; many become one of each. */
static void
test_signals(void)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig_client c;
	struct rig r;
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	unsigned i;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	e.n_argv = 1;
	e.argv = &argv;
	e.tty = true;
	rig_connect(&r, &c);
	rig_exec(&r, &c, &e);
	for (i = 0; i < 50; i++) {
		send_signal(&c, SIGINT);
		send_signal(&c, 64);
		send_resize(&c, 24 + i, 80);
		rig_turn(&r);
	}
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	id = m->exec->id;
	gondolin__host_to_guest__free_unpacked(m, NULL);
	CU_ASSERT(!rig_frame(&r, &h, &m, bytes));
	rig_started(&r, id);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_SIGNAL);
	CU_ASSERT(m->signal->id == id && m->signal->signal == SIGINT);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_SIGNAL);
	CU_ASSERT_EQUAL(m->signal->signal, 64);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_RESIZE);
	CU_ASSERT(m->resize->rows == 73 && m->resize->columns == 80);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	CU_ASSERT(!rig_frame(&r, &h, &m, bytes));
	rig_disconnect(&c);
	rig_clear(&r);
}

/* A message that the command's end overtakes does not cost the client its Exited. */
static void
test_crossing(void)
{
	struct rig_client c;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	rig_data(&r, id, AGENT_STDOUT, NULL, 0);
	rig_data(&r, id, AGENT_STDERR, NULL, 0);
	send_signal(&c, SIGTERM);
	ev_io_stop(r.vm->loop, &TAILQ_FIRST(&r.vm->control.clients)->channel.readable);
	rig_exited(&r, id, 9);
	rig_expect_exited(&c, 9);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* ---- What a client must not do ---- */

static void
bad_signal(struct rig *r, struct rig_client *c)
{
	(void)rig_run(r, c, false);
	send_signal(c, 65);
}

static void
bad_signal_zero(struct rig *r, struct rig_client *c)
{
	(void)rig_run(r, c, false);
	send_signal(c, 0);
}

static void
bad_signal_first(struct rig *r, struct rig_client *c)
{
	rig_connect(r, c);
	send_signal(c, SIGINT);
}

static void
bad_resize_pipe(struct rig *r, struct rig_client *c)
{
	(void)rig_run(r, c, false);
	send_resize(c, 24, 80);
}

static void
bad_resize_size(struct rig *r, struct rig_client *c)
{
	(void)rig_run(r, c, true);
	send_resize(c, 65536, 80);
}

static void
bad_second_exec(struct rig *r, struct rig_client *c)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("again");
	struct rig_client first;

	(void)rig_run(r, c, false);
	first = *c;
	e.n_argv = 1;
	e.argv = &argv;
	rig_exec(r, c, &e);
	close(first.in);
	close(first.out);
	close(first.err);
}

static void
bad_exec_without_pipes(struct rig *r, struct rig_client *c)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");

	rig_connect(r, c);
	e.n_argv = 1;
	e.argv = &argv;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC;
	m.exec = &e;
	rig_send(c, &m, NULL, 0);
}

static void
bad_garbage(struct rig *r, struct rig_client *c)
{
	rig_connect(r, c);
	rig_bytes(c->fd, "\xff\xff", 2);
}

static void
bad_fd_with_signal(struct rig *r, struct rig_client *c)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlSignal s = GONDOLIN__CONTROL_SIGNAL__INIT;

	(void)rig_run(r, c, false);
	s.signal = SIGINT;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL;
	m.signal = &s;
	rig_send(c, &m, &c->fd, 1);
}

/* Each ends its own connection, and nothing else. */
static void
test_bad_clients(void)
{
	static void (*const bad[])(struct rig * r, struct rig_client * c) = {bad_signal,
	    bad_signal_zero, bad_signal_first, bad_resize_pipe, bad_resize_size, bad_second_exec,
	    bad_exec_without_pipes, bad_garbage, bad_fd_with_signal};
	struct rig_client c, other;
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig r;
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	uint32_t id;
	size_t i;
	bool end;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &other, false);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bad[i](&r, &c);
		rig_turn(&r);
		CU_ASSERT(rig_answer(&c, &end) == NULL && end);
		CU_ASSERT_EQUAL(r.vm->control.n, 1);
		rig_disconnect(&c);
		/* Its command, where it had one, is hung up. */
		while (rig_frame(&r, &h, &m, bytes))
			gondolin__host_to_guest__free_unpacked(m, NULL);
	}
	rig_data(&r, id, AGENT_STDOUT, NULL, 0);
	rig_data(&r, id, AGENT_STDERR, NULL, 0);
	rig_exited(&r, id, 0);
	rig_expect_exited(&other, 0);
	rig_disconnect(&other);
	rig_clear(&r);
}

/* Files are nothing that this process holds. */
static void
test_no_files(void)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");
	struct rig_client c;
	struct rig r;
	int fds[3];

	rig_init(&r, NULL);
	rig_up(&r);
	rig_connect(&r, &c);
	e.n_argv = 1;
	e.argv = &argv;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC;
	m.exec = &e;
	CU_ASSERT_FATAL(pipe2(fds, O_CLOEXEC) == 0);
	fds[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig_send(&c, &m, fds, 3);
	rig_turn(&r);
	rig_expect_refused(&c, 125, "as pipes");
	close(fds[0]);
	close(fds[1]);
	close(fds[2]);
	rig_disconnect(&c);
	rig_clear(&r);
}

static void
send_empty(struct rig_client *c, Gondolin__ClientToVmrunner__BodyCase body)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlStatus status = GONDOLIN__CONTROL_STATUS__INIT;
	Gondolin__ControlStop stop = GONDOLIN__CONTROL_STOP__INIT;

	m.body_case = body;
	if (body == GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STATUS)
		m.status = &status;
	else
		m.stop = &stop;
	rig_send(c, &m, NULL, 0);
}

static void
test_status_and_stop(void)
{
	Gondolin__VmrunnerToClient *reply;
	Gondolin__VmrunnerToSup *report;
	struct rig_client c, running;
	struct rig r;
	bool end;

	rig_init(&r, NULL);
	rig_up(&r);
	(void)rig_run(&r, &running, false);
	while ((report = rig_report(&r)) != NULL)
		gondolin__vmrunner_to_sup__free_unpacked(report, NULL);
	rig_connect(&r, &c);
	send_empty(&c, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STATUS);
	rig_turn(&r);
	reply = rig_answer(&c, NULL);
	CU_ASSERT_FATAL(reply != NULL);
	CU_ASSERT_FATAL(reply->body_case == GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STATUS);
	CU_ASSERT(reply->status->state == GONDOLIN__CONTROL_STATUS_REPLY__STATE__RUNNING);
	CU_ASSERT(reply->status->running == 1 && reply->status->detached == 0);
	gondolin__vmrunner_to_client__free_unpacked(reply, NULL);
	CU_ASSERT(rig_answer(&c, &end) == NULL && end);
	rig_disconnect(&c);
	rig_connect(&r, &c);
	send_empty(&c, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STOP);
	rig_turn(&r);
	report = rig_report(&r);
	CU_ASSERT(report != NULL && report->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_STOP);
	gondolin__vmrunner_to_sup__free_unpacked(report, NULL);
	CU_ASSERT(rig_answer(&c, &end) == NULL && !end);
	rig_disconnect(&c);
	rig_disconnect(&running);
	rig_clear(&r);
}

/* One more than the cap is told so. */
static void
test_clients_cap(void)
{
	static struct rig_client clients[CLIENTS_MAX];
	struct rig_client extra;
	struct rig r;
	size_t i;

	rig_init(&r, NULL);
	for (i = 0; i < CLIENTS_MAX; i++)
		rig_connect(&r, &clients[i]);
	rig_connect(&r, &extra);
	rig_expect_refused(&extra, 125, "too many clients");
	rig_disconnect(&extra);
	CU_ASSERT_EQUAL(r.vm->control.n, CLIENTS_MAX);
	for (i = 0; i < CLIENTS_MAX; i++)
		rig_disconnect(&clients[i]);
	rig_turn(&r);
	CU_ASSERT_EQUAL(r.vm->control.n, 0);
	rig_clear(&r);
}

/* The listening socket: the user (uid 0, seen from inside) is served, everybody else is not. */
static void
test_listener(void)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerServe serve = GONDOLIN__VMRUNNER_SERVE__INIT;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(address);
	struct rig r;
	int listener, fd;

	rig_init(&r, NULL);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(listener >= 0);
	/* The kernel picks an abstract name. */
	CU_ASSERT_FATAL(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	CU_ASSERT_FATAL(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
	CU_ASSERT_FATAL(listen(listener, 8) == 0);
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SERVE;
	m.serve = &serve;
	rig_order(&r, &m, &listener, 1);
	rig_turn(&r);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(connect(fd, (struct sockaddr *)&address, size) == 0);
	rig_turn(&r);
	CU_ASSERT_EQUAL(r.vm->control.n, getuid() == 0 ? 1 : 0);
	/* A second listener is the supervisor's mistake, and the end. */
	rig_order(&r, &m, &listener, 1);
	rig_turn(&r);
	CU_ASSERT(r.vm->ended && r.vm->exit_code == 125);
	close(fd);
	close(listener);
	rig_clear(&r);
}

/* A supervisor that is slow to read: nothing is lost, what makes records waits. */
static void
test_slow_supervisor(void)
{
	static struct rig_client clients[AGENT_COMMANDS_MAX];
	Gondolin__VmrunnerToSup *report;
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig r;
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	unsigned i, records = 0, asked = 0;
	uint32_t last = 0;
	int small = 1;

	rig_init(&r, NULL);
	rig_up(&r);
	/* The kernel's least: a few records fill the socket. */
	CU_ASSERT_FATAL(
	    setsockopt(r.vm->supervisor.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		exec_word(&r, &clients[i], "word");
	CU_ASSERT(report_is_slow(r.vm) && r.vm->commands.held);
	CU_ASSERT(r.vm->supervisor.queued <= IPC_QUEUE_MAX && !r.vm->ended);
	while (asked < AGENT_COMMANDS_MAX) {
		while ((report = rig_report(&r)) != NULL) {
			records += report->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_RECORD;
			gondolin__vmrunner_to_sup__free_unpacked(report, NULL);
			rig_turn(&r);
		}
		CU_ASSERT_FATAL(rig_frame(&r, &h, &m, bytes) && m != NULL);
		CU_ASSERT(m->body_case == GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
		CU_ASSERT(m->exec->id > last);
		last = m->exec->id;
		gondolin__host_to_guest__free_unpacked(m, NULL);
		asked++;
	}
	CU_ASSERT_EQUAL(records, AGENT_COMMANDS_MAX);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		rig_disconnect(&clients[i]);
	rig_clear(&r);
}

CU_TestInfo control_tests[] = {
    {"a command from exec to exit", test_exec},
    {"a file transfer's record", test_file_record},
    {"commands wait for the machine", test_waiting},
    {"a client vanishes", test_vanished},
    {"signals and resizes", test_signals},
    {"a signal crosses the exit", test_crossing},
    {"bad clients end alone", test_bad_clients},
    {"no files", test_no_files},
    {"status and stop", test_status_and_stop},
    {"the cap on clients", test_clients_cap},
    {"the listening socket", test_listener},
    {"a slow supervisor", test_slow_supervisor},
    CU_TEST_INFO_NULL,
};
