/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 of a guest that is hostile: nghttp2's client, told to check nothing, is its framing. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "netproxy/http2_server.h"
#include "suites.h"

#define STREAMS 8u
#define FIELDS  160u

/* What the guest knows of one stream. */
struct seen {
	unsigned informational, status;
	bool closed;
	uint32_t error;
	char fields[4096]; /* "name: value\n", trailers as well */
	size_t data_n;
	char data[4096];
};

static nghttp2_session *client;
static struct seen seen[STREAMS];
static size_t fed; /* of what the guest was sent */
static uint32_t goaway;

/* ---- The client ---- */

static struct seen *
of(int32_t id)
{
	return id % 2 == 1 && id / 2 < (int32_t)STREAMS ? &seen[id / 2] : NULL;
}

static int
on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t n,
    const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
	struct seen *x = of(frame->hd.stream_id);
	size_t at;

	(void)s;
	(void)flags;
	(void)ctx;
	if (x == NULL)
		return 0;
	if (n == 7 && memcmp(name, ":status", 7) == 0) {
		unsigned status = (unsigned)atoi((const char *)value);

		*(status < 200 ? &x->informational : &x->status) = status;
	}
	at = strlen(x->fields);
	(void)snprintf(x->fields + at, sizeof(x->fields) - at, "%.*s: %.*s\n", (int)n,
	    (const char *)name, (int)value_n, (const char *)value);
	return 0;
}

static int
on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *ctx)
{
	struct seen *x = of(id);

	(void)s;
	(void)flags;
	(void)ctx;
	if (x != NULL && n < sizeof(x->data) - x->data_n) {
		memcpy(x->data + x->data_n, bytes, n);
		x->data_n += n;
	}
	return 0;
}

static int
on_close(nghttp2_session *s, int32_t id, uint32_t error, void *ctx)
{
	struct seen *x = of(id);

	(void)s;
	(void)ctx;
	if (x != NULL) {
		x->closed = true;
		x->error = error;
	}
	return 0;
}

static int
on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *ctx)
{
	(void)s;
	(void)ctx;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		goaway = frame->goaway.error_code;
	return 0;
}

/* Until neither has anything to say. */
static void
talk(void)
{
	const uint8_t *bytes;
	ssize_t n;

	for (unsigned i = 0; i < 100; i++) {
		n = nghttp2_session_mem_send(client, &bytes);
		if (n > 0)
			guest_type(bytes, (size_t)n);
		guest_turn();
		if (n <= 0 && fed == proxy_flow.out_n)
			return;
		(void)guest_read();
		if (nghttp2_session_mem_recv(client, proxy_flow.out + fed, proxy_flow.out_n - fed) <
		    0)
			return;
		fed = proxy_flow.out_n;
	}
}

static void
begin(void)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	memset(seen, 0, sizeof(seen));
	fed = 0;
	goaway = 0;
	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
		abort();
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_option_set_no_http_messaging(option, 1);
	if (nghttp2_session_client_new2(&client, callbacks, NULL, option) != 0 ||
	    nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
		abort();
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	guest_open(http2_start);
	talk();
}

static void
finish(void)
{
	nghttp2_session_del(client);
	guest_close();
}

/* "name: value" lines; the first colon after the first character cuts. */
static size_t
fields_of(char *lines, nghttp2_nv *nv)
{
	size_t n = 0;
	char *line, *rest = NULL, *colon;

	for (line = strtok_r(lines, "\n", &rest); line != NULL && n < FIELDS;
	     line = strtok_r(NULL, "\n", &rest)) {
		colon = strchr(line + 1, ':');
		if (colon == NULL)
			abort();
		nv[n] = (nghttp2_nv){.name = (uint8_t *)line,
		    .namelen = (size_t)(colon - line),
		    .value = (uint8_t *)colon + 2};
		nv[n].valuelen = strlen(colon + 2);
		n++;
	}
	return n;
}

#define PLAIN ":method: GET\n:scheme: http\n:authority: a.test\n:path: /x\n"
#define POST  ":method: POST\n:scheme: http\n:authority: a.test\n:path: /x\n"

static int32_t
ask(const char *lines, const nghttp2_data_provider *body)
{
	nghttp2_nv nv[FIELDS];
	char *copy = strdup(lines);
	size_t n;
	int32_t id;

	if (copy == NULL)
		abort();
	n = fields_of(copy, nv);
	id = nghttp2_submit_request(client, NULL, nv, n, body, NULL);
	talk();
	free(copy);
	return id;
}

