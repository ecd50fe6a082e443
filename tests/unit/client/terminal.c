/* SPDX-License-Identifier: Apache-2.0 */
/* The relay on a real terminal: raw while the command runs, as it was on every way out. */
#include <CUnit/Basic.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "client/client.h"
#include "tests/unit/client/client_test.h"
#include "tests/unit/client/peer.h"

static const char *const words[] = {"bash", NULL};
static const struct gondolin_exec_options shell = {
    .argv = words, .tty = true, .rows = 30, .columns = 100};

/* The master shows the slave's settings. */
static bool
is_raw(const struct peer *p)
{
	struct termios t;

	return tcgetattr(p->master, &t) == 0 && (t.c_lflag & (ICANON | ECHO | ISIG)) == 0 &&
	       (t.c_oflag & OPOST) == 0;
}

static bool
same_settings(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

static bool
receives(struct peer *p, int body_case)
{
	Gondolin__ClientToVmrunner *m = peer_receive(p);
	bool is = m != NULL && (int)m->body_case == body_case;

	if (m != NULL)
		peer_free_message(m);
	return is;
}

static void
test_size_and_bytes(void)
{
	struct winsize size = {.ws_row = 50, .ws_col = 200};
	Gondolin__ClientToVmrunner *m;
	char bytes[8] = "";
	struct peer p;

	peer_start(&p, &shell, true);
	peer_accept(&p);
	CU_ASSERT(p.streams[0] >= 0 && p.streams[1] >= 0 && p.streams[2] < 0);
	CU_ASSERT(is_raw(&p));
	/* Ctrl-C, Ctrl-Z and Ctrl-D are the guest's. */
	CU_ASSERT_EQUAL(write(p.master, "a\x03\x1a\x04\r", 5), 5);
	CU_ASSERT_EQUAL(read(p.streams[0], bytes, sizeof(bytes)), 5);
	CU_ASSERT_EQUAL(memcmp(bytes, "a\x03\x1a\x04\r", 5), 0);
	CU_ASSERT_EQUAL(write(p.streams[1], "x\ny", 3), 3);
	CU_ASSERT_EQUAL(read(p.master, bytes, sizeof(bytes)), 3);
	CU_ASSERT_EQUAL(memcmp(bytes, "x\ny", 3), 0);
	CU_ASSERT_EQUAL(ioctl(p.master, TIOCSWINSZ, &size), 0);
	m = peer_receive(&p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_RESIZE);
	CU_ASSERT_EQUAL(m->resize->rows, 50);
	CU_ASSERT_EQUAL(m->resize->columns, 200);
	peer_free_message(m);
	peer_send_exited(&p, 0, false);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

static void
test_detach(void)
{
	struct termios before, after;
	char bytes[8] = "";
	struct peer p;

	peer_start(&p, &shell, true);
	tcgetattr(p.master, &before);
	peer_accept(&p);
	CU_ASSERT_EQUAL(write(p.master, "ls\x1dxx", 5), 5);
	CU_ASSERT(receives(&p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_DETACH));
	CU_ASSERT_EQUAL(read(p.streams[0], bytes, sizeof(bytes)), 2);
	CU_ASSERT_EQUAL(memcmp(bytes, "ls", 2), 0);
	client_close(&p.control);
	CU_ASSERT_EQUAL(peer_wait(&p), PEER_DETACHED);
	tcgetattr(p.master, &after);
	CU_ASSERT(same_settings(&before, &after));
	peer_close(&p);
}

/* A guest that reads nothing cannot keep the user. */
static void
test_detach_when_stuck(void)
{
	char block[1024];
	struct peer p;
	size_t i;

	memset(block, 'x', sizeof(block));
	peer_start(&p, &shell, true);
	peer_accept(&p);
	for (i = 0; i < 512; i++)
		CU_ASSERT_EQUAL(write(p.master, block, sizeof(block)), (ssize_t)sizeof(block));
	CU_ASSERT_EQUAL(write(p.master, "\x1d", 1), 1);
	CU_ASSERT(receives(&p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_DETACH));
	client_close(&p.control);
	CU_ASSERT_EQUAL(peer_end(&p), PEER_DETACHED);
}

/* ---- Ways out ---- */

static void
way_exited(struct peer *p)
{
	peer_send_exited(p, 0, false);
}

static void
way_lost(struct peer *p)
{
	peer_close_streams(p);
	client_close(&p->control);
}

static void
way_refused(struct peer *p)
{
	peer_send_refused(p, 125, "the guest is gone");
}

static void
way_interrupts(struct peer *p)
{
	kill(p->client, SIGINT);
	CU_ASSERT(receives(p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL));
	kill(p->client, SIGINT);
}

static void
way_terminated(struct peer *p)
{
	kill(p->client, SIGTERM);
	CU_ASSERT(receives(p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL));
	peer_send_exited(p, -SIGTERM, false);
}

static void
way_other_signal(struct peer *p)
{
	kill(p->client, SIGUSR1);
}

static void
way_fault(struct peer *p)
{
	kill(p->client, SIGFPE);
}

static void
test_ways_out(void)
{
	static const struct {
		void (*leave)(struct peer *p);
		int code;
	} ways[] = {
	    {way_exited, 0},
	    {way_lost, 125},
	    {way_refused, 125},
	    {way_interrupts, 130},
	    {way_terminated, 143},
	    {way_other_signal, 128 + SIGUSR1},
	    {way_fault, PEER_KILLED + SIGFPE},
	};
	struct termios before, after;
	struct peer p;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		peer_start(&p, &shell, true);
		tcgetattr(p.master, &before);
		peer_accept(&p);
		CU_ASSERT(is_raw(&p));
		ways[i].leave(&p);
		CU_ASSERT_EQUAL(peer_wait(&p), ways[i].code);
		CU_ASSERT_EQUAL(tcgetattr(p.master, &after), 0);
		CU_ASSERT(same_settings(&before, &after));
		peer_close(&p);
	}
}

static void
test_stop_and_go(void)
{
	struct peer p;

	peer_start(&p, &shell, true);
	peer_accept(&p);
	kill(p.client, SIGTSTP);
	CU_ASSERT_EQUAL(peer_wait(&p), PEER_STOPPED);
	CU_ASSERT_FALSE(is_raw(&p));
	kill(p.client, SIGCONT);
	CU_ASSERT(receives(&p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_RESIZE));
	CU_ASSERT(is_raw(&p));
	peer_send_exited(&p, 0, false);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

/* Until the command runs the terminal is untouched, and Ctrl-C ends the client. */
static void
test_before_it_runs(void)
{
	struct peer p;
	int code;

	peer_start(&p, &shell, true);
	CU_ASSERT(receives(&p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC));
	CU_ASSERT_FALSE(is_raw(&p));
	CU_ASSERT_EQUAL(write(p.master, "\x03", 1), 1);
	CU_ASSERT_PTR_NULL(peer_receive(&p));
	code = peer_end(&p);
	CU_ASSERT(code == 130 || code == PEER_KILLED + SIGINT);
}

/* A command without a terminal (an attach may find one) leaves ours alone. */
static void
test_not_a_terminal(void)
{
	struct peer p;
	char byte;

	peer_start(&p, &shell, true);
	CU_ASSERT(receives(&p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC));
	peer_send_started(&p, false);
	/* What comes through shows that the client has seen the Started. */
	CU_ASSERT_EQUAL(write(p.streams[1], ".", 1), 1);
	CU_ASSERT_EQUAL(read(p.master, &byte, 1), 1);
	kill(p.client, SIGTERM);
	CU_ASSERT(receives(&p, GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL));
	CU_ASSERT_FALSE(is_raw(&p));
	peer_send_exited(&p, 0, false);
	CU_ASSERT_EQUAL(peer_end(&p), 0);
}

void
add_terminal_suite(void)
{
	CU_pSuite s = CU_add_suite("terminal", NULL, NULL);

	CU_add_test(s, "size and bytes", test_size_and_bytes);
	CU_add_test(s, "Ctrl-] detaches", test_detach);
	CU_add_test(s, "Ctrl-] from a guest that does not read", test_detach_when_stuck);
	CU_add_test(s, "restored on every way out", test_ways_out);
	CU_add_test(s, "stopped and continued", test_stop_and_go);
	CU_add_test(s, "before the command runs", test_before_it_runs);
	CU_add_test(s, "a command without a terminal", test_not_a_terminal);
}
