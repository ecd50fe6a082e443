/* SPDX-License-Identifier: Apache-2.0 */
/* A client in a child process, and vmrunner's part of the conversation. */
#include "tests/unit/client/peer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "ipc/message.h"
#include "ipc/packet.h"

static const int no_streams[3] = {-1, -1, -1};

static void
run_client(int control, const struct gondolin_exec_options *options)
{
	enum gondolin_foreground_end end;
	struct gondolin_result result;
	struct gondolin_error error;
	struct gondolin_exec *x;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGFPE, SIG_DFL); /* sanitizers have a handler of their own */
	if (client_exec_begin(control, options, GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE,
		no_streams, &x, &error) < 0)
		_exit(99);
	end = gondolin_exec_relay(x, &result);
	gondolin_exec_free(x);
	_exit(end == GONDOLIN_FOREGROUND_DETACHED ? PEER_DETACHED : result.exit_code);
}

static void
become_pipes(struct peer *p, int in[2], int out[2], int err[2])
{
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	close(in[1]);
	close(out[0]);
	close(err[0]);
	close(p->control);
}

static void
start_on_pipes(struct peer *p, int control, const struct gondolin_exec_options *options)
{
	int in[2], out[2], err[2];

	assert(
	    pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	p->client = fork();
	assert(p->client >= 0);
	if (p->client == 0) {
		become_pipes(p, in, out, err);
		close(in[0]);
		close(out[1]);
		close(err[1]);
		run_client(control, options);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	p->in = in[1];
	p->out = out[0];
	p->err = err[0];
}

/*
 * Between us and a client on a terminal stands the session's leader: when a leader ends, the kernel
 * hangs the terminal up and resets it, and we want to see how the client left it.
 */
static void
lead(struct peer *p, int control, const struct gondolin_exec_options *options, int report, int hold)
{
	int status;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	setsid();
	ioctl(p->slave, TIOCSCTTY, 0);
	p->client = fork();
	assert(p->client >= 0);
	if (p->client == 0) {
		dup2(p->slave, STDIN_FILENO);
		dup2(p->slave, STDOUT_FILENO);
		dup2(p->slave, STDERR_FILENO);
		close(p->slave);
		close(p->master);
		run_client(control, options);
	}
	close(control);
	if (write(report, &p->client, sizeof(p->client)) != sizeof(p->client))
		_exit(1);
	while (waitpid(p->client, &status, WUNTRACED) == p->client)
		if (write(report, &status, sizeof(status)) != sizeof(status))
			_exit(1);
	_exit(read(hold, &byte, 1) == 0 ? 0 : 1);
}

static void
start_on_terminal(struct peer *p, int control, const struct gondolin_exec_options *options)
{
	struct winsize size = {.ws_row = 30, .ws_col = 100};
	int report[2], hold[2];

	assert(openpty(&p->master, &p->slave, NULL, NULL, &size) == 0);
	assert(pipe2(report, O_CLOEXEC) == 0 && pipe2(hold, O_CLOEXEC) == 0);
	p->leader = fork();
	assert(p->leader >= 0);
	if (p->leader == 0) {
		close(p->control);
		close(report[0]);
		close(hold[1]);
		lead(p, control, options, report[1], hold[0]);
	}
	close(report[1]);
	close(hold[0]);
	p->report = report[0];
	p->hold = hold[1];
	assert(read(p->report, &p->client, sizeof(p->client)) == sizeof(p->client));
}

void
peer_start(struct peer *p, const struct gondolin_exec_options *options, bool tty)
{
	int pair[2];

	*p = (struct peer){.in = -1,
	    .out = -1,
	    .err = -1,
	    .master = -1,
	    .slave = -1,
	    .report = -1,
	    .hold = -1,
	    .streams = {-1, -1, -1}};
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	p->control = pair[0];
	if (tty)
		start_on_terminal(p, pair[1], options);
	else
		start_on_pipes(p, pair[1], options);
	close(pair[1]);
}

Gondolin__ClientToVmrunner *
peer_receive(struct peer *p)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet packet = {.bytes = bytes};
	size_t i;
	int rc = ipc_packet_receive(p->control, &packet);

	assert(rc >= 0);
	if (rc == 0)
		return NULL;
	for (i = 0; i < packet.n_fds && i < 3; i++)
		p->streams[i] = packet.fds[i];
	return (Gondolin__ClientToVmrunner *)ipc_message_decode(
	    &gondolin__client_to_vmrunner__descriptor, packet.bytes, packet.length);
}

void
peer_free_message(Gondolin__ClientToVmrunner *m)
{
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

void
peer_accept(struct peer *p)
{
	Gondolin__ClientToVmrunner *m = peer_receive(p);
	char byte = '.';
	bool tty;

	assert(m != NULL && m->body_case == GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC);
	tty = m->exec->tty;
	peer_free_message(m);
	peer_send_started(p, tty);
	if (!tty) {
		assert(write(p->streams[1], &byte, 1) == 1 && read(p->out, &byte, 1) == 1);
		return;
	}
	m = peer_receive(p);
	assert(m != NULL && m->body_case == GONDOLIN__CLIENT_TO_VMRUNNER__BODY_RESIZE);
	peer_free_message(m);
}

static void
send_message(struct peer *p, Gondolin__VmrunnerToClient *m)
{
	/* The client may have gone, which some tests are about. */
	ipc_packet_send(p->control, &m->base, NULL, 0);
}

void
peer_send_started(struct peer *p, bool tty)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlStarted s = GONDOLIN__CONTROL_STARTED__INIT;

	s.exec = 1;
	s.tty = tty;
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED;
	m.started = &s;
	send_message(p, &m);
}

void
peer_send_exited(struct peer *p, int status, bool timed_out)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlExited e = GONDOLIN__CONTROL_EXITED__INIT;

	e.status = status;
	e.timed_out = timed_out;
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED;
	m.exited = &e;
	send_message(p, &m);
}

void
peer_send_refused(struct peer *p, unsigned code, const char *message)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlRefused r = GONDOLIN__CONTROL_REFUSED__INIT;

	r.code = code;
	r.message = ipc_text(message);
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_REFUSED;
	m.refused = &r;
	send_message(p, &m);
}

void
peer_close_streams(struct peer *p)
{
	int i;

	for (i = 0; i < 3; i++)
		client_close(&p->streams[i]);
}

int
peer_wait(struct peer *p)
{
	int status;

	if (p->leader == 0)
		assert(waitpid(p->client, &status, 0) == p->client);
	else
		assert(read(p->report, &status, sizeof(status)) == sizeof(status));
	if (WIFSTOPPED(status))
		return PEER_STOPPED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : PEER_KILLED + WTERMSIG(status);
}

void
peer_close(struct peer *p)
{
	int *fds[] = {
	    &p->control, &p->in, &p->out, &p->err, &p->master, &p->slave, &p->report, &p->hold};
	size_t i;

	peer_close_streams(p);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		client_close(fds[i]);
	if (p->leader != 0)
		assert(waitpid(p->leader, NULL, 0) == p->leader);
}

int
peer_end(struct peer *p)
{
	int code = peer_wait(p);

	peer_close(p);
	return code;
}
