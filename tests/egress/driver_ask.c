/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to messages. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/egress.pb-c.h"
#include "ipc/outbound.pb-c.h"
#include "ipc/packet.h"
#include "tests/egress/driver.h"

#define LIST_MAX 300

void
die(const char *what)
{
	fprintf(stderr, "driver: %s\n", what);
	exit(2);
}

static ProtobufCBinaryData
bytes_of(const struct json *j, const struct json_token *t)
{
	ProtobufCBinaryData b = {0};
	char *nul;
	int n;

	if (t == NULL)
		return b;
	b.data = malloc(t->length + 1);
	if (b.data == NULL)
		die("no memory");
	n = json_string(j, t, (char *)b.data, t->length + 1);
	if (n < 0)
		die("not a string");
	b.len = (size_t)n;
	/* No JSON text of ours has a NUL: "<00>" stands for it. */
	while ((nul = memmem(b.data, b.len, "<00>", 4)) != NULL) {
		*nul = '\0';
		memmove(nul + 1, nul + 4, b.len - (size_t)(nul - (char *)b.data) - 4);
		b.len -= 3;
	}
	return b;
}

ProtobufCBinaryData
get_bytes(const struct json *j, const struct json_token *object, const char *name)
{
	return bytes_of(j, json_member(j, object, name));
}

int64_t
get_number(const struct json *j, const struct json_token *object, const char *name)
{
	int64_t v = 0;

	(void)json_integer(j, json_member(j, object, name), &v);
	return v;
}

bool
get_truth(const struct json *j, const struct json_token *object, const char *name)
{
	bool v = false;

	(void)json_bool(json_member(j, object, name), &v);
	return v;
}

void
send_message(int fd, const ProtobufCMessage *m)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int rc;

	while ((rc = ipc_packet_send(fd, m, NULL, 0)) == -EAGAIN)
		(void)poll(&p, 1, -1);
	if (rc < 0 && rc != -EPIPE)
		die(strerror(-rc));
}

/* ---- Set-up ---- */

static void
to_supervisor_setup(int fd, const struct json *j, const struct json_token *root)
{
	Gondolin__EgressSetup s = GONDOLIN__EGRESS_SETUP__INIT;
	Gondolin__EgressBudget budget = GONDOLIN__EGRESS_BUDGET__INIT,
			       host = GONDOLIN__EGRESS_BUDGET__INIT;
	Gondolin__EgressTimeouts t = GONDOLIN__EGRESS_TIMEOUTS__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	ProtobufCBinaryData server = get_bytes(j, root, "server");
	int64_t response = get_number(j, root, "response");

	s.dns = (Gondolin__EgressSetup__Dns)(get_number(j, root, "dns") + 1);
	s.servers = &server;
	s.n_servers = server.len > 0 ? 1 : 0;
	s.websockets = true;
	s.ca_bundle = get_bytes(j, root, "ca");
	s.hosts = get_bytes(j, root, "hosts");
	s.proxy = get_bytes(j, root, "proxy");
	budget.requests = (uint32_t)get_number(j, root, "requests");
	budget.connections = (uint32_t)get_number(j, root, "connections");
	budget.bytes_out = (uint64_t)get_number(j, root, "bytes_out");
	host.connections = (uint32_t)get_number(j, root, "host_connections");
	host.bytes_in = (uint64_t)get_number(j, root, "host_bytes_in");
	t.connect = t.handshake = 5000;
	t.idle = 60000;
	t.response = response > 0 ? (uint32_t)response : 60000;
	s.budget = &budget;
	s.host_budget = &host;
	s.timeouts = &t;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SETUP;
	m.setup = &s;
	send_message(fd, &m.base);
}

/* Patterns are [scheme, host, port]. */
static size_t
take_patterns(const struct json *j, const struct json_token *array, Gondolin__PolicyPattern *rows,
    Gondolin__PolicyPattern **list)
{
	const struct json_token *one;
	int64_t port = 0;
	size_t i;

	for (i = 0; array != NULL && i < array->size && i < LIST_MAX; i++) {
		one = json_element(j, array, i);
		gondolin__policy_pattern__init(&rows[i]);
		rows[i].scheme = bytes_of(j, json_element(j, one, 0));
		rows[i].host = bytes_of(j, json_element(j, one, 1));
		(void)json_integer(j, json_element(j, one, 2), &port);
		rows[i].port = (uint32_t)port;
		rows[i].text = rows[i].host;
		list[i] = &rows[i];
	}
	return i;
}

static void
to_supervisor_patterns(int fd, const struct json *j, const struct json_token *array,
    Gondolin__EgressPatterns__Kind kind)
{
	static Gondolin__PolicyPattern rows[LIST_MAX], *list[LIST_MAX];
	Gondolin__EgressPatterns p = GONDOLIN__EGRESS_PATTERNS__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;

	p.kind = kind;
	p.patterns = list;
	p.n_patterns = take_patterns(j, array, rows, list);
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_PATTERNS;
	m.patterns = &p;
	send_message(fd, &m.base);
}

