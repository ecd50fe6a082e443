/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: each message, and each way to break it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "tests.h"

#define GREETING                                                                          \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 2, \"major\": 7}, " \
	"\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define STAMP "\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}"
#define OPEN  GREETING "{\"return\": {}}\r\n"

static void
test_parse(void)
{
	static const struct {
		const char *line;
		int rc;
		enum qmp_kind kind;
		const char *text, *reason, *action;
		bool nospace;
	} rows[] = {
	    {GREETING, 0, QMP_GREETING, "", "", "", false},
	    {"{\"return\": {}}\r", 0, QMP_RETURN, "", "", "", false},
	    {"{\"return\": {}, \"id\": 1}", 0, QMP_RETURN, "", "", "", false},
	    {"{\"return\": 1}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}", 0, QMP_ERROR, "no", "",
		"", false},
	    {"{\"event\": \"RESUME\", " STAMP "}", 0, QMP_EVENT, "RESUME", "", "", false},
	    {"{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": "
	     "\"guest-shutdown\"}, " STAMP "}",
		0, QMP_EVENT, "SHUTDOWN", "guest-shutdown", "", false},
	    {"{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"d\", \"nospace\": true, "
	     "\"reason\": \"No space left on device\", \"action\": \"stop\"}}",
		0, QMP_EVENT, "BLOCK_IO_ERROR", "No space left on device", "stop", true},
	    {"{\"event\": \"OTHER\", \"data\": {\"reason\": 1}}", 0, QMP_EVENT, "OTHER", "", "",
		false},
	    {"{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": 1}}", -EPROTO, 0, NULL, NULL, NULL,
		false},
	    {"{\"event\": \"SHUTDOWN\", \"data\": 1}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"event\": 1}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"event\": \"\"}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"event\": \"A\", \"return\": {}}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"event\": \"A\", \"event\": \"B\"}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"event\": \"A\\u0000B\"}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"[]", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"return\": {}} {}", -EPROTO, 0, NULL, NULL, NULL, false},
	    {"{\"return\": {}", -EPROTO, 0, NULL, NULL, NULL, false},
	};
	struct json_token tokens[QMP_TOKENS_MAX];
	struct qmp_message m;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = qmp_parse(rows[i].line, strlen(rows[i].line), tokens, &m);

		CU_ASSERT_EQUAL(rc, rows[i].rc);
		if (rc != rows[i].rc)
			fprintf(stderr, "row %zu\n", i);
		if (rc < 0 || rows[i].rc < 0)
			continue;
		CU_ASSERT_EQUAL(m.kind, rows[i].kind);
		CU_ASSERT_STRING_EQUAL(m.text, rows[i].text);
		CU_ASSERT_STRING_EQUAL(m.reason, rows[i].reason);
		CU_ASSERT_STRING_EQUAL(m.action, rows[i].action);
		CU_ASSERT_EQUAL(m.nospace, rows[i].nospace);
	}
}

/* What QEMU says, and the reason that the machine fails with; NULL = it goes on. */
static void
test_conversation(void)
{
	static const struct {
		const char *said, *reason;
	} rows[] = {
	    {OPEN, NULL},
	    {OPEN "{\"event\": \"RESUME\"}\r\n", NULL},
	    {OPEN "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"nospace\": false, \"action\": "
		  "\"report\", \"reason\": \"I/O error\"}}\n",
		NULL},
	    {GREETING GREETING, "greeting out of order"},
	    {"{\"return\": {}}\n", "greeting out of order"},
	    {"{\"event\": \"RESUME\"}\n", "greeting out of order"},
	    {OPEN "{\"return\": {}}\n", "not asked"},
	    {OPEN "{\"error\": {\"desc\": \"no\"}}\n", "not asked"},
	    {GREETING "{\"error\": {\"desc\": \"no\"}}\n", "refused a QMP command"},
	    {"hello\n", "malformed"},
	    {OPEN "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n",
		"powered itself off"},
	    {OPEN "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-reset\"}}\n",
		"restarted itself"},
	    {OPEN "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"host-signal\"}}\n",
		"host-signal"},
	    {OPEN "{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"pause\"}}\n",
		"gave up"},
	    {OPEN "{\"event\": \"STOP\"}\n", "paused"},
	    {OPEN "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"nospace\": true}}\n"
		  "{\"event\": \"STOP\"}\n",
		"the host disk is full"},
	    {OPEN "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"action\": \"stop\", \"reason\": "
		  "\"bad\\u001bness\"}}\n",
		"bad\\x1bness"},
	};
	char reason[257], answer[128];
	struct rig r;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_init(&r, NULL);
		rig_up(&r);
		rig_bytes(r.qmp, rows[i].said, strlen(rows[i].said));
		if (rows[i].reason == NULL) {
			CU_ASSERT(rig_state(&r, reason) ==
				  GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__UNSPECIFIED);
			CU_ASSERT(read(r.qmp, answer, sizeof(answer)) > 0);
			CU_ASSERT(strstr(answer, "qmp_capabilities") != NULL);
		} else {
			CU_ASSERT(rig_state(&r, reason) ==
				  GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED);
			CU_ASSERT(strstr(reason, rows[i].reason) != NULL);
			if (strstr(reason, rows[i].reason) == NULL)
				fprintf(stderr, "row %zu: %s\n", i, reason);
		}
		rig_clear(&r);
	}
}

/* A line has a bound, however it comes. */
static void
test_long_line(void)
{
	static char spaces[QMP_LINE_MAX];
	char reason[257];
	struct rig r;
	size_t i;

	memset(spaces, ' ', sizeof(spaces));
	rig_init(&r, NULL);
	rig_up(&r);
	for (i = 0; i < 4; i++) {
		rig_bytes(r.qmp, spaces, sizeof(spaces) / 4);
		rig_turn(&r);
	}
	CU_ASSERT(r.vm->machine.qmp.fd >= 0);
	rig_bytes(r.qmp, " ", 1);
	CU_ASSERT(rig_state(&r, reason) == GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED);
	CU_ASSERT(strstr(reason, "too long") != NULL);
	rig_clear(&r);
}

CU_TestInfo qmp_tests[] = {
    {"messages", test_parse},
    {"the conversation", test_conversation},
    {"a line without end", test_long_line},
    CU_TEST_INFO_NULL,
};
