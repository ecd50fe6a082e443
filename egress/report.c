/* SPDX-License-Identifier: Apache-2.0 */
/* What egress says: answers to netproxy, records and counters to the supervisor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "egress/egress.h"
#include "ipc/message.h"
#include "ipc/outbound.h"

/* ---- netproxy ---- */

static void
tell(struct egress *e, const Gondolin__EgressToNetproxy *m, int fd)
{
	int rc = ipc_channel_send(&e->netproxy, &m->base, &fd, fd >= 0 ? 1 : 0);

	if (rc < 0)
		egress_end(e, rc == -EPIPE ? NULL : strerror(-rc));
}

struct header_list {
	Gondolin__OutboundHeader rows[OUTBOUND_HEADERS_MAX];
	Gondolin__OutboundHeader *list[OUTBOUND_HEADERS_MAX];
	size_t n;
};

static void
list_headers(struct header_list *l, const struct fields *fields)
{
	struct field f;

	l->n = fields->n < OUTBOUND_HEADERS_MAX ? fields->n : OUTBOUND_HEADERS_MAX;
	for (size_t i = 0; i < l->n; i++) {
		f = fields_get(fields, i);
		gondolin__outbound_header__init(&l->rows[i]);
		l->rows[i].name = ipc_bytes(f.name, f.name_length);
		l->rows[i].value = ipc_bytes(f.value, f.value_length);
		l->list[i] = &l->rows[i];
	}
}

static void
on_stream(void *ctx, uint64_t id, int fd)
{
	Gondolin__OutboundStream body = GONDOLIN__OUTBOUND_STREAM__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;

	body.id = id;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_STREAM;
	m.stream = &body;
	tell(ctx, &m, fd);
}

static void
on_answer(void *ctx, const struct upstream_answer *a, int fd)
{
	Gondolin__OutboundAnswer body = GONDOLIN__OUTBOUND_ANSWER__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	IPC_SCRATCH struct header_list headers, trailers;

	trailers.n = 0;
	list_headers(&headers, a->headers);
	if (a->end)
		list_headers(&trailers, a->trailers);
	body.id = a->id;
	body.status = a->status;
	body.headers = headers.list;
	body.n_headers = headers.n;
	body.has_length = a->has_length;
	body.length = a->length;
	body.body = ipc_bytes(a->body, a->body_length);
	body.end = a->end;
	body.streamed = a->streamed;
	body.trailers = trailers.list;
	body.n_trailers = trailers.n;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER;
	m.answer = &body;
	tell(ctx, &m, fd);
}

static void
on_answer_end(void *ctx, const struct upstream_end *end)
{
	Gondolin__OutboundAnswerEnd body = GONDOLIN__OUTBOUND_ANSWER_END__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	IPC_SCRATCH struct header_list trailers;

	list_headers(&trailers, end->trailers);
	body.id = end->id;
	body.length = end->length;
	body.body = ipc_bytes(end->body, end->body_length);
	body.trailers = trailers.list;
	body.n_trailers = trailers.n;
	body.cause = (Gondolin__OutboundCause)end->cause;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER_END;
	m.answer_end = &body;
	tell(ctx, &m, -1);
}

static void
on_refused(void *ctx, uint64_t id, const struct refusal *r)
{
	Gondolin__OutboundRefused body = GONDOLIN__OUTBOUND_REFUSED__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;

	body.id = id;
	body.cause = (Gondolin__OutboundCause)r->cause;
	body.status = cause_status(r->cause);
	body.rule = ipc_text(r->rule);
	body.text = ipc_text(r->text);
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_REFUSED;
	m.refused = &body;
	tell(ctx, &m, -1);
}

static unsigned
rcode_of(int error)
{
	return error == -ENOENT ? 3 : 0; /* NXDOMAIN, NOERROR */
}

static void
on_resolved(
    void *ctx, uint64_t id, const struct resolver_answer *a, const uint8_t *packet, size_t length)
{
	Gondolin__OutboundResolved body = GONDOLIN__OUTBOUND_RESOLVED__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	ProtobufCBinaryData addresses[RESOLVER_ADDRESSES_MAX];
	size_t i;

	for (i = 0; i < a->n; i++)
		addresses[i] = ipc_bytes(a->v[i].bytes, a->v[i].family == AF_INET ? 4 : 16);
	body.id = id;
	body.rcode = rcode_of(a->error);
	body.addresses = addresses;
	body.n_addresses = a->n;
	body.ttl = a->ttl;
	body.packet = ipc_bytes(packet, length);
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_RESOLVED;
	m.resolved = &body;
	tell(ctx, &m, -1);
}

static void
on_connected(void *ctx, uint64_t id, int fd)
{
	Gondolin__OutboundConnected body = GONDOLIN__OUTBOUND_CONNECTED__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;

	body.id = id;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_CONNECTED;
	m.connected = &body;
	tell(ctx, &m, fd);
}

/* ---- The supervisor ---- */

static Gondolin__EgressRecord__Kind
kind_of(enum upstream_event event)
{
	static const Gondolin__EgressRecord__Kind kinds[] = {
	    [UPSTREAM_REQUEST] = GONDOLIN__EGRESS_RECORD__KIND__REQUEST,
	    [UPSTREAM_DENIED] = GONDOLIN__EGRESS_RECORD__KIND__DENIED,
	    [UPSTREAM_FAILED] = GONDOLIN__EGRESS_RECORD__KIND__FAILED,
	    [UPSTREAM_LOOKUP] = GONDOLIN__EGRESS_RECORD__KIND__LOOKUP,
	    [UPSTREAM_CONNECT] = GONDOLIN__EGRESS_RECORD__KIND__CONNECT,
	    [UPSTREAM_BUDGET] = GONDOLIN__EGRESS_RECORD__KIND__BUDGET,
	};

	return kinds[event];
}