/* A body of so many bytes, with a trailer behind it or not. */
struct upload {
	size_t left;
	bool trailer, stays; /* stays: without an end */
};

static ssize_t
give(nghttp2_session *s, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *ctx)
{
	static char trailer[] = "x-sum", value[] = "1";
	nghttp2_nv nv = {(uint8_t *)trailer, (uint8_t *)value, 5, 1, 0};
	struct upload *u = source->ptr;
	size_t n = u->left < room ? u->left : room;

	(void)ctx;
	memset(out, 'u', n);
	u->left -= n;
	if (u->left == 0 && u->stays && n == 0)
		return NGHTTP2_ERR_DEFERRED;
	if (u->left == 0 && !u->stays) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (u->trailer) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			(void)nghttp2_submit_trailer(s, id, &nv, 1);
		}
	}
	return (ssize_t)n;
}

static nghttp2_data_provider
body_of(struct upload *u)
{
	return (nghttp2_data_provider){.source = {.ptr = u}, .read_callback = give};
}

/* ---- Heads ---- */

/* A page where nghttp2 lets the head pass (Debian 12's), or a reset by a stricter one. */
#define OR_RESET 1000u

/* None of these is asked; each gets a page, or a reset where the framing itself is wrong (0). */
static void
test_refused(void)
{
	static const struct {
		const char *head;
		unsigned status;
	} rows[] = {
	    {":method: CONNECT\n:authority: a.test:443\n", 403},
	    {":method: G T\n:scheme: http\n:authority: a.test\n:path: /\n", 0},
	    {":method: GET\n:scheme: https\n:authority: a.test\n:path: /\n", 400},
	    {":method: GET\n:scheme: http\n:authority: a.test\n:path: /a/../b\n", 400},
	    {":method: GET\n:scheme: http\n:authority: a.test\n:path: *\n", 0},
	    {":method: GET\n:scheme: http\n:authority: u@a.test\n:path: /\n", 400 + OR_RESET},
	    {":method: GET\n:scheme: http\n:authority: a.test.\n:path: /\n", 400},
	    {":method: GET\n:scheme: http\n:authority: 0x7f.1\n:path: /\n", 400},
	    {PLAIN "host: b.test\n", 400},
	    {PLAIN "host: a.test:81\n", 400},
	    {PLAIN "host: a.test\nhost: a.test\n", 0},
	    {PLAIN "expect: tea\n", 417},
	    {PLAIN "content-length: 1234567890123456789\n", 0},
	    {PLAIN "content-length: x\n", 0},
	    {PLAIN "connection: close\n", 0},
	    {PLAIN "transfer-encoding: chunked\n", 0},
	    {PLAIN "te: gzip\n", 0},
	    {PLAIN ":path: /y\n", 0},
	    {PLAIN "x: a\x01b\n", 0},
	    {PLAIN "x:  padded\n", 0},
	    {":method: GET\n:scheme: http\n:path: /\n", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned status = rows[i].status % OR_RESET;
		struct seen *x;
		uint64_t asked;

		begin();
		x = of(ask(rows[i].head, NULL));
		CU_ASSERT_PTR_NOT_NULL_FATAL(x);
		asked = guest_request();
		if (rows[i].status > OR_RESET && x->status == 0)
			status = 0;
		if (x->status != status || asked != 0)
			fprintf(stderr, "%s: %u\n", rows[i].head, x->status);
		CU_ASSERT_EQUAL(x->status, status);
		CU_ASSERT_EQUAL(asked, 0);
		CU_ASSERT_TRUE(x->closed);
		if (status != 0) {
			CU_ASSERT_PTR_NOT_NULL(
			    strstr(x->fields, "x-gondolin-denied: bad-request\n"));
			CU_ASSERT_EQUAL(proxy_flow.records, 1);
		} else {
			CU_ASSERT_NOT_EQUAL(x->error, NGHTTP2_NO_ERROR);
		}
		/* The connection has room for another. */
		if (goaway == 0) {
			(void)ask(PLAIN, NULL);
			CU_ASSERT_NOT_EQUAL(guest_request(), 0);
		}
		finish();
	}
}

static void
test_too_much(void)
{
	static char head[70000];
	size_t n = 0;

	/* 129 fields, and one that is larger than all may be. */
	for (int turn = 0; turn < 2; turn++) {
		n = (size_t)snprintf(head, sizeof(head), "%s", PLAIN);
		if (turn == 0)
			for (int i = 0; i < 129; i++)
				n += (size_t)snprintf(head + n, sizeof(head) - n, "x-%d: y\n", i);
		else
			n += (size_t)snprintf(head + n, sizeof(head) - n, "x: %033000d\n", 0);
		begin();
		(void)ask(head, NULL);
		CU_ASSERT_EQUAL(of(1)->status, 431);
		CU_ASSERT_EQUAL(guest_request(), 0);
		finish();
	}
}

static void
test_fields(void)
{
	Gondolin__NetproxyToEgress *m;
	const Gondolin__OutboundRequest *r;

	begin();
	/* Crumbs, with and without something between them; Host instead of an authority. */
	(void)ask(
	    ":method: OPTIONS\n:scheme: http\n:path: *\nhost: a.test:81\ncookie: \ncookie: a=1\n"
	    "cookie: b=2\nx: y\ncookie: c=3\nte: trailers\ntrailer: x-sum\ncookie: \n",
	    NULL);
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	r = m->request;
	CU_ASSERT_EQUAL(r->port, 81);
	CU_ASSERT_EQUAL(r->n_headers, 3);
	CU_ASSERT_EQUAL_FATAL(r->headers[0]->value.len, 13);
	CU_ASSERT_NSTRING_EQUAL(r->headers[0]->value.data, "a=1; b=2; c=3", 13);
	CU_ASSERT_EQUAL(r->path.len, 1);
	guest_free(m);
	finish();
}

/* ---- Bodies ---- */

static void
test_upload(void)
{
	struct upload u = {.left = 3000000, .trailer = true};
	nghttp2_data_provider body = body_of(&u);
	Gondolin__NetproxyToEgress *m;
	static char got[65536];
	size_t sum = 0;
	ssize_t n;
	int pair[2];
	uint64_t id;

	begin();
	(void)ask(POST "expect: 100-continue\n", &body);
	id = guest_request();
	CU_ASSERT_NOT_EQUAL_FATAL(id, 0);
	CU_ASSERT_EQUAL(of(1)->informational, 0);
	/* The window bounds what came before egress wanted it. */
	CU_ASSERT(guest.np->http2_buffered > 0 && guest.np->http2_buffered <= HTTP2_WINDOW_LARGE);
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	guest_say_stream(id, pair[0]);
	for (unsigned i = 0; i < 1000 && sum < 3000000; i++) {
		while ((n = read(pair[1], got, sizeof(got))) > 0)
			sum += (size_t)n;
		talk();
	}
	CU_ASSERT_EQUAL(sum, 3000000);
	CU_ASSERT_EQUAL(of(1)->informational, 100);
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END);
	CU_ASSERT_EQUAL(m->request_end->length, 3000000);
	CU_ASSERT_EQUAL(m->request_end->n_trailers, 1);
	guest_free(m);
	/* The answer by the same stream, with trailers. */
	guest_say_answer(id,
	    &(struct reply){.status = 200, .streamed = true, .name = "connection", .value = "x"},
	    -1);
	talk();
	CU_ASSERT_EQUAL(write(pair[1], "down", 4), 4);
	guest_say_end(id, 4, &(struct reply){.trailer_name = "grpc-status", .trailer = "0"}, 0);
	talk();
	CU_ASSERT_EQUAL(of(1)->status, 200);
	CU_ASSERT_STRING_EQUAL(of(1)->data, "down");
	CU_ASSERT_PTR_NOT_NULL(strstr(of(1)->fields, "grpc-status: 0\n"));
	CU_ASSERT_PTR_NULL(strstr(of(1)->fields, "connection"));
	CU_ASSERT_TRUE(of(1)->closed);
	CU_ASSERT_EQUAL(of(1)->error, NGHTTP2_NO_ERROR);
	close(pair[0]);
	close(pair[1]);
	finish();
}

