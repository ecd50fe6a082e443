/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's parts that need no process: users, environment, command line, outbox. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/init.h"
#include "guest/mount_watch.h"
#include "guest/outbox.h"
#include "guest/spawn.h"
#include "guest/user.h"
#include "tests/run.h"

/* ---- Users ---- */

static char passwd_path[] = "/tmp/gondolin-passwd-XXXXXX";
static char group_path[] = "/tmp/gondolin-group-XXXXXX";
static const struct user_files files = {passwd_path, group_path};

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static int
set_up(void)
{
	int a = mkstemp(passwd_path), b = mkstemp(group_path);

	if (a < 0 || b < 0)
		return 1;
	close(a);
	close(b);
	write_file(passwd_path, "root:x:0:0:root:/root:/bin/bash\n"
				"# a comment\n"
				"short:x:1\n"
				"badid:x:12a:1::/:/bin/sh\n"
				"toobig:x:4294967295:1::/:/bin/sh\n"
				"relative:x:7:7::home:sh\n"
				"1000:x:5:5::/five:/bin/five\n"
				"u:x:1000:100::/home/u:\n"
				"last:x:8:8::/home/last:/bin/last");
	write_file(group_path, "root:x:0:\n"
			       "users:x:100:\n"
			       "a:x:201:x,u,y\n"
			       "b:x:202:uu,xu\n"
			       "bad:x:z:u\n"
			       "c:x:203:u,u\n"
			       "d:x:204:u");
	return 0;
}

static int
tear_down(void)
{
	unlink(passwd_path);
	unlink(group_path);
	return 0;
}

static void
test_users(void)
{
	static const struct {
		const char *who;
		int rc;
		unsigned uid, gid;
		const char *name, *home, *shell;
	} rows[] = {
	    {"", 0, 0, 0, "root", "/root", "/bin/bash"},
	    {"root", 0, 0, 0, "root", "/root", "/bin/bash"},
	    {"0", 0, 0, 0, "root", "/root", "/bin/bash"},
	    {"1000", 0, 5, 5, "1000", "/five", "/bin/five"},
	    {"u", 0, 1000, 100, "u", "/home/u", "/bin/sh"},
	    {"relative", 0, 7, 7, "relative", "/", "/bin/sh"},
	    {"last", 0, 8, 8, "last", "/home/last", "/bin/last"},
	    {"4242", 0, 4242, 4242, "4242", "/", "/bin/sh"},
	    {"nobody", -ENOENT, 0, 0, NULL, NULL, NULL},
	    {"badid", -ENOENT, 0, 0, NULL, NULL, NULL},
	    {"toobig", -ENOENT, 0, 0, NULL, NULL, NULL},
	    {"4294967295", -ENOENT, 0, 0, NULL, NULL, NULL},
	    {"99999999999", -ENOENT, 0, 0, NULL, NULL, NULL},
	    {"-1", -ENOENT, 0, 0, NULL, NULL, NULL},
	};
	static struct user u;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(user_find(&files, rows[i].who, &u), rows[i].rc);
		if (rows[i].rc < 0)
			continue;
		CU_ASSERT_EQUAL(u.uid, rows[i].uid);
		CU_ASSERT_EQUAL(u.gid, rows[i].gid);
		CU_ASSERT_STRING_EQUAL(u.name, rows[i].name);
		CU_ASSERT_STRING_EQUAL(u.home, rows[i].home);
		CU_ASSERT_STRING_EQUAL(u.shell, rows[i].shell);
	}
}

static void
test_groups(void)
{
	static const gid_t expected[] = {100, 201, 203, 204};
	static struct user u;

	CU_ASSERT_EQUAL(user_find(&files, "u", &u), 0);
	CU_ASSERT_EQUAL(u.n_groups, 4);
	CU_ASSERT_EQUAL(memcmp(u.groups, expected, sizeof(expected)), 0);
}

static void
test_no_files(void)
{
	static const struct user_files none = {"/nonexistent/passwd", "/nonexistent/group"};
	static struct user u;

	CU_ASSERT_EQUAL(user_find(&none, "", &u), 0);
	CU_ASSERT_EQUAL(u.uid, 0);
	CU_ASSERT_STRING_EQUAL(u.home, "/");
	CU_ASSERT_EQUAL(user_find(&none, "root", &u), -ENOENT);
}

/* A line longer than the reader's buffer is passed over, whole. */
static void
test_long_lines(void)
{
	static struct user u;
	FILE *f = fopen(passwd_path, "w");
	int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (i = 0; i < 40000; i++)
		fputs("evil:x:0:0:", f);
	fputs("\nu:x:9:9::/nine:/bin/sh\n", f);
	fclose(f);
	CU_ASSERT_EQUAL(user_find(&files, "evil", &u), -ENOENT);
	CU_ASSERT_EQUAL(user_find(&files, "u", &u), 0);
	CU_ASSERT_EQUAL(u.uid, 9);
}

