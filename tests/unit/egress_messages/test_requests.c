/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A netproxy that was taken over: what it says is judged again, what is no message ends egress.
 * Nothing that was refused is seen by the origin.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/outbound.h"
#include "suites.h"
#include "world.h"

static void
breaks(const char *what)
{
	/* A packet that was refused before it was read leaves nothing to wait for. */
	while (!world.e->ended)
		world_wait();
	if (world.e->exit_code != 125)
		fprintf(stderr, "%s was taken\n", what);
	CU_ASSERT_EQUAL(world.e->exit_code, 125);
	world_nobody_came();
	world_close();
}

/* ---- Judged again ---- */

static void
set(ProtobufCBinaryData *b, const char *text)
{
	*b = ipc_text(text);
}

static void
test_texts(void)
{
	static const struct {
		const char *host, *destination, *sni, *method, *path, *rule;
		bool https;
	} rows[] = {
	    {"", NULL, NULL, NULL, NULL, "bad-host", false},
	    {"Origin.test", NULL, NULL, NULL, NULL, "bad-host", false},
	    {"origin.test.", NULL, NULL, NULL, NULL, "bad-host", false},
	    {"origin.test\r\nx", NULL, NULL, NULL, NULL, "bad-host", false},
	    {"127.1", NULL, NULL, NULL, NULL, "bad-host", false},
	    {NULL, NULL, NULL, "", NULL, "bad-method", false},
	    {NULL, NULL, NULL, "G T", NULL, "bad-method", false},
	    {NULL, NULL, NULL, "CONNECT", NULL, "bad-method", false},
	    {NULL, NULL, NULL, NULL, "", "bad-path", false},
	    {NULL, NULL, NULL, NULL, "x", "bad-path", false},
	    {NULL, NULL, NULL, NULL, "/a/../b", "bad-path", false},
	    {NULL, NULL, NULL, NULL, "/a b", "bad-path", false},
	    {NULL, NULL, NULL, NULL, "/\r\nHost: x", "bad-path", false},
	    {NULL, NULL, NULL, NULL, "*", "bad-path", false},
	    {NULL, "other.test", NULL, NULL, NULL, "name-mismatch", false},
	    {NULL, NULL, "origin.test", NULL, NULL, "name-mismatch", false},
	    {NULL, NULL, "other.test", NULL, NULL, "name-mismatch", true},
	    {NULL, NULL, NULL, NULL, NULL, "name-mismatch", true},
	    {NULL, "", NULL, NULL, NULL, "name-mismatch", false},
	    {"other.test", "other.test", NULL, NULL, NULL, "not-allowed", false},
	};

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Gondolin__OutboundRequest r = world_request();

		r.https = rows[i].https;
		if (rows[i].host != NULL)
			set(&r.host, rows[i].host);
		if (rows[i].destination != NULL)
			set(&r.destination, rows[i].destination);
		if (rows[i].sni != NULL)
			set(&r.sni, rows[i].sni);
		if (rows[i].method != NULL)
			set(&r.method, rows[i].method);
		if (rows[i].path != NULL)
			set(&r.path, rows[i].path);
		world_ask_for(&r, -1);
		world_hears_refusal(r.id, rows[i].rule);
	}
	world_nobody_came();
	CU_ASSERT_FALSE(world.e->ended);
	world_close();
}

static void
test_headers(void)
{
	static const char *const rows[][2] = {
	    {"X-Upper", "y"},
	    {"x y", "y"},
	    {"", "y"},
	    {"x", "a\r\nhost: evil.test"},
	    {"x", " padded"},
	    {"host", "evil.test"},
	    {"content-length", "3"},
	    {"transfer-encoding", "chunked"},
	    {"connection", "x"},
	    {"upgrade", "h2c"},
	    {"te", "gzip"},
	};
	Gondolin__OutboundRequest r;

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = world_request();
		world_add_header(&r, rows[i][0], rows[i][1]);
		world_ask_for(&r, -1);
		world_hears_refusal(r.id, "bad-request");
	}
	r = world_request();
	world_add_header(&r, "range", "bytes=0-1");
	world_add_header(&r, "range", "bytes=2-3");
	world_ask_for(&r, -1);
	world_hears_refusal(r.id, "bad-request");
	/* A placeholder where it may not stand, and a value that no guest should know. */
	r = world_request();
	set(&r.path, "/" WORLD_PLACEHOLDER);
	world_ask_for(&r, -1);
	world_hears_refusal(r.id, "secret-place");
	world_nobody_came();
	world_close();
}

