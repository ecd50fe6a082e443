/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's states: deadlines, its ends and their reasons, shutdown, another attempt. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "tests.h"

enum {
	ALIVE = GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__ALIVE,
	UP = GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UP,
	FAILED = GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED,
	STOPPED = GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__STOPPED,
	NOTHING = GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UNSPECIFIED,
};

static void
say(int fd, const char *text)
{
	rig_bytes(fd, text, strlen(text));
}

static void
shut_down(struct rig *r, uint32_t grace_ms)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerShutdown shutdown = GONDOLIN__VMRUNNER_SHUTDOWN__INIT;

	shutdown.grace_ms = grace_ms;
	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_SHUTDOWN;
	m.shutdown = &shutdown;
	rig_order(r, &m, NULL, 0);
}

static void
exec_word(struct rig *r, struct rig_client *c)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData argv = ipc_text("run");

	e.n_argv = 1;
	e.argv = &argv;
	rig_connect(r, c);
	rig_exec(r, c, &e);
}

static void
test_start(void)
{
	struct rig r;

	rig_init(&r, NULL);
	rig_machine(&r, NULL);
	CU_ASSERT_EQUAL(rig_state(&r, NULL), NOTHING);
	say(r.console, "[    0.000000] Linux version 6.1\n");
	CU_ASSERT_EQUAL(rig_state(&r, NULL), ALIVE);
	say(r.console, "[    0.100000] more\n");
	CU_ASSERT_EQUAL(rig_state(&r, NULL), NOTHING);
	rig_hello(&r, AGENT_PROTOCOL);
	CU_ASSERT_EQUAL(rig_state(&r, NULL), UP);
	rig_clear(&r);
}

/* Each deadline in turn; the loop has nothing else to wait for. */
static void
test_deadlines(void)
{
	Gondolin__VmrunnerMachine m = GONDOLIN__VMRUNNER_MACHINE__INIT;
	char reason[257];
	struct rig r;

	rig_init(&r, NULL);
	m.attempt = 1;
	m.alive_deadline_ms = 30;
	m.hello_deadline_ms = 60000;
	rig_machine(&r, &m);
	if (r.vm->machine.state == MACHINE_STARTING)
		ev_run(r.vm->loop, EVRUN_ONCE);
	CU_ASSERT_EQUAL(rig_state(&r, reason), FAILED);
	CU_ASSERT(strstr(reason, "printed nothing within 30 ms") != NULL);
	m.attempt = 2;
	m.alive_deadline_ms = 60000;
	m.hello_deadline_ms = 30;
	rig_machine(&r, &m);
	say(r.console, "alive");
	CU_ASSERT_EQUAL(rig_state(&r, NULL), ALIVE);
	if (r.vm->machine.state == MACHINE_STARTING)
		ev_run(r.vm->loop, EVRUN_ONCE);
	CU_ASSERT_EQUAL(rig_state(&r, reason), FAILED);
	CU_ASSERT(strstr(reason, "did not answer within 30 ms") != NULL);
	/* In time: no timer is left. */
	m.attempt = 3;
	m.hello_deadline_ms = 60000;
	rig_machine(&r, &m);
	rig_hello(&r, AGENT_PROTOCOL);
	CU_ASSERT_EQUAL(rig_state(&r, NULL), UP);
	CU_ASSERT(!ev_is_active(&r.vm->machine.alive_deadline));
	CU_ASSERT(!ev_is_active(&r.vm->machine.hello_deadline));
	rig_clear(&r);
}

/* QEMU is gone, whichever descriptor tells; what it and the kernel said last is the reason. */
static void
test_lost(void)
{
	static const struct {
		const char *console, *qmp, *reason;
		int closes; /* 0 port, 1 QMP, 2 console */
	} rows[] = {
	    {"", "", "QEMU ended unexpectedly", 0},
	    {"", "", "QEMU ended unexpectedly", 1},
	    {"", "", "QEMU ended unexpectedly", 2},
	    {"[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\n", "",
		"gave up: Kernel panic - not syncing: VFS: Unable to mount root fs", 0},
	    {"Kernel panic - not syncing: Attempted to kill init!\r\n", "", "kill init", 1},
	    {"he said Kernel panic - not syncing\n", "", "QEMU ended unexpectedly", 2},
	    {"",
		"{\"QMP\": {}}\n{\"return\": {}}\n{\"event\": \"SHUTDOWN\", \"data\": "
		"{\"reason\": \"guest-shutdown\"}}\n",
		"powered itself off", 0},
	};
	char reason[257];
	struct rig r;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int *fds[3];

		rig_init(&r, NULL);
		rig_up(&r);
		fds[0] = &r.port;
		fds[1] = &r.qmp;
		fds[2] = &r.console;
		say(r.console, rows[i].console);
		say(r.qmp, rows[i].qmp);
		close(*fds[rows[i].closes]);
		*fds[rows[i].closes] = -1;
		CU_ASSERT_EQUAL(rig_state(&r, reason), FAILED);
		CU_ASSERT(strstr(reason, rows[i].reason) != NULL);
		if (strstr(reason, rows[i].reason) == NULL)
			fprintf(stderr, "row %zu: %s\n", i, reason);
		CU_ASSERT(
		    r.vm->agent.fd < 0 && r.vm->machine.qmp.fd < 0 && r.vm->machine.console_fd < 0);
		rig_clear(&r);
	}
}

