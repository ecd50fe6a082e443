/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that go on without a client, and clients that take them over. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tests.h"

static void
detach(struct rig *r, struct rig_client *c)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlDetach d = GONDOLIN__CONTROL_DETACH__INIT;
	bool end;

	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_DETACH;
	m.detach = &d;
	rig_send(c, &m, NULL, 0);
	rig_turn(r);
	CU_ASSERT(rig_answer(c, &end) == NULL && end);
	rig_disconnect(c);
}

static void
finish(struct rig *r, uint32_t id, bool tty, int status)
{
	rig_data(r, id, AGENT_STDOUT, NULL, 0);
	if (!tty)
		rig_data(r, id, AGENT_STDERR, NULL, 0);
	rig_exited(r, id, status);
}

static void
test_terminal(void)
{
	Gondolin__VmrunnerToSup *record;
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig_client c;
	struct rig r;
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, true);
	detach(&r, &c);
	record = rig_record(&r, GONDOLIN__VMRUNNER_RECORD__KIND__DETACH);
	CU_ASSERT_EQUAL(record->record->exec, id);
	gondolin__vmrunner_to_sup__free_unpacked(record, NULL);
	/* No signal, no end of stdin. */
	CU_ASSERT(!rig_frame(&r, &h, &m, bytes));
	rig_data(&r, id, AGENT_STDOUT, "meanwhile", 9);
	rig_connect(&r, &c);
	rig_attach(&r, &c, 0);
	rig_expect_started(&c, id);
	record = rig_record(&r, GONDOLIN__VMRUNNER_RECORD__KIND__ATTACH);
	CU_ASSERT_EQUAL(record->record->exec, id);
	gondolin__vmrunner_to_sup__free_unpacked(record, NULL);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_RESIZE);
	CU_ASSERT(m->resize->rows == 30 && m->resize->columns == 100);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 9 && memcmp(bytes, "meanwhile", 9) == 0);
	CU_ASSERT(write(c.in, "ls\n", 3) == 3);
	CU_ASSERT_FATAL(rig_frame(&r, &h, &m, bytes) && h.kind == AGENT_STDIN && h.length == 3);
	finish(&r, id, true, 0);
	rig_expect_exited(&c, 0);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* Without a terminal both outputs go to the one pipe. */
static void
test_pipes(void)
{
	struct rig_client c;
	struct rig r;
	uint8_t bytes[64];
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	id = rig_run(&r, &c, false);
	detach(&r, &c);
	rig_data(&r, id, AGENT_STDERR, "e", 1);
	rig_connect(&r, &c);
	rig_attach(&r, &c, id);
	rig_expect_started(&c, id);
	rig_data(&r, id, AGENT_STDOUT, "o", 1);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 2 && memcmp(bytes, "eo", 2) == 0);
	finish(&r, id, false, 4);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 0);
	rig_expect_exited(&c, 4);
	rig_disconnect(&c);
	rig_clear(&r);
}

/* A command that ended while detached says so to whom attaches, with its last output. */
static void
test_ended(void)
{
	struct rig_client c;
	struct rig r;
	uint8_t bytes[64];
	uint32_t first, second;

	rig_init(&r, NULL);
	rig_up(&r);
	first = rig_run(&r, &c, true);
	detach(&r, &c);
	second = rig_run(&r, &c, true);
	detach(&r, &c);
	rig_data(&r, first, AGENT_STDOUT, "last", 4);
	finish(&r, first, true, 7);
	finish(&r, second, true, 8);
	CU_ASSERT_EQUAL(r.vm->commands.n_ended, 2);
	rig_connect(&r, &c);
	rig_attach(&r, &c, first);
	rig_expect_started(&c, first);
	CU_ASSERT(read(c.out, bytes, sizeof(bytes)) == 4);
	rig_expect_exited(&c, 7);
	rig_disconnect(&c);
	rig_connect(&r, &c);
	rig_attach(&r, &c, 0);
	rig_expect_started(&c, second);
	rig_expect_exited(&c, 8);
	rig_disconnect(&c);
	CU_ASSERT(r.vm->commands.n == 0 && r.vm->commands.n_ended == 0);
	rig_clear(&r);
}

static void
test_refused(void)
{
	struct rig_client c, owner;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	rig_up(&r);
	rig_connect(&r, &c);
	rig_attach(&r, &c, 0);
	rig_expect_refused(&c, 125, "no command of this sandbox is detached");
	rig_disconnect(&c);
	id = rig_run(&r, &owner, true);
	rig_connect(&r, &c);
	rig_attach(&r, &c, id);
	rig_expect_refused(&c, 125, "no detached command");
	rig_disconnect(&c);
	rig_disconnect(&owner);
	rig_clear(&r);
}

/* Ended commands that nobody attaches to do not pile up. */
static void
test_eviction(void)
{
	struct rig_client c;
	struct rig r;
	unsigned i;
	uint32_t id, last = 0;

	rig_init(&r, NULL);
	rig_up(&r);
	for (i = 0; i < ENDED_MAX + 5; i++) {
		id = rig_run(&r, &c, true);
		detach(&r, &c);
		finish(&r, id, true, 0);
		last = id;
	}
	CU_ASSERT(r.vm->commands.n == ENDED_MAX && r.vm->commands.n_ended == ENDED_MAX);
	CU_ASSERT_EQUAL(TAILQ_FIRST(&r.vm->commands.list)->task.id, last - ENDED_MAX + 1);
	rig_clear(&r);
}

/* Detached before the machine is up, attached after: Started comes once it runs. */
static void
test_before_up(void)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");
	Gondolin__HostToGuest *m;
	struct rig_client c;
	struct rig r;
	uint32_t id;

	rig_init(&r, NULL);
	e.n_argv = 1;
	e.argv = &argv;
	e.tty = true;
	rig_connect(&r, &c);
	rig_exec(&r, &c, &e);
	detach(&r, &c);
	rig_connect(&r, &c);
	rig_attach(&r, &c, 0);
	CU_ASSERT(rig_answer(&c, NULL) == NULL);
	rig_up(&r);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	id = m->exec->id;
	gondolin__host_to_guest__free_unpacked(m, NULL);
	rig_started(&r, id);
	rig_expect_started(&c, id);
	rig_disconnect(&c);
	rig_clear(&r);
}

CU_TestInfo detach_tests[] = {
    {"a terminal", test_terminal},
    {"a command with pipes", test_pipes},
    {"a command that ended", test_ended},
    {"nothing to attach to", test_refused},
    {"ended commands do not pile up", test_eviction},
    {"before the machine is up", test_before_up},
    CU_TEST_INFO_NULL,
};
