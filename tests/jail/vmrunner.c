/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real gondolin-vmrunner in its real wall, with the guest's agent as a program of the host at
 * the far end of its port: jail_vmrunner MODE RUNNER AGENT.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/control.pb-c.h"
#include "ipc/message.h"
#include "ipc/packet.h"
#include "ipc/vmrunner.pb-c.h"
#include "tests/jail/support.h"
#include "tests/run.h"

#define RESIDENT_MAX_KIB (32u * 1024u)
#define HELD             254u /* commands at once: 256, and those whose clients vanished */

/* A descriptor of the program: what it lies in may be closed to the user that we become. */
static char runner_path[64];

static struct world {
	pid_t runner, agent;
	int pidfd, supervisor, port, qmp, console, log;
	struct sockaddr_un address;
	socklen_t address_size;
	char user[16];
} w;

struct client {
	int fd, in, out, err;
};

static void
pair(int type, int fds[2])
{
	CU_ASSERT_FATAL(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
}

/* Takes the next message of an edge; blocks. */
static ProtobufCMessage *
receive(int fd, const ProtobufCMessageDescriptor *type)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	ProtobufCMessage *m;

	CU_ASSERT_EQUAL_FATAL(ipc_packet_receive(fd, &p), 1);
	m = ipc_message_decode(type, bytes, p.length);
	CU_ASSERT_FATAL(m != NULL);
	return m;
}

/* Takes reports until one has that state; the others are records. */
static void
await_state(Gondolin__VmrunnerMachineState__State state)
{
	Gondolin__VmrunnerToSup *m;
	bool found = false;

	while (!found) {
		m = (Gondolin__VmrunnerToSup *)receive(
		    w.supervisor, &gondolin__vmrunner_to_sup__descriptor);
		found = m->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_MACHINE_STATE &&
			m->machine_state->state == state;
		gondolin__vmrunner_to_sup__free_unpacked(m, NULL);
	}
}

/* What the supervisor must always do. */
static void
drop_reports(void)
{
	uint8_t bytes[IPC_MESSAGE_MAX];

	while (recv(w.supervisor, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

static void
order(const Gondolin__SupToVmrunner *m, const int *fds, size_t n)
{
	CU_ASSERT_EQUAL_FATAL(ipc_packet_send(w.supervisor, &m->base, fds, n), 0);
}

static void
start_runner(void)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerSetup setup = GONDOLIN__VMRUNNER_SETUP__INIT;
	char name[] = "gondolin-vmrunner", error[512] = "";
	char *argv[] = {name, NULL};
	int edge[2], log[2], fds[4] = {-1, -1, -1, -1};
	struct jail_spawn s = {.profile = profile_find("vmrunner"),
	    .identity = support_identity(),
	    .program = runner_path,
	    .argv = argv,
	    .fds = fds,
	    .n_fds = 4,
	    .cgroup_fd = -1};

	pair(SOCK_SEQPACKET, edge);
	CU_ASSERT_FATAL(pipe2(log, O_CLOEXEC) == 0);
	fds[2] = log[1];
	fds[3] = edge[1];
	w.supervisor = edge[0];
	w.log = log[0];
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SETUP;
	m.setup = &setup;
	setup.trace_console = true;
	order(&m, NULL, 0);
	w.runner = jail_spawn(&s, &w.pidfd, error, sizeof(error));
	if (w.runner < 0)
		fprintf(stderr, "%s\n", error);
	CU_ASSERT_FATAL(w.runner > 0);
	close(log[1]);
	close(edge[1]);
}

/* The agent stays who we are now: it runs commands as any user of the guest where that is root. */
static int
start_agent(const char *program)
{
	int port[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port) < 0)
		return -errno;
	snprintf(w.user, sizeof(w.user), "%u", (unsigned)geteuid());
	w.agent = fork();
	if (w.agent == 0) {
		if (dup2(port[0], 3) == 3 && fcntl(3, F_SETFD, 0) == 0)
			execl(program, program, "3", (char *)NULL);
		_exit(127);
	}
	close(port[0]);
	w.port = port[1];
	return w.agent > 0 ? 0 : -errno;
}

static void
test_start(void)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerMachine machine = GONDOLIN__VMRUNNER_MACHINE__INIT;
	Gondolin__VmrunnerServe serve = GONDOLIN__VMRUNNER_SERVE__INIT;
	int qmp[2], console[2], fds[3], listener;

	start_runner();
	gondolin__vmrunner_to_sup__free_unpacked((Gondolin__VmrunnerToSup *)receive(w.supervisor,
						     &gondolin__vmrunner_to_sup__descriptor),
	    NULL);
	pair(SOCK_STREAM, qmp);
	pair(SOCK_STREAM, console);
	fds[0] = w.port;
	fds[1] = qmp[1];
	fds[2] = console[1];
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE;
	m.machine = &machine;
	machine.attempt = 1;
	machine.last = true;
	machine.alive_deadline_ms = 100000;
	machine.hello_deadline_ms = 100000;
	order(&m, fds, 3);
	close(w.port);
	close(qmp[1]);
	close(console[1]);
	w.qmp = qmp[0];
	w.console = console[0];
	CU_ASSERT(write(w.qmp, "{\"QMP\": {}}\n{\"return\": {}}\n", 27) == 27);
	CU_ASSERT(write(w.console, "[    0.0] Linux\n", 16) == 16);
	await_state(GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UP);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	w.address = (struct sockaddr_un){.sun_family = AF_UNIX};
	w.address_size = sizeof(w.address);
	CU_ASSERT_FATAL(bind(listener, (struct sockaddr *)&w.address, sizeof(sa_family_t)) == 0);
	CU_ASSERT_FATAL(getsockname(listener, (struct sockaddr *)&w.address, &w.address_size) == 0);
	CU_ASSERT_FATAL(listen(listener, 300) == 0);
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SERVE;
	m.serve = &serve;
	order(&m, &listener, 1);
	close(listener);
}

