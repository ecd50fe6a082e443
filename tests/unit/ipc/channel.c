/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: queueing towards a slow reader, and every way of ending. */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"
#include "ipc/vmrunner.pb-c.h"
#include "tests/unit/ipc/ipc_test.h"

struct end {
	struct ipc_channel channel;
	unsigned calls, ends;
	int reason;
	const char *message;
	uint32_t attempts[4096]; /* as they came */
	int answer;
	bool close_in_handler;
};

static int
on_machine(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__VmrunnerMachine *m = body;
	struct end *e = ctx;

	(void)fds;
	(void)n_fds;
	e->attempts[e->calls++ % 4096] = m->attempt;
	if (e->close_in_handler)
		ipc_channel_close(&e->channel);
	return e->answer;
}

static const struct ipc_row rows[] = {
    {GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE, "machine", 1, 0, 3, on_machine},
};
static const struct ipc_table table = {&gondolin__sup_to_vmrunner__descriptor, rows, 1};

static void
on_ended(void *ctx, int reason, const char *message)
{
	struct end *e = ctx;

	e->ends++;
	e->reason = reason;
	e->message = message;
}

struct fixture {
	struct ev_loop *loop;
	struct end near; /* channel on one end of the pair */
	int far;         /* the other end, bare */
	unsigned fds;
};

static void
open_fixture(struct fixture *f)
{
	int pair[2];

	memset(f, 0, sizeof(*f));
	f->loop = ev_loop_new(EVFLAG_AUTO);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->loop);
	/* The loop opens its own descriptors when it first runs. */
	ev_run(f->loop, EVRUN_NOWAIT);
	f->fds = count_fds();
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	f->far = pair[1];
	ipc_channel_open(&f->near.channel, f->loop, pair[0], &table, &f->near, on_ended);
}

static void
close_fixture(struct fixture *f)
{
	ipc_channel_close(&f->near.channel);
	ipc_channel_close(&f->near.channel);
	if (f->far >= 0)
		close(f->far);
	CU_ASSERT_EQUAL(count_fds(), f->fds);
	ev_loop_destroy(f->loop);
}

static void
run(struct fixture *f)
{
	ev_run(f->loop, EVRUN_NOWAIT);
}

/* Sends machine { attempt } from the bare end. */
static void
send_attempt(struct fixture *f, uint32_t attempt, const int *fds, size_t n)
{
	Gondolin__VmrunnerMachine machine = GONDOLIN__VMRUNNER_MACHINE__INIT;
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;

	machine.attempt = attempt;
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE;
	m.machine = &machine;
	CU_ASSERT_EQUAL(ipc_packet_send(f->far, &m.base, fds, n), 0);
}

/* Queues a message of about `size` bytes on the channel. */
static int
send_setup(struct fixture *f, size_t size, uint8_t mark, const int *fds, size_t n)
{
	Gondolin__VmrunnerSetup setup = GONDOLIN__VMRUNNER_SETUP__INIT;
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	int rc;

	setup.session_id.data = malloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(setup.session_id.data);
	memset(setup.session_id.data, mark, size);
	setup.session_id.len = size;
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SETUP;
	m.setup = &setup;
	rc = ipc_channel_send(&f->near.channel, &m.base, fds, n);
	free(setup.session_id.data);
	return rc;
}

static void
receiving(void)
{
	struct fixture f;

	open_fixture(&f);
	send_attempt(&f, 7, NULL, 0);
	send_attempt(&f, 8, &f.far, 1);
	run(&f);
	run(&f);
	CU_ASSERT_EQUAL(f.near.calls, 2);
	CU_ASSERT_EQUAL(f.near.attempts[0], 7);
	CU_ASSERT_EQUAL(f.near.attempts[1], 8);
	CU_ASSERT_EQUAL(f.near.ends, 0);
	close_fixture(&f);
}

