/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages and the table of synthetic addresses. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netproxy/dns.h"
#include "netproxy/synthetic.h"
#include "suites.h"

#define ID_RD     "\x12\x34\x01\x00"
#define ONE       "\0\1\0\0\0\0\0\0"
#define ONE_OPT   "\0\1\0\0\0\0\0\1"
#define A_EXAMPLE "\1a\7example\0"
#define TYPE_A    "\0\1\0\1"
#define OPT       "\0\0\x29\x10\0\0\0\0\0\0\0"

static const struct {
	int rcode;
	const char *bytes;
	size_t n;
} rows[] = {
#define ROW(rcode, bytes)                       \
	{                                       \
		rcode, bytes, sizeof(bytes) - 1 \
	}
    ROW(DNS_NOERROR, ID_RD ONE A_EXAMPLE TYPE_A),
    ROW(DNS_NOERROR, ID_RD ONE_OPT A_EXAMPLE TYPE_A OPT),
    ROW(DNS_NOERROR, ID_RD ONE "\0" TYPE_A),
    /* no query at all */
    ROW(-EPROTO, "\x12\x34\x01\x00\0\1"),
    ROW(-EPROTO, "\x12\x34\x81\x00" ONE A_EXAMPLE TYPE_A),
    /* other operations, classes and versions */
    ROW(DNS_NOTIMP, "\x12\x34\x28\x00" ONE A_EXAMPLE TYPE_A),
    ROW(DNS_NOTIMP, ID_RD ONE A_EXAMPLE "\0\1\0\3"),
    ROW(DNS_BADVERS, ID_RD ONE_OPT A_EXAMPLE TYPE_A "\0\0\x29\x10\0\0\1\0\0\0\0"),
    /* counts */
    ROW(DNS_FORMERR, ID_RD "\0\0\0\0\0\0\0\0"),
    ROW(DNS_FORMERR, ID_RD "\0\2\0\0\0\0\0\0" A_EXAMPLE TYPE_A A_EXAMPLE TYPE_A),
    ROW(DNS_FORMERR, ID_RD "\0\1\0\1\0\0\0\0" A_EXAMPLE TYPE_A),
    ROW(DNS_FORMERR, ID_RD "\0\1\0\0\0\0\0\2" A_EXAMPLE TYPE_A OPT OPT),
    ROW(DNS_FORMERR, ID_RD ONE_OPT A_EXAMPLE TYPE_A),
    /* names: pointers, long labels, no end */
    ROW(DNS_FORMERR, ID_RD ONE "\xc0\x0c" TYPE_A),
    ROW(DNS_FORMERR, ID_RD ONE "\1a\xc0\x0c" TYPE_A),
    ROW(DNS_FORMERR,
	ID_RD ONE "\x40"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0" TYPE_A),
    ROW(DNS_FORMERR, ID_RD ONE "\7exam"),
    ROW(DNS_FORMERR, ID_RD ONE A_EXAMPLE "\0\1"),
    /* bytes after the message */
    ROW(DNS_FORMERR, ID_RD ONE A_EXAMPLE TYPE_A "x"),
    ROW(DNS_FORMERR, ID_RD ONE_OPT A_EXAMPLE TYPE_A OPT "x"),
    ROW(DNS_FORMERR, ID_RD ONE_OPT A_EXAMPLE TYPE_A "\0\0\x29\x10\0\0\0\0\0\0\x05"),
    ROW(DNS_FORMERR, ID_RD ONE_OPT A_EXAMPLE TYPE_A "\1a\0\0\x29\x10\0\0\0\0\0\0\0"),
#undef ROW
};

static void
test_queries(void)
{
	struct dns_query q;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rcode = dns_query_parse(&q, (const uint8_t *)rows[i].bytes, rows[i].n);

		CU_ASSERT_EQUAL(rcode, rows[i].rcode);
		if (rcode != rows[i].rcode)
			fprintf(stderr, "dns row %zu: %d\n", i, rcode);
	}
}

static void
test_names(void)
{
	static const struct {
		const char *question;
		size_t n;
		const char *name; /* NULL: no host name */
	} names[] = {
	    {"\1A\7eXample\0\0\1\0\1", 15, "a.example"},
	    {"\1_\7example\0\0\1\0\1", 15, "_.example"},
	    {"\3a.b\0\0\1\0\1", 9, NULL},
	    {"\3a\0b\0\0\1\0\1", 9, NULL},
	    {"\3a b\0\0\1\0\1", 9, NULL},
	    {"\2-b\0\0\1\0\1", 8, NULL},
	    {"\2\303\274\0\0\1\0\1", 8, NULL},
	    {"\0\0\1\0\1", 5, NULL},
	};
	uint8_t bytes[300];
	struct dns_query q;

	memcpy(bytes, ID_RD ONE, 12);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		memcpy(bytes + 12, names[i].question, names[i].n);
		CU_ASSERT_EQUAL(dns_query_parse(&q, bytes, 12 + names[i].n), DNS_NOERROR);
		CU_ASSERT_EQUAL(q.host, names[i].name != NULL);
		CU_ASSERT_STRING_EQUAL(q.name, names[i].name != NULL ? names[i].name : "");
	}
	/* The longest name, and one label more. */
	for (unsigned labels = 126; labels <= 128; labels++) {
		size_t n = 12;

		for (unsigned i = 0; i < labels; i++) {
			bytes[n++] = 1;
			bytes[n++] = 'a';
		}
		memcpy(bytes + n, "\0\0\1\0\1", 5);
		CU_ASSERT_EQUAL(
		    dns_query_parse(&q, bytes, n + 5), labels <= 127 ? DNS_NOERROR : DNS_FORMERR);
	}
}

