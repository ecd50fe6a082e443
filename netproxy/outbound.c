/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edge to egress.  egress is a helper of equal rank that reads from the world: what it sends is
 * checked as if it were hostile, and a message out of order ends the sandbox.
 */
#include "netproxy/outbound.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/message.h"

/* ---- What waits ---- */

static struct outbound_pending **
bucket_of(struct outbound *o, uint64_t id)
{
	return &o->buckets[id % OUTBOUND_BUCKETS];
}

static struct outbound_pending *
find(struct outbound *o, uint64_t id, enum outbound_kind kind)
{
	struct outbound_pending *p = *bucket_of(o, id);

	while (p != NULL && p->id != id)
		p = p->next;
	return p != NULL && p->kind == kind ? p : NULL;
}

static struct outbound_pending *
add(struct outbound *o, enum outbound_kind kind)
{
	struct outbound_pending *p, **bucket;

	if (o->n_pending == OUTBOUND_REQUESTS_MAX || o->n_pending + o->n_fds >= OUTBOUND_OPEN_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		abort();
	p->id = ++o->last_id;
	p->kind = kind;
	bucket = bucket_of(o, p->id);
	p->next = *bucket;
	*bucket = p;
	o->n_pending++;
	return p;
}

/* Nobody waits for p any more. */
static void
detach(struct outbound_pending *p)
{
	if (p->exchange != NULL)
		p->exchange->pending = NULL;
	if (p->lookup != NULL)
		p->lookup->pending = NULL;
	if (p->connection != NULL)
		p->connection->pending = NULL;
	p->exchange = NULL;
	p->lookup = NULL;
	p->connection = NULL;
}

/* Forgets the one that *at names. */
static void
finish_at(struct outbound *o, struct outbound_pending **at)
{
	struct outbound_pending *p = *at;

	*at = p->next;
	o->n_pending--;
	detach(p);
	free(p);
}

static void
finish(struct outbound *o, struct outbound_pending *p)
{
	struct outbound_pending **at = bucket_of(o, p->id);

	while (*at != p)
		at = &(*at)->next;
	finish_at(o, at);
}

static int
send_message(struct outbound *o, Gondolin__NetproxyToEgress *m)
{
	return ipc_channel_send(&o->channel, &m->base, NULL, 0);
}

/* Sends what p waits for.  Returns 0, or -errno and p is forgotten. */
static int
ask(struct outbound *o, struct outbound_pending *p, Gondolin__NetproxyToEgress *m)
{
	int rc = send_message(o, m);

	if (rc < 0)
		finish(o, p);
	return rc;
}

void
outbound_forget(struct outbound *o, struct outbound_pending *p)
{
	Gondolin__OutboundCancel cancel = GONDOLIN__OUTBOUND_CANCEL__INIT;
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;

	detach(p);
	cancel.id = p->id;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL;
	m.cancel = &cancel;
	(void)send_message(o, &m);
}

void
outbound_close_fd(struct outbound *o, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	o->n_fds--;
}

/* ---- Asking ---- */

static size_t
put_headers(struct outbound *o, const struct http_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		o->headers[i] = (Gondolin__OutboundHeader)GONDOLIN__OUTBOUND_HEADER__INIT;
		o->headers[i].name = ipc_bytes(fields[i].name.s, fields[i].name.n);
		o->headers[i].value = ipc_bytes(fields[i].value.s, fields[i].value.n);
		o->header_pointers[i] = &o->headers[i];
	}
	return n;
}

static bool
fits(const struct exchange_request *r)
{
	size_t sum = r->method.n + r->path.n;

	for (size_t i = 0; i < r->n_fields; i++)
		sum += r->fields[i].name.n + r->fields[i].value.n + 16;
	return r->n_fields <= OUTBOUND_HEADERS_MAX && sum <= OUTBOUND_HEAD_MAX &&
	       r->path.n <= OUTBOUND_PATH_MAX && r->body_n <= OUTBOUND_INLINE_MAX;
}