static void
ends(void)
{
	struct fixture f;
	int four[4];

	/* The peer closes: reason 0. */
	open_fixture(&f);
	close(f.far);
	f.far = -1;
	run(&f);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	CU_ASSERT_EQUAL(f.near.reason, 0);
	CU_ASSERT_FALSE(ipc_channel_is_open(&f.near.channel));
	CU_ASSERT_EQUAL(send_setup(&f, 1, 'x', NULL, 0), -EPIPE);
	close_fixture(&f);

	/* Bytes that are no message. */
	open_fixture(&f);
	CU_ASSERT_EQUAL(send(f.far, "\xff\xff", 2, 0), 2);
	run(&f);
	CU_ASSERT_EQUAL(f.near.reason, -EPROTO);
	CU_ASSERT_PTR_NULL(f.near.message);
	close_fixture(&f);

	/* In a state in which it may not come. */
	open_fixture(&f);
	f.near.channel.state = 2;
	send_attempt(&f, 1, NULL, 0);
	run(&f);
	CU_ASSERT_EQUAL(f.near.reason, -EPROTO);
	CU_ASSERT_STRING_EQUAL(f.near.message, "machine");
	CU_ASSERT_EQUAL(f.near.calls, 0);
	close_fixture(&f);

	/* More descriptors than its row allows; they are closed with it. */
	open_fixture(&f);
	four[0] = four[1] = four[2] = four[3] = f.far;
	send_attempt(&f, 1, four, 4);
	run(&f);
	CU_ASSERT_EQUAL(f.near.reason, -EPROTO);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	close_fixture(&f);

	/* The handler says no. */
	open_fixture(&f);
	f.near.answer = -EINVAL;
	send_attempt(&f, 1, NULL, 0);
	send_attempt(&f, 2, NULL, 0);
	run(&f);
	run(&f);
	CU_ASSERT_EQUAL(f.near.reason, -EINVAL);
	CU_ASSERT_EQUAL(f.near.calls, 1);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	close_fixture(&f);

	/* The handler closes the channel itself: it is not told again. */
	open_fixture(&f);
	f.near.close_in_handler = true;
	f.near.answer = -EINVAL;
	send_attempt(&f, 1, NULL, 0);
	run(&f);
	CU_ASSERT_EQUAL(f.near.calls, 1);
	CU_ASSERT_EQUAL(f.near.ends, 0);
	close_fixture(&f);
}

/* A reader that does not read costs IPC_QUEUE_MAX messages, no more; then all come in order. */
static void
slow_reader(void)
{
	static uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	unsigned sent = 0, received = 0;
	struct fixture f;
	int rc;

	open_fixture(&f);
	while ((rc = send_setup(&f, 30000, (uint8_t)sent, &f.far, 1)) == 0)
		sent++;
	CU_ASSERT_EQUAL(rc, -ENOBUFS);
	CU_ASSERT_EQUAL(f.near.channel.queued, IPC_QUEUE_MAX);
	CU_ASSERT_TRUE(sent > IPC_QUEUE_MAX);
	while (received < sent) {
		run(&f);
		rc = ipc_packet_receive(f.far, &p);
		CU_ASSERT_EQUAL_FATAL(rc, 1);
		CU_ASSERT_EQUAL(p.n_fds, 1);
		CU_ASSERT_EQUAL(p.bytes[p.length - 1], (uint8_t)received);
		ipc_packet_close_fds(&p);
		received++;
	}
	CU_ASSERT_EQUAL(f.near.channel.queued, 0);
	CU_ASSERT_EQUAL(ipc_packet_receive(f.far, &p), -EAGAIN);
	/* Empty again: the next goes out at once. */
	CU_ASSERT_EQUAL(send_setup(&f, 10, 'x', NULL, 0), 0);
	CU_ASSERT_EQUAL(f.near.channel.queued, 0);
	CU_ASSERT_EQUAL(ipc_packet_receive(f.far, &p), 1);
	close_fixture(&f);
}

/* What still waits when the channel closes, or when the peer goes, is freed, descriptors too. */
static void
closing_with_a_queue(void)
{
	struct fixture f;

	open_fixture(&f);
	while (send_setup(&f, 30000, 'x', &f.far, 1) == 0)
		continue;
	close(f.far);
	f.far = -1;
	run(&f);
	run(&f);
	/* The queue held the peer's own end; closing ours frees it. */
	close_fixture(&f);

	open_fixture(&f);
	while (send_setup(&f, 30000, 'x', NULL, 0) == 0)
		continue;
	close(f.far);
	f.far = -1;
	run(&f);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	CU_ASSERT_EQUAL(f.near.reason, 0);
	close_fixture(&f);
}

