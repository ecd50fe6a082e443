/* SPDX-License-Identifier: Apache-2.0 */
/* egress in this process, and everybody around it. */
#include "world.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/outbound.h"
#include "netproxy/ca.h"

struct world world;

static void
write_file(char path[64], const char *text)
{
	int fd;

	(void)snprintf(path, 64, "/tmp/gondolin-egress-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void
listen_as_origin(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	world.origin = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (world.origin < 0 || bind(world.origin, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(world.origin, 16) < 0 ||
	    getsockname(world.origin, (struct sockaddr *)&a, &n) < 0)
		abort();
	world.port = ntohs(a.sin_port);
}

void
world_open(void)
{
	struct ca *ca;
	int pair[2];

	memset(&world, 0, sizeof(world));
	world.netproxy = -1;
	if (ca_new(&ca) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	write_file(world.bundle, ca_pem(ca));
	write_file(world.hosts, "127.0.0.1 " WORLD_HOST " " WORLD_OPEN "\n");
	ca_free(ca);
	listen_as_origin();
	world.supervisor = pair[0];
	world.e = calloc(1, sizeof(*world.e));
	if (world.e == NULL)
		abort();
	world.e->netproxy.fd = -1;
	/* egress's end: egress_prepare and egress_serve are given it. */
	world.e->supervisor.fd = pair[1];
}

void
world_close(void)
{
	struct ev_loop *loop = world.e->loop;

	if (world.supervisor >= 0)
		close(world.supervisor);
	if (world.netproxy >= 0)
		close(world.netproxy);
	if (loop == NULL)
		close(world.e->supervisor.fd);
	world.e->supervisor.fd = loop == NULL ? -1 : world.e->supervisor.fd;
	egress_clear(world.e);
	if (loop != NULL)
		ev_loop_destroy(loop);
	close(world.origin);
	unlink(world.bundle);
	unlink(world.hosts);
	free(world.e);
}

/* ---- The supervisor ---- */

void
world_tell(const Gondolin__SupToEgress *m, int fd)
{
	if (ipc_packet_send(world.supervisor, &m->base, &fd, fd >= 0) < 0)
		abort();
}

void
world_setup_init(struct world_setup *s)
{
	gondolin__egress_setup__init(&s->m);
	gondolin__egress_budget__init(&s->budget);
	gondolin__egress_budget__init(&s->host_budget);
	gondolin__egress_timeouts__init(&s->timeouts);
	s->timeouts.connect = s->timeouts.handshake = s->timeouts.response = s->timeouts.idle =
	    60000;
	s->m.dns = GONDOLIN__EGRESS_SETUP__DNS__SYNTHETIC;
	s->m.budget = &s->budget;
	s->m.host_budget = &s->host_budget;
	s->m.timeouts = &s->timeouts;
	s->m.ca_bundle = ipc_text(world.bundle);
	s->m.hosts = ipc_text(world.hosts);
	s->m.resolv_conf = ipc_text("/dev/null");
}

void
world_tell_setup(const struct world_setup *s)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressSetup copy = s->m;

	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SETUP;
	m.setup = &copy;
	world_tell(&m, -1);
}

static Gondolin__PolicyPattern
pattern_of(const char *scheme, const char *host, unsigned port)
{
	Gondolin__PolicyPattern p = GONDOLIN__POLICY_PATTERN__INIT;

	p.scheme = ipc_text(scheme);
	p.host = ipc_text(host);
	p.text = ipc_text(host);
	p.port = port;
	return p;
}

void
world_tell_pattern(unsigned kind, const char *scheme, const char *host, unsigned port)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressPatterns list = GONDOLIN__EGRESS_PATTERNS__INIT;
	Gondolin__PolicyPattern pattern = pattern_of(scheme, host, port), *patterns = &pattern;

	list.kind = (Gondolin__EgressPatterns__Kind)kind;
	list.patterns = &patterns;
	list.n_patterns = 1;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_PATTERNS;
	m.patterns = &list;
	world_tell(&m, -1);
}

void
world_tell_secret(const char *name, const char *value, const char *placeholder)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressSecret secret = GONDOLIN__EGRESS_SECRET__INIT;
	Gondolin__PolicyPattern host = pattern_of("", WORLD_HOST, world.port), *hosts = &host;

	secret.name = ipc_text(name);
	secret.value = ipc_text(value);
	secret.placeholder = ipc_text(placeholder);
	secret.hosts = &hosts;
	secret.n_hosts = 1;
	secret.header = secret.plain_http = true;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SECRET;
	m.secret = &secret;
	world_tell(&m, -1);
}

void
world_tell_tcp(const char *from, unsigned from_port, const char *to, unsigned to_port)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressTcp tcp = GONDOLIN__EGRESS_TCP__INIT;

	tcp.from_host = ipc_text(from);
	tcp.from_port = from_port;
	tcp.to_host = ipc_text(to);
	tcp.to_port = to_port;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_TCP;
	m.tcp = &tcp;
	world_tell(&m, -1);
}

void
world_tell_confine(void)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressConfine confine = GONDOLIN__EGRESS_CONFINE__INIT;

	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_CONFINE;
	m.confine = &confine;
	world_tell(&m, -1);
}

