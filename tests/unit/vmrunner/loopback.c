/* SPDX-License-Identifier: Apache-2.0 */
/* vmrunner against the guest's own agent: its code runs in a child process, at the port's far end.
 */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tests.h"

#define DEADLINE 120. /* seconds until a wait counts as a failure */

static pid_t
start_agent(struct rig *r)
{
	pid_t pid;

	rig_machine(r, NULL);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		/* Everything else is close-on-exec. */
		if (dup2(r->port, 3) == 3 && (r->port != 3 || fcntl(3, F_SETFD, 0) == 0))
			execl(TEST_AGENT, TEST_AGENT, "3", (char *)NULL);
		_exit(127);
	}
	close(r->port);
	r->port = -1;
	return pid;
}

static void
stop_agent(struct rig *r, pid_t pid)
{
	int status;

	rig_clear(r);
	/* It says that the host went away. */
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
}

/* Nothing goes on for long without a supervisor that reads. */
static void
drain_reports(struct rig *r)
{
	Gondolin__VmrunnerToSup *report;

	while ((report = rig_report(r)) != NULL)
		gondolin__vmrunner_to_sup__free_unpacked(report, NULL);
}

/* Rounds until the client has a message, which is returned; stdout is read into out. */
static Gondolin__VmrunnerToClient *
wait_for(struct rig *r, struct rig_client *c, uint8_t *out, size_t size, size_t *n)
{
	ev_tstamp end = ev_time() + DEADLINE;
	Gondolin__VmrunnerToClient *m;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	ssize_t got;

	for (;;) {
		ev_run(r->vm->loop, EVRUN_NOWAIT);
		drain_reports(r);
		while (c->out >= 0 && *n < size && (got = read(c->out, out + *n, size - *n)) > 0)
			*n += (size_t)got;
		m = rig_answer(c, NULL);
		if (m != NULL)
			return m;
		CU_ASSERT_FATAL(ev_time() < end);
		(void)poll(&p, 1, 1);
	}
}

static uint32_t
wait_started(struct rig *r, struct rig_client *c)
{
	size_t n = 0;
	Gondolin__VmrunnerToClient *m = wait_for(r, c, NULL, 0, &n);
	uint32_t id;

	if (m->body_case == GONDOLIN__VMRUNNER_TO_CLIENT__BODY_REFUSED)
		fprintf(stderr, "refused: %.*s\n", (int)m->refused->message.len,
		    (char *)m->refused->message.data);
	CU_ASSERT_FATAL(m->body_case == GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED);
	id = m->started->exec;
	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	return id;
}

static void
run(struct rig *r, struct rig_client *c, const char *script, bool tty)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv[] = {ipc_text("/bin/sh"), ipc_text("-c"), ipc_text(script)};
	ProtobufCBinaryData env = ipc_text("PATH=/usr/bin:/bin");

	e.n_argv = 3;
	e.argv = argv;
	e.n_env = 1;
	e.env = &env;
	e.tty = tty;
	e.cwd = ipc_text("/");
	rig_connect(r, c);
	rig_exec(r, c, &e);
}

static int
wait_exited(struct rig *r, struct rig_client *c, uint8_t *out, size_t size, size_t *n)
{
	Gondolin__VmrunnerToClient *m = wait_for(r, c, out, size, n);
	ssize_t got;
	int status;

	CU_ASSERT_FATAL(m->body_case == GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED);
	status = m->exited->status;
	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	while (*n < size && (got = read(c->out, out + *n, size - *n)) > 0)
		*n += (size_t)got;
	return status;
}

static void
test_scripts(void)
{
	static const struct {
		const char *script, *in, *out;
		int status;
	} rows[] = {
	    {"exit 3", "", "", 3},
	    {"cat; echo end", "some input", "some inputend\n", 0},
	    {"kill -TERM $$", "", "", -SIGTERM},
	    {"head -c 1; exit 5", "xyz", "x", 5},
	};
	struct rig_client c;
	struct rig r;
	uint8_t out[256];
	pid_t agent;
	size_t i, n;

	rig_init(&r, NULL);
	agent = start_agent(&r);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(&r, &c, rows[i].script, false);
		(void)wait_started(&r, &c);
		CU_ASSERT(
		    write(c.in, rows[i].in, strlen(rows[i].in)) == (ssize_t)strlen(rows[i].in));
		close(c.in);
		c.in = -1;
		n = 0;
		CU_ASSERT_EQUAL(wait_exited(&r, &c, out, sizeof(out), &n), rows[i].status);
		CU_ASSERT(n == strlen(rows[i].out) && memcmp(out, rows[i].out, n) == 0);
		rig_disconnect(&c);
	}
	stop_agent(&r, agent);
}

