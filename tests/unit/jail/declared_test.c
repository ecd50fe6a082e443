/* SPDX-License-Identifier: Apache-2.0 */
/* The declared policy, as text and as JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/json.h"
#include "jail/jail.h"
#include "tests/unit/jail/jail_test.h"

#define TOKENS_MAX 256

static const struct jail_syscall rows[] = {
    ALLOW(read, "the loop"),
    ALLOW_IF(mmap, "malloc", ARG_LACKS(2, PROT_EXEC), ARG_IS(4, 7)),
    DENY_ERRNO(clone3, ENOSYS, "falls back to clone"),
    {.number = -10001, .name = "elsewhere", .why = "another architecture's"},
};
static const struct jail_limit limits[] = {{RLIMIT_NOFILE, "RLIMIT_NOFILE", 64, "three pipes"}};
static const struct jail_fd fds[] = {{JAIL_FD_SOCKET, 4, "edges"}};
static const struct jail_bind binds[] = {{"/a", "/b", true}, {NULL, NULL, false}};

static const struct jail_profile profile = {
    .name = "thing",
    .job = "does things",
    .walls = JAIL_ALL & ~JAIL_NET,
    .walls_why = "talks to the world",
    .syscalls = rows,
    .n_syscalls = sizeof(rows) / sizeof(rows[0]),
    .limits = limits,
    .n_limits = 1,
    .fds = fds,
    .n_fds = 1,
    .binds = binds,
};

static void
test_text(void)
{
	static const char *const wanted[] = {
	    "thing: does things\n",
	    "uid 0 of a user namespace of its own, which is uid 1000 outside\n",
	    "capabilities: none\n",
	    "net namespace           left out\n",
	    "left out because: talks to the world\n",
	    "/b from /a (where there is one)\n",
	    "RLIMIT_NOFILE           64; three pipes\n",
	    "socket                  at most 4; edges\n",
	    "read                    the loop\n",
	    "malloc; only if arg2 & 0x4 == 0x0 and arg4 == 0x7\n",
	    "falls back to clone; not made, answered with ENOSYS\n",
	};
	const struct jail_identity id = {false, 1000, 1000}, own = {true, 70001, 70002};
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	jail_declare(&profile, &id, out);
	jail_declare(&profile, &own, out);
	fclose(out);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted[i]));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "uid 70001, gid 70002, no groups\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "elsewhere"));
	free(text);
}

static void
test_json(void)
{
	const struct jail_identity id = {true, 70001, 70002};
	struct json_token tokens[TOKENS_MAX];
	const struct json_token *calls, *walls;
	struct json_writer w;
	struct json j;
	int64_t uid;
	bool net = true;

	json_writer_init(&w);
	jail_declare_json(&profile, &id, &w);
	CU_ASSERT_EQUAL_FATAL(json_parse(&j, w.text, w.length, tokens, TOKENS_MAX), 0);
	CU_ASSERT(json_equals(&j, json_member(&j, tokens, "name"), "thing"));
	CU_ASSERT(json_integer(&j, json_member(&j, tokens, "uid"), &uid) == 0 && uid == 70001);
	walls = json_member(&j, tokens, "walls");
	CU_ASSERT(json_bool(json_member(&j, walls, "net namespace"), &net) == 0 && !net);
	CU_ASSERT(json_equals(&j, json_member(&j, tokens, "walls_why"), "talks to the world"));
	calls = json_member(&j, tokens, "syscalls");
	CU_ASSERT(calls != NULL && calls->size == 3);
	CU_ASSERT(json_equals(&j, json_member(&j, json_element(&j, calls, 1), "only_if"),
	    "arg2 & 0x4 == 0x0 and arg4 == 0x7"));
	CU_ASSERT(json_equals(&j, json_member(&j, json_element(&j, calls, 2), "errno"), "ENOSYS"));
	json_writer_clear(&w);
}

void
declared_suite(CU_pSuite suite)
{
	CU_add_test(suite, "text", test_text);
	CU_add_test(suite, "JSON", test_json);
}
