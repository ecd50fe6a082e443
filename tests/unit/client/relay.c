/* SPDX-License-Identifier: Apache-2.0 */
/* The relay on pipes: exit codes, signals, bytes, and peers that misbehave. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"
#include "ipc/packet.h"
#include "tests/unit/client/client_test.h"
#include "tests/unit/client/peer.h"

#define BIG (8u << 20)

static const char *const words[] = {"cat", "-", NULL};
static const struct gondolin_exec_options plain = {.argv = words};

static void
test_exec_message(void)
{
	static const char *const env[] = {"A=1", "B=", NULL};
	struct gondolin_exec_options o = {
	    .argv = words, .env = env, .user = "nobody", .cwd = "/tmp", .timeout_ms = 1500};
	Gondolin__ClientToVmrunner *m;
	struct peer p;

	peer_start(&p, &o, false);
	m = peer_receive(&p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC);
	CU_ASSERT_EQUAL(m->exec->n_argv, 2);
	CU_ASSERT_EQUAL(m->exec->argv[0].len, 3);
	CU_ASSERT_EQUAL(memcmp(m->exec->argv[0].data, "cat", 3), 0);
	CU_ASSERT_EQUAL(m->exec->n_env, 2);
	CU_ASSERT_EQUAL(m->exec->env[1].len, 2);
	CU_ASSERT_EQUAL(m->exec->user.len, 6);
	CU_ASSERT_EQUAL(m->exec->cwd.len, 4);
	CU_ASSERT_EQUAL(m->exec->timeout_ms, 1500);
	CU_ASSERT_FALSE(m->exec->tty);
	CU_ASSERT_EQUAL(m->exec->rows, 0);
	CU_ASSERT(p.streams[0] >= 0 && p.streams[1] >= 0 && p.streams[2] >= 0);
	peer_free_message(m);
	peer_send_refused(&p, 126, "no");
	CU_ASSERT_EQUAL(peer_end(&p), 126);
}

static void
test_exit_codes(void)
{
	static const struct {
		int status;
		bool timed_out;
		int code;
	} rows[] = {
	    {0, false, 0},
	    {1, false, 1},
	    {255, false, 255},
	    {-SIGKILL, false, 137},
	    {-SIGTERM, false, 143},
	    {-SIGTERM, true, 124},
	    {0, true, 124},
	    {256, false, 125},
	    {-65, false, 125},
	};
	struct peer p;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		peer_start(&p, &plain, false);
		peer_accept(&p);
		peer_send_exited(&p, rows[i].status, rows[i].timed_out);
		peer_close_streams(&p);
		CU_ASSERT_EQUAL(peer_end(&p), rows[i].code);
	}
}

static void
test_refusals(void)
{
	static const struct {
		unsigned sent;
		int code;
	} rows[] = {{125, 125}, {126, 126}, {127, 127}, {0, 125}, {1, 125}, {4000000000u, 125}};
	struct peer p;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		peer_start(&p, &plain, false);
		peer_send_refused(&p, rows[i].sent, "no such thing");
		CU_ASSERT_EQUAL(peer_end(&p), rows[i].code);
	}
	/* The sandbox fails under the command. */
	peer_start(&p, &plain, false);
	peer_accept(&p);
	peer_send_refused(&p, 125, "the guest is gone");
	peer_close_streams(&p);
	CU_ASSERT_EQUAL(peer_end(&p), 125);
}

/* ---- Bytes ---- */

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static void *
feed(void *arg)
{
	uint8_t block[4096];
	size_t done, i;
	int fd = *(int *)arg;

	for (done = 0; done < BIG; done += sizeof(block)) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = pattern(done + i);
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			break;
	}
	close(fd);
	return NULL;
}

/* The command: cat. */
static void *
echo(void *arg)
{
	struct peer *p = arg;
	uint8_t block[10000];
	ssize_t n;

	while ((n = read(p->streams[0], block, sizeof(block))) > 0)
		if (write(p->streams[1], block, (size_t)n) != n)
			break;
	peer_send_exited(p, 0, false);
	peer_close_streams(p);
	return NULL;
}

/* Reads fd to its end; returns how many bytes were as sent. */
static size_t
check_pattern(int fd)
{
	uint8_t block[5000];
	size_t total = 0;
	ssize_t n, i;

	while ((n = read(fd, block, sizeof(block))) > 0)
		for (i = 0; i < n; i++, total++)
			if (block[i] != pattern(total))
				return total;
	return total;
}