/* The answer comes before the body was read: what is left of it is thrown away, and the windows
 * open for the next stream. */
static void
test_early_answer(void)
{
	struct upload u = {.left = 200000}, other = {.left = 200000};
	nghttp2_data_provider body = body_of(&u), next = body_of(&other);
	uint64_t id;

	begin();
	(void)ask(POST, &body);
	id = guest_request();
	guest_say_answer(id, &(struct reply){.status = 413, .end = true}, -1);
	talk();
	CU_ASSERT_EQUAL(of(1)->status, 413);
	CU_ASSERT_EQUAL(u.left, 0);
	CU_ASSERT_EQUAL(guest.np->http2_buffered, 0);
	(void)ask(POST, &next);
	CU_ASSERT_NOT_EQUAL(guest_request(), 0);
	CU_ASSERT_EQUAL(other.left, 0);
	finish();
}

/* An answer that goes on leaves the request going on. */
static void
test_both_ways(void)
{
	struct upload u = {.left = 3000000};
	nghttp2_data_provider body = body_of(&u);
	static char got[65536];
	size_t sum = 0;
	ssize_t n;
	int pair[2];
	uint64_t id;

	begin();
	(void)ask(POST, &body);
	id = guest_request();
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	guest_say_answer(id, &(struct reply){.status = 200, .streamed = true}, pair[0]);
	CU_ASSERT_EQUAL(write(pair[1], "one ", 4), 4);
	for (unsigned i = 0; i < 1000 && sum < 3000000; i++) {
		while ((n = read(pair[1], got, sizeof(got))) > 0)
			sum += (size_t)n;
		talk();
	}
	CU_ASSERT_EQUAL(sum, 3000000);
	CU_ASSERT_EQUAL(of(1)->status, 200);
	CU_ASSERT_EQUAL(write(pair[1], "two", 3), 3);
	guest_say_end(id, 7, &(struct reply){0}, 0);
	talk();
	CU_ASSERT_STRING_EQUAL(of(1)->data, "one two");
	CU_ASSERT_EQUAL(of(1)->error, NGHTTP2_NO_ERROR);
	close(pair[0]);
	close(pair[1]);
	finish();
}

