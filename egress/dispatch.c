/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what may arrive, from the supervisor and from netproxy: decode and check only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "egress/egress.h"
#include "ipc/message.h"
#include "ipc/outbound.h"

/* ---- The supervisor ---- */

/* NUL-terminated copies of bytes that hold no NUL, or NULL. */
static char *
text_of(const ProtobufCBinaryData *b, size_t max)
{
	const char *bytes = b->data != NULL ? (const char *)b->data : "";
	char *s;

	if (b->len > max || memchr(bytes, 0, b->len) != NULL)
		return NULL;
	s = strndup(bytes, b->len);
	if (s == NULL)
		abort();
	return s;
}

static int
on_setup(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__EgressSetup *m = body;
	size_t size = gondolin__egress_setup__get_packed_size(m);
	uint8_t *bytes;

	(void)fds;
	(void)n_fds;
	if (m->dns == GONDOLIN__EGRESS_SETUP__DNS__UNSPECIFIED || m->budget == NULL ||
	    m->host_budget == NULL || m->timeouts == NULL || m->n_servers > RESOLVER_SERVERS_MAX)
		return -EPROTO;
	bytes = malloc(size);
	if (bytes == NULL)
		abort();
	gondolin__egress_setup__pack(m, bytes);
	e->setup = gondolin__egress_setup__unpack(NULL, size, bytes);
	free(bytes);
	e->state = SUPERVISOR_DETAIL;
	return e->setup != NULL ? 0 : -ENOMEM;
}

static int
add_pattern(struct policy *p, const Gondolin__PolicyPattern *m)
{
	char *host = text_of(&m->host, POLICY_HOST_MAX + 2);
	char *text = text_of(&m->text, POLICY_TEXT_MAX);
	enum policy_scheme scheme = POLICY_ANY_SCHEME;
	int rc = 0;

	if (m->scheme.len == 4 && memcmp(m->scheme.data, "http", 4) == 0)
		scheme = POLICY_HTTP;
	else if (m->scheme.len == 5 && memcmp(m->scheme.data, "https", 5) == 0)
		scheme = POLICY_HTTPS;
	else if (m->scheme.len != 0)
		rc = -EPROTO;
	if (host == NULL || text == NULL || m->port > UINT16_MAX)
		rc = -EPROTO;
	if (rc == 0)
		rc = policy_add(p, scheme, host, (uint16_t)m->port, text, m->line);
	free(host);
	free(text);
	return rc;
}

static int
on_patterns(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__EgressPatterns *m = body;
	struct policy *p = m->kind == GONDOLIN__EGRESS_PATTERNS__KIND__ALLOW ? &e->config.allow
									     : &e->config.internal;
	size_t i;
	int rc = m->kind == GONDOLIN__EGRESS_PATTERNS__KIND__UNSPECIFIED ? -EPROTO : 0;

	(void)fds;
	(void)n_fds;
	for (i = 0; i < m->n_patterns && rc == 0; i++)
		rc = add_pattern(p, m->patterns[i]);
	return rc;
}

static int
on_secret(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__EgressSecret *m = body;
	char *name = text_of(&m->name, SECRET_NAME_MAX);
	char *placeholder = text_of(&m->placeholder, PLACEHOLDER_LENGTH);
	struct policy hosts;
	size_t i;
	int rc = name != NULL && placeholder != NULL && m->value.len > 0 ? 0 : -EPROTO;

	(void)fds;
	(void)n_fds;
	policy_init(&hosts);
	for (i = 0; i < m->n_hosts && rc == 0; i++)
		rc = add_pattern(&hosts, m->hosts[i]);
	if (rc == 0)
		rc = secrets_add(&e->config.secrets, name, m->value.data, m->value.len, placeholder,
		    &hosts,
		    (m->header ? SECRET_HEADER : 0u) | (m->query ? SECRET_QUERY : 0u) |
			(m->body ? SECRET_BODY : 0u),
		    m->plain_http);
	/* This copy is freed by the dispatcher. */
	if (m->value.len > 0)
		explicit_bzero(m->value.data, m->value.len);
	policy_clear(&hosts);
	free(name);
	free(placeholder);
	return rc;
}

static int
on_tcp(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__EgressTcp *m = body;
	struct upstream_map *map;

	(void)fds;
	(void)n_fds;
	if (m->from_port == 0 || m->from_port > UINT16_MAX || m->to_port == 0 ||
	    m->to_port > UINT16_MAX || e->config.n_maps >= IPC_REPEATED_MAX ||
	    policy_host_kind(m->from_host.data, m->from_host.len) == POLICY_HOST_BAD ||
	    policy_host_kind(m->to_host.data, m->to_host.len) == POLICY_HOST_BAD)
		return -EPROTO;
	map = reallocarray(e->config.maps, e->config.n_maps + 1, sizeof(*map));
	if (map == NULL)
		abort();
	e->config.maps = map;
	map += e->config.n_maps++;
	map->from = text_of(&m->from_host, POLICY_HOST_MAX);
	map->to = text_of(&m->to_host, POLICY_HOST_MAX);
	map->from_port = (uint16_t)m->from_port;
	map->to_port = (uint16_t)m->to_port;
	return 0;
}

