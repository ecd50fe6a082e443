/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile origins: what of their answers is given out, and how; bodies that are not what was said.
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

/* The connection that a request comes by, and its head. */
static int
accept_request(char *seen, size_t size)
{
	ssize_t n = -1;
	int peer;

	(void)fcntl(world.origin, F_SETFL, O_NONBLOCK);
	while ((peer = world_at_origin()) < 0)
		world_wait();
	while (n < 0) {
		world_turn();
		n = recv(peer, seen, size - 1, 0);
	}
	seen[n] = '\0';
	return peer;
}

/* Asks with the secret and lets the origin answer so.  Returns what egress says. */
static Gondolin__EgressToNetproxy *
exchange(const char *answer, char *seen, size_t size)
{
	Gondolin__OutboundRequest r = world_request();
	Gondolin__EgressToNetproxy *m;
	int peer;

	world_add_header(&r, "authorization", "Bearer " WORLD_PLACEHOLDER);
	world_ask_for(&r, -1);
	peer = accept_request(seen, size);
	CU_ASSERT_EQUAL(send(peer, answer, strlen(answer), MSG_NOSIGNAL), (ssize_t)strlen(answer));
	(void)shutdown(peer, SHUT_WR);
	m = world_hear(NULL);
	close(peer);
	return m;
}

static void
test_answers(void)
{
	static const struct {
		const char *answer;
		unsigned status; /* 0: refused */
		const char *body;
	} rows[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n" WORLD_VALUE, 200, WORLD_PLACEHOLDER},
	    {"HTTP/1.1 200 OK\r\nX-" WORLD_VALUE ": 1\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	    {"HTTP/1.1 200 OK\r\nConnection: x\r\nX: y\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		200, "ok"},
	    {"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 2\r\n\r\nok", 0, NULL},
	    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", 0, NULL},
	    {"HTTP/1.1 200 OK\r\nContent-Encoding: br, gzip\r\nContent-Length: 2\r\n\r\nok", 0,
		NULL},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 0,
		NULL},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 0, NULL},
	    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0,
		NULL},
	    {"HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 2xx x\r\nContent-Length: 0\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 0\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 200 OK\r\nX: a\x01z\r\nContent-Length: 0\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok", 0, NULL},
	    {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", 204, ""},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
	     "X-T: " WORLD_VALUE "\r\n\r\n",
		200, "ok"},
	    {"garbage\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n", 0, NULL},
	};
	static char seen[65536];

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	(void)fcntl(world.origin, F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Gondolin__EgressToNetproxy *m = exchange(rows[i].answer, seen, sizeof(seen));
		bool answered;

		CU_ASSERT_PTR_NOT_NULL(strstr(seen, "Bearer " WORLD_VALUE));
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		answered = m->body_case == GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER;
		if (answered != (rows[i].status != 0))
			fprintf(stderr, "%s: %d\n", rows[i].answer, (int)m->body_case);
		CU_ASSERT_EQUAL(answered, rows[i].status != 0);
		if (answered && rows[i].status != 0) {
			CU_ASSERT_EQUAL(m->answer->status, rows[i].status);
			CU_ASSERT_EQUAL(m->answer->body.len, strlen(rows[i].body));
			if (m->answer->body.len > 0)
				CU_ASSERT_NSTRING_EQUAL(
				    m->answer->body.data, rows[i].body, strlen(rows[i].body));
		}
		world_free(m);
	}
	CU_ASSERT_FALSE(world.e->ended);
	world_close();
}