/* More than all connections together may hold: that stream ends. */
static void
test_too_much_body(void)
{
	struct upload u = {.left = 1000, .stays = true};
	nghttp2_data_provider body = body_of(&u);
	Gondolin__NetproxyToEgress *m;

	begin();
	guest.np->http2_buffered = HTTP2_BUFFERED_MAX - 500;
	(void)ask(POST, &body);
	CU_ASSERT_TRUE(of(1)->closed);
	CU_ASSERT_EQUAL(of(1)->error, NGHTTP2_ENHANCE_YOUR_CALM);
	CU_ASSERT_NOT_EQUAL(guest_request(), 0);
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL);
	guest_free(m);
	guest.np->http2_buffered -= HTTP2_BUFFERED_MAX - 500;
	finish();
}

/* The same with what the guest leaves unread: a page, or the rest of a body. */
static void
test_too_much_answer(void)
{
	static char body[2001];

	memset(body, 'b', sizeof(body) - 1);
	begin();
	guest.np->http2_buffered = HTTP2_BUFFERED_MAX - 1000;
	(void)ask(PLAIN, NULL);
	guest_say_answer(
	    guest_request(), &(struct reply){.status = 200, .body = body, .end = true}, -1);
	talk();
	CU_ASSERT_EQUAL(of(1)->error, NGHTTP2_ENHANCE_YOUR_CALM);
	CU_ASSERT_EQUAL(of(1)->data_n, 0);
	CU_ASSERT_EQUAL(guest.np->http2_buffered, HTTP2_BUFFERED_MAX - 1000);

	(void)ask(PLAIN, NULL);
	{
		uint64_t id = guest_request();

		guest_say_answer(id, &(struct reply){.status = 200}, -1);
		guest_say_end(id, 0,
		    &(struct reply){.body = body, .trailer_name = "x-sum", .trailer = "1"}, 0);
	}
	talk();
	CU_ASSERT_EQUAL(of(3)->error, NGHTTP2_ENHANCE_YOUR_CALM);
	CU_ASSERT_EQUAL(guest.np->http2_buffered, HTTP2_BUFFERED_MAX - 1000);
	CU_ASSERT_FALSE(guest.edge_ended);
	guest.np->http2_buffered -= HTTP2_BUFFERED_MAX - 1000;
	finish();
}

/* ---- Answers ---- */

