/* SPDX-License-Identifier: Apache-2.0 */
/* A flow made of arrays. */
#include "proxy_flow.h"

#include <stdlib.h>
#include <string.h>

#include "netproxy/netproxy.h"

#define OUT_SIZE 65536u

struct proxy_flow proxy_flow;
static uint8_t out[OUT_SIZE];

/* ---- The flow ---- */

/* The guest has read them. */
static void
took(const void *bytes, size_t n)
{
	if (proxy_flow.out == NULL)
		return;
	if (n > proxy_flow.out_size - proxy_flow.out_n)
		abort();
	memcpy(proxy_flow.out + proxy_flow.out_n, bytes, n);
	proxy_flow.out_n += n;
}

size_t
flow_peek(const struct flow *f, struct iovec iov[2], unsigned *pieces)
{
	size_t n = proxy_flow.in_visible - proxy_flow.in_at;

	(void)f;
	if (proxy_flow.piece != 0 && n > proxy_flow.piece)
		n = proxy_flow.piece;
	*pieces = n > 0;
	memcpy(
	    &iov[0].iov_base, &(const uint8_t *){proxy_flow.in + proxy_flow.in_at}, sizeof(void *));
	iov[0].iov_len = n;
	return n;
}

void
flow_consume(struct flow *f, size_t n)
{
	(void)f;
	if (n > proxy_flow.in_visible - proxy_flow.in_at)
		abort();
	proxy_flow.in_at += n;
}

bool
flow_ended(const struct flow *f)
{
	(void)f;
	return !proxy_flow.stays && proxy_flow.in_at == proxy_flow.in_n;
}

size_t
flow_reserve(struct flow *f, size_t want, struct iovec iov[2], unsigned *pieces)
{
	size_t n = want < proxy_flow.room ? want : proxy_flow.room, first;

	(void)f;
	if (n > OUT_SIZE)
		n = OUT_SIZE;
	/* In two pieces, as a ring has it. */
	first = n / 3;
	*pieces = n == 0 ? 0 : first > 0 ? 2 : 1;
	iov[0] = (struct iovec){out, first > 0 ? first : n};
	iov[1] = (struct iovec){out + first, n - first};
	return n;
}

void
flow_commit(struct flow *f, size_t n)
{
	(void)f;
	if (n > proxy_flow.room)
		abort();
	proxy_flow.room -= n;
	took(out, n);
}

size_t
flow_write(struct flow *f, const void *bytes, size_t n)
{
	(void)f;
	n = n < proxy_flow.room ? n : proxy_flow.room;
	proxy_flow.room -= n;
	took(bytes, n);
	return n;
}

void
flow_shutdown(struct flow *f)
{
	(void)f;
}

void
flow_close(struct flow *f)
{
	(void)f;
	if (proxy_flow.closed || proxy_flow.aborted)
		abort();
	proxy_flow.closed = true;
}

void
flow_abort(struct flow *f)
{
	(void)f;
	if (proxy_flow.closed || proxy_flow.aborted)
		abort();
	proxy_flow.aborted = true;
}

void
flow_addresses(const struct flow *f, struct flow_addresses *a)
{
	(void)f;
	*a = (struct flow_addresses){0};
}

void
flow_set_context(struct flow *f, void *context)
{
	(void)f;
	(void)context;
}

void *
flow_context(const struct flow *f)
{
	(void)f;
	return NULL;
}

/* ---- The stack and the process ---- */

void
stack_gateway(const struct stack *s, uint8_t v4[16], uint8_t v6[16])
{
	(void)s;
	memset(v4, 1, 16);
	memset(v6, 1, 16);
}

bool
stack_address_is_v4(const uint8_t address[16])
{
	return address[10] == 0xff;
}

int
stack_datagram(struct stack *s, const struct flow_addresses *a, const void *bytes, size_t n)
{
	(void)s;
	(void)a;
	(void)bytes;
	(void)n;
	return 0;
}

uint64_t
netproxy_now(struct netproxy *np)
{
	(void)np;
	return 0;
}

void
netproxy_record(struct netproxy *np, Gondolin__NetproxyRecord *r)
{
	(void)np;
	(void)r;
	proxy_flow.records++;
}

bool
netproxy_is_mapped(const struct netproxy *np, const char *host, uint16_t port)
{
	(void)np;
	(void)host;
	(void)port;
	return false;
}
