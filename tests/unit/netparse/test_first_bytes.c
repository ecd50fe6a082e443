/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection starts with: classification and the ClientHello. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netproxy/classify.h"
#include "netproxy/client_hello.h"
#include "suites.h"

static void
test_classify(void)
{
	static const struct {
		const char *bytes;
		enum classify_result result;
	} rows[] = {
	    {"GET / HTTP/1.1\r\n", CLASSIFY_HTTP1},
	    {"M-SEARCH * HTTP/1.1\r\n", CLASSIFY_HTTP1},
	    {"CONNECT a:443 HTTP/1.1\r\n", CLASSIFY_HTTP1},
	    {"G", CLASSIFY_MORE},
	    {"GET", CLASSIFY_MORE},
	    {"GET ", CLASSIFY_MORE},
	    {"PRI", CLASSIFY_MORE},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CLASSIFY_HTTP2},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", CLASSIFY_HTTP1},
	    {"\x16", CLASSIFY_MORE},
	    {"\x16\x03", CLASSIFY_MORE},
	    {"\x16\x03\x01", CLASSIFY_TLS},
	    {"\x16\x02\x01", CLASSIFY_NONE},
	    {"\x16\x03\x05", CLASSIFY_NONE},
	    {"\x80\x2e\x01\x03\x01", CLASSIFY_NONE},
	    {"SSH-2.0-OpenSSH", CLASSIFY_SSH},
	    {"SSH-1.99-x", CLASSIFY_SSH},
	    {"SSH-2", CLASSIFY_MORE},
	    {"SSH-1.5-x", CLASSIFY_NONE},
	    {"get / HTTP/1.1", CLASSIFY_NONE},
	    {" GET", CLASSIFY_NONE},
	    {"GET  /", CLASSIFY_NONE},
	    {"GET \r\n", CLASSIFY_NONE},
	    {"\r\nGET / HTTP/1.1", CLASSIFY_NONE},
	    {"EHLO\r\n", CLASSIFY_NONE},
	    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI", CLASSIFY_NONE},
	};

	CU_ASSERT_EQUAL(classify((const uint8_t *)"", 0), CLASSIFY_MORE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum classify_result r =
		    classify((const uint8_t *)rows[i].bytes, strlen(rows[i].bytes));

		CU_ASSERT_EQUAL(r, rows[i].result);
		if (r != rows[i].result)
			fprintf(stderr, "classify %s\n", rows[i].bytes);
	}
}

/* ---- ClientHello ---- */

struct hello {
	uint8_t bytes[20000];
	size_t n;
};

static void
put(struct hello *h, const void *bytes, size_t n)
{
	memcpy(h->bytes + h->n, bytes, n);
	h->n += n;
}

static void
put_number(struct hello *h, unsigned bytes, size_t v)
{
	while (bytes-- > 0)
		h->bytes[h->n++] = (uint8_t)(v >> (8 * bytes));
}

static void
put_extension(struct hello *h, unsigned type, const void *body, size_t n)
{
	put_number(h, 2, type);
	put_number(h, 2, n);
	put(h, body, n);
}

static void
put_name(struct hello *h, const char *name, size_t n)
{
	struct hello e = {.n = 0};

	put_number(&e, 2, n + 3);
	put_number(&e, 1, 0);
	put_number(&e, 2, n);
	put(&e, name, n);
	put_extension(h, 0, e.bytes, e.n);
}

/* A message with these extensions, without its records. */
static void
make_message(struct hello *out, const struct hello *extensions)
{
	uint8_t random[32] = {1};
	struct hello m = {.n = 0};

	put_number(&m, 2, 0x0303);
	put(&m, random, sizeof(random));
	put_number(&m, 1, 0);
	put_number(&m, 2, 2);
	put_number(&m, 2, 0x1301);
	put_number(&m, 1, 1);
	put_number(&m, 1, 0);
	if (extensions != NULL) {
		put_number(&m, 2, extensions->n);
		put(&m, extensions->bytes, extensions->n);
	}
	out->n = 0;
	put_number(out, 1, 1);
	put_number(out, 3, m.n);
	put(out, m.bytes, m.n);
}

static void
make_records(struct hello *out, const struct hello *message, size_t each)
{
	out->n = 0;
	for (size_t at = 0; at < message->n; at += each) {
		size_t n = message->n - at < each ? message->n - at : each;

		put_number(out, 1, 22);
		put_number(out, 2, 0x0301);
		put_number(out, 2, n);
		put(out, message->bytes + at, n);
	}
}

static uint8_t scratch[CLIENT_HELLO_MAX];

static int
parse_extensions(struct client_hello *h, const struct hello *extensions)
{
	struct hello message, records;

	make_message(&message, extensions);
	make_records(&records, &message, 16384);
	return client_hello_parse(h, records.bytes, records.n, scratch);
}

