/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's port: a guest that behaves, and one that does everything it must not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tests.h"

/* ---- What a hostile guest does, each with the words of the report ---- */

static void
say_credit(struct rig *r, uint32_t id, uint32_t stream, uint32_t bytes)
{
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;
	Gondolin__AgentCredit credit = GONDOLIN__AGENT_CREDIT__INIT;

	credit.id = id;
	credit.stream = stream;
	credit.bytes = bytes;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_CREDIT;
	m.credit = &credit;
	rig_say(r, &m);
}

static void
say_refused(struct rig *r, uint32_t id, uint32_t error, size_t message)
{
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;
	Gondolin__AgentRefused refused = GONDOLIN__AGENT_REFUSED__INIT;
	uint8_t text[512];

	memset(text, 'x', sizeof(text));
	refused.id = id;
	refused.error = error;
	refused.message.data = text;
	refused.message.len = message;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_REFUSED;
	m.refused = &refused;
	rig_say(r, &m);
}

static void
raw_header(struct rig *r, uint32_t length, uint32_t id, uint8_t kind, uint8_t pad)
{
	uint8_t bytes[AGENT_HEADER_SIZE] = {0};
	unsigned i;

	for (i = 0; i < 4; i++) {
		bytes[i] = (uint8_t)(length >> 8 * i);
		bytes[4 + i] = (uint8_t)(id >> 8 * i);
	}
	bytes[8] = kind;
	bytes[9] = pad;
	rig_bytes(r->port, bytes, sizeof(bytes));
	rig_turn(r);
}

static void
do_hello(struct rig *r, uint32_t id)
{
	(void)id;
	rig_hello(r, AGENT_PROTOCOL);
}

static void
do_oversized(struct rig *r, uint32_t id)
{
	raw_header(r, AGENT_PAYLOAD_MAX + 1, id, AGENT_STDOUT, 0);
}

static void
do_huge(struct rig *r, uint32_t id)
{
	raw_header(r, UINT32_MAX, id, AGENT_STDOUT, 0);
}

static void
do_kind(struct rig *r, uint32_t id)
{
	raw_header(r, 0, id, 4, 0);
}

static void
do_padding(struct rig *r, uint32_t id)
{
	raw_header(r, 0, id, AGENT_STDOUT, 1);
}

static void
do_control_with_id(struct rig *r, uint32_t id)
{
	raw_header(r, 0, id, AGENT_CONTROL, 0);
}

static void
do_data_without_id(struct rig *r, uint32_t id)
{
	(void)id;
	raw_header(r, 0, 0, AGENT_STDOUT, 0);
}

static void
do_empty_control(struct rig *r, uint32_t id)
{
	(void)id;
	raw_header(r, 0, 0, AGENT_CONTROL, 0);
}

static void
do_garbage(struct rig *r, uint32_t id)
{
	(void)id;
	raw_header(r, 4, 0, AGENT_CONTROL, 0);
	rig_bytes(r->port, "\xff\xff\xff\xff", 4);
}

static void
do_stdin(struct rig *r, uint32_t id)
{
	rig_data(r, id, AGENT_STDIN, "x", 1);
}

static void
do_unknown_data(struct rig *r, uint32_t id)
{
	rig_data(r, id + AGENT_COMMANDS_MAX, AGENT_STDOUT, "x", 1);
}

static void
do_beyond_credit(struct rig *r, uint32_t id)
{
	static uint8_t bytes[AGENT_OUTPUT_START + 1];

	rig_data(r, id, AGENT_STDERR, bytes, sizeof(bytes));
}

static void
do_after_end(struct rig *r, uint32_t id)
{
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
	rig_data(r, id, AGENT_STDOUT, "x", 1);
}

static void
do_two_ends(struct rig *r, uint32_t id)
{
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
}

static void
do_started_twice(struct rig *r, uint32_t id)
{
	rig_started(r, id);
}

static void
do_exited_early(struct rig *r, uint32_t id)
{
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
	rig_exited(r, id, 0);
}

static void
do_exited_unknown(struct rig *r, uint32_t id)
{
	rig_exited(r, id + 1, 0);
}

static void
do_status(struct rig *r, uint32_t id)
{
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
	rig_data(r, id, AGENT_STDERR, NULL, 0);
	rig_exited(r, id, 256);
}

static void
do_refused_running(struct rig *r, uint32_t id)
{
	say_refused(r, id, 2, 0);
}

static void
do_credit_overflow(struct rig *r, uint32_t id)
{
	say_credit(r, id, AGENT_STDIN, 1);
}

