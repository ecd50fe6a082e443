/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An egress that was taken over: each message that it should never send ends the edge, and with it
 * the sandbox; nothing of it reaches the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "ipc/message.h"
#include "suites.h"

/* What was asked when the message comes. */
enum before { REQUEST, STREAMING, ANSWERED, LOOKUP, CONNECTION };

static int
some_fd(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void
lookup_done(struct outbound_lookup *l, const Gondolin__OutboundResolved *m)
{
	(void)m;
	l->pending = NULL;
}

static void
connection_done(struct outbound_connection *c, int fd, const struct exchange_refusal *r)
{
	(void)r;
	c->pending = NULL;
	outbound_close_fd(&guest.np->outbound, &fd);
}

static struct outbound_lookup lookup = {.done = lookup_done};
static struct outbound_connection connection = {.done = connection_done};

/* Opens a guest and brings it to that state.  Returns the id. */
static uint64_t
bring_to(enum before before)
{
	uint64_t id;
	int fd;

	guest_open(http1_start);
	if (before == LOOKUP) {
		CU_ASSERT_EQUAL(outbound_resolve(&guest.np->outbound, &lookup, "a.test", 1), 0);
		return lookup.pending->id;
	}
	if (before == CONNECTION) {
		CU_ASSERT_EQUAL(
		    outbound_connect(&guest.np->outbound, &connection, "a.test", 5432), 0);
		return connection.pending->id;
	}
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	CU_ASSERT_NOT_EQUAL_FATAL(id, 0);
	if (before == STREAMING) {
		fd = some_fd();
		guest_say_stream(id, fd);
		close(fd);
	} else if (before == ANSWERED) {
		guest_say_answer(id, &(struct reply){.status = 200}, -1);
	}
	guest_skip();
	return id;
}

static void
breaks(const char *what)
{
	if (!guest.edge_ended || guest.edge_reason != -EPROTO)
		fprintf(stderr, "%s did not break the edge\n", what);
	CU_ASSERT_TRUE(guest.edge_ended);
	CU_ASSERT_EQUAL(guest.edge_reason, -EPROTO);
	CU_ASSERT_STRING_EQUAL(guest_read(), "");
	guest_close();
}

static void
test_answers(void)
{
	static char many[OUTBOUND_INLINE_MAX + 2];
	static const struct {
		const char *what;
		enum before before;
		bool fd;
		struct reply r;
	} rows[] = {
	    {"status 100", REQUEST, false, {.status = 100}},
	    {"status 199", REQUEST, false, {.status = 199, .end = true}},
	    {"status 600", REQUEST, false, {.status = 600, .end = true}},
	    {"the end, streamed", REQUEST, true, {.status = 200, .end = true, .streamed = true}},
	    {"streamed by nothing", REQUEST, false, {.status = 200, .streamed = true}},
	    {"streamed twice", STREAMING, true, {.status = 200, .streamed = true}},
	    {"a descriptor for nothing", REQUEST, true, {.status = 200}},
	    {"a second answer", ANSWERED, false, {.status = 200, .end = true}},
	    {"an upper-case name", REQUEST, false, {.status = 200, .name = "X", .value = "y"}},
	    {"a line in a value", REQUEST, false,
		{.status = 200, .name = "x", .value = "y\r\nz: 1"}},
	    {"a name that is none", REQUEST, false, {.status = 200, .name = "x y", .value = ""}},
	    {"a name of nothing", REQUEST, false, {.status = 200, .name = "", .value = "y"}},
	    {"a trailer with a line", REQUEST, false,
		{.status = 200, .end = true, .trailer_name = "x", .trailer = "a\nb"}},
	    {"too much body", REQUEST, false, {.status = 200, .body = many}},
	    {"of a lookup", LOOKUP, false, {.status = 200, .end = true}},
	    {"of a connection", CONNECTION, false, {.status = 200, .end = true}},
	};

	memset(many, 'x', sizeof(many) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t id = bring_to(rows[i].before);
		int fd = rows[i].fd ? some_fd() : -1;

		guest_say_answer(id, &rows[i].r, fd);
		if (fd >= 0)
			close(fd);
		breaks(rows[i].what);
	}
	/* Of nobody: never asked, and asked by one who had the answer. */
	(void)bring_to(REQUEST);
	guest_say_answer(77, &(struct reply){.status = 200, .end = true}, -1);
	breaks("of an id that nobody has");
	(void)bring_to(REQUEST);
	guest_say_answer(0, &(struct reply){.status = 200, .end = true}, -1);
	breaks("of id 0");
}

/* Head and trailers have one cap together; the largest message that there may be is an answer. */
static void
test_sizes(void)
{
	static char half[OUTBOUND_HEAD_MAX / 2], all[OUTBOUND_HEAD_MAX - 16],
	    body[OUTBOUND_INLINE_MAX + 1];
	static const struct {
		const char *what;
		bool good;
		struct reply r;
	} rows[] = {
	    {"a head of all, a full body", true,
		{.status = 200, .name = "n", .value = all, .body = body, .end = true}},
	    {"trailers of all, a full body", true,
		{.status = 200, .trailer_name = "n", .trailer = all, .body = body, .end = true}},
	    {"a head too large", false, {.status = 200, .name = "nn", .value = all}},
	    {"both too large", false,
		{.status = 200,
		    .name = "n",
		    .value = half,
		    .trailer_name = "n",
		    .trailer = half,
		    .end = true}},
	};
	uint64_t id;

	memset(half, 'h', sizeof(half) - 1);
	memset(all, 'a', sizeof(all) - 1);
	memset(body, 'b', sizeof(body) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		id = bring_to(REQUEST);
		guest_say_answer(id, &rows[i].r, -1);
		if (!rows[i].good) {
			breaks(rows[i].what);
			continue;
		}
		CU_ASSERT_FALSE(guest.edge_ended);
		CU_ASSERT_TRUE(proxy_flow.out_n > OUTBOUND_HEAD_MAX + OUTBOUND_INLINE_MAX - 16);
		guest_close();
	}
	id = bring_to(ANSWERED);
	guest_say_end(id, 0, &(struct reply){.trailer_name = "nn", .trailer = all}, 0);
	breaks("trailers too large");
}

static void
test_ends(void)
{
	static const struct {
		const char *what;
		enum before before;
		uint64_t length;
		struct reply r;
	} rows[] = {
	    {"an end before the answer", REQUEST, 0, {0}},
	    {"a length without a stream", ANSWERED, 5, {0}},
	    {"a trailer that is none", ANSWERED, 0, {.trailer_name = "x:", .trailer = ""}},
	    {"the end of a lookup", LOOKUP, 0, {0}},
	};
	uint64_t id;
	int pair[2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		id = bring_to(rows[i].before);
		guest_say_end(id, rows[i].length, &rows[i].r, 0);
		breaks(rows[i].what);
	}
	/* Less than what was read already, and a body beside the stream. */
	for (int i = 0; i < 2; i++) {
		id = bring_to(REQUEST);
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		guest_say_answer(id, &(struct reply){.status = 200, .streamed = true}, pair[0]);
		CU_ASSERT_EQUAL(write(pair[1], "body", 4), 4);
		guest_turn();
		guest_skip();
		guest_say_end(id, i == 0 ? 3 : 4, &(struct reply){.body = i == 0 ? NULL : "x"}, 0);
		breaks("an end that is not the stream's");
		close(pair[0]);
		close(pair[1]);
	}
}

static void
test_streams_and_connections(void)
{
	Gondolin__OutboundConnected connected = GONDOLIN__OUTBOUND_CONNECTED__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	static const enum before wrong[] = {STREAMING, ANSWERED, LOOKUP, CONNECTION};
	int fd = some_fd(), two[2] = {fd, fd};
	uint64_t id;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		id = bring_to(wrong[i]);
		guest_say_stream(id, fd);
		breaks("a stream at the wrong time");
	}
	id = bring_to(REQUEST);
	guest_say_stream(id, -1);
	breaks("a stream that is none");

	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_CONNECTED;
	m.connected = &connected;
	connected.id = bring_to(CONNECTION);
	guest_say(&m, -1);
	breaks("a connection that is none");
	connected.id = bring_to(CONNECTION);
	CU_ASSERT_EQUAL(ipc_packet_send(guest.egress, &m.base, two, 2), 0);
	guest_turn();
	breaks("two connections");
	connected.id = bring_to(REQUEST);
	guest_say(&m, fd);
	breaks("a connection for a request");
	/* The good one: it is given out, and counted until it is closed. */
	connected.id = bring_to(CONNECTION);
	guest_say(&m, fd);
	CU_ASSERT_FALSE(guest.edge_ended);
	CU_ASSERT_PTR_NULL(connection.pending);
	CU_ASSERT_EQUAL(guest.np->outbound.n_fds, 0);
	guest_say(&m, fd);
	breaks("the same again");
	close(fd);
}