/* More than a message holds: by the stream, the secret taken out wherever pieces meet. */
static void
test_streamed_answer(void)
{
	static const char value[] = WORLD_VALUE;
	static char seen[65536], got[400000], piece[100];
	Gondolin__OutboundRequest r;
	Gondolin__EgressToNetproxy *m = NULL;
	size_t n = 0, rest = sizeof(value) - 1 - 7;
	ssize_t k;
	int peer, fd = -1;

	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	r = world_request();
	world_ask_for(&r, -1);
	peer = accept_request(seen, sizeof(seen));
	CU_ASSERT(dprintf(peer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
		      1000 * (7 + rest + sizeof(piece))) > 0);
	memset(piece, 'a', sizeof(piece));
	for (unsigned i = 0; i < 1000; i++) {
		/* In two sends, and a turn between: nobody can wait for a whole one. */
		CU_ASSERT_EQUAL(send(peer, value, 7, 0), 7);
		world_turn();
		CU_ASSERT_EQUAL(send(peer, value + 7, rest, 0), (ssize_t)rest);
		CU_ASSERT_EQUAL(send(peer, piece, sizeof(piece), 0), (ssize_t)sizeof(piece));
		if (i > 0)
			continue;
		m = world_hear(&fd);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER);
		CU_ASSERT_TRUE(m->answer->streamed);
		CU_ASSERT_FALSE(m->answer->has_length);
		n = m->answer->body.len;
		if (n > 0)
			memcpy(got, m->answer->body.data, n);
		world_free(m);
	}
	while (n < 1000 * (PLACEHOLDER_LENGTH + sizeof(piece))) {
		world_turn();
		k = recv(fd, got + n, sizeof(got) - n - 1, MSG_DONTWAIT);
		CU_ASSERT_NOT_EQUAL_FATAL(k, 0);
		n += k > 0 ? (size_t)k : 0;
	}
	got[n] = '\0';
	CU_ASSERT_PTR_NULL(strstr(got, value));
	CU_ASSERT_NSTRING_EQUAL(got + n - 148, WORLD_PLACEHOLDER, PLACEHOLDER_LENGTH);
	m = world_hear(NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER_END);
	CU_ASSERT_EQUAL(m->answer_end->cause, 0);
	world_free(m);
	close(fd);
	close(peer);
	world_close();
}

/* ---- WebSockets ---- */

#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* and its answer, as RFC 6455 1.3 has them */
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

/* Asks a host without secrets, for a WebSocket or not.  Returns the origin's connection. */
static int
ask_open(bool upgrade, uint64_t *id)
{
	static char seen[65536];
	Gondolin__OutboundRequest r = world_request();
	int peer;

	r.host = r.destination = ipc_text(WORLD_OPEN);
	r.upgrade = upgrade;
	world_add_header(&r, "sec-websocket-key", KEY);
	world_ask_for(&r, -1);
	*id = r.id;
	peer = accept_request(seen, sizeof(seen));
	CU_ASSERT_EQUAL(strstr(seen, "\r\nUpgrade: websocket\r\n") != NULL, upgrade);
	return peer;
}

/* A head without end: refused, and never held. */
static void
test_endless_head(void)
{
	static char line[1000];
	uint64_t id;
	int peer;

	memset(line, 'x', sizeof(line));
	line[1] = ':';
	for (int upgrade = 0; upgrade < 2; upgrade++) {
		world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
		peer = ask_open(upgrade, &id);
		CU_ASSERT(dprintf(peer, "HTTP/1.1 200 OK\r\n") > 0);
		for (unsigned i = 0; i < 300; i++) {
			(void)send(peer, line, sizeof(line), MSG_NOSIGNAL | MSG_DONTWAIT);
			(void)send(peer, "\r\n", 2, MSG_NOSIGNAL | MSG_DONTWAIT);
			world_turn();
		}
		world_hears_refusal(id, "bad-answer");
		close(peer);
		world_close();
	}
}

/* The stream of a WebSocket that was opened with two bytes of its first frame. */
static void
talk(int peer, int fd)
{
	static const char frame[] = {'\x88', '\x80', 1, 2, 3, 4};
	Gondolin__EgressToNetproxy *m;
	char bytes[16];
	ssize_t n = -1;

	CU_ASSERT_EQUAL(recv(fd, bytes, sizeof(bytes), 0), 4);
	CU_ASSERT_EQUAL(write(fd, frame, sizeof(frame)), (ssize_t)sizeof(frame));
	while (n < 0) {
		world_turn();
		n = recv(peer, bytes, sizeof(bytes), 0);
	}
	CU_ASSERT_EQUAL(n, (ssize_t)sizeof(frame));
	close(fd);
	m = world_hear(NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER_END);
	world_free(m);
}