static void
test_answers(void)
{
	uint64_t id;
	int pair[2];

	/* Nothing here asks for another protocol. */
	begin();
	(void)ask(PLAIN, NULL);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	guest_say_answer(
	    guest_request(), &(struct reply){.status = 101, .streamed = true}, pair[0]);
	talk();
	CU_ASSERT_EQUAL(of(1)->status, 0);
	CU_ASSERT_NOT_EQUAL(of(1)->error, NGHTTP2_NO_ERROR);
	close(pair[0]);
	close(pair[1]);
	/* One that breaks off is a reset, never an end. */
	(void)ask(PLAIN, NULL);
	guest_free(guest_heard()); /* the first one's Cancel */
	id = guest_request();
	guest_say_answer(id,
	    &(struct reply){.status = 200, .body = "half", .has_length = true, .length = 9}, -1);
	guest_say_end(id, 0, &(struct reply){0}, GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_BROKEN);
	talk();
	CU_ASSERT_EQUAL(of(3)->status, 200);
	CU_ASSERT_NOT_EQUAL(of(3)->error, NGHTTP2_NO_ERROR);
	/* The rest in a message, with trailers. */
	(void)ask(PLAIN, NULL);
	id = guest_request();
	guest_say_answer(id, &(struct reply){.status = 200, .body = "first "}, -1);
	talk();
	guest_say_end(
	    id, 0, &(struct reply){.body = "rest", .trailer_name = "x-t", .trailer = "1"}, 0);
	talk();
	CU_ASSERT_STRING_EQUAL(of(5)->data, "first rest");
	CU_ASSERT_PTR_NOT_NULL(strstr(of(5)->fields, "x-t: 1\n"));
	CU_ASSERT_EQUAL(of(5)->error, NGHTTP2_NO_ERROR);
	/* HEAD has no body, whatever egress says. */
	(void)ask(":method: HEAD\n:scheme: http\n:authority: a.test\n:path: /x\n", NULL);
	guest_say_answer(guest_request(),
	    &(struct reply){
		.status = 200, .body = "body", .end = true, .has_length = true, .length = 4},
	    -1);
	talk();
	CU_ASSERT_EQUAL(of(7)->status, 200);
	CU_ASSERT_EQUAL(of(7)->data_n, 0);
	/* Refused, and nothing left to ask with. */
	(void)ask(PLAIN, NULL);
	guest_say_refused(
	    guest_request(), GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_BUDGET, 429, "budget", "used up");
	talk();
	CU_ASSERT_EQUAL(of(9)->status, 429);
	CU_ASSERT_PTR_NOT_NULL(strstr(of(9)->fields, "x-gondolin-denied: budget\n"));
	CU_ASSERT_STRING_EQUAL(of(9)->data, "gondolin: used up\n");
	guest.np->outbound.n_pending = OUTBOUND_REQUESTS_MAX;
	(void)ask(PLAIN, NULL);
	CU_ASSERT_EQUAL(of(11)->status, 503);
	guest.np->outbound.n_pending = 0;
	finish();
}

/* ---- Connections ---- */

static void
test_streams_are_apart(void)
{
	Gondolin__NetproxyToEgress *m;
	uint64_t ids[3];

	begin();
	for (int i = 0; i < 3; i++) {
		(void)ask(PLAIN, NULL);
		ids[i] = guest_request();
		CU_ASSERT_NOT_EQUAL(ids[i], 0);
	}
	/* The one in the middle goes; the others are answered in another order. */
	(void)nghttp2_submit_rst_stream(client, NGHTTP2_FLAG_NONE, 3, NGHTTP2_CANCEL);
	talk();
	m = guest_heard();
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->body_case, GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL);
	CU_ASSERT_EQUAL(m->cancel->id, ids[1]);
	guest_free(m);
	for (int i = 2; i >= 0; i--)
		guest_say_answer(ids[i],
		    &(struct reply){.status = 200 + (unsigned)i, .body = "x", .end = true}, -1);
	talk();
	CU_ASSERT_EQUAL(of(1)->status, 200);
	CU_ASSERT_EQUAL(of(3)->status, 0);
	CU_ASSERT_EQUAL(of(5)->status, 202);
	finish();
}