static void
test_refusals(void)
{
	static char long_text[OUTBOUND_TEXT_MAX + 2];
	static const struct {
		const char *what;
		enum before before;
		unsigned status;
		const char *rule, *text;
	} rows[] = {
	    {"a refusal with 200", REQUEST, 200, "r", "t"},
	    {"a refusal with 600", REQUEST, 600, "r", "t"},
	    {"a line in a rule", REQUEST, 403, "r\r\nx: y", "t"},
	    {"a line in a text", REQUEST, 403, "r", "t\n"},
	    {"a text without end", REQUEST, 403, "r", long_text},
	    {"a refusal of what was answered", ANSWERED, 403, "r", "t"},
	};
	uint64_t id;

	memset(long_text, 't', sizeof(long_text) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		id = bring_to(rows[i].before);
		guest_say_refused(id, 1, rows[i].status, rows[i].rule, rows[i].text);
		breaks(rows[i].what);
	}
	id = bring_to(REQUEST);
	guest_say_refused(id + 1, 1, 403, "r", "t");
	breaks("a refusal of nothing");
	/* The good ones, of each kind. */
	id = bring_to(LOOKUP);
	guest_say_refused(id, 1, 403, "r", "t");
	CU_ASSERT_PTR_NULL(lookup.pending);
	CU_ASSERT_FALSE(guest.edge_ended);
	guest_close();
	id = bring_to(CONNECTION);
	guest_say_refused(id, 1, 403, "r", "t");
	CU_ASSERT_PTR_NULL(connection.pending);
	CU_ASSERT_FALSE(guest.edge_ended);
	guest_close();
}