static int
on_confine(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;

	(void)body;
	(void)fds;
	(void)n_fds;
	e->state = SUPERVISOR_READY;
	return 0;
}

static int
on_serve(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)body;
	(void)n_fds;
	egress_open_netproxy(ctx, fds[0]);
	fds[0] = -1;
	return 0;
}

static const struct ipc_row supervisor_rows[] = {
    {GONDOLIN__SUP_TO_EGRESS__BODY_SETUP, "EgressSetup", SUPERVISOR_SETUP, 0, 0, on_setup},
    {GONDOLIN__SUP_TO_EGRESS__BODY_PATTERNS, "EgressPatterns", SUPERVISOR_DETAIL, 0, 0,
	on_patterns},
    {GONDOLIN__SUP_TO_EGRESS__BODY_SECRET, "EgressSecret", SUPERVISOR_DETAIL, 0, 0, on_secret},
    {GONDOLIN__SUP_TO_EGRESS__BODY_TCP, "EgressTcp", SUPERVISOR_DETAIL, 0, 0, on_tcp},
    {GONDOLIN__SUP_TO_EGRESS__BODY_CONFINE, "EgressConfine", SUPERVISOR_DETAIL, 0, 0, on_confine},
    {GONDOLIN__SUP_TO_EGRESS__BODY_SERVE, "EgressServe", SUPERVISOR_READY, 1, 1, on_serve},
};

const struct ipc_table egress_supervisor_table = {
    .envelope = &gondolin__sup_to_egress__descriptor,
    .rows = supervisor_rows,
    .n_rows = sizeof(supervisor_rows) / sizeof(supervisor_rows[0]),
};

/* ---- netproxy ---- */

static struct span
span_of(const ProtobufCBinaryData *b)
{
	return (struct span){b->len > 0 ? (const char *)b->data : "", b->len};
}

static struct field
field_of(const Gondolin__OutboundHeader *h)
{
	struct span name = span_of(&h->name), value = span_of(&h->value);

	return (struct field){name.bytes, value.bytes, name.length, value.length};
}

/* The trailers of requests are judged by their absence: nothing reads them, none is sent. */
static int
on_request(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__OutboundRequest *m = body;
	IPC_SCRATCH struct field headers[OUTBOUND_HEADERS_MAX];
	struct request q = {
	    .id = m->id,
	    .https = m->https,
	    .host = span_of(&m->host),
	    .sni = span_of(&m->sni),
	    .destination = span_of(&m->destination),
	    .destination_address = span_of(&m->destination_address),
	    .port = m->port,
	    .destination_port = m->destination_port,
	    .method = span_of(&m->method),
	    .path = span_of(&m->path),
	    .headers = headers,
	    .n_headers = m->n_headers,
	    .upgrade = m->upgrade,
	    .end = m->end,
	    .has_body = m->has_body,
	    .has_length = m->has_length,
	    .length = m->length,
	    .body = span_of(&m->body),
	};
	size_t i;

	(void)fds;
	(void)n_fds;
	if (m->n_headers > OUTBOUND_HEADERS_MAX)
		return -EPROTO;
	for (i = 0; i < m->n_headers; i++)
		headers[i] = field_of(m->headers[i]);
	return upstream_request(e->upstream, &q);
}

static int
on_request_end(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__OutboundRequestEnd *m = body;

	(void)fds;
	(void)n_fds;
	return upstream_request_end(e->upstream, m->id, m->length);
}

static int
on_cancel(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__OutboundCancel *m = body;

	(void)fds;
	(void)n_fds;
	return upstream_cancel(e->upstream, m->id);
}

static int
on_resolve(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__OutboundResolve *m = body;
	struct span name = span_of(&m->name);

	(void)fds;
	(void)n_fds;
	return upstream_resolve(e->upstream, m->id, &name, m->type);
}

static int
on_connect(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct egress *e = ctx;
	const Gondolin__OutboundConnect *m = body;
	struct span host = span_of(&m->host);

	(void)fds;
	(void)n_fds;
	return upstream_connect(e->upstream, m->id, &host, m->port);
}

static const struct ipc_row netproxy_rows[] = {
    {GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST, "OutboundRequest", IPC_ANY_STATE, 0, 0,
	on_request},
    {GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END, "OutboundRequestEnd", IPC_ANY_STATE, 0, 0,
	on_request_end},
    {GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL, "OutboundCancel", IPC_ANY_STATE, 0, 0, on_cancel},
    {GONDOLIN__NETPROXY_TO_EGRESS__BODY_RESOLVE, "OutboundResolve", IPC_ANY_STATE, 0, 0,
	on_resolve},
    {GONDOLIN__NETPROXY_TO_EGRESS__BODY_CONNECT, "OutboundConnect", IPC_ANY_STATE, 0, 0,
	on_connect},
};

const struct ipc_table egress_netproxy_table = {
    .envelope = &gondolin__netproxy_to_egress__descriptor,
    .rows = netproxy_rows,
    .n_rows = sizeof(netproxy_rows) / sizeof(netproxy_rows[0]),
};
