/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sequence of frames of the guest against one stack, with an application that reads and writes.
 *
 * The input is a list of steps: one byte says what to do, two bytes a length n (little-endian),
 * then n bytes.  Checksums are put right, the addresses that every test of the outer layers would
 * stop at are filled in, and TCP numbers can be taken relative to what the stack last sent: so the
 * fuzzer reaches the states behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "netproxy/stack_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME_MAX 1600u
#define STEPS_MAX 400u

enum step {
	STEP_RAW,      /* the bytes are a frame */
	STEP_REPAIRED, /* likewise, addresses and checksums put right */
	STEP_TCP,      /* the bytes are a TCP segment; numbers relative to the flow's */
	STEP_WAIT,     /* time passes */
	STEP_APPLICATION,
	STEP_LINK, /* the link takes so many frames more */
	STEPS,
};

struct fuzz {
	struct link link;
	struct stack *stack;
	uint64_t now;
	unsigned room;
	struct flow *flows[16];
	uint32_t seq, ack; /* what the guest would use next, of the flow heard last */
	bool known;
};

/* Remembers the numbers of what the stack sent, and checks that it can be parsed. */
static void
look(struct fuzz *z, const struct link_frame *frame)
{
	const uint8_t *p = frame->iov[0].iov_base;
	const uint8_t *t = p + ETHERNET_HEADER + IPV4_HEADER;

	if (frame->iov[0].iov_len < ETHERNET_HEADER)
		abort();
	if (wire_get16(p + 12) != ETHERTYPE_IPV4 || p[23] != PROTOCOL_TCP)
		return;
	z->ack = wire_get32(t + 4) + ((t[13] & (TCP_SYN | TCP_FIN)) != 0);
	z->seq = wire_get32(t + 8);
	z->known = true;
}

static int
link_send(struct link *l, const struct link_frame *frames, unsigned n)
{
	struct fuzz *z = (struct fuzz *)l;
	unsigned i, piece;
	uint8_t copy[STACK_MTU_MAX + ETHERNET_HEADER];
	size_t size;

	if (n > z->room)
		n = z->room;
	z->room -= n;
	for (i = 0; i < n; i++) {
		look(z, &frames[i]);
		/* Reads every byte, so that a sanitizer sees a piece that is gone. */
		for (piece = 0, size = 0; piece < frames[i].n; piece++) {
			memcpy(copy + size, frames[i].iov[piece].iov_base,
			    frames[i].iov[piece].iov_len);
			size += frames[i].iov[piece].iov_len;
		}
		if (size > 1514)
			abort();
	}
	return (int)n;
}

static int
link_receive(struct link *l, struct link_received *frames, unsigned n)
{
	(void)l;
	(void)frames;
	(void)n;
	return 0;
}

static bool
on_connect(void *context, const struct flow_addresses *a)
{
	(void)context;
	return a->destination.port != 1;
}

static void
on_event(void *context, struct flow *f, unsigned events)
{
	struct fuzz *z = context;
	struct iovec iov[2];
	unsigned i, pieces;

	for (i = 0; (events & FLOW_OPENED) != 0 && i < 16; i++)
		if (z->flows[i] == NULL) {
			z->flows[i] = f;
			break;
		}
	if ((events & FLOW_OPENED) != 0 && i == 16) {
		flow_abort(f);
		return;
	}
	if ((events & FLOW_READABLE) != 0)
		flow_consume(f, flow_peek(f, iov, &pieces) / 2);
	if ((events & FLOW_CLOSED) == 0)
		return;
	for (i = 0; i < 16; i++)
		if (z->flows[i] == f)
			z->flows[i] = NULL;
	flow_close(f);
}

static bool
on_datagram(void *context, const struct flow_addresses *a, const uint8_t *bytes, size_t n)
{
	struct fuzz *z = context;

	if (a->destination.port != 53)
		return false;
	stack_datagram(z->stack, a, bytes, n);
	return true;
}

/* ---- Frames ---- */

static void
sums(uint8_t *f, size_t n)
{
	uint8_t *ip = f + ETHERNET_HEADER, *t, protocol;
	bool v6 = wire_get16(f + 12) == ETHERTYPE_IPV6;
	size_t header = v6 ? IPV6_HEADER : IPV4_HEADER, length, at;
	uint64_t sum;
	uint16_t field;

	if (n < ETHERNET_HEADER + header + 8)
		return;
	t = ip + header;
	length = n - ETHERNET_HEADER - header;
	protocol = v6 ? ip[6] : ip[9];
	if (v6) {
		wire_put16(ip + 4, (uint16_t)length);
	} else {
		ip[0] = 0x45;
		wire_put16(ip + 2, (uint16_t)(length + header));
		ip[10] = ip[11] = 0;
		field = checksum_fold(checksum_add(0, ip, header));
		memcpy(ip + 10, &field, 2);
	}
	sum = v6 ? pseudo_sum(ip + 8, ip + 24, 16, protocol, length)
		 : pseudo_sum(ip + 12, ip + 16, 4, protocol, length);
	if (protocol == PROTOCOL_ICMP)
		sum = 0;
	if (protocol == PROTOCOL_UDP)
		wire_put16(t + 4, (uint16_t)length);
	at = protocol == PROTOCOL_TCP ? 16 : protocol == PROTOCOL_UDP ? 6 : 2;
	if (length < at + 2)
		return;
	t[at] = t[at + 1] = 0;
	field = checksum_fold(checksum_add(sum, t, length));
	memcpy(t + at, &field, 2);
}

