/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.x: what passes means one thing, and each known way to make it mean two is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http1_parse.h"
#include "suites.h"

#define H "Host: a.example\r\n"

static int
parse(struct http1_request *r, const char *text, size_t n, struct http1_refusal *refusal)
{
	/* The request points into what is parsed: kept until the next call. */
	static char head[HTTP1_HEAD_MAX + 64];
	size_t length;

	memcpy(head, text, n);
	length = http1_head_length(head, n, 0);
	if (length == 0)
		return -EAGAIN;
	return http1_request_parse(r, head, length, refusal);
}

/* Refused heads; what each tries is its line. */
#define BAD(status, text)                      \
	{                                      \
		status, text, sizeof(text) - 1 \
	}
static const struct {
	unsigned status;
	const char *text;
	size_t n;
} refused[] = {
    /* two lengths, and lengths that are none */
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999\r\n\r\n"),
    /* lengths beside encodings, and encodings that another reads otherwise */
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    BAD(400,
	"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    BAD(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"),
    BAD(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"),
    BAD(501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n"),
    BAD(400, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
    /* lines */
    BAD(400, "GET / HTTP/1.1\n" H "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: a.example\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "\n"),
    BAD(400, "GET / HTTP/1.1\n\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n " H "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"),
    BAD(400, "GET /\0 HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\r\n" H "\r\n"),
    BAD(400, "\r\nGET / HTTP/1.1\r\n" H "\r\n"),
    /* names */
    BAD(400, "GET / HTTP/1.1\r\n" H "X : a\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding\t: chunked\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "X a\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H ": a\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "X\303\274: a\r\n\r\n"),
    /* request lines */
    BAD(400, "GET  / HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET / b HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET\t/\tHTTP/1.1\r\n" H "\r\n"),
    BAD(505, "GET / HTTP/2.0\r\n" H "\r\n"),
    BAD(505, "GET / HTTP/1.2\r\n" H "\r\n"),
    BAD(505, "GET / http/1.1\r\n" H "\r\n"),
    BAD(505, "GET / HTTP/1.1 \r\n" H "\r\n"),
    BAD(400, "GET /\r\n" H "\r\n"),
    BAD(400, "get / HTTP/1.1\r\n" H "\r\n"),
    BAD(403, "CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET * HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET a HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET /../etc HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET /%2e%2e/etc HTTP/1.1\r\n" H "\r\n"),
    /* hosts */
    BAD(400, "GET / HTTP/1.1\r\n\r\n"),
    BAD(400, "GET / HTTP/1.0\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H H "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "Host: b.example\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    BAD(400, "GET http://b.example/ HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET http://a.example:81/ HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET http://u@a.example/ HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET ftp://a.example/ HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET http://a.example HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET http:///a HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET http://a.example?x HTTP/1.1\r\n" H "\r\n"),
    BAD(400, "GET http://a.example/../x HTTP/1.1\r\n" H "\r\n"),
    /* what belongs to the hop */
    BAD(400, "GET / HTTP/1.1\r\n" H "Connection: host\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "Connection: close, content-length\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H "Connection: authorization\r\n\r\n"),
    BAD(417, "POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n"),
/* WebSocket handshakes that are none */
#define WS     "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define WS_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define WS_13  "Sec-WebSocket-Version: 13\r\n"
    BAD(400, "GET / HTTP/1.1\r\n" H WS WS_KEY "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H WS WS_13 "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H WS WS_13 WS_KEY WS_KEY "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H WS WS_KEY "Sec-WebSocket-Version: 8\r\n\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H WS WS_13 "Sec-WebSocket-Key: abc\r\n\r\n"),
    BAD(400, "POST / HTTP/1.1\r\n" H WS WS_13 WS_KEY "\r\n"),
    BAD(400, "GET / HTTP/1.0\r\n" H WS WS_13 WS_KEY "\r\n"),
    BAD(400, "GET / HTTP/1.1\r\n" H WS WS_13 WS_KEY "Content-Length: 4\r\n\r\n"),
};

static void
test_refused(void)
{
	struct http1_request r;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct http1_refusal refusal = {0, NULL};
		int rc = parse(&r, refused[i].text, refused[i].n, &refusal);

		CU_ASSERT_EQUAL(rc, -EPROTO);
		CU_ASSERT_EQUAL(refusal.status, refused[i].status);
		CU_ASSERT_PTR_NOT_NULL(refusal.reason);
		if (rc != -EPROTO || refusal.status != refused[i].status)
			fprintf(stderr, "%d %u: %s\n", rc, refusal.status, refused[i].text);
	}
}

static int
parse_text(struct http1_request *r, const char *text)
{
	struct http1_refusal refusal = {0, ""};
	int rc = parse(r, text, strlen(text), &refusal);

	if (rc != 0)
		fprintf(stderr, "%s: %s\n", refusal.reason, text);
	return rc;
}

static void
test_accepted(void)
{
	struct http1_request r;

	CU_ASSERT_EQUAL(
	    parse_text(
		&r, "GET /a?b HTTP/1.1\r\nHost: A.example:81\r\nX-One:\t two \r\nEmpty:\r\n\r\n"),
	    0);
	CU_ASSERT_TRUE(http_text_is(r.method, "GET") && http_text_is(r.target, "/a?b"));
	CU_ASSERT_STRING_EQUAL(r.authority.host, "a.example");
	CU_ASSERT_EQUAL(r.authority.port, 81);
	CU_ASSERT_TRUE(r.keep_alive && r.minor == 1 && r.body == HTTP1_BODY_NONE);
	CU_ASSERT_EQUAL_FATAL(r.n_fields, 2);
	CU_ASSERT_TRUE(http_text_is(r.fields[0].name, "x-one"));
	CU_ASSERT_TRUE(http_text_is(r.fields[0].value, "two"));
	CU_ASSERT_EQUAL(r.fields[1].value.n, 0);

	CU_ASSERT_EQUAL(parse_text(&r, "GET http://a.example/x HTTP/1.1\r\n" H "\r\n"), 0);
	CU_ASSERT_TRUE(r.absolute && !r.absolute_https && http_text_is(r.target, "/x"));
	CU_ASSERT_EQUAL(parse_text(&r, "GET https://a.example/x HTTP/1.1\r\n" H "\r\n"), 0);
	CU_ASSERT_TRUE(r.absolute_https);
	CU_ASSERT_EQUAL(parse_text(&r, "OPTIONS * HTTP/1.1\r\n" H "\r\n"), 0);

	CU_ASSERT_EQUAL(parse_text(&r, "POST / HTTP/1.1\r\n" H
				       "Content-Length: 0\r\nExpect: 100-Continue\r\nTE: "
				       "trailers\r\nConnection: TE\r\n\r\n"),
	    0);
	CU_ASSERT_TRUE(r.body == HTTP1_BODY_LENGTH && r.length == 0 && r.expect_continue);
	CU_ASSERT_EQUAL(r.n_fields, 0);
	CU_ASSERT_EQUAL(
	    parse_text(&r, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"), 0);
	CU_ASSERT_EQUAL(r.body, HTTP1_BODY_CHUNKED);

	CU_ASSERT_EQUAL(parse_text(&r, "GET / HTTP/1.0\r\n" H "\r\n"), 0);
	CU_ASSERT_FALSE(r.keep_alive);
	CU_ASSERT_EQUAL(parse_text(&r, "GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n"), 0);
	CU_ASSERT_TRUE(r.keep_alive);
	CU_ASSERT_EQUAL(
	    parse_text(&r, "GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n"), -EPROTO);
	CU_ASSERT_EQUAL(parse_text(&r, "GET / HTTP/1.1\r\n" H "Connection: ,Close,\r\n\r\n"), 0);
	CU_ASSERT_FALSE(r.keep_alive);

	CU_ASSERT_EQUAL(parse_text(&r, "GET / HTTP/1.1\r\n" H WS WS_13 WS_KEY "\r\n"), 0);
	CU_ASSERT_TRUE(r.websocket && r.n_fields == 2);
	/* An upgrade that is not served is a request without it. */
	CU_ASSERT_EQUAL(
	    parse_text(&r, "GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: "
			   "h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
	    0);
	CU_ASSERT_TRUE(!r.websocket && r.n_fields == 0);
}

static void
test_limits(void)
{
	static char text[HTTP1_HEAD_MAX + 4];
	struct http1_refusal refusal;
	struct http1_request r;
	size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" H);

	for (unsigned i = 0; i < HTTP1_FIELDS_MAX; i++)
		n += (size_t)sprintf(text + n, "X: %u\r\n", i);
	memcpy(text + n, "\r\n", 2);
	CU_ASSERT_EQUAL(parse(&r, text, n + 2, &refusal), 0);
	memcpy(text + n, "Y: 1\r\n\r\n", 8);
	CU_ASSERT_EQUAL(parse(&r, text, n + 8, &refusal), -EPROTO);
	CU_ASSERT_EQUAL(refusal.status, 431);

	n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" H "X: ");
	memset(text + n, 'x', sizeof(text) - n);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	CU_ASSERT_EQUAL(parse(&r, text, sizeof(text), &refusal), -EPROTO);
	CU_ASSERT_EQUAL(refusal.status, 431);

	/* The end is found wherever the head was cut before. */
	n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" H "\r\nrest");
	for (size_t cut = 0; cut < n - 4; cut++) {
		if (cut < n - 4)
			CU_ASSERT_EQUAL(http1_head_length(text, cut, 0), 0);
		CU_ASSERT_EQUAL(http1_head_length(text, n, cut), n - 4);
	}
}

/* ---- Chunked bodies ---- */

/* Feeds text in pieces of `step` bytes; collects the content.  Returns an event or -EPROTO. */
static int
feed(struct http1_chunked *c, const char *text, size_t n, size_t step, char *out, size_t *used)
{
	struct http1_refusal refusal;
	int event = HTTP1_CHUNKED_MORE;

	*used = 0;
	while (*used < n && event != HTTP1_CHUNKED_END) {
		size_t piece = n - *used < step ? n - *used : step, taken, data;

		event = http1_chunked_next(
		    c, (const uint8_t *)text + *used, piece, &taken, &data, &refusal);
		if (event < 0)
			return event;
		*used += taken;
		if (event != HTTP1_CHUNKED_DATA)
			continue;
		strncat(out, text + *used, data);
		http1_chunked_data(c, data);
		*used += data;
	}
	return event;
}

static void
test_chunked(void)
{
	static const struct {
		const char *text, *content;
		unsigned trailers;
	} rows[] = {
	    {"0\r\n\r\n", "", 0},
	    {"5\r\nhello\r\n0\r\n\r\n", "hello", 0},
	    {"5\r\nhello\r\n1;a=b; c=\"d\"\r\n!\r\n000\r\n\r\n", "hello!", 0},
	    {"00000A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0},
	    {"1\r\na\r\n0\r\nX-T: 1\r\nGrpc-Status: 0\r\n\r\n", "a", 2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 40; step++) {
			char out[64] = "";
			struct http1_chunked c;
			size_t used;

			http1_chunked_init(&c);
			c.trailers = NULL;
			CU_ASSERT_EQUAL(
			    feed(&c, rows[i].text, strlen(rows[i].text), step, out, &used),
			    HTTP1_CHUNKED_END);
			CU_ASSERT_EQUAL(used, strlen(rows[i].text));
			CU_ASSERT_STRING_EQUAL(out, rows[i].content);
			CU_ASSERT_EQUAL(c.n_fields, rows[i].trailers);
			http1_chunked_clear(&c);
		}
}

static void
test_chunked_refused(void)
{
	static const struct {
		const char *text;
		size_t n;
	} rows[] = {
#define ROW(text) {text, sizeof(text) - 1}
	    ROW("0x5\r\nhello\r\n"),
	    ROW("+5\r\nhello\r\n"),
	    ROW("-5\r\n"),
	    ROW(" 5\r\nhello\r\n"),
	    ROW("5 \r\nhello\r\n"),
	    ROW("5\t;a\r\nhello\r\n"),
	    ROW("5\nhello\r\n"),
	    ROW("5\r\nhello\n0\r\n"),
	    ROW("5\r\nhello0\r\n\r\n"),
	    ROW("5\r\nhello!\r\n"),
	    ROW("g\r\n"),
	    ROW("\r\n"),
	    ROW(";a\r\n"),
	    ROW("5;a\nhello\r\n"),
	    ROW("5;a\rhello"),
	    ROW("5;\0\r\n"),
	    ROW("5\rhello"),
	    ROW("10000000000000000\r\n"),
	    ROW("0000000000000005\r\nhello\r\n"),
	    ROW("0\r\n\n"),
	    ROW("0\r\nX: 1\n\r\n"),
	    ROW("0\r\nX : 1\r\n\r\n"),
	    ROW("0\r\n X: 1\r\n\r\n"),
	    ROW("0\r\nX: 1\r\n y\r\n\r\n"),
	    ROW("0\r\nContent-Length: 4\r\n\r\n"),
	    ROW("0\r\nHost: b\r\n\r\n"),
	    ROW("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	    ROW("0\r\nAuthorization: x\r\n\r\n"),
	    ROW("0\r\nX: \0\r\n\r\n"),
	    ROW("0\r\nGET / HTTP/1.1\r\n\r\n"),
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 20; step += 18) {
			char out[64] = "";
			struct http1_chunked c;
			size_t used;
			int rc;

			http1_chunked_init(&c);
			c.trailers = NULL;
			rc = feed(&c, rows[i].text, rows[i].n, step, out, &used);
			CU_ASSERT_EQUAL(rc, -EPROTO);
			if (rc != -EPROTO)
				fprintf(stderr, "chunked %zu: %s\n", i, rows[i].text);
			http1_chunked_clear(&c);
		}
}

static void
test_chunked_limits(void)
{
	static char text[HTTP1_TRAILERS_MAX + 64];
	char out[8] = "";
	struct http1_chunked c;
	size_t used, n;

	http1_chunked_init(&c);
	memset(text, 'x', sizeof(text));
	memcpy(text, "1;", 2);
	CU_ASSERT_EQUAL(feed(&c, text, 400, 400, out, &used), -EPROTO);

	http1_chunked_init(&c);
	memset(text, 'x', sizeof(text));
	memcpy(text, "0\r\n", 3);
	CU_ASSERT_EQUAL(feed(&c, text, sizeof(text), sizeof(text), out, &used), -EPROTO);
	http1_chunked_clear(&c);

	http1_chunked_init(&c);
	n = (size_t)sprintf(text, "0\r\n");
	for (unsigned i = 0; i <= HTTP1_TRAILERS; i++)
		n += (size_t)sprintf(text + n, "X: %u\r\n", i);
	n += (size_t)sprintf(text + n, "\r\n");
	CU_ASSERT_EQUAL(feed(&c, text, n, n, out, &used), -EPROTO);
	http1_chunked_clear(&c);
}

CU_TestInfo http1_tests[] = {
    {"refused", test_refused},
    {"accepted", test_accepted},
    {"limits", test_limits},
    {"chunked", test_chunked},
    {"chunked refused", test_chunked_refused},
    {"chunked limits", test_chunked_limits},
    CU_TEST_INFO_NULL,
};