static void
test_bodies_and_ports(void)
{
	static uint8_t large[OUTBOUND_INLINE_MAX + 1];

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	for (int i = 0; i < 10; i++) {
		Gondolin__OutboundRequest r = world_request();

		r.has_body = i < 6;
		r.method = ipc_text(i < 6 ? "POST" : "GET");
		if (i == 0)
			r.body = ipc_bytes(large, sizeof(large));
		else if (i == 1)
			r.has_length = true, r.length = 1, r.body = ipc_bytes(large, 2);
		else if (i == 2)
			r.has_length = true, r.length = 3, r.body = ipc_bytes(large, 2);
		else if (i == 3)
			r.has_length = true, r.length = UINT64_MAX, r.end = false;
		else if (i == 4)
			r.upgrade = true;
		else if (i == 5)
			r.port = 0;
		else if (i == 6)
			r.body = ipc_bytes(large, 2);
		else if (i == 7)
			r.end = false;
		else if (i == 8)
			r.port = r.destination_port = 65536;
		else
			r.destination_port = world.port ^ 1;
		world_ask_for(&r, -1);
		world_hears_refusal(r.id, i == 5 || i == 8 ? "bad-port"
					  : i == 9         ? "name-mismatch"
							   : "bad-request");
	}
	world_nobody_came();
	world_close();
}

/* ---- No message ---- */

static void
test_ids(void)
{
	static const uint64_t seconds[] = {0, 1, 5};

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		Gondolin__OutboundRequest r;

		world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
		r = world_request();
		r.id = 5;
		set(&r.path, "bad");
		world_ask_for(&r, -1);
		world_hears_refusal(5, "bad-path");
		r.id = seconds[i];
		world_ask_for(&r, -1);
		breaks("an id that was used");
	}
}

static void
test_noise(void)
{
	static const struct {
		const char *what;
		size_t n;
		uint8_t bytes[8];
	} rows[] = {
	    {"an unknown case", 2, {0x7a, 0}},
	    {"an unknown field", 6, {0x1a, 4, 0x08, 1, 0x78, 1}},
	    {"a wrong wire type", 2, {0x08, 1}},
	    {"a length past the end", 3, {0x0a, 0x7f, 0x08}},
	    {"two cases", 8, {0x1a, 2, 0x08, 1, 0x1a, 2, 0x08, 2}},
	    {"half a varint", 3, {0x1a, 1, 0x80}},
	};
	static uint8_t many[300 * 4 + 3];
	Gondolin__OutboundRequest r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
		CU_ASSERT_EQUAL(
		    ipc_packet_send_bytes(world.netproxy, rows[i].bytes, rows[i].n, NULL, 0), 0);
		breaks(rows[i].what);
	}
	/* A descriptor, which nothing of netproxy's ever brings. */
	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	r = world_request();
	world_ask_for(&r, world.origin);
	breaks("a descriptor");
	/* 300 headers, each of two empty texts: { 0x5a, 0 }. */
	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	many[0] = 0x0a;
	many[1] = 0x80 | (600 & 0x7f);
	many[2] = 600 >> 7;
	for (size_t i = 0; i < 300; i++)
		many[3 + 2 * i] = 0x5a;
	CU_ASSERT_EQUAL(ipc_packet_send_bytes(world.netproxy, many, 603, NULL, 0), 0);
	breaks("300 headers");
	/* netproxy's own end is no breach. */
	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	close(world.netproxy);
	world.netproxy = -1;
	while (ipc_channel_is_open(&world.e->netproxy))
		world_wait();
	CU_ASSERT_EQUAL(world.e->exit_code, 0);
	world_close();
}

/* ---- What is beside requests ---- */

static void
resolve(const char *name, size_t n, unsigned type)
{
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	Gondolin__OutboundResolve r = GONDOLIN__OUTBOUND_RESOLVE__INIT;

	r.id = ++world.last_id;
	r.name = ipc_bytes(name, n);
	r.type = type;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_RESOLVE;
	m.resolve = &r;
	world_ask(&m, -1);
}