static void
fill_request(struct outbound *o, Gondolin__OutboundRequest *m, const struct exchange_request *r)
{
	bool v4 = stack_address_is_v4(r->to->address);

	m->https = r->https;
	m->host = ipc_text(r->host);
	m->port = r->port;
	m->sni = ipc_text(r->sni);
	m->destination = ipc_text(r->destination);
	m->destination_address = ipc_bytes(r->to->address + (v4 ? 12 : 0), v4 ? 4 : 16);
	m->destination_port = r->to->port;
	m->method = ipc_bytes(r->method.s, r->method.n);
	m->path = ipc_bytes(r->path.s, r->path.n);
	m->n_headers = put_headers(o, r->fields, r->n_fields);
	m->headers = o->header_pointers;
	m->upgrade = r->websocket;
	m->end = r->end;
	m->body = ipc_bytes(r->body, r->body_n);
	m->has_length = r->has_length;
	m->length = r->length;
	m->has_body = r->has_body;
}

int
outbound_request(struct outbound *o, struct exchange *e, const struct exchange_request *r)
{
	Gondolin__OutboundRequest request = GONDOLIN__OUTBOUND_REQUEST__INIT;
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	struct outbound_pending *p;

	if (!fits(r))
		return -EMSGSIZE;
	p = add(o, OUTBOUND_KIND_REQUEST);
	if (p == NULL)
		return -EBUSY;
	p->exchange = e;
	e->pending = p;
	request.id = p->id;
	fill_request(o, &request, r);
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST;
	m.request = &request;
	return ask(o, p, &m);
}

void
outbound_request_end(
    struct outbound *o, struct exchange *e, const struct http_field *trailers, size_t n)
{
	Gondolin__OutboundRequestEnd end = GONDOLIN__OUTBOUND_REQUEST_END__INIT;
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;

	end.id = e->pending->id;
	end.length = e->written;
	end.n_trailers = put_headers(o, trailers, n);
	end.trailers = o->header_pointers;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END;
	m.request_end = &end;
	(void)send_message(o, &m);
}

int
outbound_resolve(struct outbound *o, struct outbound_lookup *l, const char *name, unsigned type)
{
	Gondolin__OutboundResolve resolve = GONDOLIN__OUTBOUND_RESOLVE__INIT;
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	struct outbound_pending *p = add(o, OUTBOUND_KIND_RESOLVE);

	if (p == NULL)
		return -EBUSY;
	p->lookup = l;
	l->pending = p;
	resolve.id = p->id;
	resolve.name = ipc_text(name);
	resolve.type = type;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_RESOLVE;
	m.resolve = &resolve;
	return ask(o, p, &m);
}

int
outbound_connect(struct outbound *o, struct outbound_connection *c, const char *host, uint16_t port)
{
	Gondolin__OutboundConnect connect = GONDOLIN__OUTBOUND_CONNECT__INIT;
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	struct outbound_pending *p = add(o, OUTBOUND_KIND_CONNECT);

	if (p == NULL)
		return -EBUSY;
	p->connection = c;
	c->pending = p;
	connect.id = p->id;
	connect.host = ipc_text(host);
	connect.port = port;
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_CONNECT;
	m.connect = &connect;
	return ask(o, p, &m);
}

/* ---- What egress says ---- */

/*
 * Fields as they may go to the guest, their size added to *size; -EPROTO where one could be read as
 * something else, or they are larger than a message may have them.
 */
static int
get_headers(struct http_field *out, Gondolin__OutboundHeader **headers, size_t n, size_t *size)
{
	if (n > OUTBOUND_HEADERS_MAX)
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		struct http_field *f = &out[i];

		f->name =
		    (struct http_text){(const char *)headers[i]->name.data, headers[i]->name.len};
		f->value =
		    (struct http_text){(const char *)headers[i]->value.data, headers[i]->value.len};
		if (!http_is_token(f->name) || !http_is_field_value(f->value))
			return -EPROTO;
		for (size_t j = 0; j < f->name.n; j++)
			if (f->name.s[j] >= 'A' && f->name.s[j] <= 'Z')
				return -EPROTO;
		*size += f->name.n + f->value.n + 16;
	}
	return *size <= OUTBOUND_HEAD_MAX ? 0 : -EPROTO;
}