#define GREETING "{\"QMP\": {}}\n{\"return\": {}}\n"
#define SHUTDOWN "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n"
#define DISK_FULL                                                                              \
	"{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"nospace\": true, " \
	"\"reason\": \"No space left on device\"}}\n"

/* What the console said goes with an end that the guest brought about: else it is noise. */
static void
test_console_tells(void)
{
	static const struct {
		const char *console, *qmp;
		bool up, closes, tells;
	} rows[] = {
	    {"noise\n", GREETING SHUTDOWN, false, false, true},
	    {"the relay of the mounts died\n", GREETING SHUTDOWN, true, false, true},
	    {"noise\n", GREETING DISK_FULL, false, false, false},
	    {"noise\n", GREETING DISK_FULL, true, false, false},
	    {"noise\n", "", false, true, false},
	    {"Kernel panic - not syncing: x\n", "", false, false, true},
	    {"Kernel panic - not syncing: x\n", "", true, false, true},
	};
	Gondolin__VmrunnerToSup *m;
	struct rig r;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_init(&r, NULL);
		rig_machine(&r, NULL);
		say(r.console, "[    0.1] Linux\n");
		CU_ASSERT_EQUAL(rig_state(&r, NULL), ALIVE);
		if (rows[i].up) {
			rig_hello(&r, AGENT_PROTOCOL);
			CU_ASSERT_EQUAL(rig_state(&r, NULL), UP);
		}
		say(r.console, rows[i].console);
		say(r.qmp, rows[i].qmp);
		if (rows[i].closes) {
			close(r.port);
			r.port = -1;
		}
		rig_turn(&r);
		m = rig_report(&r);
		CU_ASSERT_FATAL(m != NULL && m->machine_state != NULL);
		CU_ASSERT_EQUAL(m->machine_state->state, FAILED);
		CU_ASSERT_EQUAL(m->machine_state->console.len > 0, rows[i].tells);
		gondolin__vmrunner_to_sup__free_unpacked(m, NULL);
		rig_clear(&r);
	}
}

/* The report carries the console's last bytes, as they were. */
static void
test_console(void)
{
	Gondolin__VmrunnerToSup *m;
	char line[65];
	struct rig r;
	int i;

	rig_init(&r, NULL);
	rig_machine(&r, NULL);
	for (i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "line %058d\n", i);
		say(r.console, line);
		rig_turn(&r);
	}
	CU_ASSERT_EQUAL(rig_state(&r, NULL), ALIVE);
	say(r.qmp, GREETING SHUTDOWN);
	rig_turn(&r);
	m = rig_report(&r);
	CU_ASSERT_FATAL(m != NULL && m->body_case == GONDOLIN__VMRUNNER_TO_SUP__BODY_MACHINE_STATE);
	CU_ASSERT_FATAL(m->machine_state->console.len == CONSOLE_KEPT);
	CU_ASSERT(memcmp(m->machine_state->console.data + CONSOLE_KEPT - 64, line, 64) == 0);
	snprintf(line, sizeof(line), "line %058d\n", 100 - CONSOLE_KEPT / 64);
	CU_ASSERT(memcmp(m->machine_state->console.data, line, 64) == 0);
	gondolin__vmrunner_to_sup__free_unpacked(m, NULL);
	rig_clear(&r);
}

/* An attempt that is not the last: what waits goes on waiting, and runs in the next. */
static void
test_another_attempt(void)
{
	Gondolin__VmrunnerMachine attempt = GONDOLIN__VMRUNNER_MACHINE__INIT;
	Gondolin__HostToGuest *m;
	struct rig_client c, late;
	struct rig r;

	rig_init(&r, NULL);
	exec_word(&r, &c);
	attempt.attempt = 1;
	rig_machine(&r, &attempt);
	close(r.port);
	r.port = -1;
	CU_ASSERT_EQUAL(rig_state(&r, NULL), FAILED);
	CU_ASSERT(rig_answer(&c, NULL) == NULL);
	rig_up(&r);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	close(r.qmp);
	r.qmp = -1;
	CU_ASSERT_EQUAL(rig_state(&r, NULL), FAILED);
	rig_expect_refused(&c, 125, "QEMU ended unexpectedly");
	exec_word(&r, &late);
	rig_expect_refused(&late, 125, "QEMU ended unexpectedly");
	rig_disconnect(&c);
	rig_disconnect(&late);
	rig_clear(&r);
}

/* The last attempt fails before Hello: what waits is refused. */
static void
test_last_attempt(void)
{
	struct rig_client c;
	struct rig r;

	rig_init(&r, NULL);
	exec_word(&r, &c);
	rig_machine(&r, NULL);
	say(r.console, "Kernel panic - not syncing: no init\n");
	CU_ASSERT_EQUAL(rig_state(&r, NULL), FAILED);
	rig_expect_refused(&c, 125, "no init");
	rig_disconnect(&c);
	rig_clear(&r);
}