static void
do_credit_zero(struct rig *r, uint32_t id)
{
	say_credit(r, id, AGENT_STDIN, 0);
}

static void
do_credit_output(struct rig *r, uint32_t id)
{
	say_credit(r, id, AGENT_STDOUT, 1);
}

static void
do_credit_unknown(struct rig *r, uint32_t id)
{
	say_credit(r, id + 7, AGENT_STDIN, 1);
}

static const struct {
	void (*act)(struct rig *r, uint32_t id);
	const char *words;
} hostile[] = {
    {do_hello, "Hello twice"},
    {do_oversized, "none or too long"},
    {do_huge, "none or too long"},
    {do_kind, "none or too long"},
    {do_padding, "none or too long"},
    {do_control_with_id, "none or too long"},
    {do_data_without_id, "none or too long"},
    {do_empty_control, "empty message"},
    {do_garbage, "malformed message"},
    {do_stdin, "data on stdin"},
    {do_unknown_data, "command that does not run"},
    {do_beyond_credit, "beyond its credit"},
    {do_after_end, "after its end"},
    {do_two_ends, "after its end"},
    {do_started_twice, "not asked for"},
    {do_exited_early, "before the end of the command's output"},
    {do_exited_unknown, "does not run"},
    {do_status, "exit status"},
    {do_refused_running, "not asked for"},
    {do_credit_overflow, "more credit"},
    {do_credit_zero, "more credit"},
    {do_credit_output, "credit to an output"},
    {do_credit_unknown, "credit to a command"},
};

static void
test_hostile(void)
{
	struct rig_client c;
	struct rig r;
	char reason[257];
	uint32_t id;
	size_t i;

	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		rig_init(&r, NULL);
		rig_up(&r);
		id = rig_run(&r, &c, false);
		hostile[i].act(&r, id);
		CU_ASSERT(rig_state(&r, reason) == GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED);
		CU_ASSERT(strstr(reason, hostile[i].words) != NULL);
		if (strstr(reason, hostile[i].words) == NULL)
			fprintf(stderr, "case %zu: \"%s\"\n", i, reason);
		/* The port is closed, and the client hears the same reason. */
		CU_ASSERT(r.vm->agent.fd < 0);
		rig_expect_refused(&c, 125, hostile[i].words);
		rig_disconnect(&c);
		rig_clear(&r);
	}
}

/* ---- Before Hello, and before Started ---- */

static void
expect_failure(struct rig *r, const char *words)
{
	char reason[257];

	CU_ASSERT(rig_state(r, reason) == GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED);
	CU_ASSERT(strstr(reason, words) != NULL);
}

static void
test_before_hello(void)
{
	struct rig r;

	rig_init(&r, NULL);
	rig_machine(&r, NULL);
	rig_started(&r, 1);
	expect_failure(&r, "before its Hello");
	rig_machine(&r, NULL);
	rig_data(&r, 1, AGENT_STDOUT, "x", 1);
	expect_failure(&r, "before its Hello");
	rig_machine(&r, NULL);
	rig_hello(&r, AGENT_PROTOCOL + 1);
	expect_failure(&r, "another version");
	rig_clear(&r);
}

static void
ask(struct rig *r, struct rig_client *c, uint32_t *id)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");
	Gondolin__HostToGuest *m;

	e.n_argv = 1;
	e.argv = &argv;
	rig_connect(r, c);
	rig_exec(r, c, &e);
	m = rig_control(r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	*id = m->exec->id;
	gondolin__host_to_guest__free_unpacked(m, NULL);
}

static void
test_before_started(void)
{
	struct rig_client c;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	ask(&r, &c, &id);
	rig_data(&r, id, AGENT_STDOUT, "x", 1);
	expect_failure(&r, "command that does not run");
	rig_expect_refused(&c, 125, "command that does not run");
	rig_disconnect(&c);
	rig_up(&r);
	ask(&r, &c, &id);
	rig_exited(&r, id, 0);
	expect_failure(&r, "does not run");
	rig_disconnect(&c);
	rig_clear(&r);
}