static void
test_lookups(void)
{
	static const uint8_t bytes[17000];
	static const struct {
		const char *what;
		enum before before;
		size_t n, size, packet;
		unsigned rcode;
	} rows[] = {
	    {"17 addresses", LOOKUP, 17, 4, 0, 0},
	    {"an address of 5 bytes", LOOKUP, 1, 5, 0, 0},
	    {"an address of none", LOOKUP, 2, 0, 0, 0},
	    {"a packet too long", LOOKUP, 0, 0, 16385, 0},
	    {"a code that is none", LOOKUP, 0, 0, 0, 4096},
	    {"an address for a request", REQUEST, 1, 4, 0, 0},
	    {"an address for a connection", CONNECTION, 1, 4, 0, 0},
	};
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	ProtobufCBinaryData addresses[17];

	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_RESOLVED;
	for (size_t i = 0; i <= sizeof(rows) / sizeof(rows[0]); i++) {
		Gondolin__OutboundResolved body = GONDOLIN__OUTBOUND_RESOLVED__INIT;
		bool good = i == sizeof(rows) / sizeof(rows[0]);

		m.resolved = &body;
		for (size_t j = 0; j < 17; j++)
			addresses[j] = ipc_bytes(bytes, good ? 16 : rows[i].size);
		body.addresses = addresses;
		body.n_addresses = good ? 16 : rows[i].n;
		body.rcode = good ? 0 : rows[i].rcode;
		body.packet = ipc_bytes(bytes, good ? 16384 : rows[i].packet);
		body.id = bring_to(good ? LOOKUP : rows[i].before);
		guest_say(&m, -1);
		if (!good) {
			breaks(rows[i].what);
			continue;
		}
		CU_ASSERT_PTR_NULL(lookup.pending);
		CU_ASSERT_FALSE(guest.edge_ended);
		guest_close();
	}
}