static void
test_shutdown(void)
{
	struct rig_client running, late;
	Gondolin__HostToGuest *m;
	struct rig r;

	rig_init(&r, NULL);
	rig_up(&r);
	(void)rig_run(&r, &running, false);
	shut_down(&r, 5000);
	m = rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_SHUTDOWN);
	CU_ASSERT_EQUAL(m->shutdown->grace_ms, 5000);
	gondolin__host_to_guest__free_unpacked(m, NULL);
	exec_word(&r, &late);
	rig_expect_refused(&late, 125, "is stopping");
	say(r.qmp, "{\"QMP\": {}}\n{\"return\": {}}\n{\"event\": \"SHUTDOWN\", \"data\": "
		   "{\"reason\": \"guest-shutdown\"}}\n");
	CU_ASSERT_EQUAL(rig_state(&r, NULL), STOPPED);
	rig_expect_refused(&running, 125, "was stopped");
	rig_disconnect(&running);
	rig_disconnect(&late);
	exec_word(&r, &late);
	rig_expect_refused(&late, 125, "was stopped");
	rig_disconnect(&late);
	rig_clear(&r);
}

/* A guest that does not go, and one that is not up yet, is ended by QMP. */
static void
test_quit(void)
{
	char text[256] = "";
	struct rig r;

	rig_init(&r, NULL);
	rig_up(&r);
	say(r.qmp, "{\"QMP\": {}}\n");
	rig_turn(&r);
	say(r.qmp, "{\"return\": {}}\n");
	rig_turn(&r);
	CU_ASSERT(read(r.qmp, text, sizeof(text) - 1) > 0);
	shut_down(&r, 20);
	rig_turn(&r);
	if (ev_is_active(&r.vm->machine.grace))
		ev_run(r.vm->loop, EVRUN_ONCE);
	memset(text, 0, sizeof(text));
	CU_ASSERT(read(r.qmp, text, sizeof(text) - 1) > 0);
	CU_ASSERT_STRING_EQUAL(text, "{\"execute\": \"quit\"}\n");
	say(r.qmp, "{\"return\": {}}\n");
	rig_turn(&r);
	close(r.qmp);
	r.qmp = -1;
	CU_ASSERT_EQUAL(rig_state(&r, NULL), STOPPED);
	rig_clear(&r);

	rig_init(&r, NULL);
	rig_machine(&r, NULL);
	say(r.qmp, "{\"QMP\": {}}\n{\"return\": {}}\n");
	rig_turn(&r);
	shut_down(&r, 5000);
	rig_turn(&r);
	memset(text, 0, sizeof(text));
	CU_ASSERT(read(r.qmp, text, sizeof(text) - 1) > 0);
	CU_ASSERT(strstr(text, "quit") != NULL);
	rig_clear(&r);

	rig_init(&r, NULL);
	shut_down(&r, 0);
	CU_ASSERT_EQUAL(rig_state(&r, NULL), STOPPED);
	rig_clear(&r);
}

/* The supervisor's own mistakes end the process. */
static void
test_supervisor(void)
{
	struct rig r;

	rig_init(&r, NULL);
	rig_up(&r);
	rig_machine(&r, NULL);
	CU_ASSERT(r.vm->ended && r.vm->exit_code == 125);
	rig_clear(&r);
	rig_init(&r, NULL);
	rig_bytes(r.supervisor, "\x01", 1);
	rig_turn(&r);
	CU_ASSERT(r.vm->ended && r.vm->exit_code == 125);
	rig_clear(&r);
	rig_init(&r, NULL);
	shutdown(r.supervisor, SHUT_RDWR);
	rig_turn(&r);
	CU_ASSERT(r.vm->ended && r.vm->exit_code == 0);
	rig_clear(&r);
}

/* Every message that an edge declares has its row, and no row has none. */
static void
test_tables(void)
{
	static const struct ipc_table *const tables[] = {&supervisor_table, &control_table};
	size_t i, f, row;

	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(tables[i]->n_rows, tables[i]->envelope->n_fields);
		for (f = 0; f < tables[i]->envelope->n_fields; f++) {
			for (row = 0; row < tables[i]->n_rows; row++)
				if (tables[i]->rows[row].tag == tables[i]->envelope->fields[f].id)
					break;
			CU_ASSERT(row < tables[i]->n_rows);
		}
	}
}

CU_TestInfo machine_tests[] = {
    {"it starts", test_start},
    {"deadlines", test_deadlines},
    {"QEMU is gone", test_lost},
    {"the console's last bytes", test_console},
    {"when the console tells", test_console_tells},
    {"another attempt", test_another_attempt},
    {"the last attempt", test_last_attempt},
    {"shutdown", test_shutdown},
    {"quit", test_quit},
    {"the supervisor's mistakes", test_supervisor},
    {"every message has a handler", test_tables},
    CU_TEST_INFO_NULL,
};
