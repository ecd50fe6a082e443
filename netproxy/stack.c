/* SPDX-License-Identifier: Apache-2.0 */
/* The stack as a whole: configuration, and the three calls that drive it. */
#include "netproxy/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/stack_internal.h"

#define RINGS_KEPT   (2u * 1024 * 1024)
#define BUFFER_LEAST (64u * 1024)
#define BUFFER_MOST  (4u * 1024 * 1024)

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void
stack_address_from_v4(uint8_t out[16], uint32_t v4)
{
	memcpy(out, mapped_prefix, sizeof(mapped_prefix));
	wire_put32(out + 12, v4);
}

bool
stack_address_is_v4(const uint8_t address[16])
{
	return memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

uint32_t
stack_address_to_v4(const uint8_t address[16])
{
	return wire_get32(address + 12);
}

void
stack_config_default(struct stack_config *c)
{
	*c = (struct stack_config){
	    .mtu = STACK_MTU_MAX,
	    .gateway_mac = {0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd},
	    .gateway4 = 0xc0a87f01, /* 192.168.127.1 */
	    .guest4 = 0xc0a87f03,
	    .prefix4 = 24,
	    .prefix6 = {0xfd, 0x67, 0x6f, 0x6e, 0x64, 0x6f, 0x00, 0x01},
	    .flows_max = 4096,
	    .half_open_max = 1024, /* a burst of a browser or a crawler is no attack */
	    .time_wait_max = 1024,
	    .buffers_max = 32u * 1024 * 1024,
	    .receive_max = 1024 * 1024,
	    .send_max = 1024 * 1024,
	    .keepalive_idle_s = 600,
	    .keepalive_interval_s = 30,
	    .keepalive_probes = 5,
	    .time_wait_ms = 10000,
	};
}

static bool
addresses_valid(const struct stack_config *c)
{
	uint32_t mask;

	if (c->prefix4 < 8 || c->prefix4 > 30)
		return false;
	mask = ~(uint32_t)0 << (32 - c->prefix4);
	if (((c->gateway4 ^ c->guest4) & mask) != 0 || c->gateway4 == c->guest4)
		return false;
	if ((c->gateway4 & ~mask) == 0 || (c->gateway4 | mask) == ~(uint32_t)0)
		return false;
	if ((c->guest4 & ~mask) == 0 || (c->guest4 | mask) == ~(uint32_t)0)
		return false;
	return (c->prefix6[0] & 0xfe) == 0xfc && (c->gateway_mac[0] & 1) == 0;
}

static bool
config_valid(const struct stack_config *c)
{
	return c->mtu >= STACK_MTU_MIN && c->mtu <= STACK_MTU_MAX && addresses_valid(c) &&
	       c->flows_max >= 1 && c->flows_max <= 1u << 20 && c->half_open_max >= 1 &&
	       c->time_wait_max >= 1 && c->buffers_max >= BUFFER_LEAST &&
	       c->receive_max >= BUFFER_LEAST && c->receive_max <= BUFFER_MOST &&
	       c->send_max >= BUFFER_LEAST && c->send_max <= BUFFER_MOST;
}

/* fe80::/64 and the modified EUI-64 of the MAC, RFC 4291 2.5.1. */
static void
gateway6_addresses(struct stack *s)
{
	const uint8_t *mac = s->config.gateway_mac;
	const uint8_t link[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff,
	    0xfe, mac[3], mac[4], mac[5]};

	memcpy(s->gateway6_link, link, sizeof(link));
	memcpy(s->gateway6, s->config.prefix6, sizeof(s->config.prefix6));
	s->gateway6[15] = 1;
}

int
stack_new(struct stack **out, const struct stack_config *c, struct link *link,
    const struct stack_handlers *h, uint64_t now)
{
	struct stack *s;
	int r;

	*out = NULL;
	if (!config_valid(c))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->config = *c;
	s->handlers = *h;
	s->link = link;
	s->now = s->started = now;
	memset(s->guest_mac, 0xff, sizeof(s->guest_mac));
	gateway6_addresses(s);
	ring_pool_init(&s->pool, c->buffers_max, RINGS_KEPT);
	r = timer_heap_init(&s->timers, (size_t)c->flows_max + 1);
	if (r == 0)
		r = flow_table_init(&s->flows, c->flows_max);
	if (r != 0) {
		stack_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void
stack_free(struct stack *s)
{
	if (s == NULL)
		return;
	flow_table_clear(s);
	timer_heap_clear(&s->timers);
	ring_pool_clear(&s->pool);
	free(s);
}

int
stack_input(struct stack *s, unsigned budget, uint64_t now)
{
	struct link_received frames[LINK_BATCH];
	int i, n = 0;

	s->now = now;
	while (budget-- > 0) {
		n = s->link->operations->receive(s->link, frames, LINK_BATCH);
		for (i = 0; i < n; i++)
			ethernet_input(s, frames[i].bytes, frames[i].length);
		if (n <= 0)
			break;
	}
	flow_deliver(s);
	return n < 0 ? n : n > 0;
}

void
stack_frame(struct stack *s, const uint8_t *bytes, size_t n, uint64_t now)
{
	s->now = now;
	ethernet_input(s, bytes, n);
	flow_deliver(s);
}

uint64_t
stack_deadline(const struct stack *s)
{
	const struct timer *t = timer_first(&s->timers);

	return t != NULL ? t->deadline : TIMER_NEVER;
}

void
stack_timer(struct stack *s, uint64_t now)
{
	struct timer *t;

	s->now = now;
	while ((t = timer_first(&s->timers)) != NULL && t->deadline <= now) {
		timer_cancel(&s->timers, t);
		if (t == &s->advertise)
			ndp_advertise(s, ipv6_all_nodes);
		else
			tcp_timer_fired((struct flow *)t);
	}
	flow_deliver(s);
}

int
stack_flush(struct stack *s, uint64_t now)
{
	struct flow_list *ready = &s->flows.ready;
	struct flow *f;

	s->now = now;
	s->transmit.blocked = false;
	do {
		while ((f = ready->first) != NULL && !s->transmit.blocked) {
			flow_list_remove(ready, f, FLOW_LIST_READY);
			if (!tcp_output(f))
				flow_schedule(f);
		}
		transmit_flush(s);
	} while (ready->first != NULL && !s->transmit.blocked);
	flow_reap(s);
	return s->transmit.error;
}

bool
stack_blocked(const struct stack *s)
{
	return s->transmit.blocked;
}

void
stack_gateway(const struct stack *s, uint8_t v4[16], uint8_t v6[16])
{
	stack_address_from_v4(v4, s->config.gateway4);
	memcpy(v6, s->gateway6, 16);
}

void
stack_counters(const struct stack *s, struct stack_counters *c)
{
	*c = s->counters;
	c->giant += s->link->giants;
	c->flows = s->flows.n;
	c->half_open = s->flows.half_open.n;
	c->time_wait = s->flows.time_wait.n;
	c->buffers = s->pool.used;
}