static void
say_three(void *ctx)
{
	struct fixture *f = ctx;
	uint8_t i;

	for (i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(send_setup(f, 30000, (uint8_t)(0xf0 + i), NULL, 0), 0);
}

/* Takes messages at the bare end until the last one has that mark; returns how many. */
static unsigned
read_up_to(struct fixture *f, uint8_t mark)
{
	static uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	unsigned n = 0;

	do {
		run(f);
		CU_ASSERT_EQUAL_FATAL(ipc_packet_receive(f->far, &p), 1);
		n++;
	} while (p.bytes[p.length - 1] != mark);
	return n;
}

/* A peer that only shut its side down still gets what waited and what is said last. */
static void
last_words(void)
{
	struct fixture f;
	unsigned sent = 0;

	open_fixture(&f);
	while (f.near.channel.queued < 2) {
		CU_ASSERT_EQUAL_FATAL(send_setup(&f, 30000, 'x', NULL, 0), 0);
		sent++;
	}
	ipc_channel_leave(&f.near.channel);
	CU_ASSERT_EQUAL(f.near.ends, 0);
	say_three(&f);
	CU_ASSERT_EQUAL(read_up_to(&f, 0xf2), sent + 3);
	run(&f);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	CU_ASSERT_EQUAL(f.near.reason, 0);
	close_fixture(&f);

	/* With nothing in the queue it ends at once, and once. */
	open_fixture(&f);
	ipc_channel_leave(&f.near.channel);
	ipc_channel_leave(&f.near.channel);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	close_fixture(&f);
}

static unsigned words;

static void
count_words(void *ctx)
{
	(void)ctx;
	words++;
}

static void
last_words_are_asked_for(void)
{
	struct fixture f;

	open_fixture(&f);
	words = 0;
	f.near.channel.last_words = count_words;
	while (f.near.channel.queued < 2)
		CU_ASSERT_EQUAL_FATAL(send_setup(&f, 30000, 'x', NULL, 0), 0);
	CU_ASSERT_EQUAL(send_setup(&f, 30000, 'y', NULL, 0), 0);
	shutdown(f.far, SHUT_WR);
	run(&f);
	run(&f);
	CU_ASSERT_EQUAL(words, 1);
	CU_ASSERT_EQUAL(f.near.ends, 0);
	(void)read_up_to(&f, 'y');
	run(&f);
	CU_ASSERT_EQUAL(f.near.ends, 1);
	CU_ASSERT_EQUAL(words, 1);
	close_fixture(&f);
}

/* Hears what its peer said, in the states that admit it; a peer that stays is left. */
static void
hearing_out(void)
{
	static uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	struct fixture f;

	open_fixture(&f);
	CU_ASSERT_EQUAL(send_setup(&f, 10, 'x', NULL, 0), 0);
	send_attempt(&f, 7, NULL, 0);
	send_attempt(&f, 8, &f.far, 1);
	ipc_channel_shut(&f.near.channel);
	CU_ASSERT_EQUAL(ipc_packet_receive(f.far, &p), 1);
	CU_ASSERT_EQUAL(ipc_packet_receive(f.far, &p), 0);
	CU_ASSERT_EQUAL(send(f.far, "\xff\xff", 2, 0), 2);
	send_attempt(&f, 9, NULL, 0);
	close(f.far);
	f.far = -1;
	ipc_channel_hear_out(&f.near.channel, 60000);
	CU_ASSERT_EQUAL(f.near.calls, 3);
	CU_ASSERT_EQUAL(f.near.attempts[2], 9);
	CU_ASSERT_EQUAL(f.near.ends, 0);
	CU_ASSERT_FALSE(ipc_channel_is_open(&f.near.channel));
	close_fixture(&f);

	/* Not in this state; and the peer does not close. */
	open_fixture(&f);
	f.near.channel.state = 2;
	send_attempt(&f, 7, &f.far, 1);
	ipc_channel_shut(&f.near.channel);
	ipc_channel_hear_out(&f.near.channel, 1);
	CU_ASSERT_EQUAL(f.near.calls, 0);
	ipc_channel_shut(&f.near.channel);
	ipc_channel_hear_out(&f.near.channel, 1);
	close_fixture(&f);
}

static void
sizes(void)
{
	struct fixture f;

	open_fixture(&f);
	CU_ASSERT_EQUAL(send_setup(&f, IPC_MESSAGE_MAX, 'x', NULL, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(send_setup(&f, 1, 'x', NULL, IPC_FDS_MAX + 1), -EMSGSIZE);
	close_fixture(&f);
}

static void
receive_now(void)
{
	struct end e = {0};
	struct fixture f;
	int fd;

	open_fixture(&f);
	fd = f.near.channel.fd;
	ev_io_stop(f.loop, &f.near.channel.readable);
	CU_ASSERT_EQUAL(ipc_receive_now(fd, &table, &e, 1), -EAGAIN);
	send_attempt(&f, 9, NULL, 0);
	CU_ASSERT_EQUAL(ipc_receive_now(fd, &table, &e, 1), 0);
	CU_ASSERT_EQUAL(e.attempts[0], 9);
	send_attempt(&f, 9, NULL, 0);
	CU_ASSERT_EQUAL(ipc_receive_now(fd, &table, &e, 2), -EPROTO);
	close(f.far);
	f.far = -1;
	CU_ASSERT_EQUAL(ipc_receive_now(fd, &table, &e, 1), -EPIPE);
	close_fixture(&f);
}

void
add_channel_suite(void)
{
	CU_pSuite suite = CU_add_suite("channel", NULL, NULL);

	CU_add_test(suite, "receiving", receiving);
	CU_add_test(suite, "ends", ends);
	CU_add_test(suite, "a slow reader", slow_reader);
	CU_add_test(suite, "closing with a queue", closing_with_a_queue);
	CU_add_test(suite, "leaving with a queue", last_words);
	CU_add_test(suite, "last words are asked for", last_words_are_asked_for);
	CU_add_test(suite, "hearing out", hearing_out);
	CU_add_test(suite, "sizes", sizes);
	CU_add_test(suite, "set-up calls", receive_now);
}