static void
to_supervisor_secret(int fd, const struct json *j, const struct json_token *one)
{
	static Gondolin__PolicyPattern rows[LIST_MAX], *list[LIST_MAX];
	Gondolin__EgressSecret s = GONDOLIN__EGRESS_SECRET__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;

	s.name = get_bytes(j, one, "name");
	s.value = get_bytes(j, one, "value");
	s.placeholder = get_bytes(j, one, "placeholder");
	s.hosts = list;
	s.n_hosts = take_patterns(j, json_member(j, one, "hosts"), rows, list);
	s.header = true;
	s.query = get_truth(j, one, "query");
	s.body = get_truth(j, one, "body");
	s.plain_http = get_truth(j, one, "http");
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SECRET;
	m.secret = &s;
	send_message(fd, &m.base);
}

static void
to_supervisor_tcp(int fd, const struct json *j, const struct json_token *one)
{
	Gondolin__EgressTcp t = GONDOLIN__EGRESS_TCP__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;

	t.from_host = get_bytes(j, one, "from");
	t.from_port = (uint32_t)get_number(j, one, "from_port");
	t.to_host = get_bytes(j, one, "to");
	t.to_port = (uint32_t)get_number(j, one, "to_port");
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_TCP;
	m.tcp = &t;
	send_message(fd, &m.base);
}

void
send_setup(int fd, const struct json *j, const struct json_token *root)
{
	Gondolin__EgressConfine confine = GONDOLIN__EGRESS_CONFINE__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	const struct json_token *list = json_member(j, root, "secrets");
	size_t i;

	to_supervisor_setup(fd, j, root);
	to_supervisor_patterns(
	    fd, j, json_member(j, root, "allow"), GONDOLIN__EGRESS_PATTERNS__KIND__ALLOW);
	to_supervisor_patterns(
	    fd, j, json_member(j, root, "internal"), GONDOLIN__EGRESS_PATTERNS__KIND__INTERNAL);
	for (i = 0; list != NULL && i < list->size; i++)
		to_supervisor_secret(fd, j, json_element(j, list, i));
	list = json_member(j, root, "tcp");
	for (i = 0; list != NULL && i < list->size; i++)
		to_supervisor_tcp(fd, j, json_element(j, list, i));
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_CONFINE;
	m.confine = &confine;
	send_message(fd, &m.base);
}

/* ---- Requests ---- */

/* The address that `address` says in text; none where it is none. */
static ProtobufCBinaryData
get_address(const struct json *j, const struct json_token *root)
{
	ProtobufCBinaryData text = get_bytes(j, root, "address"), b = {0};
	static uint8_t bytes[16];

	if (text.len > 0 && inet_pton(AF_INET, (const char *)text.data, bytes) == 1)
		b = (ProtobufCBinaryData){4, bytes};
	else if (text.len > 0 && inet_pton(AF_INET6, (const char *)text.data, bytes) == 1)
		b = (ProtobufCBinaryData){16, bytes};
	return b;
}

static size_t
take_headers(const struct json *j, const struct json_token *array, Gondolin__OutboundHeader *rows,
    Gondolin__OutboundHeader **list)
{
	const struct json_token *one;
	size_t i;

	for (i = 0; array != NULL && i < array->size && i < LIST_MAX; i++) {
		one = json_element(j, array, i);
		gondolin__outbound_header__init(&rows[i]);
		rows[i].name = bytes_of(j, json_element(j, one, 0));
		rows[i].value = bytes_of(j, json_element(j, one, 1));
		list[i] = &rows[i];
	}
	return i;
}

void
send_request(int fd, const struct json *j, const struct json_token *root, uint64_t id)
{
	static Gondolin__OutboundHeader rows[LIST_MAX], *list[LIST_MAX];
	Gondolin__OutboundRequest q = GONDOLIN__OUTBOUND_REQUEST__INIT;
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;

	q.id = id;
	q.https = get_truth(j, root, "https");
	q.host = get_bytes(j, root, "host");
	q.port = (uint32_t)get_number(j, root, "port");
	q.sni = get_bytes(j, root, "sni");
	q.destination = get_bytes(j, root, "destination");
	q.destination_address = get_address(j, root);
	q.destination_port = (uint32_t)get_number(j, root, "destination_port");
	q.method = get_bytes(j, root, "method");
	q.path = get_bytes(j, root, "path");
	q.headers = list;
	q.n_headers = take_headers(j, json_member(j, root, "headers"), rows, list);
	q.upgrade = get_truth(j, root, "upgrade");
	q.end = get_truth(j, root, "end");
	q.body = get_bytes(j, root, "body");
	q.has_length = get_truth(j, root, "has_length");
	q.length = (uint64_t)get_number(j, root, "length");
	q.has_body = get_truth(j, root, "has_body");
	m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST;
	m.request = &q;
	send_message(fd, &m.base);
}