static void
test_bytes(void)
{
	pthread_t feeder, echoer;
	struct peer p;
	int in;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	in = p.in;
	p.in = -1;
	pthread_create(&feeder, NULL, feed, &in);
	pthread_create(&echoer, NULL, echo, &p);
	CU_ASSERT_EQUAL(check_pattern(p.out), BIG);
	pthread_join(feeder, NULL);
	pthread_join(echoer, NULL);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

/* Output that was in the pipes when the command ended is written, and stderr apart from stdout. */
static void
test_drain(void)
{
	char out[16] = "", err[16] = "";
	struct peer p;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	CU_ASSERT_EQUAL(write(p.streams[1], "output", 6), 6);
	CU_ASSERT_EQUAL(write(p.streams[2], "error", 5), 5);
	peer_send_exited(&p, 3, false);
	/* The streams stay open here: the client must not wait for their end. */
	CU_ASSERT_EQUAL(read(p.out, out, sizeof(out)), 6);
	CU_ASSERT_EQUAL(read(p.err, err, sizeof(err)), 5);
	CU_ASSERT_STRING_EQUAL(out, "output");
	CU_ASSERT_STRING_EQUAL(err, "error");
	CU_ASSERT_EQUAL(peer_end(&p), 3);
}

static void
test_stdin_end(void)
{
	struct peer p;
	char byte;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	client_close(&p.in);
	CU_ASSERT_EQUAL(read(p.streams[0], &byte, 1), 0);
	peer_send_exited(&p, 0, false);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

/* The command reads no more, which is no reason to end. */
static void
test_stdin_refused(void)
{
	struct peer p;
	char out[4];

	peer_start(&p, &plain, false);
	peer_accept(&p);
	client_close(&p.streams[0]);
	CU_ASSERT_EQUAL(write(p.in, "lost", 4), 4);
	CU_ASSERT_EQUAL(write(p.streams[1], "kept", 4), 4);
	CU_ASSERT_EQUAL(read(p.out, out, 4), 4);
	peer_send_exited(&p, 0, false);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

/* Our reader leaves: the command's next write fails. */
static void
test_stdout_refused(void)
{
	struct peer p;
	char block[4096] = "";
	size_t written = 0;
	ssize_t n;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	client_close(&p.out);
	while ((n = write(p.streams[1], block, sizeof(block))) > 0)
		written += (size_t)n;
	CU_ASSERT_EQUAL(errno, EPIPE);
	CU_ASSERT(written < BIG);
	peer_send_exited(&p, -SIGPIPE, false);
	CU_ASSERT_EQUAL(peer_end(&p), 141);
}

/* A reader that does not read stops the command's output, not the client. */
static void
test_slow_reader(void)
{
	Gondolin__ClientToVmrunner *m;
	struct peer p;
	char block[4096] = "";
	size_t written = 0;
	ssize_t n;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	client_non_blocking(p.streams[1]);
	/* A signal that arrives shows that the client is not stuck in a write. */
	do {
		while ((n = write(p.streams[1], block, sizeof(block))) > 0)
			written += (size_t)n;
		kill(p.client, SIGTERM);
		m = peer_receive(&p);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		peer_free_message(m);
	} while (write(p.streams[1], block, 1) > 0 && ++written < BIG);
	CU_ASSERT(written < BIG);
	peer_send_exited(&p, 0, false);
	client_close(&p.out);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

/* ---- Signals ---- */

static void
test_signals(void)
{
	static const int signals[] = {SIGTERM, SIGQUIT, SIGINT, SIGHUP};
	Gondolin__ClientToVmrunner *m;
	struct peer p;
	size_t i;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		kill(p.client, signals[i]);
		m = peer_receive(&p);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL);
		CU_ASSERT_EQUAL(m->signal->signal, signals[i]);
		peer_free_message(m);
	}
	peer_send_exited(&p, -SIGTERM, false);
	CU_ASSERT_EQUAL(peer_end(&p), 143);
}

/* As nohup(1) has it, and a shell its jobs in the background. */
static void
test_ignored_signals(void)
{
	Gondolin__ClientToVmrunner *m;
	struct peer p;

	signal(SIGHUP, SIG_IGN);
	peer_start(&p, &plain, false);
	signal(SIGHUP, SIG_DFL);
	peer_accept(&p);
	kill(p.client, SIGHUP);
	kill(p.client, SIGTERM);
	m = peer_receive(&p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL);
	CU_ASSERT_EQUAL(m->signal->signal, SIGTERM);
	peer_free_message(m);
	peer_send_exited(&p, -SIGTERM, false);
	CU_ASSERT_EQUAL(peer_end(&p), 143);
}

static void
test_interrupted_twice(void)
{
	Gondolin__ClientToVmrunner *m;
	struct peer p;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	kill(p.client, SIGINT);
	m = peer_receive(&p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	peer_free_message(m);
	kill(p.client, SIGINT);
	CU_ASSERT_PTR_NULL(peer_receive(&p));
	CU_ASSERT_EQUAL(peer_end(&p), 130);
}

static void
test_interrupted_early(void)
{
	struct peer p;
	int code;

	peer_start(&p, &plain, false);
	peer_free_message(peer_receive(&p));
	kill(p.client, SIGINT);
	CU_ASSERT_PTR_NULL(peer_receive(&p));
	code = peer_end(&p);
	/* It may come before the client has looked after its signals, and then just kills. */
	CU_ASSERT(code == 130 || code == PEER_KILLED + SIGINT);
}

/* ---- Peers that misbehave ---- */

static void
test_vanished(void)
{
	struct peer p;

	peer_start(&p, &plain, false);
	peer_free_message(peer_receive(&p));
	client_close(&p.control);
	CU_ASSERT_EQUAL(peer_end(&p), 125);

	peer_start(&p, &plain, false);
	peer_accept(&p);
	peer_close_streams(&p);
	client_close(&p.control);
	CU_ASSERT_EQUAL(peer_end(&p), 125);
}

static void
test_malformed(void)
{
	static const char garbage[] = "\xff\xff\xff\xff\xff";
	Gondolin__VmrunnerToClient status = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlStatusReply reply = GONDOLIN__CONTROL_STATUS_REPLY__INIT;
	struct peer p;

	peer_start(&p, &plain, false);
	peer_accept(&p);
	ipc_packet_send_bytes(p.control, garbage, sizeof(garbage), NULL, 0);
	peer_close_streams(&p);
	CU_ASSERT_EQUAL(peer_end(&p), 125);

	/* Started twice. */
	peer_start(&p, &plain, false);
	peer_accept(&p);
	peer_send_started(&p, false);
	peer_close_streams(&p);
	CU_ASSERT_EQUAL(peer_end(&p), 125);

	/* Exited before Started. */
	peer_start(&p, &plain, false);
	peer_free_message(peer_receive(&p));
	peer_send_exited(&p, 0, false);
	peer_close_streams(&p);
	CU_ASSERT_EQUAL(peer_end(&p), 125);

	/* An answer to another question, and one with a descriptor. */
	peer_start(&p, &plain, false);
	peer_accept(&p);
	status.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STATUS;
	status.status = &reply;
	ipc_packet_send(p.control, &status.base, &p.out, 1);
	peer_close_streams(&p);
	CU_ASSERT_EQUAL(peer_end(&p), 125);
}

void
add_relay_suite(void)
{
	CU_pSuite s = CU_add_suite("relay", NULL, NULL);

	CU_add_test(s, "what an Exec says", test_exec_message);
	CU_add_test(s, "exit codes", test_exit_codes);
	CU_add_test(s, "refusals", test_refusals);
	CU_add_test(s, "many bytes", test_bytes);
	CU_add_test(s, "what was left in the pipes", test_drain);
	CU_add_test(s, "end of stdin", test_stdin_end);
	CU_add_test(s, "a command that does not read", test_stdin_refused);
	CU_add_test(s, "a reader that leaves", test_stdout_refused);
	CU_add_test(s, "a reader that does not read", test_slow_reader);
	CU_add_test(s, "signals go on", test_signals);
	CU_add_test(s, "ignored signals stay ignored", test_ignored_signals);
	CU_add_test(s, "the second SIGINT", test_interrupted_twice);
	CU_add_test(s, "SIGINT before the command runs", test_interrupted_early);
	CU_add_test(s, "a sandbox that vanishes", test_vanished);
	CU_add_test(s, "malformed answers", test_malformed);
}