static void
test_hello(void)
{
	struct hello e = {.n = 0}, message, records;
	struct client_hello h;

	put_name(&e, "WWW.Example.org", 15);
	put_extension(&e, 16, "\0\x0c\x02h2\x08http/1.1", 14);
	put_extension(&e, 0x0a0a, "", 0);
	make_message(&message, &e);
	for (size_t each = 2; each < 200; each += 7) {
		make_records(&records, &message, each);
		for (size_t n = 0; n < records.n; n++)
			CU_ASSERT_EQUAL(
			    client_hello_parse(&h, records.bytes, n, scratch), CLIENT_HELLO_MORE);
		CU_ASSERT_EQUAL(
		    client_hello_parse(&h, records.bytes, records.n, scratch), CLIENT_HELLO_OK);
		CU_ASSERT_STRING_EQUAL(h.name, "www.example.org");
		CU_ASSERT_TRUE(h.has_name && h.has_alpn && h.alpn_h2 && h.alpn_http1);
	}
	make_records(&records, &message, 1);
	CU_ASSERT_EQUAL(
	    client_hello_parse(&h, records.bytes, records.n, scratch), -EPROTO); /* a drizzle */
	CU_ASSERT_EQUAL(parse_extensions(&h, NULL), CLIENT_HELLO_OK);
	CU_ASSERT_FALSE(h.has_name || h.has_alpn);
}

static void
test_hello_names(void)
{
	static const struct {
		const char *name;
		size_t n;
	} bad[] = {{"a.example.", 10}, {"a\0b", 3}, {"192.0.2.1", 9}, {"[::1]", 5}, {"a b", 3},
	    {"", 0}, {"a..b", 4}, {"\303\274", 2}, {"127.1", 5}};
	struct client_hello h;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hello e = {.n = 0};

		put_name(&e, bad[i].name, bad[i].n);
		CU_ASSERT_EQUAL(parse_extensions(&h, &e), -EPROTO);
	}
}

static void
test_hello_broken(void)
{
	static const struct {
		unsigned type;
		const char *body;
		size_t n;
	} bad[] = {
	    {0, "", 0},
	    {0, "\0\x04\0\0\x01", 5},
	    {0,
		"\0\x04\0\0\x01"
		"ab",
		7},
	    {0,
		"\0\x04\x01\0\x01"
		"a",
		6},
	    {0,
		"\0\x08\0\0\x01"
		"a\0\0\x01"
		"b",
		10},
	    {16, "", 0},
	    {16, "\0\x02\0a", 4},
	    {16, "\0\x03\x03h2", 5},
	    {16, "\0\x03\x02h2x", 6},
	};
	struct hello e, message, records;
	struct client_hello h;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.n = 0;
		put_extension(&e, bad[i].type, bad[i].body, bad[i].n);
		CU_ASSERT_EQUAL(parse_extensions(&h, &e), -EPROTO);
	}
	e.n = 0;
	put_name(&e, "a.example", 9);
	put_name(&e, "b.example", 9);
	CU_ASSERT_EQUAL(parse_extensions(&h, &e), -EPROTO);

	/* Lengths that lie, one byte after the other. */
	e.n = 0;
	put_name(&e, "a.example", 9);
	make_message(&message, &e);
	make_records(&records, &message, 16384);
	for (size_t i = 0; i < records.n; i++) {
		records.bytes[i] ^= 0x40;
		(void)client_hello_parse(&h, records.bytes, records.n, scratch);
		records.bytes[i] ^= 0x40;
	}
	/* A message that says more than any may be, and one followed by another. */
	records.bytes[6] = 1;
	CU_ASSERT_EQUAL(client_hello_parse(&h, records.bytes, records.n, scratch), -EPROTO);
	message.bytes[message.n++] = 1;
	make_records(&records, &message, 16384);
	CU_ASSERT_EQUAL(client_hello_parse(&h, records.bytes, records.n, scratch), -EPROTO);
	CU_ASSERT_EQUAL(client_hello_parse(&h, (const uint8_t *)"\x17", 1, scratch), -EPROTO);
	CU_ASSERT_EQUAL(
	    client_hello_parse(&h, (const uint8_t *)"\x16\x03\x01\0\0", 5, scratch), -EPROTO);
	CU_ASSERT_EQUAL(
	    client_hello_parse(&h, (const uint8_t *)"\x16\x03\x01\0\x09\x02", 6, scratch), -EPROTO);
}

CU_TestInfo first_bytes_tests[] = {
    {"classify", test_classify},
    {"hello", test_hello},
    {"hello names", test_hello_names},
    {"hello broken", test_hello_broken},
    CU_TEST_INFO_NULL,
};