static void
test_refused(void)
{
	static const struct {
		uint32_t error;
		unsigned code;
		size_t message;
		const char *words;
	} rows[] = {
	    {2, 127, 3, "xxx"},
	    {13, 126, 3, "xxx"},
	    {8, 126, 0, "Exec format error"},
	    {20, 126, 256, "xxx"},
	};
	struct rig_client c;
	struct rig r;
	uint32_t id;
	size_t i;

	rig_init(&r, NULL);
	rig_up(&r);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(&r, &c, &id);
		say_refused(&r, id, rows[i].error, rows[i].message);
		rig_expect_refused(&c, rows[i].code, rows[i].words);
		rig_disconnect(&c);
	}
	CU_ASSERT_EQUAL(r.vm->commands.n, 0);
	ask(&r, &c, &id);
	say_refused(&r, id, 2, 257);
	expect_failure(&r, "refusal out of range");
	rig_disconnect(&c);
	rig_clear(&r);
}

/* ---- Streams ---- */

/* Input follows the guest's credit to the byte. */
static void
test_input_credit(void)
{
	static uint8_t bytes[AGENT_PAYLOAD_MAX];
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig_client c;
	struct rig r;
	size_t sent = 0, got = 0;
	ssize_t n;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	for (;;) {
		n = write(c.in, bytes, sizeof(bytes));
		sent += n > 0 ? (size_t)n : 0;
		while (rig_frame(&r, &h, &m, bytes)) {
			CU_ASSERT_FATAL(h.kind == AGENT_STDIN && h.id == id && h.length > 0);
			got += h.length;
		}
		if (n <= 0)
			break;
	}
	CU_ASSERT_EQUAL(got, AGENT_WINDOW);
	CU_ASSERT(sent > got);
	say_credit(&r, id, AGENT_STDIN, 100);
	CU_ASSERT_FATAL(rig_frame(&r, &h, &m, bytes) && h.length == 100);
	got += 100;
	close(c.in);
	c.in = -1;
	say_credit(&r, id, AGENT_STDIN, AGENT_WINDOW);
	do {
		CU_ASSERT_FATAL(rig_frame(&r, &h, &m, bytes) && h.kind == AGENT_STDIN);
		got += h.length;
	} while (h.length > 0);
	CU_ASSERT_EQUAL(got, sent);
	CU_ASSERT(!rig_frame(&r, &h, &m, bytes));
	rig_disconnect(&c);
	rig_clear(&r);
}

/* What the client does not read is kept within the window, and credit follows what it reads. */
static void
test_output_credit(void)
{
	static uint8_t bytes[AGENT_PAYLOAD_MAX];
	struct rig_client c;
	struct rig r;
	Gondolin__HostToGuest *m;
	struct agent_output *o;
	struct agent_header h;
	uint64_t sent = 0, got = 0;
	uint32_t id, credit = AGENT_OUTPUT_START;
	ssize_t n;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	o = &TAILQ_FIRST(&r.vm->commands.list)->task.output[AGENT_OUT];
	/* Nobody reads: the pipe fills, then the window, and the credit ends. */
	while (credit > 0) {
		n = credit < 20000 ? (ssize_t)credit : 20000;
		rig_data(&r, id, AGENT_STDOUT, bytes, (size_t)n);
		sent += (uint64_t)n;
		credit -= (uint32_t)n;
		while (rig_frame(&r, &h, &m, bytes)) {
			CU_ASSERT_FATAL(m != NULL);
			CU_ASSERT_FATAL(m->body_case == GONDOLIN__HOST_TO_GUEST__BODY_CREDIT);
			CU_ASSERT(m->credit->stream == AGENT_STDOUT && m->credit->bytes > 0);
			credit += m->credit->bytes;
			CU_ASSERT(credit <= AGENT_WINDOW);
			gondolin__host_to_guest__free_unpacked(m, NULL);
		}
		CU_ASSERT_EQUAL(credit, o->credit);
	}
	/* Less than a quarter of the window is not worth a message. */
	n = (ssize_t)TAILQ_FIRST(&r.vm->commands.list)->output[AGENT_OUT].length;
	CU_ASSERT(n > (ssize_t)AGENT_WINDOW * 3 / 4 && n <= (ssize_t)AGENT_WINDOW);
	/* The client reads everything: all of it arrives, and credit comes back. */
	while (got < sent) {
		n = read(c.out, bytes, sizeof(bytes));
		CU_ASSERT_FATAL(n > 0);
		got += (uint64_t)n;
		rig_turn(&r);
	}
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_CREDIT);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	CU_ASSERT_EQUAL(TAILQ_FIRST(&r.vm->commands.list)->output[AGENT_OUT].capacity, 0);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* Output kept when the command exits arrives before Exited. */
static void
test_exit_after_output(void)
{
	static uint8_t bytes[AGENT_OUTPUT_START];
	struct rig_client c;
	struct rig r;
	uint64_t got = 0, sent = 0;
	uint32_t id;
	ssize_t n;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	while (sent < 3 * sizeof(bytes)) {
		rig_data(&r, id, AGENT_STDOUT, bytes, sizeof(bytes));
		sent += sizeof(bytes);
	}
	rig_data(&r, id, AGENT_STDOUT, NULL, 0);
	rig_data(&r, id, AGENT_STDERR, NULL, 0);
	rig_exited(&r, id, -9);
	CU_ASSERT(rig_answer(&c, NULL) == NULL);
	while ((n = read(c.out, bytes, sizeof(bytes))) > 0) {
		got += (uint64_t)n;
		rig_turn(&r);
	}
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(got, sent);
	rig_expect_exited(&c, -9);
	CU_ASSERT_EQUAL(r.vm->commands.n, 0);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* A pipe that nobody reads any more: the guest is told, output is taken and dropped. */
static void
test_closed_pipe(void)
{
	static uint8_t bytes[AGENT_OUTPUT_START];
	Gondolin__HostToGuest *m;
	struct rig_client c;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	close(c.out);
	c.out = -1;
	rig_data(&r, id, AGENT_STDOUT, bytes, sizeof(bytes));
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_CLOSE);
	CU_ASSERT(m->close->id == id && m->close->stream == AGENT_STDOUT);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_CREDIT);
	CU_ASSERT_EQUAL(m->credit->bytes, AGENT_OUTPUT_START);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	rig_data(&r, id, AGENT_STDOUT, NULL, 0);
	rig_data(&r, id, AGENT_STDERR, "err", 3);
	CU_ASSERT(read(c.err, bytes, sizeof(bytes)) == 3);
	rig_data(&r, id, AGENT_STDERR, NULL, 0);
	rig_exited(&r, id, 141);
	rig_expect_exited(&c, 141);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* 256 commands whose clients never read: what is kept has a bound. */