/* ---- Environment ---- */

static const char *
variable(char **env, const char *name)
{
	const size_t n = strlen(name);
	const char *found = NULL;

	for (; *env != NULL; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
			CU_ASSERT_PTR_NULL(found);
			found = *env + n + 1;
		}
	return found;
}

static void
test_environment(void)
{
	static struct user u = {.name = "u", .home = "/h", .shell = "/s"};
	char a[] = "HOME=/else", b[] = "X=1", c[] = "X=2", d[] = "HOMER=simpson", e[] = "TERM=vt52";
	char f[] = "HOME=/base", g[] = "X=0", h[] = "SSL_CERT_FILE=/b", i[] = "USER=v";
	char *overlay[] = {a, b, c, d, NULL}, *term[] = {e, NULL}, *none[] = {NULL};
	char *variables[] = {f, g, h, i, NULL};
	struct spawn_request r = {.env = overlay};
	char **env = spawn_environment(&u, &r);

	CU_ASSERT_STRING_EQUAL(variable(env, "HOME"), "/else");
	CU_ASSERT_STRING_EQUAL(variable(env, "X"), "2");
	CU_ASSERT_STRING_EQUAL(variable(env, "HOMER"), "simpson");
	CU_ASSERT_STRING_EQUAL(variable(env, "USER"), "u");
	CU_ASSERT_STRING_EQUAL(variable(env, "LOGNAME"), "u");
	CU_ASSERT_STRING_EQUAL(variable(env, "SHELL"), "/s");
	CU_ASSERT_PTR_NULL(variable(env, "TERM"));
	free(env);
	/* The network's are over the defaults and under the command's. */
	r.variables = variables;
	env = spawn_environment(&u, &r);
	CU_ASSERT_STRING_EQUAL(variable(env, "HOME"), "/else");
	CU_ASSERT_STRING_EQUAL(variable(env, "X"), "2");
	CU_ASSERT_STRING_EQUAL(variable(env, "USER"), "v");
	CU_ASSERT_STRING_EQUAL(variable(env, "SSL_CERT_FILE"), "/b");
	free(env);
	r = (struct spawn_request){.env = none, .tty = true};
	env = spawn_environment(&u, &r);
	CU_ASSERT_STRING_EQUAL(variable(env, "TERM"), "xterm");
	free(env);
	r.env = term;
	env = spawn_environment(&u, &r);
	CU_ASSERT_STRING_EQUAL(variable(env, "TERM"), "vt52");
	free(env);
}

/* ---- The kernel's command line ---- */

static void
test_command_line(void)
{
	static const struct {
		const char *text;
		int rc;
		bool read_only, mounts;
	} rows[] = {
	    {"", 0, false, false},
	    {"console=ttyS0 panic=-1\n", 0, false, false},
	    {"gondolin.rootfs=ro", 0, true, false},
	    {"a gondolin.rootfs=ro b\n", 0, true, false},
	    {"gondolin.rootfs=rw\n", 0, false, false},
	    {"gondolin.rootfs=ro gondolin.rootfs=rw", 0, false, false},
	    {"xgondolin.rootfs=ro", 0, false, false},
	    {"gondolin.rootfs=ro gondolin.mounts\n", 0, true, true},
	    {"gondolin.mounts=1 xgondolin.mounts gondolin.mount", 0, false, false},
	    {"gondolin.rootfs=", -EINVAL, false, false},
	    {"gondolin.rootfs=r", -EINVAL, false, false},
	    {"gondolin.rootfs=rox", -EINVAL, false, false},
	};
	struct init_options o;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(init_parse_command_line(rows[i].text, &o), rows[i].rc);
		if (rows[i].rc == 0) {
			CU_ASSERT_EQUAL(o.read_only, rows[i].read_only);
			CU_ASSERT_EQUAL(o.mounts, rows[i].mounts);
		}
	}
}

/* ---- The outbox ---- */

static void
put_started(struct outbox *o, uint32_t id)
{
	Gondolin__AgentStarted started = GONDOLIN__AGENT_STARTED__INIT;
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;

	started.id = id;
	m.body_case = GONDOLIN__GUEST_TO_HOST__BODY_STARTED;
	m.started = &started;
	outbox_put_control(o, &m);
}

