/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP: the lease, and what is refused. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "netproxy/dhcp.h"
#include "peer.h"
#include "suites.h"

static struct peer peer;

/* A client's message; options are added with their end. */
static size_t
message(uint8_t *m, const void *options, size_t n)
{
	memset(m, 0, 240);
	m[0] = 1;
	m[1] = 1;
	m[2] = 6;
	wire_put32(m + 4, 0xdeadbeef);
	memcpy(m + 28, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	wire_put32(m + 236, 0x63825363);
	memcpy(m + 240, options, n);
	return 240 + n;
}

static size_t
frame(uint8_t *f, const uint8_t *m, size_t n, uint32_t from, uint32_t to)
{
	uint8_t u[1400] = {0, 68, 0, 67};

	wire_put16(u + 4, (uint16_t)(8 + n));
	memcpy(u + 8, m, n);
	n = peer_ip(&peer, f, PROTOCOL_UDP, u, 8 + n);
	if (to == ~0u)
		memset(f, 0xff, 6);
	wire_put32(f + 26, from);
	wire_put32(f + 30, to);
	peer_sum(f, n);
	return n;
}

/* The value of an option of an answer, or NULL. */
static const uint8_t *
option(const struct sent *s, uint8_t code, uint8_t *length)
{
	const uint8_t *p = s->bytes + 42 + 240, *end = s->bytes + s->n;

	for (; p + 2 <= end && *p != 255; p += 2 + p[1])
		if (*p == code) {
			*length = p[1];
			return p + 2;
		}
	return NULL;
}

static const struct sent *
ask(const void *options, size_t n, uint32_t from)
{
	uint8_t m[600], f[1500];

	n = message(m, options, n);
	peer_forget(&peer);
	peer_frame(&peer, f, frame(f, m, n, from, ~0u));
	return peer_next(&peer);
}

static void
expect32(const struct sent *s, uint8_t code, uint32_t value)
{
	const uint8_t *v;
	uint8_t n = 0;

	v = option(s, code, &n);
	CU_ASSERT_FATAL(v != NULL && n == 4);
	CU_ASSERT(wire_get32(v) == value);
}

static void
test_lease(void)
{
	const uint8_t discover[] = {53, 1, 1, 61, 3, 1, 2, 3, 55, 2, 1, 3, 0, 0, 255, 0, 0};
	const uint8_t request[] = {53, 1, 3, 50, 4, 192, 168, 127, 3, 54, 4, 192, 168, 127, 1, 255};
	const struct sent *s;
	const uint8_t *v;
	uint8_t n = 0;

	peer_init(&peer);
	peer.config.mtu = 65520;
	peer_start(&peer);
	s = ask(discover, sizeof(discover), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(wire_get32(s->bytes + 42 + 4) == 0xdeadbeef);
	CU_ASSERT(wire_get32(s->bytes + 42 + 16) == peer.config.guest4);
	v = option(s, 53, &n);
	CU_ASSERT(v != NULL && v[0] == DHCP_OFFER);
	v = option(s, 26, &n);
	CU_ASSERT_FATAL(v != NULL && n == 2);
	CU_ASSERT(wire_get16(v) == 65520);
	expect32(s, 1, 0xffffff00);
	expect32(s, 3, peer.config.gateway4);
	expect32(s, 6, peer.config.gateway4);
	expect32(s, 54, peer.config.gateway4);
	expect32(s, 28, 0xc0a87fff);
	v = option(s, 61, &n);
	CU_ASSERT(v != NULL && n == 3 && memcmp(v, "\1\2\3", 3) == 0);
	s = ask(request, sizeof(request), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	v = option(s, 53, &n);
	CU_ASSERT(v != NULL && v[0] == DHCP_ACK);
	peer_stop(&peer);
}

static void
test_other_requests(void)
{
	const uint8_t wrong[] = {53, 1, 3, 50, 4, 192, 168, 127, 9, 255};
	const uint8_t other[] = {53, 1, 3, 50, 4, 192, 168, 127, 3, 54, 4, 10, 0, 0, 1, 255};
	const uint8_t inform[] = {53, 1, 8, 255}, release[] = {53, 1, 7, 255};
	const uint8_t renew[] = {53, 1, 3, 255};
	uint8_t m[600], f[1500], n = 0;
	const struct sent *s;
	const uint8_t *v;
	size_t size;

	peer_init(&peer);
	peer_start(&peer);
	s = ask(wrong, sizeof(wrong), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	v = option(s, 53, &n);
	CU_ASSERT(v != NULL && v[0] == DHCP_NAK && wire_get32(s->bytes + 30) == ~0u);
	CU_ASSERT(wire_get32(s->bytes + 42 + 16) == 0);
	CU_ASSERT(ask(other, sizeof(other), 0) == NULL);
	CU_ASSERT(ask(release, sizeof(release), 0) == NULL);
	size = message(m, inform, sizeof(inform));
	wire_put32(m + 12, peer.config.guest4);
	peer_frame(&peer, f, frame(f, m, size, peer.config.guest4, peer.config.gateway4));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(option(s, 51, &n) == NULL && wire_get32(s->bytes + 42 + 16) == 0);
	size = message(m, renew, sizeof(renew));
	wire_put32(m + 12, peer.config.guest4);
	m[10] = 0x80;
	peer_frame(&peer, f, frame(f, m, size, peer.config.guest4, peer.config.gateway4));
	s = peer_next(&peer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	v = option(s, 53, &n);
	CU_ASSERT(v != NULL && v[0] == DHCP_ACK);
	CU_ASSERT(wire_get32(s->bytes + 30) == peer.config.guest4);
	peer_stop(&peer);
}

struct bad {
	const char *what;
	size_t at; /* of the fixed part, 0 = none */
	uint8_t value;
	uint8_t options[12];
	size_t n;
};

static const struct bad bads[] = {
    {"an answer", 0, 2, {53, 1, 1, 255}, 4},
    {"token ring", 1, 6, {53, 1, 1, 255}, 4},
    {"address of 8 bytes", 2, 8, {53, 1, 1, 255}, 4},
    {"a hop", 3, 1, {53, 1, 1, 255}, 4},
    {"a relay", 24, 10, {53, 1, 1, 255}, 4},
    {"wrong cookie", 236, 1, {53, 1, 1, 255}, 4},
    {"no type", 1, 1, {12, 1, 'x', 255}, 4},
    {"no options", 1, 1, {255}, 1},
    {"no end", 1, 1, {53, 1, 1}, 3},
    {"nothing", 1, 1, {0}, 0},
    {"length past the end", 1, 1, {53, 9, 1, 255}, 4},
    {"no length", 1, 1, {53, 1, 1, 12}, 4},
    {"type of two bytes", 1, 1, {53, 2, 1, 1, 255}, 5},
    {"type twice", 1, 1, {53, 1, 1, 53, 1, 3, 255}, 7},
    {"any option twice", 1, 1, {53, 1, 1, 12, 0, 12, 0, 255}, 8},
    {"type of a server", 1, 1, {53, 1, 2, 255}, 4},
    {"type 0", 1, 1, {53, 1, 0, 255}, 4},
    {"type 9", 1, 1, {53, 1, 9, 255}, 4},
    {"type 255", 1, 1, {53, 1, 255, 255}, 4},
    {"overload", 1, 1, {53, 1, 1, 52, 1, 3, 255}, 7},
    {"requested of 3 bytes", 1, 1, {53, 1, 3, 50, 3, 1, 2, 3, 255}, 9},
    {"server of 0 bytes", 1, 1, {53, 1, 3, 54, 0, 255}, 6},
    {"client id of 1 byte", 1, 1, {53, 1, 1, 61, 1, 1, 255}, 7},
};

static void
test_refused(void)
{
	struct dhcp_message parsed;
	uint8_t m[600];
	unsigned i;
	size_t n;

	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		n = message(m, bads[i].options, bads[i].n);
		m[bads[i].at] = bads[i].value;
		CU_ASSERT(dhcp_parse(&parsed, m, n) == -EPROTO);
	}
	n = message(m, (const uint8_t[]){53, 1, 1, 255}, 4);
	CU_ASSERT(dhcp_parse(&parsed, m, n) == 0);
	while (n-- > 0)
		CU_ASSERT(dhcp_parse(&parsed, m, n) == -EPROTO);
}

static void
test_refused_frames(void)
{
	struct stack_counters c;
	uint8_t m[600], f[1500];
	size_t size, n;

	peer_init(&peer);
	peer_start(&peer);
	size = message(m, (const uint8_t[]){53, 1, 1, 255}, 4);
	n = frame(f, m, size, 0, ~0u);
	f[200] ^= 1;
	peer_frame(&peer, f, n);
	n = frame(f, m, size, 0, ~0u);
	wire_put16(f + 38, 20);
	peer_sum(f, n);
	peer_frame(&peer, f, n);
	m[33] = 9; /* not the frame's sender */
	n = frame(f, m, size, 0, ~0u);
	peer_frame(&peer, f, n);
	stack_counters(peer.stack, &c);
	CU_ASSERT(c.dhcp_malformed == 3 && c.checksum == 1);
	n = frame(f, m, size, 0x0a000001, ~0u);
	peer_frame(&peer, f, n);
	stack_counters(peer.stack, &c);
	CU_ASSERT(c.spoofed == 1);
	CU_ASSERT(peer_next(&peer) == NULL);
	peer_stop(&peer);
}

CU_TestInfo dhcp_tests[] = {
    {"a lease with its MTU", test_lease},
    {"other requests", test_other_requests},
    {"messages refused", test_refused},
    {"frames refused", test_refused_frames},
    CU_TEST_INFO_NULL,
};