/* Takes the stream's descriptor: the request's body, where it has more, may be written. */
static void
take_stream(struct exchange *e, int *fd)
{
	int flags = fcntl(*fd, F_GETFL);

	(void)fcntl(*fd, F_SETFL, flags | O_NONBLOCK);
	e->fd = *fd;
	*fd = -1;
	e->outbound->n_fds++;
	e->wanted = true;
}

static int
on_stream(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__OutboundStream *m = body;
	struct outbound_pending *p = find(ctx, m->id, OUTBOUND_KIND_REQUEST);

	(void)n_fds;
	if (p == NULL)
		return -EPROTO;
	if (p->exchange == NULL)
		return 0;
	if (p->exchange->fd >= 0 || p->exchange->answered)
		return -EPROTO;
	take_stream(p->exchange, &fds[0]);
	p->exchange->events->moved(p->exchange);
	return 0;
}

static int
on_answer(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__OutboundAnswer *m = body;
	struct outbound *o = ctx;
	struct outbound_pending *p = find(o, m->id, OUTBOUND_KIND_REQUEST);
	struct exchange *e = p != NULL ? p->exchange : NULL;
	struct exchange_answer a = {.status = m->status};
	size_t size = 0;

	if (p == NULL || (m->status != 101 && (m->status < 200 || m->status > 599)) ||
	    (m->end && m->streamed) || m->body.len > OUTBOUND_INLINE_MAX ||
	    get_headers(o->fields, m->headers, m->n_headers, &size) < 0 ||
	    get_headers(o->trailers, m->trailers, m->n_trailers, &size) < 0)
		return -EPROTO;
	if (m->end)
		finish(o, p);
	if (e == NULL)
		return 0;
	if (e->answered || (m->streamed && (e->fd < 0) != (n_fds == 1)) ||
	    (!m->streamed && n_fds != 0))
		return -EPROTO;
	if (n_fds == 1)
		take_stream(e, &fds[0]);
	a.fields = o->fields;
	a.n_fields = m->n_headers;
	a.has_length = m->has_length;
	a.length = m->length;
	a.body = m->body.data;
	a.body_n = m->body.len;
	a.end = m->end;
	a.trailers = o->trailers;
	a.n_trailers = m->n_trailers;
	e->answered = true;
	e->streamed = m->streamed;
	e->final = m->end;
	e->events->answered(e, &a);
	return 0;
}

static int
on_answer_end(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__OutboundAnswerEnd *m = body;
	struct outbound *o = ctx;
	struct outbound_pending *p = find(o, m->id, OUTBOUND_KIND_REQUEST);
	struct exchange *e = p != NULL ? p->exchange : NULL;
	size_t size = 0;

	(void)fds;
	(void)n_fds;
	if (p == NULL || m->body.len > OUTBOUND_INLINE_MAX ||
	    get_headers(o->trailers, m->trailers, m->n_trailers, &size) < 0)
		return -EPROTO;
	finish(o, p);
	if (e == NULL)
		return 0;
	if (!e->answered || (e->streamed ? m->body.len > 0 : m->length > 0) ||
	    (m->cause == GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_UNSPECIFIED && e->read > m->length))
		return -EPROTO;
	e->final = true;
	e->broken = m->cause != GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_UNSPECIFIED;
	e->length = m->length;
	if (!e->broken && (m->body.len > 0 || m->n_trailers > 0))
		e->events->rest(e, m->body.data, m->body.len, o->trailers, m->n_trailers);
	if (e->events != NULL) /* it was not cleared instead */
		e->events->moved(e);
	return 0;
}

static bool
is_denial(Gondolin__OutboundCause cause)
{
	return cause == GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_DENIED ||
	       cause == GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_BAD ||
	       cause == GONDOLIN__OUTBOUND_CAUSE__OUTBOUND_BUDGET;
}