static void
test_lookups(void)
{
	static const struct {
		unsigned dns;
		const char *name;
		size_t n;
		unsigned type;
		const char *rule;
	} rows[] = {
	    {GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC, WORLD_HOST, 11, 1, "not-allowed"},
	    {GONDOLIN__EGRESS_SETUP__DNS__TRUSTED, "evil.test", 9, 1, "not-allowed"},
	    {GONDOLIN__EGRESS_SETUP__DNS__TRUSTED, WORLD_HOST, 11, 16, "not-allowed"},
	    {GONDOLIN__EGRESS_SETUP__DNS__TRUSTED, "Origin.test", 11, 1, "bad-host"},
	    {GONDOLIN__EGRESS_SETUP__DNS__TRUSTED, "origin\0test", 11, 1, "bad-host"},
	    {GONDOLIN__EGRESS_SETUP__DNS__TRUSTED, "", 0, 1, "bad-host"},
	    {GONDOLIN__EGRESS_SETUP__DNS__TRUSTED, "127.0.0.1", 9, 1, "bad-host"},
	};
	Gondolin__EgressToNetproxy *m;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_begin(rows[i].dns);
		resolve(rows[i].name, rows[i].n, rows[i].type);
		world_hears_refusal(1, rows[i].rule);
		world_close();
	}
	/* Known from the hosts file. */
	world_begin(GONDOLIN__EGRESS_SETUP__DNS__TRUSTED);
	resolve(WORLD_HOST, strlen(WORLD_HOST), 1);
	m = world_hear(NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_RESOLVED);
	CU_ASSERT_EQUAL_FATAL(m->resolved->n_addresses, 1);
	CU_ASSERT_NSTRING_EQUAL(m->resolved->addresses[0].data, "\x7f\0\0\1", 4);
	world_free(m);
	world_close();
}

static void
connect_to(const char *host, unsigned port)
{
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	Gondolin__OutboundConnect c = GONDOLIN__OUTBOUND_CONNECT__INIT;

	c.id = ++world.last_id;
	c.host = ipc_text(host);
	c.port = port;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_CONNECT;
	m.connect = &c;
	world_ask(&m, -1);
}

static void
test_connections(void)
{
	static const struct {
		const char *host;
		unsigned port;
	} rows[] = {{"db.test", 5433}, {"db.test", 0}, {"db.test", 5432 + 65536}, {"Db.test", 5432},
	    {"127.0.0.1", 5432}, {"", 5432}, {WORLD_HOST, 5432}};
	Gondolin__EgressToNetproxy *m;
	int fd, peer;

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		connect_to(rows[i].host, rows[i].port);
		world_hears_refusal(world.last_id, "not-mapped");
	}
	world_nobody_came();
	connect_to("db.test", 5432);
	m = world_hear(&fd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_CONNECTED);
	CU_ASSERT_EQUAL(m->connected->id, world.last_id);
	world_free(m);
	peer = world_at_origin();
	CU_ASSERT(peer >= 0 && fd >= 0);
	close(peer);
	close(fd);
	/* Nobody there any more. */
	close(world.origin);
	world.origin = -1;
	connect_to("db.test", 5432);
	world_hears_refusal(world.last_id, "unreached");
	world_close();
}

/* Ends and cancels of what is over mean nothing; of what never was, they are no messages. */
static void
test_ends_of_nothing(void)
{
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	Gondolin__OutboundRequestEnd end = GONDOLIN__OUTBOUND_REQUEST_END__INIT;
	Gondolin__OutboundCancel cancel = GONDOLIN__OUTBOUND_CANCEL__INIT;
	Gondolin__OutboundRequest r;

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	r = world_request();
	set(&r.path, "bad");
	world_ask_for(&r, -1);
	world_hears_refusal(r.id, "bad-path");
	end.id = cancel.id = r.id;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END;
	m.request_end = &end;
	world_ask(&m, -1);
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL;
	m.cancel = &cancel;
	world_ask(&m, -1);
	r = world_request();
	set(&r.path, "bad");
	world_ask_for(&r, -1);
	world_hears_refusal(r.id, "bad-path");
	CU_ASSERT_FALSE(world.e->ended);
	/* One that is under way: its final message says so. */
	r = world_request();
	world_ask_for(&r, -1);
	cancel.id = r.id;
	world_ask(&m, -1);
	world_hears_refusal(r.id, "cancelled");
	world_close();

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	cancel.id = 77;
	world_ask(&m, -1);
	breaks("a cancel of what was never asked");
	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	end.id = 77;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END;
	m.request_end = &end;
	world_ask(&m, -1);
	breaks("an end of what was never asked");
}

CU_TestInfo requests_tests[] = {
    {"texts", test_texts},
    {"headers", test_headers},
    {"bodies and ports", test_bodies_and_ports},
    {"ids", test_ids},
    {"noise", test_noise},
    {"lookups", test_lookups},
    {"connections", test_connections},
    {"ends of nothing", test_ends_of_nothing},
    CU_TEST_INFO_NULL,
};