/* What nobody waits for any more is taken, and its descriptor closed. */
static void
test_forgotten(void)
{
	Gondolin__OutboundConnected connected = GONDOLIN__OUTBOUND_CONNECTED__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	Gondolin__NetproxyToEgress *cancel;
	uint64_t id = bring_to(REQUEST);
	int fd = some_fd();

	conn_abort(guest.c);
	conn_reap(guest.np);
	guest.c = &(struct conn){.dead = true};
	cancel = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(cancel);
	CU_ASSERT_EQUAL(cancel->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL);
	CU_ASSERT_EQUAL(cancel->cancel->id, id);
	guest_free(cancel);
	guest_say_stream(id, fd);
	guest_say_answer(id, &(struct reply){.status = 200}, -1);
	guest_say_end(id, 0, &(struct reply){0}, 0);
	CU_ASSERT_FALSE(guest.edge_ended);
	CU_ASSERT_EQUAL(guest.np->outbound.n_fds, 0);
	CU_ASSERT_EQUAL(guest.np->outbound.n_pending, 0);
	guest_close();

	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_CONNECTED;
	m.connected = &connected;
	connected.id = bring_to(CONNECTION);
	outbound_forget(&guest.np->outbound, connection.pending);
	guest_say(&m, fd);
	CU_ASSERT_FALSE(guest.edge_ended);
	CU_ASSERT_EQUAL(guest.np->outbound.n_fds, 0);
	guest_close();
	close(fd);
}

/* Bytes that are no message. */
static void
test_noise(void)
{
	/* A field that is unknown; a case with another wire type; a length past
	 * the end. */
	static const struct {
		const char *what;
		size_t n;
		uint8_t bytes[8];
	} rows[] = {
	    {"an unknown case", 2, {0x7a, 0}},
	    {"an unknown field", 6, {0x0a, 4, 0x08, 1, 0x78, 1}},
	    {"a wrong wire type", 2, {0x08, 1}},
	    {"a length past the end", 3, {0x12, 0x7f, 0x08}},
	    {"two cases", 8, {0x0a, 2, 0x08, 1, 0x32, 2, 0x08, 1}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)bring_to(REQUEST);
		CU_ASSERT_EQUAL(
		    ipc_packet_send_bytes(guest.egress, rows[i].bytes, rows[i].n, NULL, 0), 0);
		guest_turn();
		breaks(rows[i].what);
	}
}

/* The other end goes: that is its end, not a breach. */
static void
test_gone(void)
{
	(void)bring_to(REQUEST);
	CU_ASSERT_EQUAL(shutdown(guest.egress, SHUT_RDWR), 0);
	guest_turn();
	CU_ASSERT_TRUE(guest.edge_ended);
	CU_ASSERT_EQUAL(guest.edge_reason, 0);
	guest_close();
}

CU_TestInfo messages_tests[] = {
    {"answers", test_answers},
    {"sizes", test_sizes},
    {"ends", test_ends},
    {"streams and connections", test_streams_and_connections},
    {"refusals", test_refusals},
    {"lookups", test_lookups},
    {"what nobody waits for", test_forgotten},
    {"noise", test_noise},
    {"the end", test_gone},
    CU_TEST_INFO_NULL,
};
