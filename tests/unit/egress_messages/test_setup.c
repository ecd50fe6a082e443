/* SPDX-License-Identifier: Apache-2.0 */
/* What a set-up may say, in which order, and that egress does not begin with anything else. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"
#include "world.h"

/* Everything that was told, then Confine: egress refuses to begin. */
static void
is_refused(const char *what)
{
	int rc;

	world_tell_confine();
	close(world.supervisor);
	world.supervisor = -1;
	rc = egress_prepare(world.e, world.e->supervisor.fd);
	if (rc >= 0)
		fprintf(stderr, "%s was taken\n", what);
	CU_ASSERT(rc < 0);
	world_close();
}

static void
begin(void)
{
	struct world_setup s;

	world_open();
	world_setup_init(&s);
	world_tell_setup(&s);
}

static void
test_good(void)
{
	world_open();
	world_serve(GONDOLIN__EGRESS_SETUP__DNS__TRUSTED);
	CU_ASSERT_FALSE(world.e->ended);
	CU_ASSERT_EQUAL(world.e->config.secrets.n, 1);
	CU_ASSERT_EQUAL(world.e->config.n_maps, 1);
	CU_ASSERT_EQUAL(world.e->config.dns, UPSTREAM_DNS_TRUSTED);
	/* The supervisor's end is the order to go. */
	close(world.supervisor);
	world.supervisor = -1;
	while (!world.e->ended)
		world_wait();
	CU_ASSERT_EQUAL(world.e->exit_code, 0);
	world_close();
}

static void
test_order(void)
{
	struct world_setup s;

	world_open();
	is_refused("nothing but Confine");
	world_open();
	world_tell_pattern(1, "", "a.test", 0);
	is_refused("a pattern first");
	begin();
	world_setup_init(&s);
	world_tell_setup(&s);
	is_refused("a second set-up");
	world_open();
	close(world.supervisor);
	world.supervisor = -1;
	CU_ASSERT_EQUAL(egress_prepare(world.e, world.e->supervisor.fd), -EPIPE);
	world_close();
}

static void
test_setups(void)
{
	struct world_setup s;
	ProtobufCBinaryData servers[9];

	for (int i = 0; i < 7; i++) {
		world_open();
		world_setup_init(&s);
		for (size_t j = 0; j < 9; j++)
			servers[j] = ipc_text(i == 4 ? "not an address" : "192.0.2.1");
		s.m.servers = servers;
		s.m.n_servers = i == 3 ? 9 : i == 4 ? 1 : 0;
		if (i == 0)
			s.m.dns = GONDOLIN__EGRESS_SETUP__DNS__UNSPECIFIED;
		else if (i == 1)
			s.m.budget = NULL;
		else if (i == 2)
			s.m.timeouts = NULL;
		else if (i == 5)
			s.m.ca_bundle = ipc_text("/dev/null");
		else if (i == 6)
			s.m.ca_bundle = ipc_text("/no/such/file");
		world_tell_setup(&s);
		is_refused("a set-up that says too little or too much");
	}
}

static void
test_parts(void)
{
	static char name[SECRET_NAME_MAX + 2], host[300];
	static const struct {
		unsigned kind;
		const char *scheme, *host;
		unsigned port;
	} patterns[] = {
	    {0, "", "a.test", 0},
	    {1, "ftp", "a.test", 0},
	    {1, "httpx", "a.test", 0},
	    {1, "", "a.test", 65536},
	    {2, "", "a..test", 0},
	    {1, "", "A.test", 0},
	    {1, "", host, 0},
	};
	static const struct {
		const char *name, *value, *placeholder;
	} secrets[] = {
	    {"S", "short", WORLD_PLACEHOLDER},
	    {"S", "", WORLD_PLACEHOLDER},
	    {"S", WORLD_VALUE, "no placeholder"},
	    {"S", WORLD_VALUE, WORLD_PLACEHOLDER "0"},
	    {"S", "with\na line", WORLD_PLACEHOLDER},
	    {name, WORLD_VALUE, WORLD_PLACEHOLDER},
	};
	static const struct {
		const char *from;
		unsigned from_port;
		const char *to;
		unsigned to_port;
	} maps[] = {
	    {"a.test", 0, "b.test", 1},
	    {"a.test", 1, "b.test", 0},
	    {"a.test", 65536, "b.test", 1},
	    {"a.test", 1, "b.test", 65536},
	    {"", 1, "b.test", 1},
	    {"a.test", 1, "b_.test:x", 1},
	};

	memset(name, 'N', sizeof(name) - 1);
	memset(host, 'h', sizeof(host) - 1);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		begin();
		world_tell_pattern(
		    patterns[i].kind, patterns[i].scheme, patterns[i].host, patterns[i].port);
		is_refused(patterns[i].host);
	}
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		begin();
		world_tell_secret(secrets[i].name, secrets[i].value, secrets[i].placeholder);
		is_refused(secrets[i].value);
	}
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		begin();
		world_tell_tcp(maps[i].from, maps[i].from_port, maps[i].to, maps[i].to_port);
		is_refused(maps[i].from);
	}
	/* The same placeholder again would stand for two. */
	begin();
	world_tell_secret("S", WORLD_VALUE, WORLD_PLACEHOLDER);
	world_tell_secret("T", WORLD_VALUE "2", WORLD_PLACEHOLDER);
	is_refused("a placeholder twice");
}

/* Bytes that hold a NUL are no text. */
static void
test_nul(void)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressPatterns list = GONDOLIN__EGRESS_PATTERNS__INIT;
	Gondolin__PolicyPattern p = GONDOLIN__POLICY_PATTERN__INIT, *patterns = &p;

	begin();
	p.host = ipc_bytes("a.test\0.b", 9);
	p.text = ipc_text("a.test");
	list.kind = GONDOLIN__EGRESS_PATTERNS__KIND__ALLOW;
	list.patterns = &patterns;
	list.n_patterns = 1;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_PATTERNS;
	m.patterns = &list;
	world_tell(&m, -1);
	is_refused("a name with a NUL");
}

/* What the supervisor may not say once egress serves, and descriptors that belong to nothing. */
static void
test_while_serving(void)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressServe serve = GONDOLIN__EGRESS_SERVE__INIT;
	struct world_setup s;

	for (int i = 0; i < 4; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		world_open();
		world_serve(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
		if (i == 0) {
			world_tell_confine();
		} else if (i == 1) {
			world_tell_pattern(1, "", "more.test", 0);
		} else if (i == 2) {
			world_setup_init(&s);
			world_tell_setup(&s);
		} else {
			m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SERVE;
			m.serve = &serve;
			world_tell(&m, fd);
		}
		while (!world.e->ended)
			world_wait();
		CU_ASSERT_EQUAL(world.e->exit_code, 125);
		world_close();
		close(fd);
	}
	/* A descriptor with a message that brings none. */
	world_open();
	world_setup_init(&s);
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SETUP;
	m.setup = &s.m;
	world_tell(&m, STDIN_FILENO);
	is_refused("a descriptor");
}

CU_TestInfo setup_tests[] = {
    {"a good one", test_good},
    {"order", test_order},
    {"set-ups", test_setups},
    {"patterns, secrets, maps", test_parts},
    {"a NUL", test_nul},
    {"while serving", test_while_serving},
    CU_TEST_INFO_NULL,
};
