/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and defaults of a client's Exec. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "tests.h"

static void
test_checks(void)
{
	static const struct {
		const char *words[2];
		size_t length; /* of the first word, 0 = its strlen */
		const char *env, *user, *cwd;
		bool builtin, tty;
		uint32_t rows;
		unsigned code; /* 0 = accepted */
		const char *part;
	} rows[] = {
	    {.words = {"true"}},
	    {.words = {"true", ""}, .env = "A=", .user = "1000", .cwd = "/tmp", .tty = true},
	    {.code = 125, .part = "no command"},
	    {.words = {"a\0b"}, .length = 3, .code = 125, .part = "NUL"},
	    {.words = {"a"}, .env = "A", .code = 125, .part = "NAME=VALUE"},
	    {.words = {"a"}, .env = "=A", .code = 125, .part = "NAME=VALUE"},
	    {.words = {"a"}, .env = "", .code = 125, .part = "NAME=VALUE"},
	    {.words = {"a"}, .cwd = "tmp", .code = 125, .part = "absolute"},
	    {.words = {"a"}, .tty = true, .rows = 65536, .code = 125, .part = "rows"},
	    {.words = {"/tmp"}, .builtin = true},
	    {.words = {"/tmp", "/etc"}, .builtin = true, .code = 125, .part = "one guest path"},
	    {.words = {"/tmp"}, .builtin = true, .tty = true, .code = 125, .part = "terminal"},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
		Gondolin__AgentExec *out = NULL;
		ProtobufCBinaryData argv[2], env;
		struct refusal r = {0};
		int rc;

		for (e.n_argv = 0; e.n_argv < 2 && rows[i].words[e.n_argv] != NULL; e.n_argv++)
			argv[e.n_argv] = ipc_text(rows[i].words[e.n_argv]);
		if (rows[i].length != 0)
			argv[0].len = rows[i].length;
		e.argv = argv;
		if (rows[i].env != NULL) {
			env = ipc_text(rows[i].env);
			e.n_env = 1;
			e.env = &env;
		}
		if (rows[i].user != NULL)
			e.user = ipc_text(rows[i].user);
		if (rows[i].cwd != NULL)
			e.cwd = ipc_text(rows[i].cwd);
		e.tty = rows[i].tty;
		e.rows = rows[i].rows;
		if (rows[i].builtin)
			e.builtin = GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_IN;
		rc = exec_build(NULL, &e, &out, &r);
		CU_ASSERT_EQUAL(rc, rows[i].code == 0 ? 0 : -ECANCELED);
		CU_ASSERT_EQUAL(r.code, rows[i].code);
		if (rc == 0)
			gondolin__agent_exec__free_unpacked(out, NULL);
		else
			CU_ASSERT(rows[i].part != NULL && strstr(r.message, rows[i].part) != NULL);
	}
}

static void
test_size(void)
{
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	Gondolin__AgentExec *out = NULL;
	ProtobufCBinaryData argv;
	struct refusal r;

	argv.len = AGENT_PAYLOAD_MAX;
	argv.data = malloc(argv.len);
	CU_ASSERT_FATAL(argv.data != NULL);
	memset(argv.data, 'x', argv.len);
	e.n_argv = 1;
	e.argv = &argv;
	CU_ASSERT_EQUAL(exec_build(NULL, &e, &out, &r), -ECANCELED);
	CU_ASSERT(r.code == 126 && strstr(r.message, "too long") != NULL);
	argv.len -= 100;
	CU_ASSERT_EQUAL_FATAL(exec_build(NULL, &e, &out, &r), 0);
	CU_ASSERT(exec_cost(out) >= argv.len);
	gondolin__agent_exec__free_unpacked(out, NULL);
	free(argv.data);
}

static bool
is(const ProtobufCBinaryData *word, const char *text)
{
	return word->len == strlen(text) && memcmp(word->data, text, word->len) == 0;
}

static void
test_defaults(void)
{
	Gondolin__ExecDefaults d = GONDOLIN__EXEC_DEFAULTS__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData denv[] = {
	    ipc_text("A=1"), ipc_text("B=1"), ipc_text("A=2"), ipc_text("AA=3")};
	ProtobufCBinaryData env[] = {ipc_text("B=x"), ipc_text("C=y"), ipc_text("B=z")};
	ProtobufCBinaryData argv = ipc_text("a");
	Gondolin__AgentExec *out = NULL;
	struct refusal r;

	d.user = ipc_text("nobody");
	d.cwd = ipc_text("/workspace");
	d.timeout_ms = 5000;
	d.n_env = 4;
	d.env = denv;
	e.n_argv = 1;
	e.argv = &argv;
	e.n_env = 3;
	e.env = env;
	CU_ASSERT_EQUAL_FATAL(exec_build(&d, &e, &out, &r), 0);
	CU_ASSERT(is(&out->user, "nobody") && is(&out->cwd, "/workspace"));
	CU_ASSERT_EQUAL(out->timeout_ms, 5000);
	CU_ASSERT_FATAL(out->n_env == 4);
	CU_ASSERT(is(&out->env[0], "A=2") && is(&out->env[1], "AA=3"));
	CU_ASSERT(is(&out->env[2], "C=y") && is(&out->env[3], "B=z"));
	gondolin__agent_exec__free_unpacked(out, NULL);
	e.user = ipc_text("me");
	e.cwd = ipc_text("/");
	e.no_timeout = true;
	CU_ASSERT_EQUAL_FATAL(exec_build(&d, &e, &out, &r), 0);
	CU_ASSERT(is(&out->user, "me") && is(&out->cwd, "/") && out->timeout_ms == 0);
	gondolin__agent_exec__free_unpacked(out, NULL);
	e.no_timeout = false;
	e.timeout_ms = 7;
	CU_ASSERT_EQUAL_FATAL(exec_build(&d, &e, &out, &r), 0);
	CU_ASSERT_EQUAL(out->timeout_ms, 7);
	gondolin__agent_exec__free_unpacked(out, NULL);
}

/* The guest's words are escaped and cut. */
static void
test_refusal(void)
{
	struct refusal r;
	uint8_t text[256];

	refusal_from_guest(&r, ENOENT, (const uint8_t *)"no\n\x1b[2Jsuch", 11);
	CU_ASSERT_EQUAL(r.code, 127);
	CU_ASSERT_STRING_EQUAL(r.message, "no\\x0a\\x1b[2Jsuch");
	memset(text, 0xff, sizeof(text));
	refusal_from_guest(&r, EACCES, text, sizeof(text));
	CU_ASSERT(r.code == 126 && strlen(r.message) <= 256);
}

CU_TestInfo exec_tests[] = {
    {"checks", test_checks},
    {"size", test_size},
    {"defaults", test_defaults},
    {"refusals", test_refusal},
    CU_TEST_INFO_NULL,
};