/* ---- Clients ---- */

static void
client_connect(struct client *c)
{
	*c = (struct client){.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0),
	    .in = -1,
	    .out = -1,
	    .err = -1};
	CU_ASSERT_FATAL(connect(c->fd, (struct sockaddr *)&w.address, w.address_size) == 0);
}

static void
client_close(struct client *c)
{
	close(c->fd);
	close(c->in);
	close(c->out);
	close(c->err);
}

/* Runs a script; with keep, *keep is set to a copy of stdin's read end. */
static void
client_exec(struct client *c, const char *script, int *keep)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv[] = {ipc_text("/bin/sh"), ipc_text("-c"), ipc_text(script)};
	ProtobufCBinaryData env = ipc_text("PATH=/usr/bin:/bin");
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, fds[3];

	client_connect(c);
	CU_ASSERT_FATAL(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	pair(SOCK_STREAM, err); /* as good as a pipe */
	e.n_argv = 3;
	e.argv = argv;
	e.n_env = 1;
	e.env = &env;
	e.user = ipc_text(w.user);
	e.cwd = ipc_text("/");
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC;
	m.exec = &e;
	fds[0] = in[0];
	fds[1] = out[1];
	fds[2] = err[1];
	CU_ASSERT_EQUAL_FATAL(ipc_packet_send(c->fd, &m.base, fds, 3), 0);
	if (keep != NULL)
		*keep = in[0];
	else
		close(in[0]);
	close(out[1]);
	close(err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
}

static Gondolin__VmrunnerToClient *
answer(struct client *c, Gondolin__VmrunnerToClient__BodyCase body)
{
	Gondolin__VmrunnerToClient *m =
	    (Gondolin__VmrunnerToClient *)receive(c->fd, &gondolin__vmrunner_to_client__descriptor);

	if (m->body_case == GONDOLIN__VMRUNNER_TO_CLIENT__BODY_REFUSED)
		fprintf(stderr, "refused: %.*s\n", (int)m->refused->message.len,
		    (const char *)m->refused->message.data);
	CU_ASSERT_EQUAL_FATAL(m->body_case, body);
	return m;
}

static uint32_t
started(struct client *c)
{
	Gondolin__VmrunnerToClient *m = answer(c, GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED);
	uint32_t id = m->started->exec;

	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	return id;
}

static int
exited(struct client *c)
{
	Gondolin__VmrunnerToClient *m = answer(c, GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED);
	int status = m->exited->status;

	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	return status;
}

static void
echo(void)
{
	struct client c;
	char bytes[16] = "";

	client_exec(&c, "cat; exit 3", NULL);
	(void)started(&c);
	CU_ASSERT(write(c.in, "through", 7) == 7);
	close(c.in);
	c.in = -1;
	CU_ASSERT_EQUAL(exited(&c), 3);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 7 && strcmp(bytes, "through") == 0);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 0);
	client_close(&c);
	drop_reports();
}

static void
test_echo(void)
{
	echo();
	echo();
}

/* More than any buffer, towards a reader that begins late. */
static void
test_kept_output(void)
{
	static char bytes[1 << 16];
	struct client c;
	size_t got = 0;
	ssize_t n;

	client_exec(&c, "head -c 3000000 /dev/zero", NULL);
	(void)started(&c);
	while ((n = read(c.out, bytes, sizeof(bytes))) > 0)
		got += (size_t)n;
	CU_ASSERT_EQUAL(got, 3000000);
	CU_ASSERT_EQUAL(exited(&c), 0);
	client_close(&c);
}

static void
test_vanished(void)
{
	struct client c;

	client_exec(&c, "trap '' HUP; echo; cat; cat; sleep 100", NULL);
	(void)started(&c);
	client_close(&c);
	echo();
}