/* More than any window, in and out at once. */
static void
test_bulk(void)
{
	enum { SIZE = 8 << 20 };
	uint8_t *in = malloc(SIZE), *out = malloc(SIZE + 1);
	Gondolin__VmrunnerToClient *m = NULL;
	ev_tstamp end = ev_time() + DEADLINE;
	struct rig_client c;
	struct rig r;
	size_t sent = 0, got = 0, i;
	pid_t agent;
	ssize_t n;

	CU_ASSERT_FATAL(in != NULL && out != NULL);
	for (i = 0; i < SIZE; i++)
		in[i] = (uint8_t)(i * 2654435761u >> 13);
	rig_init(&r, NULL);
	agent = start_agent(&r);
	run(&r, &c, "cat", false);
	(void)wait_started(&r, &c);
	while (m == NULL) {
		CU_ASSERT_FATAL(ev_time() < end);
		ev_run(r.vm->loop, EVRUN_NOWAIT);
		if (c.in >= 0 && (n = write(c.in, in + sent, SIZE - sent)) > 0)
			sent += (size_t)n;
		if (c.in >= 0 && sent == SIZE) {
			close(c.in);
			c.in = -1;
		}
		if ((n = read(c.out, out + got, SIZE + 1 - got)) > 0)
			got += (size_t)n;
		m = rig_answer(&c, NULL);
	}
	CU_ASSERT(m->body_case == GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED);
	gondolin__vmrunner_to_client__free_unpacked(m, NULL);
	while (got <= SIZE && (n = read(c.out, out + got, SIZE + 1 - got)) > 0)
		got += (size_t)n;
	CU_ASSERT_EQUAL(got, SIZE);
	CU_ASSERT(memcmp(in, out, SIZE) == 0);
	rig_disconnect(&c);
	stop_agent(&r, agent);
	free(in);
	free(out);
}

/* A writer whose reader goes away sees EPIPE, as it would without a sandbox between. */
static void
test_epipe(void)
{
	struct rig_client c;
	struct rig r;
	uint8_t byte;
	size_t n = 0;
	pid_t agent;

	rig_init(&r, NULL);
	agent = start_agent(&r);
	run(&r, &c, "yes 1>&2", false);
	(void)wait_started(&r, &c);
	close(c.err);
	c.err = -1;
	/* The shell runs its last command in its own place or waits for it: SIGPIPE either way. */
	{
		int status = wait_exited(&r, &c, &byte, 1, &n);

		CU_ASSERT(status == -SIGPIPE || status == 128 + SIGPIPE);
	}
	rig_disconnect(&c);
	stop_agent(&r, agent);
}

static void
test_terminal(void)
{
	struct rig_client c;
	struct rig r;
	uint8_t out[256] = {0};
	size_t n = 0;
	pid_t agent;

	rig_init(&r, NULL);
	agent = start_agent(&r);
	run(&r, &c, "test -t 0 && test -t 1 && read line && echo got $line", true);
	(void)wait_started(&r, &c);
	CU_ASSERT(write(c.in, "word\n", 5) == 5);
	CU_ASSERT_EQUAL(wait_exited(&r, &c, out, sizeof(out) - 1, &n), 0);
	CU_ASSERT(strstr((char *)out, "got word\r\n") != NULL);
	rig_disconnect(&c);
	stop_agent(&r, agent);
}

/* Two hundred at once, then two hundred one after another: nothing is left. */
static void
test_many(void)
{
	enum { N = 200 };
	static struct rig_client clients[N];
	struct rig r;
	uint8_t out[64];
	pid_t agent;
	size_t i, n;

	rig_init(&r, NULL);
	agent = start_agent(&r);
	for (i = 0; i < N; i++)
		run(&r, &clients[i], "cat", false);
	for (i = 0; i < N; i++) {
		(void)wait_started(&r, &clients[i]);
		CU_ASSERT(write(clients[i].in, "abc", 3) == 3);
		close(clients[i].in);
		clients[i].in = -1;
	}
	for (i = 0; i < N; i++) {
		n = 0;
		CU_ASSERT_EQUAL(wait_exited(&r, &clients[i], out, sizeof(out), &n), 0);
		CU_ASSERT_EQUAL(n, 3);
		rig_disconnect(&clients[i]);
	}
	CU_ASSERT(r.vm->commands.n == 0 && r.vm->control.n == 0);
	stop_agent(&r, agent);
}

CU_TestInfo loopback_tests[] = {
    {"commands of the real agent", test_scripts},
    {"bulk through the real agent", test_bulk},
    {"EPIPE", test_epipe},
    {"a terminal", test_terminal},
    {"many at once", test_many},
    CU_TEST_INFO_NULL,
};
