/* SPDX-License-Identifier: Apache-2.0 */
/* An egress made of arrays. */
#include "proxy_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 200u

static struct world world;

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
	proxy_flow = (struct proxy_flow){.in = bytes + 3, .in_n = n - 3, .room = room};
	proxy_flow.in_visible = proxy_flow.in_n < step ? proxy_flow.in_n : step;
	np->conns = c;
	c->np = np;
	c->destination = "";
	c->protocol = &none;
	stream_init(&c->stream, (struct flow *)&proxy_flow, &np->tls);
	start(c);
	for (unsigned i = 0; i < ROUNDS && !c->dead; i++) {
		struct proxy_flow *f = &proxy_flow;

		f->room = room;
		f->in_visible = f->in_n - f->in_visible < step ? f->in_n : f->in_visible + step;
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