static size_t
name_secrets(const struct egress *e, uint64_t bits, ProtobufCBinaryData *names)
{
	size_t i, n = 0;

	for (i = 0; i < e->config.secrets.n; i++)
		if ((bits >> i & 1) != 0)
			names[n++] = ipc_text(e->config.secrets.v[i].name);
	return n;
}

/* Packing and unpacking copies all of it. */
static Gondolin__EgressRecord *
copy_of(const Gondolin__EgressRecord *r)
{
	size_t size = gondolin__egress_record__get_packed_size(r);
	uint8_t *bytes = malloc(size + 1);
	Gondolin__EgressRecord *copy;

	if (bytes == NULL)
		abort();
	gondolin__egress_record__pack(r, bytes);
	copy = gondolin__egress_record__unpack(NULL, size, bytes);
	free(bytes);
	if (copy == NULL)
		abort();
	return copy;
}

static void
on_record(void *ctx, const struct upstream_record *u)
{
	struct egress *e = ctx;
	Gondolin__EgressRecord r = GONDOLIN__EGRESS_RECORD__INIT;
	ProtobufCBinaryData used[SECRETS_MAX], scrubbed[SECRETS_MAX];
	const char *rule = u->rule != NULL ? u->rule : "";

	r.kind = kind_of(u->event);
	r.id = u->id;
	r.method = ipc_bytes(u->method.bytes, u->method.length);
	if (u->is_http)
		r.scheme = ipc_text(u->https ? "https" : "http");
	r.host = ipc_bytes(u->host.bytes, u->host.length);
	r.port = u->port;
	r.path = ipc_bytes(u->path.bytes, u->path.length);
	r.cut = u->cut;
	r.status = u->status;
	r.address = ipc_text(u->address);
	r.rule = ipc_bytes(rule, strnlen(rule, 400));
	r.secrets = used;
	r.n_secrets = name_secrets(e, u->used, used);
	r.scrubbed = scrubbed;
	r.n_scrubbed = name_secrets(e, u->scrubbed, scrubbed);
	r.bytes_in = u->bytes_in;
	r.bytes_out = u->bytes_out;
	r.duration_ms = u->duration;
	if (e->n_records == EGRESS_RECORDS_MAX)
		egress_flush_records(e);
	if (e->n_records == EGRESS_RECORDS_MAX)
		egress_end(e, "the supervisor does not take what must be recorded");
	else
		e->records[e->n_records++] = copy_of(&r);
}

const struct upstream_events egress_events = {
    .stream = on_stream,
    .answer = on_answer,
    .answer_end = on_answer_end,
    .refused = on_refused,
    .resolved = on_resolved,
    .connected = on_connected,
    .record = on_record,
};

void
egress_drop_records(struct egress *e)
{
	while (e->n_records > 0)
		gondolin__egress_record__free_unpacked(e->records[--e->n_records], NULL);
}

/* As many as fit a message, at least one. */
static size_t
how_many_fit(const struct egress *e, size_t from)
{
	size_t n = 0, size = 64;

	while (from + n < e->n_records) {
		size += gondolin__egress_record__get_packed_size(e->records[from + n]) + 8;
		if (n > 0 && size > IPC_MESSAGE_MAX)
			break;
		n++;
	}
	return n;
}

void
egress_flush_records(struct egress *e)
{
	Gondolin__EgressRecords body = GONDOLIN__EGRESS_RECORDS__INIT;
	Gondolin__EgressToSup m = GONDOLIN__EGRESS_TO_SUP__INIT;
	size_t from = 0;
	int rc = 0;

	m.body_case = GONDOLIN__EGRESS_TO_SUP__BODY_RECORDS;
	m.records = &body;
	while (from < e->n_records && rc == 0) {
		body.records = e->records + from;
		body.n_records = how_many_fit(e, from);
		rc = ipc_channel_send(&e->supervisor, &m.base, NULL, 0);
		if (rc == 0)
			from += body.n_records;
	}
	if (rc < 0 && rc != -ENOBUFS && rc != -EPIPE)
		egress_end(e, strerror(-rc));
	for (size_t i = 0; i < from; i++)
		gondolin__egress_record__free_unpacked(e->records[i], NULL);
	memmove(e->records, e->records + from, (e->n_records - from) * sizeof(e->records[0]));
	e->n_records -= from;
}

void
egress_send_counters(struct egress *e)
{
	const struct upstream_counters *c = upstream_counters(e->upstream);
	Gondolin__EgressCounters body = GONDOLIN__EGRESS_COUNTERS__INIT;
	Gondolin__EgressToSup m = GONDOLIN__EGRESS_TO_SUP__INIT;

	if (memcmp(c, &e->told, sizeof(*c)) == 0)
		return;
	e->told = *c;
	body.requests = c->requests;
	body.denied = c->denied;
	body.failed = c->failed;
	body.bytes_in = c->bytes_in;
	body.bytes_out = c->bytes_out;
	body.lookups = c->lookups;
	body.secrets_used = c->secrets_used;
	body.secrets_scrubbed = c->secrets_scrubbed;
	body.connections = c->connections;
	body.active = c->active;
	m.body_case = GONDOLIN__EGRESS_TO_SUP__BODY_COUNTERS;
	m.counters = &body;
	(void)ipc_channel_send(&e->supervisor, &m.base, NULL, 0);
}