void
world_serve(unsigned dns)
{
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__EgressServe serve = GONDOLIN__EGRESS_SERVE__INIT;
	struct world_setup s;
	int pair[2];

	world_setup_init(&s);
	s.m.dns = (Gondolin__EgressSetup__Dns)dns;
	s.m.websockets = true;
	world_tell_setup(&s);
	world_tell_pattern(1, "", WORLD_HOST, world.port);
	world_tell_pattern(1, "https", "secure.test", 0);
	world_tell_pattern(1, "", WORLD_OPEN, world.port);
	world_tell_pattern(2, "", WORLD_HOST, 0);
	world_tell_pattern(2, "", WORLD_OPEN, 0);
	world_tell_secret("TOKEN", WORLD_VALUE, WORLD_PLACEHOLDER);
	world_tell_tcp("db.test", 5432, "127.0.0.1", world.port);
	world_tell_confine();
	if (egress_prepare(world.e, world.e->supervisor.fd) != 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	egress_serve(world.e, ev_loop_new(EVBACKEND_EPOLL), world.e->supervisor.fd);
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SERVE;
	m.serve = &serve;
	world_tell(&m, pair[1]);
	close(pair[1]);
	world.netproxy = pair[0];
	world_wait();
}

/* ---- netproxy ---- */

void
world_wait(void)
{
	ev_run(world.e->loop, EVRUN_ONCE);
}

void
world_turn(void)
{
	ev_run(world.e->loop, EVRUN_NOWAIT);
}

void
world_ask(const Gondolin__NetproxyToEgress *m, int fd)
{
	if (ipc_packet_send(world.netproxy, &m->base, &fd, fd >= 0) < 0)
		abort();
	world_turn();
}

Gondolin__EgressToNetproxy *
world_hear(int *fd)
{
	static uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	Gondolin__EgressToNetproxy *m;
	char probe;

	while (recv(world.netproxy, &probe, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
		if (world.e->ended)
			return NULL;
		world_wait();
	}
	if (ipc_packet_receive(world.netproxy, &p) != 1)
		return NULL;
	m = (Gondolin__EgressToNetproxy *)ipc_message_decode(
	    &gondolin__egress_to_netproxy__descriptor, bytes, p.length);
	if (fd != NULL) {
		*fd = p.n_fds > 0 ? p.fds[0] : -1;
		if (p.n_fds > 0)
			p.fds[0] = -1;
	}
	ipc_packet_close_fds(&p);
	return m;
}

void
world_free(Gondolin__EgressToNetproxy *m)
{
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

/* ---- Requests ---- */

void
world_begin(unsigned dns)
{
	world_open();
	world_serve(dns);
	world.last_id = 0;
}

Gondolin__OutboundRequest
world_request(void)
{
	Gondolin__OutboundRequest r = GONDOLIN__OUTBOUND_REQUEST__INIT;

	r.id = ++world.last_id;
	r.host = r.destination = ipc_text(WORLD_HOST);
	r.port = r.destination_port = world.port;
	r.destination_address = ipc_bytes("\xc6\x12\0\1", 4);
	r.method = ipc_text("GET");
	r.path = ipc_text("/x");
	r.end = true;
	return r;
}

void
world_ask_for(Gondolin__OutboundRequest *r, int fd)
{
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;

	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST;
	m.request = r;
	world_ask(&m, fd);
}

/* Whether a connection waits at the origin. */
int
world_at_origin(void)
{
	return accept4(world.origin, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void
world_nobody_came(void)
{
	(void)fcntl(world.origin, F_SETFL, O_NONBLOCK);
	CU_ASSERT_EQUAL(world_at_origin(), -1);
	(void)fcntl(world.origin, F_SETFL, 0);
}

/* The next message is a refusal with this rule. */
void
world_hears_refusal(uint64_t id, const char *rule)
{
	Gondolin__EgressToNetproxy *m = world_hear(NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->body_case, GONDOLIN__EGRESS_TO_NETPROXY__BODY_REFUSED);
	CU_ASSERT_EQUAL(m->refused->id, id);
	if (m->refused->rule.len != strlen(rule) ||
	    memcmp(m->refused->rule.data, rule, strlen(rule)) != 0)
		fprintf(stderr, "%s, not %.*s: %.*s\n", rule, (int)m->refused->rule.len,
		    (char *)m->refused->rule.data, (int)m->refused->text.len,
		    (char *)m->refused->text.data);
	CU_ASSERT_EQUAL(m->refused->rule.len, strlen(rule));
	CU_ASSERT_NSTRING_EQUAL(m->refused->rule.data, rule, strlen(rule));
	CU_ASSERT(m->refused->text.len <= OUTBOUND_TEXT_MAX);
	world_free(m);
}

void
world_add_header(Gondolin__OutboundRequest *r, const char *name, const char *value)
{
	static Gondolin__OutboundHeader rows[8];
	static Gondolin__OutboundHeader *list[8];
	Gondolin__OutboundHeader *h = &rows[r->n_headers];

	gondolin__outbound_header__init(h);
	h->name = ipc_text(name);
	h->value = ipc_text(value);
	list[r->n_headers++] = h;
	r->headers = list;
}