static void
test_attach(void)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlDetach detach = GONDOLIN__CONTROL_DETACH__INIT;
	Gondolin__ControlAttach attach = GONDOLIN__CONTROL_ATTACH__INIT;
	struct client c, next;
	char bytes[16];
	int in[2] = {-1, -1}, out[2] = {-1, -1}, fds[2];
	uint32_t id;

	client_exec(&c, "read line; echo $line >&2; exit 4", NULL);
	id = started(&c);
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_DETACH;
	m.detach = &detach;
	CU_ASSERT_EQUAL(ipc_packet_send(c.fd, &m.base, NULL, 0), 0);
	CU_ASSERT(recv(c.fd, bytes, sizeof(bytes), 0) == 0);
	client_close(&c);
	client_connect(&next);
	CU_ASSERT_FATAL(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	fds[0] = in[0];
	fds[1] = out[1];
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_ATTACH;
	m.attach = &attach;
	CU_ASSERT_EQUAL(ipc_packet_send(next.fd, &m.base, fds, 2), 0);
	close(in[0]);
	close(out[1]);
	next.in = in[1];
	next.out = out[0];
	CU_ASSERT_EQUAL(started(&next), id);
	CU_ASSERT(write(next.in, "word\n", 5) == 5);
	CU_ASSERT_EQUAL(exited(&next), 4);
	CU_ASSERT(read(next.out, bytes, sizeof(bytes)) == 5);
	client_close(&next);
	drop_reports();
}

/*
 * A client that keeps the end of the pipe that it gave away: epoll goes on watching it when
 * vmrunner closed its own, and libev has to make its set anew.
 */
static void
test_stale_pipe(void)
{
	struct client c;
	int keep;

	client_exec(&c, "exit 0", &keep);
	(void)started(&c);
	CU_ASSERT_EQUAL(exited(&c), 0);
	CU_ASSERT(write(c.in, "x", 1) == 1);
	echo();
	close(keep);
	client_close(&c);
}

static unsigned long
resident_kib(void)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", w.runner);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtoul(line + 6, NULL, 10);
	if (f != NULL)
		fclose(f);
	return kib;
}

/* Nearly as many commands as there may be, all printing for ever into pipes that nobody reads. */
static void
test_memory(void)
{
	static struct client clients[HELD];
	unsigned long idle = resident_kib(), full;
	size_t i;

	for (i = 0; i < HELD; i++) {
		client_exec(&clients[i], "yes & exec yes >&2", NULL);
		(void)started(&clients[i]);
		drop_reports();
	}
	/* Each has filled its pipe once; another one in the row shows that all are served. */
	for (i = 0; i < HELD; i++) {
		char byte;

		CU_ASSERT(read(clients[i].out, &byte, 1) == 1);
		CU_ASSERT(read(clients[i].err, &byte, 1) == 1);
	}
	full = resident_kib();
	printf("\nresident: %lu KiB idle, %lu KiB with %u unread commands\n", idle, full, HELD);
	CU_ASSERT(idle > 0 && full < RESIDENT_MAX_KIB);
	for (i = 0; i < HELD; i++) {
		client_close(&clients[i]);
		drop_reports();
	}
}

/* Last: the machine stops, the supervisor goes, and so does vmrunner, without a word. */
static void
test_end(void)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerShutdown shutdown = GONDOLIN__VMRUNNER_SHUTDOWN__INIT;
	char bytes[4096];
	ssize_t n;
	int status;

	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SHUTDOWN;
	m.shutdown = &shutdown;
	order(&m, NULL, 0);
	await_state(GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__STOPPED);
	close(w.supervisor);
	CU_ASSERT(waitpid(w.runner, &status, 0) == w.runner && status == 0);
	while ((n = read(w.log, bytes, sizeof(bytes))) > 0)
		CU_ASSERT(memmem(bytes, (size_t)n, "console: [    0.0] Linux\n", 25) != NULL);
}

static int
suite(void)
{
	CU_TestInfo tests[] = {
	    {"a machine that is up", test_start},
	    {"commands", test_echo},
	    {"output that is kept", test_kept_output},
	    {"a client vanishes", test_vanished},
	    {"detach and attach", test_attach},
	    {"a client keeps its pipe", test_stale_pipe},
	    {"memory", test_memory},
	    {"the end", test_end},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
	    {"vmrunner", NULL, NULL, NULL, NULL, tests},
	    CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	int runner, status, code;

	if (argc != 4)
		return 2;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	runner = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (runner < 0 || start_agent(argv[3]) < 0) {
		perror("cannot open the programs");
		return EXIT_FAILURE;
	}
	snprintf(runner_path, sizeof(runner_path), "/proc/self/fd/%d", runner);
	code = support_main(argc, argv, suite);
	/* Its port's other end is gone with the suite, which it says. */
	close(w.port);
	if (waitpid(w.agent, &status, 0) != w.agent || !WIFEXITED(status))
		code = EXIT_FAILURE;
	return code;
}