/* Frames come out as they went in, round the ring's end many times. */
static void
test_mounts(void)
{
	static const struct {
		const char *line;
		bool local;
	} rows[] = {
	    {"22 1 254:0 / / rw,noatime - ext4 /dev/vda rw", true},
	    {"23 22 0:5 / /dev rw,nosuid shared:2 master:1 - devtmpfs devtmpfs rw", true},
	    {"24 22 0:30 / /work rw - fuse.gondolin gondolin rw,user_id=0", false},
	    {"24 22 0:30 / /a\\040-\\040ext4 rw - fuse - ext4", false},
	    {"25 22 0:31 / /n rw - nfs4 host:/x rw", false},
	    {"25 22 0:31 / /n rw - ext", false},
	    {"25 22 0:31 / /n rw - ext44 x rw", false},
	    {"25 22 0:31 / /n rw -", false},
	    {"", false},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(mount_watch_line_local(rows[i].line), rows[i].local);
}

static void
test_outbox_order(void)
{
	static uint8_t data[AGENT_PAYLOAD_MAX];
	struct agent_reader reader;
	struct agent_header h;
	const uint8_t *payload;
	struct outbox o;
	int source[2], port[2];
	unsigned i, taken = 0;
	size_t n, room;
	uint8_t *at;

	CU_ASSERT_EQUAL_FATAL(outbox_init(&o), 0);
	CU_ASSERT_EQUAL_FATAL(agent_reader_init(&reader), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(source, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(port, O_NONBLOCK), 0);
	for (i = 0; i < 2000; i++) {
		n = 1 + i * 37 % 30000;
		memset(data, (int)i, n);
		CU_ASSERT_EQUAL(write(source[1], data, n), (ssize_t)n);
		CU_ASSERT_FATAL(outbox_data_room(&o) >= n);
		CU_ASSERT_EQUAL(
		    outbox_read_data(&o, source[0], i + 1, AGENT_STDOUT, n), (ssize_t)n);
		put_started(&o, i + 1);
		(void)outbox_flush(&o, port[1]);
		at = agent_reader_space(&reader, &room);
		n = (size_t)read(port[0], at, room < 31111 ? room : 31111);
		agent_reader_filled(&reader, n);
		while (agent_reader_next(&reader, &h, &payload) == 1) {
			if (h.kind == AGENT_CONTROL)
				continue;
			CU_ASSERT_EQUAL(h.id, taken + 1);
			CU_ASSERT_EQUAL(h.length, 1 + taken * 37 % 30000);
			CU_ASSERT_EQUAL(payload[0], (uint8_t)taken);
			CU_ASSERT_EQUAL(payload[h.length - 1], (uint8_t)taken);
			taken++;
		}
	}
	CU_ASSERT(taken > 1900);
	close(source[0]);
	close(source[1]);
	close(port[0]);
	close(port[1]);
	agent_reader_clear(&reader);
	outbox_clear(&o);
}

/* Data leaves the reserve alone, control frames use it and stop in time. */
static void
test_outbox_full(void)
{
	static uint8_t data[AGENT_PAYLOAD_MAX];
	struct outbox o;
	int source[2], port[2];
	size_t room, controls = 0;

	CU_ASSERT_EQUAL_FATAL(outbox_init(&o), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(source, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(port, O_NONBLOCK), 0);
	while ((room = outbox_data_room(&o)) > 0) {
		CU_ASSERT_EQUAL(write(source[1], data, room), (ssize_t)room);
		CU_ASSERT_EQUAL(
		    outbox_read_data(&o, source[0], 1, AGENT_STDOUT, room), (ssize_t)room);
	}
	CU_ASSERT_EQUAL(o.used, OUTBOX_SIZE - OUTBOX_RESERVE);
	for (; outbox_has_control_room(&o); controls++)
		put_started(&o, UINT32_MAX);
	CU_ASSERT(controls > 500);
	CU_ASSERT(o.used <= OUTBOX_SIZE);
	CU_ASSERT_EQUAL(outbox_flush(&o, port[1]), -EAGAIN);
	while (read(port[0], data, sizeof(data)) > 0)
		(void)outbox_flush(&o, port[1]);
	CU_ASSERT_EQUAL(o.used, 0);
	CU_ASSERT_EQUAL(outbox_data_room(&o), AGENT_PAYLOAD_MAX);
	CU_ASSERT_EQUAL(outbox_read_data(&o, source[0], 1, AGENT_STDOUT, 10), -EAGAIN);
	close(source[1]);
	CU_ASSERT_EQUAL(outbox_read_data(&o, source[0], 1, AGENT_STDOUT, 10), 0);
	CU_ASSERT_EQUAL(o.used, 0);
	close(source[0]);
	close(port[0]);
	close(port[1]);
	outbox_clear(&o);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
	    {"users", test_users},
	    {"groups", test_groups},
	    {"no files", test_no_files},
	    {"long lines", test_long_lines},
	    {"environment", test_environment},
	    {"command line", test_command_line},
	    {"file systems that may wait", test_mounts},
	    {"outbox order", test_outbox_order},
	    {"outbox full", test_outbox_full},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
	    {"guest", set_up, tear_down, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	return run_suites(suites);
}