static void
repaired(struct fuzz *z, uint8_t *f, size_t n)
{
	static const uint8_t addresses[12] = {0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd, 2, 0, 0, 0, 0, 1};

	if (n < ETHERNET_HEADER)
		return;
	memcpy(f, addresses, 12);
	if (n >= ETHERNET_HEADER + IPV4_HEADER && wire_get16(f + 12) == ETHERTYPE_IPV4 &&
	    wire_get32(f + 26) != 0)
		wire_put32(f + 26, 0xc0a87f03);
	sums(f, n);
	stack_frame(z->stack, f, n, z->now);
}

static uint32_t
stepped(uint32_t from, const uint8_t *p)
{
	int32_t by = (int16_t)wire_get16(p);

	return from + (uint32_t)by;
}

/* The bytes: port, numbers as signed 16-bit steps from what is expected, flags, window, the rest.
 */
static void
segment(struct fuzz *z, const uint8_t *p, size_t n)
{
	uint8_t f[FRAME_MAX] = {0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};
	uint8_t *t = f + ETHERNET_HEADER + IPV4_HEADER;

	if (n < 9 || n > 1400)
		return;
	f[22] = 64;
	f[23] = PROTOCOL_TCP;
	wire_put32(f + 26, 0xc0a87f03);
	wire_put32(f + 30, 0x01020300u | (p[0] & 3));
	wire_put16(t, (uint16_t)(1000 + (p[0] >> 2 & 3)));
	wire_put16(t + 2, 80);
	wire_put32(t + 4, stepped(z->seq, p + 1));
	wire_put32(t + 8, stepped(z->ack, p + 3));
	t[12] = (uint8_t)(p[5] | 0x50);
	t[13] = p[6];
	wire_put16(t + 14, wire_get16(p + 7));
	memcpy(t + 20, p + 9, n - 9);
	n += ETHERNET_HEADER + IPV4_HEADER + 20 - 9;
	sums(f, n);
	stack_frame(z->stack, f, n, z->now);
}

static void
application(struct fuzz *z, const uint8_t *p, size_t n)
{
	struct flow *f;
	struct iovec iov[2];
	unsigned pieces;

	if (n < 2 || (f = z->flows[p[0] & 15]) == NULL)
		return;
	switch (p[1] & 7) {
	case 0:
		flow_shutdown(f);
		break;
	case 1:
		flow_close(f);
		z->flows[p[0] & 15] = NULL;
		break;
	case 2:
		flow_abort(f);
		z->flows[p[0] & 15] = NULL;
		break;
	case 3:
		flow_consume(f, flow_peek(f, iov, &pieces));
		break;
	default:
		flow_write(f, p, n);
	}
}

static void
step(struct fuzz *z, enum step what, const uint8_t *p, size_t n)
{
	uint8_t f[FRAME_MAX] = {0};

	if (n <= sizeof(f))
		memcpy(f, p, n);
	if (what == STEP_RAW)
		stack_frame(z->stack, p, n, z->now);
	else if (what == STEP_REPAIRED && n <= sizeof(f))
		repaired(z, f, n);
	else if (what == STEP_TCP)
		segment(z, p, n);
	else if (what == STEP_WAIT)
		z->now += n * n * n * 1000;
	else if (what == STEP_APPLICATION)
		application(z, p, n);
	else if (what == STEP_LINK)
		z->room = n > 0 ? p[0] : 1u << 30;
	stack_timer(z->stack, z->now);
	stack_flush(z->stack, z->now);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_operations operations = {link_send, link_receive};
	struct fuzz z = {.link = {&operations, 0}, .now = 1000000, .room = 1u << 30};
	const struct stack_handlers h = {&z, on_connect, on_event, on_datagram};
	struct stack_config c;
	unsigned steps;
	size_t n;

	stack_config_default(&c);
	c.mtu = 1500;
	c.flows_max = 32;
	c.half_open_max = 8;
	c.time_wait_max = 4;
	c.buffers_max = 256 * 1024;
	c.fixed_isn = true;
	c.isn = 0xfffffe00;
	if (stack_new(&z.stack, &c, &z.link, &h, z.now) != 0)
		abort();
	for (steps = 0; size >= 3 && steps < STEPS_MAX; steps++) {
		n = (size_t)data[1] | (size_t)data[2] << 8;
		if (n > size - 3)
			n = size - 3;
		step(&z, data[0] % STEPS, data + 3, n);
		data += 3 + n;
		size -= 3 + n;
	}
	stack_free(z.stack);
	return 0;
}
