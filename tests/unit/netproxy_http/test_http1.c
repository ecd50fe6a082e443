/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.x of a guest that is hostile, and answers of an egress that is. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "suites.h"

#define HEAD "POST /x HTTP/1.1\r\nHost: a.test\r\n"

static void
starts(const char *with)
{
	CU_ASSERT_NSTRING_EQUAL(guest_read(), with, strlen(with));
	if (strncmp(guest_read(), with, strlen(with)) != 0)
		fprintf(stderr, "not %s but %.80s\n", with, guest_read());
}

static void
has(const char *what)
{
	CU_ASSERT_PTR_NOT_NULL(strstr(guest_read(), what));
	if (strstr(guest_read(), what) == NULL)
		fprintf(stderr, "no %s in %.300s\n", what, guest_read());
}

static void
pair_of(int pair[2])
{
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

/* What egress must not see: an answer of our own, and the connection ends. */
static void
test_refused(void)
{
	static const struct {
		const char *bytes, *answer;
	} rows[] = {
	    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
	    {"GET /../x HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 400 "},
	    {"GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 400 "},
	    {"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", "HTTP/1.1 403 "},
	    {HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 400 "},
	    {HEAD "Transfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
	    {HEAD "Expect: tea\r\n\r\n", "HTTP/1.1 417 "},
	    {"GET / HTTP/3.0\r\nHost: a.test\r\n\r\n", "HTTP/1.1 505 "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_open(http1_start);
		guest_text(rows[i].bytes);
		starts(rows[i].answer);
		has("connection: close\r\n");
		has("x-gondolin-denied: bad-request\r\n");
		CU_ASSERT_EQUAL(guest_request(), 0);
		CU_ASSERT_EQUAL(proxy_flow.records, 1);
		guest_close();
	}
}

/* A head a byte at a time is the same head; one that is too long is told so. */
static void
test_heads_in_pieces(void)
{
	static const char head[] = "GET /pieces HTTP/1.1\r\nHost: a.test\r\n\r\n";
	char filler[1000];
	Gondolin__NetproxyToEgress *m;

	guest_open(http1_start);
	for (size_t i = 0; i < sizeof(head) - 1; i++)
		guest_type(head + i, 1);
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->request->path.len, 7);
	CU_ASSERT_TRUE(m->request->end);
	guest_free(m);
	guest_close();

	guest_open(http1_start);
	memset(filler, 'x', sizeof(filler));
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n");
	for (unsigned i = 0; i < 40 && proxy_flow.out_n == 0; i++) {
		guest_text("x: ");
		guest_type(filler, sizeof(filler));
		guest_text("\r\n");
	}
	starts("HTTP/1.1 431 ");
	CU_ASSERT_EQUAL(guest_request(), 0);
	guest_close();
}

/* A head that stops half-way: the deadline's answer. */
static void
test_late_head(void)
{
	guest_open(http1_start);
	guest_text("GET / HT");
	CU_ASSERT_NOT_EQUAL(guest.c->deadline, UINT64_MAX);
	guest.c->protocol->late(guest.c);
	starts("HTTP/1.1 408 ");
	guest_close();
}

static void
test_inline(void)
{
	Gondolin__NetproxyToEgress *m;

	guest_open(http1_start);
	guest_text(HEAD "Content-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: a.test\r\n\r\n");
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_TRUE(m->request->end);
	CU_ASSERT_EQUAL(m->request->body.len, 3);
	/* The next one waits for the answer. */
	CU_ASSERT_PTR_NULL(guest_heard());
	guest_say_answer(m->request->id,
	    &(struct reply){.status = 200,
		.name = "x",
		.value = "y",
		.body = "hello",
		.end = true,
		.has_length = true,
		.length = 5},
	    -1);
	starts("HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\n\r\nhello");
	guest_free(m);
	CU_ASSERT_NOT_EQUAL(guest_request(), 0);
	guest_close();
}

/* A chunked body by the stream, 100-continue before it, trailers behind it. */
static void
test_chunked_upload(void)
{
	Gondolin__NetproxyToEgress *m;
	char got[16] = "";
	int pair[2];
	uint64_t id;

	guest_open(http1_start);
	guest_text(HEAD "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
	id = guest_request();
	CU_ASSERT_STRING_EQUAL(guest_read(), "");
	pair_of(pair);
	guest_say_stream(id, pair[0]);
	CU_ASSERT_STRING_EQUAL(guest_read(), "HTTP/1.1 100 Continue\r\n\r\n");
	guest_skip();
	guest_text("3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n");
	CU_ASSERT_EQUAL(read(pair[1], got, sizeof(got)), 7);
	CU_ASSERT_NSTRING_EQUAL(got, "abcdefg", 7);
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END);
	CU_ASSERT_EQUAL(m->request_end->length, 7);
	CU_ASSERT_EQUAL(m->request_end->n_trailers, 1);
	guest_free(m);
	/* Of unknown length, and with a trailer: chunks. */
	guest_say_answer(id,
	    &(struct reply){
		.status = 200, .body = "ok", .end = true, .trailer_name = "x-t", .trailer = "1"},
	    -1);
	starts("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0002\r\nok\r\n0\r\nx-t: "
	       "1\r\n\r\n");
	close(pair[0]);
	close(pair[1]);
	guest_close();
}

/* Bodies that are not what was said: the request is given up, nothing is made whole. */
static void
test_broken_bodies(void)
{
	static const char *const rows[] = {
	    "Transfer-Encoding: chunked\r\n\r\nx\r\n",
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
	    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n",
	};
	int pair[2];
	uint64_t id;
	Gondolin__NetproxyToEgress *m;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_open(http1_start);
		guest_text(HEAD);
		guest_text(rows[i]);
		id = guest_request();
		CU_ASSERT_NOT_EQUAL(id, 0);
		pair_of(pair);
		guest_say_stream(id, pair[0]);
		starts("HTTP/1.1 400 ");
		m = guest_heard();
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(m->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL);
		guest_free(m);
		/* Its final message, which finds nobody. */
		guest_say_refused(id, 9, 502, "cancelled", "x");
		CU_ASSERT_FALSE(guest.edge_ended);
		close(pair[0]);
		close(pair[1]);
		guest_close();
	}
	/* The guest's half ends in the body. */
	guest_open(http1_start);
	guest_text(HEAD "Content-Length: 9\r\n\r\nabc");
	id = guest_request();
	pair_of(pair);
	guest_say_stream(id, pair[0]);
	proxy_flow.stays = false;
	guest_turn();
	starts("HTTP/1.1 400 ");
	close(pair[0]);
	close(pair[1]);
	guest_close();
}

/* An answer by the stream: in chunks, by its length, and to HTTP/1.0 until the end. */
static void
test_streamed_answers(void)
{
	static const struct {
		const char *request;
		bool has_length;
		const char *answer;
	} rows[] = {
	    {"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", false,
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0004\r\nbody\r\n0\r\n\r\n"},
	    {"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", true,
		"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"},
	    {"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", true,
		"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\nbody"},
	    {"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n", false,
		"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody"},
	    {"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n", true,
		"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"},
	};
	int pair[2];
	uint64_t id;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool head = rows[i].request[0] == 'H';

		guest_open(http1_start);
		guest_text(rows[i].request);
		id = guest_request();
		pair_of(pair);
		guest_say_answer(id,
		    &(struct reply){.status = 200,
			.streamed = !head,
			.end = head,
			.has_length = rows[i].has_length,
			.length = 4},
		    head ? -1 : pair[0]);
		if (!head) {
			CU_ASSERT_EQUAL(write(pair[1], "body", 4), 4);
			guest_turn();
			guest_say_end(id, 4, &(struct reply){0}, 0);
		}
		guest_turn();
		CU_ASSERT_STRING_EQUAL(guest_read(), rows[i].answer);
		close(pair[0]);
		close(pair[1]);
		guest_close();
	}
}

/* An answer that goes on leaves the request going on; one that is complete ends it. */
static void
test_early_answers(void)
{
	static const char body[] = "3\r\nabc\r\n";
	Gondolin__NetproxyToEgress *m;
	char got[16] = "";
	int pair[2];
	uint64_t id;

	/* The stream before the answer, and by the answer. */
	for (int i = 0; i < 2; i++) {
		guest_open(http1_start);
		guest_text(HEAD "Transfer-Encoding: chunked\r\n\r\n");
		id = guest_request();
		pair_of(pair);
		if (i == 0)
			guest_say_stream(id, pair[0]);
		guest_say_answer(
		    id, &(struct reply){.status = 200, .streamed = true}, i == 0 ? -1 : pair[0]);
		starts("HTTP/1.1 200 OK\r\n");
		guest_text(body);
		CU_ASSERT_EQUAL(read(pair[1], got, sizeof(got)), 3);
		CU_ASSERT_EQUAL(write(pair[1], "one", 3), 3);
		guest_turn();
		has("0003\r\none\r\n");
		guest_text(body);
		CU_ASSERT_EQUAL(read(pair[1], got, sizeof(got)), 3);
		guest_text("0\r\n\r\n");
		m = guest_heard();
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END);
		CU_ASSERT_EQUAL(m->request_end->length, 6);
		guest_free(m);
		guest_say_end(id, 3, &(struct reply){0}, 0);
		has("\r\n0\r\n\r\n");
		CU_ASSERT_FALSE(guest.edge_ended || proxy_flow.aborted);
		close(pair[0]);
		close(pair[1]);
		guest_close();
	}
	/* Complete: the guest is told that the connection ends, and nothing more is taken. */
	guest_open(http1_start);
	guest_text(HEAD "Transfer-Encoding: chunked\r\n\r\n");
	id = guest_request();
	pair_of(pair);
	guest_say_stream(id, pair[0]);
	guest_say_answer(id, &(struct reply){.status = 200, .body = "ok", .end = true}, -1);
	has("connection: close\r\n");
	guest_text(body);
	CU_ASSERT_TRUE(read(pair[1], got, sizeof(got)) <= 0);
	CU_ASSERT_FALSE(guest.edge_ended || proxy_flow.aborted);
	close(pair[1]);
	close(pair[0]);
	guest_close();
	/* A body that breaks off behind the answer's head: there is no second one. */
	guest_open(http1_start);
	guest_text(HEAD "Transfer-Encoding: chunked\r\n\r\n");
	id = guest_request();
	pair_of(pair);
	guest_say_answer(id, &(struct reply){.status = 200, .streamed = true}, pair[0]);
	guest_text("x\r\n");
	CU_ASSERT_TRUE(proxy_flow.aborted);
	CU_ASSERT_PTR_NULL(strstr(guest_read(), "400"));
	close(pair[0]);
	close(pair[1]);
	guest_close();
}

/* Trailers of a streamed answer wait for the body's last byte. */
static void
test_trailers_wait(void)
{
	int pair[2];
	uint64_t id;

	guest_open(http1_start);
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	pair_of(pair);
	guest_say_answer(id, &(struct reply){.status = 200, .streamed = true}, pair[0]);
	guest_say_end(id, 3, &(struct reply){.trailer_name = "x-sum", .trailer = "3"}, 0);
	CU_ASSERT_PTR_NULL(strstr(guest_read(), "x-sum"));
	CU_ASSERT_EQUAL(write(pair[1], "abc", 3), 3);
	guest_turn();
	guest_turn();
	has("0003\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n");
	close(pair[0]);
	close(pair[1]);
	guest_close();
}

/* A body that needs no stream and comes later; one that breaks off is a reset. */
static void
test_rest(void)
{
	uint64_t id;

	guest_open(http1_start);
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	guest_say_answer(id, &(struct reply){.status = 200, .body = "first "}, -1);
	guest_say_end(id, 0, &(struct reply){.body = "rest"}, 0);
	has("0006\r\nfirst \r\n0004\r\nrest\r\n0\r\n\r\n");
	guest_skip();
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	guest_say_answer(
	    id, &(struct reply){.status = 200, .body = "ab", .has_length = true, .length = 4}, -1);
	guest_say_end(id, 0, &(struct reply){.body = "cd"}, 0);
	has("content-length: 4\r\n\r\nabcd");
	guest_close();

	guest_open(http1_start);
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	guest_say_answer(
	    id, &(struct reply){.status = 200, .body = "ab", .has_length = true, .length = 9}, -1);
	guest_say_end(id, 0, &(struct reply){0}, GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_BROKEN);
	CU_ASSERT_TRUE(proxy_flow.aborted);
	guest_close();
}

/* A chunk's head and tail find their place in any room. */
static void
test_chunks_in_little_room(void)
{
	static const char expected[] =
	    "transfer-encoding: chunked\r\n\r\n0001\r\nb\r\n0001\r\no\r\n"
	    "0001\r\nd\r\n0001\r\ny\r\n0\r\n\r\n";
	int pair[2];
	uint64_t id;

	guest_open(http1_start);
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	pair_of(pair);
	guest_say_answer(id, &(struct reply){.status = 200, .streamed = true}, pair[0]);
	CU_ASSERT_EQUAL(write(pair[1], "body", 4), 4);
	guest.room = 8; /* a head and a tail: nothing fits between */
	guest_turn();
	CU_ASSERT_PTR_NULL(strstr(guest_read(), "0001"));
	guest.room = 9;
	guest_say_end(id, 4, &(struct reply){0}, 0);
	for (unsigned i = 0; i < 20; i++)
		guest_turn();
	has(expected);
	close(pair[0]);
	close(pair[1]);
	guest_close();
}

/* Room for a few bytes at a time: nothing is lost, nothing doubled. */
static void
test_slow_reader(void)
{
	static char body[3000];
	uint64_t id;

	memset(body, 'b', sizeof(body) - 1);
	guest_open(http1_start);
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	guest.room = 7;
	guest_say_answer(id,
	    &(struct reply){.status = 200,
		.body = body,
		.end = true,
		.has_length = true,
		.length = sizeof(body) - 1},
	    -1);
	for (unsigned i = 0; i < 1000; i++)
		guest_turn();
	CU_ASSERT_PTR_NOT_NULL(strstr(guest_read(), body));
	guest_close();
}

static const char upgrade[] =
    "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/* A WebSocket's bytes go both ways; what is no frame ends it. */
static void
test_tunnel(void)
{
	static const uint8_t good[] = {0x81, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2};
	static const uint8_t unmasked[] = {0x81, 0x02, 'h', 'i'};
	char got[16];
	int pair[2];
	uint64_t id;

	guest_open(http1_start);
	guest_text(upgrade);
	id = guest_request();
	pair_of(pair);
	guest_say_answer(id, &(struct reply){.status = 101, .streamed = true}, pair[0]);
	starts("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: "
	       "websocket\r\n\r\n");
	guest_skip();
	guest_type(good, sizeof(good));
	CU_ASSERT_EQUAL(read(pair[1], got, sizeof(got)), (ssize_t)sizeof(good));
	CU_ASSERT_EQUAL(write(pair[1], unmasked, sizeof(unmasked)), (ssize_t)sizeof(unmasked));
	guest_turn();
	CU_ASSERT_EQUAL(proxy_flow.out_n, sizeof(unmasked));
	/* The guest must mask (RFC 6455 5.1). */
	guest_type(unmasked, sizeof(unmasked));
	CU_ASSERT_TRUE(proxy_flow.aborted);
	CU_ASSERT_EQUAL(read(pair[1], got, sizeof(got)), -1);
	close(pair[0]);
	close(pair[1]);
	guest_close();

	/* The guest's half ends, then the world's. */
	guest_open(http1_start);
	guest_text(upgrade);
	id = guest_request();
	pair_of(pair);
	guest_say_answer(id,
	    &(struct reply){
		.status = 101, .streamed = true, .name = "sec-websocket-extensions", .value = "x"},
	    pair[0]);
	close(pair[0]);
	proxy_flow.stays = false;
	guest_turn();
	CU_ASSERT_EQUAL(read(pair[1], got, sizeof(got)), 0);
	guest_say_end(id, 0, &(struct reply){0}, 0);
	CU_ASSERT_FALSE(proxy_flow.aborted);
	close(pair[1]);
	guest_close();

	/* The world's frames are watched as well. */
	guest_open(http1_start);
	guest_text(upgrade);
	id = guest_request();
	pair_of(pair);
	guest_say_answer(id, &(struct reply){.status = 101, .streamed = true}, pair[0]);
	CU_ASSERT_EQUAL(write(pair[1], good, sizeof(good)), (ssize_t)sizeof(good)); /* masked */
	guest_turn();
	CU_ASSERT_TRUE(proxy_flow.aborted);
	close(pair[0]);
	close(pair[1]);
	guest_close();
}

/* 101 that nobody asked for, that ends at once, or behind bytes that came before it. */
static void
test_bad_switches(void)
{
	int pair[2];
	uint64_t id;

	for (int i = 0; i < 3; i++) {
		guest_open(http1_start);
		guest_text(i == 0 ? "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" : upgrade);
		if (i == 2)
			guest_text("early");
		id = guest_request();
		pair_of(pair);
		guest_say_answer(id,
		    &(struct reply){.status = 101, .streamed = i != 1, .end = i == 1},
		    i != 1 ? pair[0] : -1);
		CU_ASSERT_TRUE(proxy_flow.aborted);
		CU_ASSERT_STRING_EQUAL(guest_read(), "");
		close(pair[0]);
		close(pair[1]);
		guest_close();
	}
}

static void
test_refusals(void)
{
	uint64_t id;

	guest_open(http1_start);
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	guest_say_refused(
	    id, GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_DENIED, 403, "not-allowed", "no pattern");
	starts("HTTP/1.1 403 Forbidden\r\n");
	has("x-gondolin-denied: not-allowed\r\n");
	has("\r\n\r\ngondolin: no pattern\n");
	guest_skip();
	/* The connection goes on. */
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	id = guest_request();
	guest_say_refused(
	    id, GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_UNREACHED, 502, "", "nobody there");
	starts("HTTP/1.1 502 Bad Gateway\r\n");
	CU_ASSERT_PTR_NULL(strstr(guest_read(), "x-gondolin-denied"));
	guest_skip();
	/* Nothing is left to ask with. */
	guest.np->outbound.n_pending = OUTBOUND_REQUESTS_MAX;
	guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	starts("HTTP/1.1 503 Service Unavailable\r\n");
	guest.np->outbound.n_pending = 0;
	guest_close();
}

CU_TestInfo http1_tests[] = {
    {"what egress must not see", test_refused},
    {"heads in pieces", test_heads_in_pieces},
    {"a late head", test_late_head},
    {"a body inline, one request at a time", test_inline},
    {"a chunked upload", test_chunked_upload},
    {"broken bodies", test_broken_bodies},
    {"streamed answers", test_streamed_answers},
    {"early answers", test_early_answers},
    {"trailers wait for the body", test_trailers_wait},
    {"the rest of a body", test_rest},
    {"chunks in little room", test_chunks_in_little_room},
    {"a slow reader", test_slow_reader},
    {"a tunnel", test_tunnel},
    {"switches that are none", test_bad_switches},
    {"refusals", test_refusals},
    CU_TEST_INFO_NULL,
};
