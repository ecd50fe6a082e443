/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch by table, and the check of tables that other tests use. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"
#include "ipc/vmrunner.pb-c.h"
#include "tests/unit/ipc/ipc_table.h"
#include "tests/unit/ipc/ipc_test.h"

struct seen {
	unsigned calls;
	size_t n_fds;
	int kept; /* the descriptor that the handler took, or -1 */
	int answer;
};

static int
on_any(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct seen *s = ctx;

	(void)body;
	s->calls++;
	s->n_fds = n_fds;
	if (n_fds > 1) {
		s->kept = fds[1];
		fds[1] = -1;
	}
	return s->answer;
}

enum { EARLY = 1, LATE = 2 };

static const struct ipc_row rows[] = {
    {1, "setup", EARLY, 0, 0, on_any},
    {2, "machine", LATE, 3, 3, on_any},
    {3, "serve", LATE, 1, 2, on_any},
    {4, "shutdown", IPC_ANY_STATE, 0, 0, on_any},
    {5, "network", LATE, 0, 0, on_any},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))
static const struct ipc_table table = {&gondolin__sup_to_vmrunner__descriptor, rows, N_ROWS};

/* Dispatches bytes with n fresh descriptors; -1000 where one was left open or closed twice. */
static int
dispatch(
    struct seen *s, uint32_t state, const char *bytes, size_t length, size_t n, const char **name)
{
	static uint8_t copy[64];
	struct ipc_packet p = {.bytes = copy, .length = length, .n_fds = n};
	unsigned before = count_fds();
	size_t i;
	int rc;

	memcpy(copy, bytes, length);
	for (i = 0; i < n; i++)
		p.fds[i] = dup(0);
	s->kept = -1;
	s->calls = 0;
	rc = ipc_dispatch(&table, s, state, &p, name);
	if (s->kept >= 0 && close(s->kept) < 0)
		rc = -1000;
	return count_fds() == before ? rc : -1000;
}
#define BYTES(text) (text), sizeof(text) - 1

static void
dispatching(void)
{
	struct seen s = {0};
	const char *name;

	CU_ASSERT_EQUAL(dispatch(&s, EARLY, BYTES("\x0a\x00"), 0, &name), 0);
	CU_ASSERT_STRING_EQUAL(name, "setup");
	CU_ASSERT_EQUAL(s.calls, 1);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x12\x00"), 3, &name), 0);
	CU_ASSERT_EQUAL(s.n_fds, 3);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x1a\x00"), 1, &name), 0);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x1a\x00"), 2, &name), 0);
	/* The handler's verdict is the result, and what it left is closed all the same. */
	s.answer = -EIO;
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x1a\x00"), 2, &name), -EIO);
	CU_ASSERT_STRING_EQUAL(name, "serve");
}

static void
refusing(void)
{
	struct seen s = {0};
	const char *name;

	/* In the wrong state, with descriptors too few or too many: named, not called. */
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x0a\x00"), 0, &name), -EPROTO);
	CU_ASSERT_STRING_EQUAL(name, "setup");
	CU_ASSERT_EQUAL(s.calls, 0);
	CU_ASSERT_EQUAL(dispatch(&s, EARLY, BYTES("\x0a\x00"), 1, &name), -EPROTO);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x12\x00"), 2, &name), -EPROTO);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x1a\x00"), 3, &name), -EPROTO);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x1a\x00"), 0, &name), -EPROTO);
	CU_ASSERT_EQUAL(s.calls, 0);
	/* No message of ours: no name. */
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES(""), 1, &name), -EPROTO);
	CU_ASSERT_PTR_NULL(name);
	CU_ASSERT_EQUAL(dispatch(&s, LATE, BYTES("\x7a\x00"), 8, &name), -EPROTO);
	CU_ASSERT_PTR_NULL(name);
}

static void
tables(void)
{
	static const struct ipc_row twice[] = {
	    {1, "setup", EARLY, 0, 0, on_any},
	    {1, "setup", EARLY, 0, 0, on_any},
	    {2, "machine", LATE, 3, 3, on_any},
	    {3, "serve", LATE, 1, 2, on_any},
	    {4, "shutdown", 0, 0, 0, on_any},
	    {5, "network", LATE, 0, 0, on_any},
	};
	struct ipc_table t = table;
	struct ipc_row changed[N_ROWS];
	char why[128];

	CU_ASSERT_TRUE(ipc_table_covers(&table, why, sizeof(why)));
	t.n_rows = N_ROWS - 1; /* a case without a handler */
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, ".network: 0 rows"));
	t = (struct ipc_table){table.envelope, twice, N_ROWS + 1};
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
	t = (struct ipc_table){table.envelope, changed, N_ROWS};
	memcpy(changed, rows, sizeof(rows));
	changed[2].handle = NULL;
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
	memcpy(changed, rows, sizeof(rows));
	changed[2].states = 0;
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
	memcpy(changed, rows, sizeof(rows));
	changed[1].fds_max = 2;
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
	memcpy(changed, rows, sizeof(rows));
	changed[1].name = "engine";
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
	/* A message that is no envelope. */
	t.envelope = &gondolin__exec_defaults__descriptor;
	CU_ASSERT_FALSE(ipc_table_covers(&t, why, sizeof(why)));
}

void
add_table_suite(void)
{
	CU_pSuite suite = CU_add_suite("table", NULL, NULL);

	CU_add_test(suite, "dispatching", dispatching);
	CU_add_test(suite, "refusing", refusing);
	CU_add_test(suite, "tables that fit and that do not", tables);
}