static void
test_answers(void)
{
	static const uint8_t query[] = ID_RD ONE_OPT A_EXAMPLE "\0\x1c\0\1" OPT;
	struct dns_answer a = {.rcode = DNS_NOERROR, .ttl = 60, .n = 2};
	struct dns_query q;
	uint8_t out[DNS_UDP_MAX];
	size_t n, question = 11 + 4;

	CU_ASSERT_EQUAL(dns_query_parse(&q, query, sizeof(query) - 1), DNS_NOERROR);
	CU_ASSERT_EQUAL(q.udp_size, 4096);
	a.addresses[0][0] = 0xfd;
	n = dns_answer_write(&q, &a, out, sizeof(out));
	CU_ASSERT_EQUAL(n, 12 + question + 2 * 28 + 11);
	CU_ASSERT_EQUAL(memcmp(out, "\x12\x34\x81\x80\0\1\0\2\0\0\0\1", 12), 0);
	CU_ASSERT_EQUAL(memcmp(out + 12, query + 12, question), 0);
	CU_ASSERT_EQUAL(
	    memcmp(out + 12 + question, "\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10\xfd", 13), 0);
	/* HTTPS: nothing of it; refused: likewise; too many: cut. */
	q.type = DNS_HTTPS;
	n = dns_answer_write(&q, &a, out, sizeof(out));
	CU_ASSERT_EQUAL(n, 12 + question + 11);
	CU_ASSERT_EQUAL(out[3] & 0xf, DNS_NOERROR);
	q.type = DNS_AAAA;
	a.rcode = DNS_REFUSED;
	n = dns_answer_write(&q, &a, out, sizeof(out));
	CU_ASSERT_EQUAL(n, 12 + question + 11);
	CU_ASSERT_EQUAL(out[3] & 0xf, DNS_REFUSED);
	a.rcode = DNS_BADVERS;
	n = dns_answer_write(&q, &a, out, sizeof(out));
	CU_ASSERT_EQUAL(out[n - 6], 1);
	a.rcode = DNS_NOERROR;
	a.n = DNS_ADDRESSES;
	n = dns_answer_write(&q, &a, out, 300);
	CU_ASSERT_TRUE(n <= 300 && (out[2] & 2) != 0);
	q.edns = false;
	q.question = NULL;
	a.rcode = DNS_FORMERR;
	CU_ASSERT_EQUAL(dns_answer_write(&q, &a, out, sizeof(out)), 12);
}

static void
test_synthetic(void)
{
	static const uint8_t prefix[8] = {0xfd, 1, 2, 3, 4, 5, 0xff, 0xff},
			     key[SIPHASH_KEY_SIZE] = {7};
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};
	struct synthetic_addresses a, b;
	struct synthetic *s;
	char name[32];
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(synthetic_new(&s, prefix, key), 0);
	CU_ASSERT_EQUAL(synthetic_assign(s, "a.example", &a), 0);
	for (i = 1; i < SYNTHETIC_NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		if (synthetic_assign(s, name, &b) != 0)
			break;
		memcpy(address + 12, b.v4, 4);
		CU_ASSERT_STRING_EQUAL(synthetic_name(s, address), name);
		CU_ASSERT_STRING_EQUAL(synthetic_name(s, b.v6), name);
	}
	CU_ASSERT_EQUAL(i, SYNTHETIC_NAMES);
	CU_ASSERT_EQUAL(synthetic_assign(s, "more.example", &b), -ENOSPC);
	CU_ASSERT_EQUAL(synthetic_assign(s, "a.example", &b), 0);
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	CU_ASSERT_EQUAL(memcmp(a.v4, "\xc6\x12\0\1", 4), 0);

	/* Addresses of the ranges that were never given out, and others. */
	memcpy(address + 12, "\xc6\x12\0\0", 4);
	CU_ASSERT_PTR_NULL(synthetic_name(s, address));
	CU_ASSERT_TRUE(synthetic_contains(s, address));
	memcpy(address + 12, "\xc6\x13\xff\xff", 4);
	CU_ASSERT_PTR_NULL(synthetic_name(s, address));
	memcpy(address + 12, "\xc6\x14\0\1", 4);
	CU_ASSERT_FALSE(synthetic_contains(s, address));
	b.v6[8] = 1;
	CU_ASSERT_PTR_NULL(synthetic_name(s, b.v6));
	CU_ASSERT_TRUE(synthetic_contains(s, b.v6));
	synthetic_free(s);
	synthetic_free(NULL);
}

static void
test_synthetic_bytes(void)
{
	static const uint8_t prefix[8] = {0xfd}, key[SIPHASH_KEY_SIZE] = {7};
	struct synthetic_addresses a;
	struct synthetic *s;
	char name[254];
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(synthetic_new(&s, prefix, key), 0);
	memset(name, 'a', sizeof(name));
	for (i = 0; i < SYNTHETIC_NAMES; i++) {
		(void)snprintf(name, 16, "%015u", i);
		name[15] = 'a';
		name[253] = '\0';
		if (synthetic_assign(s, name, &a) != 0)
			break;
	}
	CU_ASSERT_EQUAL(i, SYNTHETIC_BYTES / 254);
	synthetic_free(s);
}

CU_TestInfo dns_tests[] = {
    {"queries", test_queries},
    {"names", test_names},
    {"answers", test_answers},
    {"synthetic", test_synthetic},
    {"synthetic bytes", test_synthetic_bytes},
    CU_TEST_INFO_NULL,
};