static void
test_memory_bound(void)
{
	static uint8_t bytes[AGENT_PAYLOAD_MAX];
	static struct rig_client clients[AGENT_COMMANDS_MAX];
	struct rig_client extra;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");
	struct agent_output *o;
	struct command *c;
	struct rig r;
	size_t i, kept = 0;
	uint32_t n;

	rig_init(&r, NULL);
	rig_up(&r);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
		(void)rig_run(&r, &clients[i], false);
		while (rig_state(&r, NULL) != GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UNSPECIFIED)
			continue;
	}
	e.n_argv = 1;
	e.argv = &argv;
	rig_connect(&r, &extra);
	rig_exec(&r, &extra, &e);
	rig_expect_refused(&extra, 125, "too many commands");
	rig_disconnect(&extra);
	TAILQ_FOREACH(c, &r.vm->commands.list, all)
	{
		for (i = 0; i < 2 * AGENT_OUTPUTS; i++) {
			o = &c->task.output[i % AGENT_OUTPUTS];
			while (o->credit > 0) {
				n = o->credit < sizeof(bytes) ? o->credit : (uint32_t)sizeof(bytes);
				rig_data(&r, c->task.id,
				    i % AGENT_OUTPUTS == AGENT_OUT ? AGENT_STDOUT : AGENT_STDERR,
				    bytes, n);
			}
			kept += i < AGENT_OUTPUTS ? 0 : c->output[i % AGENT_OUTPUTS].length;
		}
	}
	CU_ASSERT(kept <= 2 * AGENT_COMMANDS_MAX * AGENT_OUTPUT_START + WINDOWS_MAX);
	CU_ASSERT(kept >= 2 * AGENT_COMMANDS_MAX * AGENT_OUTPUT_START);
	CU_ASSERT(r.vm->commands.windows <= WINDOWS_MAX);
	for (i = 0; i < AGENT_COMMANDS_MAX; i++)
		rig_disconnect(&clients[i]);
	rig_clear(&r);
}

CU_TestInfo agent_tests[] = {
    {"a hostile agent ends the machine", test_hostile},
    {"before Hello", test_before_hello},
    {"before Started", test_before_started},
    {"refusals and their codes", test_refused},
    {"input follows credit", test_input_credit},
    {"output is kept within its window", test_output_credit},
    {"output comes before the exit", test_exit_after_output},
    {"a closed pipe reaches the guest", test_closed_pipe},
    {"memory with clients that never read", test_memory_bound},
    CU_TEST_INFO_NULL,
};