/* Streams that are opened to be reset (CVE-2023-44487): the connection ends, told why. */
static void
test_resets(void)
{
	begin();
	for (unsigned i = 0; i < 400 && goaway == 0; i++) {
		int32_t id = ask(PLAIN, NULL);

		if (id < 0)
			break;
		(void)nghttp2_submit_rst_stream(client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
		talk();
		while (guest_request() != 0)
			;
	}
	CU_ASSERT_EQUAL(goaway, NGHTTP2_ENHANCE_YOUR_CALM);
	finish();
}

/* More frames that want an answer than may wait: what is behind them is read all the same. */
static void
test_many_answers(void)
{
	static const uint8_t ping[17] = {[2] = 8, [3] = NGHTTP2_PING};
	static uint8_t bytes[300 * sizeof(ping) + 1024];
	char text[] = PLAIN;
	const uint8_t *request;
	nghttp2_nv nv[FIELDS];
	size_t n;
	ssize_t more;

	begin();
	for (n = 0; n < 300 * sizeof(ping); n += sizeof(ping))
		memcpy(bytes + n, ping, sizeof(ping));
	(void)nghttp2_submit_request(client, NULL, nv, fields_of(text, nv), NULL, NULL);
	more = nghttp2_session_mem_send(client, &request);
	CU_ASSERT_FATAL(more > 0 && (size_t)more <= sizeof(bytes) - n);
	memcpy(bytes + n, request, (size_t)more);
	proxy_flow.piece = n;
	guest_type(bytes, n + (size_t)more);
	CU_ASSERT_NOT_EQUAL(guest_request(), 0);
	finish();
}

/* Streams that are answered and never ended, of many connections. */
static void
test_too_many_streams(void)
{
	begin();
	guest.np->http2_streams = HTTP2_STREAMS_ALL - 1;
	(void)ask(PLAIN, NULL);
	CU_ASSERT_NOT_EQUAL(guest_request(), 0);
	(void)ask(PLAIN, NULL);
	CU_ASSERT_EQUAL(guest_request(), 0);
	CU_ASSERT_TRUE(of(3)->closed);
	CU_ASSERT_EQUAL(of(3)->error, NGHTTP2_REFUSED_STREAM);
	CU_ASSERT_FALSE(of(1)->closed);
	guest.np->http2_streams -= HTTP2_STREAMS_ALL - 1;
	finish();
}

static void
test_noise(void)
{
	static const char *const rows[] = {
	    "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	    "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_open(http2_start);
		guest_text(rows[i]);
		CU_ASSERT_EQUAL(guest_request(), 0);
		/* What is behind it is read by nobody. */
		guest_text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
		CU_ASSERT_EQUAL(guest_request(), 0);
		CU_ASSERT_TRUE(proxy_flow.aborted || i == 1);
		guest_close();
	}
	/* The guest's half ends with nothing under way. */
	begin();
	proxy_flow.stays = false;
	guest_turn();
	CU_ASSERT_TRUE(proxy_flow.closed);
	finish();
}

/* A guest that takes a few bytes at a time gets all of them. */
static void
test_slow_reader(void)
{
	static char body[16000];

	memset(body, 'b', sizeof(body) - 1);
	begin();
	(void)ask(PLAIN, NULL);
	guest.room = 11;
	guest_say_answer(guest_request(),
	    &(struct reply){.status = 200,
		.body = body,
		.end = true,
		.has_length = true,
		.length = sizeof(body) - 1},
	    -1);
	for (unsigned i = 0; i < 3000 && !of(1)->closed; i++)
		talk();
	CU_ASSERT_TRUE(of(1)->closed);
	CU_ASSERT_EQUAL(of(1)->error, NGHTTP2_NO_ERROR);
	finish();
}

CU_TestInfo http2_tests[] = {
    {"what egress must not see", test_refused},
    {"too much of a head", test_too_much},
    {"cookies, Host and OPTIONS *", test_fields},
    {"an upload and its answer", test_upload},
    {"an answer before the body", test_early_answer},
    {"both ways at once", test_both_ways},
    {"more body than all may hold", test_too_much_body},
    {"more answers than all may hold", test_too_much_answer},
    {"answers", test_answers},
    {"streams are apart", test_streams_are_apart},
    {"streams that are reset", test_resets},
    {"many answers at once", test_many_answers},
    {"more streams than all may have", test_too_many_streams},
    {"noise", test_noise},
    {"a slow reader", test_slow_reader},
    CU_TEST_INFO_NULL,
};
