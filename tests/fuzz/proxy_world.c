/* SPDX-License-Identifier: Apache-2.0 */
/* A flow and an egress made of arrays. */
#include "proxy_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS   200u
#define OUT_SIZE 65536u

static struct world world;
static uint8_t out[OUT_SIZE];
static struct flow_addresses addresses;

/* ---- The flow ---- */

size_t
flow_peek(const struct flow *f, struct iovec iov[2], unsigned *pieces)
{
	size_t n = world.in_visible - world.in_at;

	(void)f;
	*pieces = n > 0;
	memcpy(&iov[0].iov_base, &(const uint8_t *){world.in + world.in_at}, sizeof(void *));
	iov[0].iov_len = n;
	return n;
}

void
flow_consume(struct flow *f, size_t n)
{
	(void)f;
	if (n > world.in_visible - world.in_at)
		abort();
	world.in_at += n;
}

bool
flow_ended(const struct flow *f)
{
	(void)f;
	return world.in_at == world.in_n;
}

size_t
flow_reserve(struct flow *f, size_t want, struct iovec iov[2], unsigned *pieces)
{
	size_t n = want < world.room ? want : world.room, first;

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
	if (n > world.room)
		abort();
	world.room -= n;
}

size_t
flow_write(struct flow *f, const void *bytes, size_t n)
{
	(void)f;
	(void)bytes;
	n = n < world.room ? n : world.room;
	world.room -= n;
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
	if (world.closed || world.aborted)
		abort();
	world.closed = true;
}

void
flow_abort(struct flow *f)
{
	(void)f;
	if (world.closed || world.aborted)
		abort();
	world.aborted = true;
}

void
flow_addresses(const struct flow *f, struct flow_addresses *a)
{
	(void)f;
	*a = addresses;
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
}

bool
netproxy_is_mapped(const struct netproxy *np, const char *host, uint16_t port)
{
	(void)np;
	(void)host;
	(void)port;
	return false;
}

/* ---- egress ---- */

int
outbound_request(struct outbound *o, struct exchange *e, const struct exchange_request *r)
{
	char host[HTTP_HOST_MAX + 1];
	struct http_text text = {r->host, strlen(r->host)};

	(void)o;
	/* Whatever the guest wrote, egress sees just this. */
	if (!http_is_method(r->method) ||
	    (!http_is_origin_target(r->path) && !http_text_is(r->path, "*")))
		abort();
	if (strchr(r->host, ':') == NULL &&
	    (http_host_canonical(text, host) < 0 || strcmp(host, r->host) != 0))
		abort();
	for (size_t i = 0; i < r->n_fields; i++)
		if (!http_is_token(r->fields[i].name) || !http_is_field_value(r->fields[i].value))
			abort();
	if (world.n_asked == WORLD_REQUESTS)
		return -EBUSY;
	e->pending = &world.asked[world.n_asked++];
	e->pending->exchange = e;
	return 0;
}

void
outbound_request_end(
    struct outbound *o, struct exchange *e, const struct http_field *trailers, size_t n)
{
	(void)o;
	(void)e;
	for (size_t i = 0; i < n; i++)
		if (!http_is_token(trailers[i].name) || !http_is_field_value(trailers[i].value))
			abort();
}

void
outbound_forget(struct outbound *o, struct outbound_pending *p)
{
	(void)o;
	if (p->exchange != NULL)
		p->exchange->pending = NULL;
	p->exchange = NULL;
}

void
outbound_close_fd(struct outbound *o, int *fd)
{
	(void)o;
	*fd = -1;
}

int
outbound_resolve(struct outbound *o, struct outbound_lookup *l, const char *name, unsigned type)
{
	(void)o;
	(void)l;
	(void)name;
	(void)type;
	return -EBUSY;
}

int
outbound_connect(struct outbound *o, struct outbound_connection *c, const char *host, uint16_t port)
{
	(void)o;
	(void)c;
	(void)host;
	(void)port;
	return -EBUSY;
}

/* ---- Running ---- */

static const struct http_field some_fields[] = {
    {{"content-type", 12}, {"text/plain", 10}},
    {{"x-trailer", 9}, {"1", 1}},
};

static void
answer(struct exchange *e, enum world_answer kind)
{
	static const uint8_t body[] = "hello";
	struct exchange_answer a = {.status = 200, .fields = some_fields, .n_fields = 1};
	struct exchange_refusal r = {403, true, HTTP_TEXT("not-allowed"), HTTP_TEXT("no")};

	e->answered = true;
	switch (kind) {
	case WORLD_INLINE:
		a.body = body;
		a.body_n = 5;
		a.end = a.has_length = true;
		a.length = 5;
		break;
	case WORLD_LENGTH0:
		a.status = 204;
		a.end = true;
		break;
	case WORLD_SWITCHED:
		a.status = 101;
		break;
	case WORLD_REFUSED:
		e->final = true;
		e->events->refused(e, &r);
		return;
	default:
		break;
	}
	e->final = a.end;
	e->events->answered(e, &a);
}

/* The next request that nobody answered gets its answer, or the rest of it. */
static void
answer_next(void)
{
	static const uint8_t body[] = "rest";
	enum world_answer kind = world.answers % WORLD_ANSWERS;
	struct outbound_pending *p = &world.asked[world.n_answered];

	if (world.n_answered == world.n_asked)
		return;
	if (p->exchange != NULL && kind != WORLD_NOTHING) {
		if (!p->exchange->wanted && (world.answers & 0x80) != 0) {
			p->exchange->wanted = true;
			p->exchange->events->moved(p->exchange);
			world.answers &= 0x7f;
			return;
		}
		answer(p->exchange, kind);
	}
	if (p->exchange != NULL && (kind == WORLD_REST || kind == WORLD_BROKEN)) {
		p->exchange->final = true;
		p->exchange->broken = kind == WORLD_BROKEN;
		if (kind == WORLD_REST)
			p->exchange->events->rest(p->exchange, body, 4, some_fields + 1, 1);
		p->exchange->events->moved(p->exchange);
	}
	if (p->exchange != NULL && p->exchange->final) {
		p->exchange->pending = NULL;
		p->exchange = NULL;
	}
	world.n_answered++;
	world.answers = (uint8_t)(world.answers * 5 + 1);
}

void
world_run(const uint8_t *bytes, size_t n, void (*start)(struct conn *c))
{
	static const struct conn_protocol none;
	struct netproxy *np = calloc(1, sizeof(*np));
	struct conn *c = calloc(1, sizeof(*c));
	size_t step, room;

	if (np == NULL || c == NULL || n < 3)
		abort();
	memset(&world, 0, sizeof(world));
	step = bytes[0] % 128u + 1;
	room = bytes[1] * 16u + 64;
	world.answers = bytes[2];
	world.in = bytes + 3;
	world.in_n = n - 3;
	world.in_visible = world.in_n < step ? world.in_n : step;
	world.room = room;
	np->conns = c;
	c->np = np;
	c->destination = "";
	c->protocol = &none;
	stream_init(&c->stream, (struct flow *)&world, &np->tls);
	start(c);
	for (unsigned i = 0; i < ROUNDS && !c->dead; i++) {
		world.room = room;
		world.in_visible =
		    world.in_n - world.in_visible < step ? world.in_n : world.in_visible + step;
		conn_pump(c);
		answer_next();
	}
	if (!c->dead)
		conn_abort(c);
	conn_reap(np);
	if (np->conns != NULL || np->http2_buffered != 0)
		abort();
	free(np);
}