static int
on_refused(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__OutboundRefused *m = body;
	struct outbound *o = ctx;
	struct outbound_pending *p = *bucket_of(o, m->id), was;
	struct exchange_refusal r = {
	    .status = m->status,
	    .denied = is_denial(m->cause),
	    .rule = {(const char *)m->rule.data, m->rule.len},
	    .text = {(const char *)m->text.data, m->text.len},
	};

	(void)fds;
	(void)n_fds;
	while (p != NULL && p->id != m->id)
		p = p->next;
	if (p == NULL || r.status < 400 || r.status > 599 || r.text.n > OUTBOUND_TEXT_MAX ||
	    !http_is_field_value(r.rule) || !http_is_field_value(r.text))
		return -EPROTO;
	was = *p;
	finish(o, p);
	if (was.exchange != NULL) {
		if (was.exchange->answered)
			return -EPROTO;
		was.exchange->answered = was.exchange->final = true;
		was.exchange->events->refused(was.exchange, &r);
	} else if (was.lookup != NULL) {
		was.lookup->done(was.lookup, NULL);
	} else if (was.connection != NULL) {
		was.connection->done(was.connection, -1, &r);
	}
	return 0;
}

static int
on_resolved(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__OutboundResolved *m = body;
	struct outbound_pending *p = find(ctx, m->id, OUTBOUND_KIND_RESOLVE);
	struct outbound_lookup *l = p != NULL ? p->lookup : NULL;

	(void)fds;
	(void)n_fds;
	if (p == NULL || m->n_addresses > 16 || m->rcode > 4095 || m->packet.len > 16384)
		return -EPROTO;
	for (size_t i = 0; i < m->n_addresses; i++)
		if (m->addresses[i].len != 4 && m->addresses[i].len != 16)
			return -EPROTO;
	finish(ctx, p);
	if (l != NULL)
		l->done(l, m);
	return 0;
}

static int
on_connected(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__OutboundConnected *m = body;
	struct outbound_pending *p = find(ctx, m->id, OUTBOUND_KIND_CONNECT);
	struct outbound_connection *c = p != NULL ? p->connection : NULL;
	int fd;

	(void)n_fds;
	if (p == NULL)
		return -EPROTO;
	finish(ctx, p);
	if (c == NULL)
		return 0;
	fd = fds[0];
	fds[0] = -1;
	((struct outbound *)ctx)->n_fds++;
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	c->done(c, fd, NULL);
	return 0;
}

static const struct ipc_row rows[] = {
    {GONDOLIN__EGRESS_TO_NETPROXY__BODY_STREAM, "OutboundStream", IPC_ANY_STATE, 1, 1, on_stream},
    {GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER, "OutboundAnswer", IPC_ANY_STATE, 0, 1, on_answer},
    {GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER_END, "OutboundAnswerEnd", IPC_ANY_STATE, 0, 0,
	on_answer_end},
    {GONDOLIN__EGRESS_TO_NETPROXY__BODY_REFUSED, "OutboundRefused", IPC_ANY_STATE, 0, 0,
	on_refused},
    {GONDOLIN__EGRESS_TO_NETPROXY__BODY_RESOLVED, "OutboundResolved", IPC_ANY_STATE, 0, 0,
	on_resolved},
    {GONDOLIN__EGRESS_TO_NETPROXY__BODY_CONNECTED, "OutboundConnected", IPC_ANY_STATE, 1, 1,
	on_connected},
};

static const struct ipc_table table = {
    .envelope = &gondolin__egress_to_netproxy__descriptor,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

static void
on_ended(void *ctx, int reason, const char *message)
{
	struct outbound *o = ctx;

	o->ended(o->ctx, reason, message);
}

void
outbound_open(struct outbound *o, struct ev_loop *loop, int fd, void *ctx,
    void (*ended)(void *ctx, int reason, const char *message))
{
	o->loop = loop;
	o->ctx = ctx;
	o->ended = ended;
	ipc_channel_open(&o->channel, loop, fd, &table, o, on_ended);
	o->channel.queue_max = OUTBOUND_QUEUE_MAX;
	o->channel.batch = OUTBOUND_BATCH;
}

void
outbound_close(struct outbound *o)
{
	ipc_channel_close(&o->channel);
	for (unsigned i = 0; i < OUTBOUND_BUCKETS; i++)
		while (o->buckets[i] != NULL)
			finish_at(o, &o->buckets[i]);
}
