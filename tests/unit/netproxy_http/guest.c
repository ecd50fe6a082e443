/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of a guest, and egress's end of the edge. */
#include "guest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"
#include "ipc/outbound.pb-c.h"

#define BYTES_MAX (4u << 20)
#define ROOM      (1u << 20)

struct guest guest;
static uint8_t typed[BYTES_MAX], read_back[BYTES_MAX];

static void
on_edge_ended(void *ctx, int reason, const char *message)
{
	(void)ctx;
	(void)message;
	guest.edge_ended = true;
	guest.edge_reason = reason;
}

void
guest_open(void (*start)(struct conn *c))
{
	static const struct conn_protocol none;
	struct netproxy *np = calloc(1, sizeof(*np));
	struct conn *c = calloc(1, sizeof(*c));
	int pair[2];

	if (np == NULL || c == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	guest = (struct guest){.np = np, .c = c, .egress = pair[1], .room = ROOM};
	proxy_flow = (struct proxy_flow){.in = typed,
	    .stays = true,
	    .room = ROOM,
	    .out = read_back,
	    .out_size = sizeof(read_back) - 1};
	np->loop = ev_loop_new(EVBACKEND_EPOLL);
	outbound_open(&np->outbound, np->loop, pair[0], np, on_edge_ended);
	np->conns = c;
	np->request_ms = 1000;
	c->np = np;
	c->destination = "a.test";
	c->addresses.destination.port = 80;
	c->protocol = &none;
	c->deadline = UINT64_MAX;
	stream_init(&c->stream, (struct flow *)&proxy_flow, &np->tls);
	start(c);
}

void
guest_close(void)
{
	struct netproxy *np = guest.np;

	if (!guest.c->dead)
		conn_abort(guest.c);
	conn_reap(np);
	if (np->conns != NULL || np->http2_buffered != 0 || np->http2_streams != 0)
		abort();
	outbound_close(&np->outbound);
	close(guest.egress);
	ev_loop_destroy(np->loop);
	free(np);
}

void
guest_turn(void)
{
	proxy_flow.room = guest.room;
	ev_run(guest.np->loop, EVRUN_NOWAIT);
	proxy_flow.room = guest.room;
	if (!guest.c->dead)
		conn_pump(guest.c);
}

void
guest_type(const void *bytes, size_t n)
{
	if (n > sizeof(typed) - proxy_flow.in_n)
		abort();
	memcpy(typed + proxy_flow.in_n, bytes, n);
	proxy_flow.in_n += n;
	proxy_flow.in_visible = proxy_flow.in_n;
	guest_turn();
}

void
guest_text(const char *text)
{
	guest_type(text, strlen(text));
}

const char *
guest_read(void)
{
	read_back[proxy_flow.out_n] = '\0';
	return (const char *)read_back;
}

void
guest_skip(void)
{
	proxy_flow.out_n = 0;
}

/* ---- egress ---- */

Gondolin__NetproxyToEgress *
guest_heard(void)
{
	static uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};

	if (ipc_packet_receive(guest.egress, &p) != 1)
		return NULL;
	return (Gondolin__NetproxyToEgress *)ipc_message_decode(
	    &gondolin__netproxy_to_egress__descriptor, bytes, p.length);
}

void
guest_free(Gondolin__NetproxyToEgress *m)
{
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

uint64_t
guest_request(void)
{
	Gondolin__NetproxyToEgress *m = guest_heard();
	uint64_t id = 0;

	if (m == NULL)
		return 0;
	if (m->body_case == GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST)
		id = m->request->id;
	guest_free(m);
	return id;
}

void
guest_say(const Gondolin__EgressToNetproxy *m, int fd)
{
	if (ipc_packet_send(guest.egress, &m->base, &fd, fd >= 0) < 0)
		abort();
	guest_turn();
}

void
guest_say_stream(uint64_t id, int fd)
{
	Gondolin__OutboundStream body = GONDOLIN__OUTBOUND_STREAM__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;

	body.id = id;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_STREAM;
	m.stream = &body;
	guest_say(&m, fd);
}

static size_t
header_of(Gondolin__OutboundHeader *h, const char *name, const char *value)
{
	gondolin__outbound_header__init(h);
	h->name = ipc_text(name);
	h->value = ipc_text(value);
	return name != NULL;
}

void
guest_say_answer(uint64_t id, const struct reply *r, int fd)
{
	Gondolin__OutboundAnswer body = GONDOLIN__OUTBOUND_ANSWER__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	Gondolin__OutboundHeader header, trailer, *headers = &header, *trailers = &trailer;

	body.id = id;
	body.status = r->status;
	body.n_headers = header_of(&header, r->name, r->value);
	body.headers = &headers;
	body.n_trailers = header_of(&trailer, r->trailer_name, r->trailer);
	body.trailers = &trailers;
	body.body = ipc_text(r->body);
	body.end = r->end;
	body.streamed = r->streamed;
	body.has_length = r->has_length;
	body.length = r->length;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER;
	m.answer = &body;
	guest_say(&m, fd);
}

void
guest_say_end(uint64_t id, uint64_t length, const struct reply *r, unsigned cause)
{
	Gondolin__OutboundAnswerEnd body = GONDOLIN__OUTBOUND_ANSWER_END__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;
	Gondolin__OutboundHeader trailer, *trailers = &trailer;

	body.id = id;
	body.length = length;
	body.n_trailers = header_of(&trailer, r->trailer_name, r->trailer);
	body.trailers = &trailers;
	body.body = ipc_text(r->body);
	body.cause = (Gondolin__OutboundCause)cause;
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER_END;
	m.answer_end = &body;
	guest_say(&m, -1);
}

void
guest_say_refused(uint64_t id, unsigned cause, unsigned status, const char *rule, const char *text)
{
	Gondolin__OutboundRefused body = GONDOLIN__OUTBOUND_REFUSED__INIT;
	Gondolin__EgressToNetproxy m = GONDOLIN__EGRESS_TO_NETPROXY__INIT;

	body.id = id;
	body.cause = (Gondolin__OutboundCause)cause;
	body.status = status;
	body.rule = ipc_text(rule);
	body.text = ipc_text(text);
	m.body_case = GONDOLIN__EGRESS_TO_NETPROXY__BODY_REFUSED;
	m.refused = &body;
	guest_say(&m, -1);
}
