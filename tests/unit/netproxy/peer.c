/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's end of a link in memory. */
#include "peer.h"

#include <CUnit/CUnit.h>
#include <string.h>

static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 1};

static int
link_send(struct link *l, const struct link_frame *frames, unsigned n)
{
	struct peer *p = (struct peer *)l;
	unsigned i, piece;

	if (n > p->room)
		n = p->room;
	for (i = 0; i < n; i++) {
		struct sent *s = &p->sent[p->n_sent % PEER_FRAMES];

		s->n = 0;
		for (piece = 0; piece < frames[i].n; piece++) {
			const struct iovec *v = &frames[i].iov[piece];

			if (s->n + v->iov_len <= sizeof(s->bytes))
				memcpy(s->bytes + s->n, v->iov_base, v->iov_len);
			s->n += v->iov_len;
		}
		p->n_sent++;
		p->room--;
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

static const struct link_operations operations = {link_send, link_receive};

static bool
on_connect(void *context, const struct flow_addresses *a)
{
	struct peer *p = context;

	p->connected = *a;
	return !p->refuse;
}

struct seen *
peer_seen(struct peer *p, const struct flow *f)
{
	unsigned i;

	for (i = p->n_flows; i-- > 0;)
		if (p->flows[i].flow == f && !p->flows[i].closed)
			return &p->flows[i];
	return NULL;
}

static void
on_event(void *context, struct flow *f, unsigned events)
{
	struct peer *p = context;
	struct seen *s;

	if ((events & FLOW_OPENED) != 0 && p->n_flows < PEER_FLOWS)
		p->flows[p->n_flows++] = (struct seen){.flow = f};
	s = peer_seen(p, f);
	if (s == NULL)
		return;
	s->events |= events;
	if ((events & FLOW_CLOSED) != 0)
		s->error = flow_error(f);
}

static bool
on_datagram(void *context, const struct flow_addresses *a, const uint8_t *bytes, size_t n)
{
	struct peer *p = context;

	(void)bytes;
	p->datagram = *a;
	p->datagram_length = n;
	return p->take;
}

void
peer_init(struct peer *p)
{
	memset(p, 0, sizeof(*p));
	stack_config_default(&p->config);
	p->config.mtu = 1500;
	p->config.fixed_isn = true;
	p->config.isn = 0xfffffff0; /* wraps at once */
	p->link.operations = &operations;
	p->now = 1000000;
	p->room = ~0u;
	p->port = 40000;
	p->to_port = 80;
	p->seq = 0xffffff00;
	p->window = 65535;
	stack_address_from_v4(p->to, 0x5db8d822);
}

void
peer_start(struct peer *p)
{
	const struct stack_handlers h = {p, on_connect, on_event, on_datagram};

	CU_ASSERT_FATAL(stack_new(&p->stack, &p->config, &p->link, &h, p->now) == 0);
}

void
peer_stop(struct peer *p)
{
	stack_free(p->stack);
	p->stack = NULL;
}

void
peer_flush(struct peer *p)
{
	CU_ASSERT(stack_flush(p->stack, p->now) == 0);
}

void
peer_frame(struct peer *p, const uint8_t *bytes, size_t n)
{
	stack_frame(p->stack, bytes, n, p->now);
	peer_flush(p);
}

void
peer_wait(struct peer *p, uint64_t microseconds)
{
	uint64_t end = p->now + microseconds;

	while (stack_deadline(p->stack) <= end) {
		p->now = stack_deadline(p->stack);
		stack_timer(p->stack, p->now);
		peer_flush(p);
	}
	p->now = end;
}

const struct sent *
peer_next(struct peer *p)
{
	if (p->n_taken == p->n_sent)
		return NULL;
	return &p->sent[p->n_taken++ % PEER_FRAMES];
}

void
peer_forget(struct peer *p)
{
	p->n_taken = p->n_sent;
}

/* The guest's IPv6 address in the LAN. */
static void
guest6(const struct peer *p, uint8_t *out)
{
	memset(out, 0, 16);
	memcpy(out, p->config.prefix6, 8);
	out[15] = 3;
}

size_t
peer_ip(struct peer *p, uint8_t *frame, uint8_t protocol, const void *payload, size_t n)
{
	size_t header = p->v6 ? IPV6_HEADER : IPV4_HEADER;
	uint8_t *ip = frame + ETHERNET_HEADER, from[16];

	memcpy(frame, p->config.gateway_mac, 6);
	memcpy(frame + 6, guest_mac, 6);
	wire_put16(frame + 12, p->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	if (n > 0)
		memmove(ip + header, payload, n);
	if (p->v6) {
		guest6(p, from);
		ipv6_header(ip, protocol, 64, from, p->to, n);
	} else {
		wire_put32(from, p->config.guest4);
		ipv4_header(ip, protocol, from, p->to + 12, n);
	}
	return ETHERNET_HEADER + header + n;
}

static size_t
checksum_offset(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		return 16;
	case PROTOCOL_UDP:
		return 6;
	default:
		return 2;
	}
}

void
peer_sum(uint8_t *frame, size_t n)
{
	uint8_t *ip = frame + ETHERNET_HEADER;
	bool v6 = wire_get16(frame + 12) == ETHERTYPE_IPV6;
	size_t header = v6 ? IPV6_HEADER : (size_t)(ip[0] & 15) * 4,
	       length = n - ETHERNET_HEADER - header;
	uint8_t protocol = v6 ? ip[6] : ip[9], *t = ip + header;
	uint64_t sum = 0;
	uint16_t field;

	if (!v6) {
		ip[10] = ip[11] = 0;
		field = checksum_fold(checksum_add(0, ip, header));
		memcpy(ip + 10, &field, 2);
	}
	if (protocol != PROTOCOL_ICMP)
		sum = v6 ? pseudo_sum(ip + 8, ip + 24, 16, protocol, length)
			 : pseudo_sum(ip + 12, ip + 16, 4, protocol, length);
	t += checksum_offset(protocol);
	t[0] = t[1] = 0;
	field = checksum_fold(checksum_add(sum, ip + header, length));
	memcpy(t, &field, 2);
}

size_t
peer_tcp(struct peer *p, uint8_t *frame, uint8_t flags, const void *options, size_t n_options,
    const void *data, size_t n)
{
	uint8_t segment[2048] = {0};
	size_t length = 20 + n_options + n;

	wire_put16(segment, p->port);
	wire_put16(segment + 2, p->to_port);
	wire_put32(segment + 4, p->seq);
	wire_put32(segment + 8, (flags & TCP_ACK) != 0 ? p->ack : 0);
	segment[12] = (uint8_t)((20 + n_options) / 4 << 4);
	segment[13] = flags;
	wire_put16(segment + 14, (uint16_t)p->window);
	if (n_options > 0)
		memcpy(segment + 20, options, n_options);
	if (n > 0)
		memcpy(segment + 20 + n_options, data, n);
	length = peer_ip(p, frame, PROTOCOL_TCP, segment, length);
	peer_sum(frame, length);
	return length;
}

static size_t
put_ts(const struct peer *p, uint8_t *o)
{
	if (p->ts == 0)
		return 0;
	o[0] = o[1] = 1;
	o[2] = 8;
	o[3] = 10;
	wire_put32(o + 4, p->ts);
	wire_put32(o + 8, p->ts_echo);
	return 12;
}

void
peer_send(struct peer *p, uint8_t flags, const void *data, size_t n)
{
	uint8_t frame[2048], options[12];
	size_t n_options = put_ts(p, options);

	n = peer_tcp(p, frame, flags, options, n_options, data, n);
	peer_frame(p, frame, n);
}

static bool
frame_sums_right(const struct sent *s)
{
	uint8_t copy[sizeof(s->bytes)];

	memcpy(copy, s->bytes, s->n);
	peer_sum(copy, s->n);
	return memcmp(copy, s->bytes, s->n) == 0;
}

struct reply
peer_reply(struct peer *p)
{
	struct reply r = {0};
	const struct sent *s;
	const uint8_t *ip, *t;
	bool v6;

	while ((s = peer_next(p)) != NULL) {
		ip = s->bytes + ETHERNET_HEADER;
		v6 = wire_get16(s->bytes + 12) == ETHERTYPE_IPV6;
		if (s->n > sizeof(s->bytes) || (v6 ? ip[6] : ip[9]) != PROTOCOL_TCP)
			continue;
		t = ip + (v6 ? IPV6_HEADER : IPV4_HEADER);
		r.valid = frame_sums_right(s);
		r.seq = wire_get32(t + 4);
		r.ack = wire_get32(t + 8);
		r.flags = t[13];
		r.window = wire_get16(t + 14);
		r.options = t + 20;
		r.n_options = (size_t)(t[12] >> 4) * 4 - 20;
		r.data = r.options + r.n_options;
		r.n = (size_t)(s->bytes + s->n - r.data);
		CU_ASSERT(tcp_options_parse(
			      &r.parsed, r.options, r.n_options, (r.flags & TCP_SYN) != 0) == 0);
		break;
	}
	return r;
}

struct flow *
peer_open(struct peer *p)
{
	uint8_t frame[2048], options[24] = {2, 4, 0x05, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1};
	size_t n = 12 + put_ts(p, options + 12);
	unsigned before = p->n_flows;
	struct reply r;

	n = peer_tcp(p, frame, TCP_SYN, options, n, NULL, 0);
	peer_forget(p);
	peer_frame(p, frame, n);
	r = peer_reply(p);
	CU_ASSERT_FATAL(r.valid && r.flags == (TCP_SYN | TCP_ACK) && r.ack == p->seq + 1);
	p->seq++;
	p->ack = r.seq + 1;
	p->ts_echo = r.parsed.ts_value;
	peer_send(p, TCP_ACK, NULL, 0);
	CU_ASSERT_FATAL(p->n_flows == before + 1);
	return p->flows[before].flow;
}