static void
test_websockets(void)
{
	static const struct {
		const char *answer;
		unsigned status; /* 0: refused */
	} rows[] = {
	    {SWITCH ACCEPT "\r\n\x81\x02hi", 101},
	    {"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nwho", 404},
	    {SWITCH "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", 0},
	    {SWITCH "\r\n", 0},
	    {SWITCH "X: a\nY: b\r\n\r\n", 0},
	    {SWITCH " folded\r\n\r\n", 0},
	    {"\n", 0},
	    {"SSH-2.0-x\r\n\r\n", 0},
	    {"", 0},
	};
	Gondolin__OutboundRequest r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ssize_t size = (ssize_t)strlen(rows[i].answer);
		Gondolin__EgressToNetproxy *m;
		uint64_t id;
		int peer, fd = -1;

		world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
		peer = ask_open(true, &id);
		CU_ASSERT_EQUAL(send(peer, rows[i].answer, (size_t)size, 0), size);
		if (rows[i].status != 101)
			(void)shutdown(peer, SHUT_WR);
		m = world_hear(&fd);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(
		    m->body_case, rows[i].status == 0 ? GONDOLIN__EGRESS_TO_NETPROXY__BODY_REFUSED
						      : GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER);
		if (rows[i].status != 0)
			CU_ASSERT_EQUAL(m->answer->status, rows[i].status);
		world_free(m);
		if (rows[i].status == 101)
			talk(peer, fd);
		close(peer);
		world_close();
	}
	/* Where a secret is bound: what comes back could not be read. */
	world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
	r = world_request();
	r.upgrade = true;
	world_ask_for(&r, -1);
	world_hears_refusal(r.id, "secret-websocket");
	world_nobody_came();
	world_close();
}

/* A body that comes by the stream, with bytes that were not announced, or fewer. */
static void
test_uploads(void)
{
	static const struct {
		uint64_t written, said;
		bool closes;
	} rows[] = {{5, 5, false}, {5, 4, false}, {3, 5, true}};
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	Gondolin__OutboundRequestEnd end = GONDOLIN__OUTBOUND_REQUEST_END__INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Gondolin__EgressToNetproxy *said;
		Gondolin__OutboundRequest r;
		int fd = -1, peer;

		world_begin(GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC);
		(void)fcntl(world.origin, F_SETFL, O_NONBLOCK);
		r = world_request();
		r.method = ipc_text("PUT");
		r.has_body = true;
		r.end = false;
		world_ask_for(&r, -1);
		while ((peer = world_at_origin()) < 0)
			world_wait();
		said = world_hear(&fd);
		CU_ASSERT_PTR_NOT_NULL_FATAL(said);
		CU_ASSERT_EQUAL_FATAL(said->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_STREAM);
		world_free(said);
		CU_ASSERT_EQUAL(write(fd, "abcde", rows[i].written), (ssize_t)rows[i].written);
		end.id = r.id;
		end.length = rows[i].said;
		m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END;
		m.request_end = &end;
		if (rows[i].closes)
			close(fd);
		world_ask(&m, -1);
		if (i == 0) {
			char seen[4096];
			size_t n = 0;
			ssize_t got;

			while (n < 10 || memcmp(seen + n - 5, "0\r\n\r\n", 5) != 0) {
				got = recv(peer, seen + n, sizeof(seen) - n, 0);
				n += got > 0 ? (size_t)got : 0;
				world_turn();
			}
			CU_ASSERT_EQUAL(send(peer, "HTTP/1.1 204 x\r\n\r\n", 18, 0), 18);
			said = world_hear(NULL);
			CU_ASSERT_PTR_NOT_NULL_FATAL(said);
			CU_ASSERT_EQUAL(said->answer->status, 204);
			world_free(said);
		} else {
			world_hears_refusal(r.id, "bad-body");
		}
		if (!rows[i].closes)
			close(fd);
		close(peer);
		world_close();
	}
}

CU_TestInfo answers_tests[] = {
    {"answers", test_answers},
    {"a streamed answer", test_streamed_answer},
    {"a head without end", test_endless_head},
    {"websockets", test_websockets},
    {"uploads", test_uploads},
    CU_TEST_INFO_NULL,
};
