/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress_driver PROGRAM: starts it in its wall, and then obeys lines of JSON on standard input:
 *
 *	{"op": "setup", ...}	first; answered by {"event": "ready"}
 *	{"op": "request", ...}	"id" and the members of OutboundRequest
 *	{"op": "feed", "id", "count", "text"}	writes text count times to the request's stream
 *	{"op": "end", "id", "length"}	OutboundRequestEnd
 *	{"op": "cancel" | "resolve", ...}
 *	{"op": "connect", "elsewhere", ...}	then tries to send the socket to that port
 *	{"op": "repeat", "times", "at_once", ...}	a request over and over; then {"event":
 *"done"}
 *	{"op": "raw", "text"}	those bytes as a packet
 *
 * and writes a line for all that egress says.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "egress/profile.h"
#include "ipc/egress.pb-c.h"
#include "ipc/message.h"
#include "ipc/outbound.pb-c.h"
#include "ipc/packet.h"
#include "tests/egress/driver.h"

#define TOKENS_MAX  4096
#define STREAMS_MAX 256
#define SHOWN_MAX   4000u
#define TEST_UID    1879048192u

struct stream {
	uint64_t id;
	int fd; /* -1: none */
	uint64_t bytes;
	char shown[SHOWN_MAX];
	size_t n_shown;
	uint32_t crc;
};

static struct driver {
	int supervisor, netproxy;
	pid_t pid;
	struct stream streams[STREAMS_MAX];
	/* Of "repeat". */
	char *line;
	int64_t left, running;
	uint64_t next_id, refused;
	struct timespec began;
	uint16_t elsewhere;
} d = {.supervisor = -1, .netproxy = -1, .next_id = 1000000};

static void
start(const char *program)
{
	char name[] = "gondolin-egress", error[512] = "";
	char *argv[] = {name, NULL};
	int edge[2], pidfd, fds[4] = {-1, -1, STDERR_FILENO, -1};
	struct jail_spawn s = {.profile = &egress_profile,
	    .identity = {geteuid() == 0, TEST_UID, TEST_UID},
	    .program = program,
	    .argv = argv,
	    .fds = fds,
	    .n_fds = 4,
	    .cgroup_fd = -1};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, edge) < 0)
		die("socketpair");
	fds[3] = edge[1];
	d.supervisor = edge[0];
	d.pid = jail_spawn(&s, &pidfd, error, sizeof(error));
	if (d.pid < 0)
		die(error);
	close(edge[1]);
	close(pidfd);
}

/* ---- Telling ---- */

static void
put(struct json_writer *w, const char *name, const ProtobufCBinaryData *b)
{
	json_key(w, name);
	json_put_bytes(w, b->data, b->len);
}

static void
begin(struct json_writer *w, const char *event, uint64_t id)
{
	json_writer_init(w);
	json_open(w, '{');
	json_member_string(w, "event", event);
	json_member_integer(w, "id", (int64_t)id);
}

static void
finish(struct json_writer *w)
{
	json_close(w, '}');
	puts(w->text);
	fflush(stdout);
	json_writer_clear(w);
}

static void
put_headers(struct json_writer *w, const char *name, Gondolin__OutboundHeader **list, size_t n)
{
	size_t i;

	json_key(w, name);
	json_open(w, '[');
	for (i = 0; i < n; i++) {
		json_open(w, '[');
		json_put_bytes(w, list[i]->name.data, list[i]->name.len);
		json_put_bytes(w, list[i]->value.data, list[i]->value.len);
		json_close(w, ']');
	}
	json_close(w, ']');
}

/* ---- Streams ---- */

static struct stream *
stream_of(uint64_t id)
{
	size_t i;

	for (i = 0; i < STREAMS_MAX; i++)
		if (d.streams[i].fd > 0 && d.streams[i].id == id)
			return &d.streams[i];
	return NULL;
}

static void
stream_add(uint64_t id, int *fds, size_t n_fds)
{
	size_t i;

	for (i = 0; n_fds > 0 && i < STREAMS_MAX; i++) {
		if (d.streams[i].fd > 0)
			continue;
		memset(&d.streams[i], 0, sizeof(d.streams[i]));
		d.streams[i].id = id;
		d.streams[i].fd = fds[0];
		fds[0] = -1;
		return;
	}
}

/* Returns false at its end, or where there is nothing now. */
static bool
stream_read(struct stream *s)
{
	char bytes[65536];
	ssize_t n = read(s->fd, bytes, sizeof(bytes));
	size_t shown;

	if (n <= 0)
		return false;
	shown = SHOWN_MAX - s->n_shown < (size_t)n ? SHOWN_MAX - s->n_shown : (size_t)n;
	memcpy(s->shown + s->n_shown, bytes, shown);
	s->n_shown += shown;
	s->bytes += (uint64_t)n;
	s->crc = (uint32_t)crc32(s->crc, (const Bytef *)bytes, (uInt)n);
	return true;
}

static void
stream_end(struct json_writer *w, uint64_t id, uint64_t length)
{
	struct stream *s = stream_of(id);
	struct pollfd p = {.events = POLLIN};

	if (s == NULL)
		return;
	p.fd = s->fd;
	while (s->bytes < length && poll(&p, 1, -1) > 0 && stream_read(s))
		;
	json_member_integer(w, "stream_bytes", (int64_t)s->bytes);
	json_member_integer(w, "crc32", s->crc);
	json_key(w, "text");
	json_put_bytes(w, s->shown, s->n_shown);
	close(s->fd);
	s->fd = -1;
}

/* ---- What egress says ---- */

static void repeat_next(void);

/* True where the message was one of "repeat", and is not shown. */
static bool
is_repeated(uint64_t id, bool final, bool refused)
{
	struct stream *s = stream_of(id);

	if (id < 1000000)
		return false;
	if (final) {
		if (s != NULL) {
			close(s->fd);
			s->fd = -1;
		}
		d.running--;
		d.refused += refused;
		repeat_next();
	}
	return true;
}

static void
on_answer(const Gondolin__OutboundAnswer *a, int *fds, size_t n_fds)
{
	struct json_writer w;

	stream_add(a->id, fds, n_fds);
	if (is_repeated(a->id, a->end, false))
		return;
	begin(&w, "answer", a->id);
	json_member_integer(&w, "status", a->status);
	put_headers(&w, "headers", a->headers, a->n_headers);
	put_headers(&w, "trailers", a->trailers, a->n_trailers);
	put(&w, "body", &a->body);
	json_member_bool(&w, "end", a->end);
	json_member_bool(&w, "streamed", a->streamed);
	json_member_integer(&w, "length", a->has_length ? (int64_t)a->length : -1);
	finish(&w);
}

static void
on_answer_end(const Gondolin__OutboundAnswerEnd *a)
{
	struct json_writer w;

	if (is_repeated(a->id, true, a->cause != 0))
		return;
	begin(&w, "end", a->id);
	json_member_integer(&w, "cause", a->cause);
	put(&w, "body", &a->body);
	put_headers(&w, "trailers", a->trailers, a->n_trailers);
	stream_end(&w, a->id, a->length);
	finish(&w);
}

static void
on_refused(const Gondolin__OutboundRefused *r)
{
	struct json_writer w;

	if (is_repeated(r->id, true, true))
		return;
	begin(&w, "refused", r->id);
	json_member_integer(&w, "status", r->status);
	json_member_integer(&w, "cause", r->cause);
	put(&w, "rule", &r->rule);
	put(&w, "message", &r->text);
	finish(&w);
}

static void
on_resolved(const Gondolin__OutboundResolved *r)
{
	struct json_writer w;

	begin(&w, "resolved", r->id);
	json_member_integer(&w, "rcode", r->rcode);
	json_member_integer(&w, "addresses", (int64_t)r->n_addresses);
	json_member_integer(&w, "packet", (int64_t)r->packet.len);
	finish(&w);
}

/* Whether the mapped connection's socket connects to another port of this host. */
static bool
goes_elsewhere(int fd)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(d.elsewhere),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned i;

	/* The kernel takes the old connection's end in the first, and connects in the second. */
	for (i = 0; i < 3; i++)
		if (sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr *)&to,
			sizeof(to)) >= 0 ||
		    errno == EINPROGRESS)
			return true;
	return false;
}

/* Says hello on the mapped connection and shows what comes back. */
static void
on_connected(uint64_t id, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct json_writer w;
	char bytes[256];
	ssize_t n;

	(void)!write(fd, "hello\n", 6);
	(void)poll(&p, 1, -1);
	n = read(fd, bytes, sizeof(bytes));
	begin(&w, "connected", id);
	json_key(&w, "text");
	json_put_bytes(&w, bytes, n > 0 ? (size_t)n : 0);
	if (d.elsewhere != 0)
		json_member_bool(&w, "elsewhere", goes_elsewhere(fd));
	finish(&w);
}

static void
on_netproxy(const Gondolin__EgressToNetproxy *m, int *fds, size_t n_fds)
{
	struct json_writer w;

	switch (m->body_case) {
	case GONDOLIN__EGRESS_TO_NETPROXY__BODY_STREAM:
		stream_add(m->stream->id, fds, n_fds);
		begin(&w, "stream", m->stream->id);
		finish(&w);
		break;
	case GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER:
		on_answer(m->answer, fds, n_fds);
		break;
	case GONDOLIN__EGRESS_TO_NETPROXY__BODY_ANSWER_END:
		on_answer_end(m->answer_end);
		break;
	case GONDOLIN__EGRESS_TO_NETPROXY__BODY_REFUSED:
		on_refused(m->refused);
		break;
	case GONDOLIN__EGRESS_TO_NETPROXY__BODY_RESOLVED:
		on_resolved(m->resolved);
		break;
	case GONDOLIN__EGRESS_TO_NETPROXY__BODY_CONNECTED:
		on_connected(m->connected->id, fds[0]);
		break;
	default:
		die("an empty message");
	}
}

static void
on_records(const Gondolin__EgressRecords *m)
{
	const Gondolin__EgressRecord *r;
	struct json_writer w;
	size_t i, k;

	for (i = 0; i < m->n_records; i++) {
		r = m->records[i];
		if (r->id >= 1000000)
			continue;
		begin(&w, "record", r->id);
		json_member_integer(&w, "kind", r->kind);
		put(&w, "host", &r->host);
		put(&w, "path", &r->path);
		put(&w, "rule", &r->rule);
		json_member_integer(&w, "status", r->status);
		json_key(&w, "secrets");
		json_open(&w, '[');
		for (k = 0; k < r->n_secrets; k++)
			json_put_bytes(&w, r->secrets[k].data, r->secrets[k].len);
		json_close(&w, ']');
		json_member_integer(&w, "scrubbed", (int64_t)r->n_scrubbed);
		finish(&w);
	}
}

static void
on_supervisor(const Gondolin__EgressToSup *m)
{
	Gondolin__EgressServe serve = GONDOLIN__EGRESS_SERVE__INIT;
	Gondolin__SupToEgress order = GONDOLIN__SUP_TO_EGRESS__INIT;
	struct json_writer w;
	int edge[2];

	if (m->body_case == GONDOLIN__EGRESS_TO_SUP__BODY_RECORDS)
		on_records(m->records);
	if (m->body_case != GONDOLIN__EGRESS_TO_SUP__BODY_READY)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, edge) < 0)
		die("socketpair");
	order.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SERVE;
	order.serve = &serve;
	if (ipc_packet_send(d.supervisor, &order.base, &edge[1], 1) < 0)
		die("serve");
	close(edge[1]);
	d.netproxy = edge[0];
	begin(&w, "ready", 0);
	json_member_integer(&w, "pid", d.pid);
	finish(&w);
}

/* Returns false at the end of the connection. */
static bool
receive(int fd, const ProtobufCMessageDescriptor *type)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	ProtobufCMessage *m;

	if (ipc_packet_receive(fd, &p) <= 0)
		return false;
	m = ipc_message_decode(type, bytes, p.length);
	if (m == NULL)
		die("egress said something malformed");
	if (fd == d.supervisor)
		on_supervisor((const Gondolin__EgressToSup *)m);
	else
		on_netproxy((const Gondolin__EgressToNetproxy *)m, p.fds, p.n_fds);
	protobuf_c_message_free_unpacked(m, NULL);
	ipc_packet_close_fds(&p);
	return true;
}

/* ---- Orders ---- */

static void
with_line(const char *line, void (*obey)(const struct json *, const struct json_token *))
{
	static struct json_token tokens[TOKENS_MAX];
	struct json j;

	if (json_parse(&j, line, strlen(line), tokens, TOKENS_MAX) < 0)
		die("not JSON");
	obey(&j, &tokens[0]);
}

static void
send_repeated(const struct json *j, const struct json_token *root)
{
	send_request(d.netproxy, j, root, d.next_id++);
}

static void
repeat_next(void)
{
	struct timespec now;
	struct json_writer w;

	if (d.left > 0) {
		d.left--;
		d.running++;
		with_line(d.line, send_repeated);
	} else if (d.running == 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		begin(&w, "done", 0);
		json_member_integer(&w, "refused", (int64_t)d.refused);
		json_member_integer(&w, "microseconds",
		    (now.tv_sec - d.began.tv_sec) * 1000000 +
			(now.tv_nsec - d.began.tv_nsec) / 1000);
		finish(&w);
	}
}

static void
feed(const struct json *j, const struct json_token *root)
{
	struct stream *s = stream_of((uint64_t)get_number(j, root, "id"));
	ProtobufCBinaryData text = get_bytes(j, root, "text");
	int64_t i, count = get_number(j, root, "count");
	struct pollfd p = {.events = POLLOUT};
	size_t at;
	ssize_t n;

	if (s == NULL)
		die("no such stream");
	p.fd = s->fd;
	for (i = 0; i < count; i++)
		for (at = 0; at<text.len; at += n> 0 ? (size_t)n : 0) {
			(void)poll(&p, 1, -1);
			n = send(s->fd, text.data + at, text.len - at, MSG_NOSIGNAL);
			if (n < 0 && errno != EAGAIN)
				return;
		}
}

static void
obey_rest(const struct json *j, const struct json_token *root, const char *op)
{
	Gondolin__NetproxyToEgress m = GONDOLIN__NETPROXY_TO_EGRESS__INIT;
	Gondolin__OutboundRequestEnd end = GONDOLIN__OUTBOUND_REQUEST_END__INIT;
	Gondolin__OutboundCancel cancel = GONDOLIN__OUTBOUND_CANCEL__INIT;
	Gondolin__OutboundResolve resolve = GONDOLIN__OUTBOUND_RESOLVE__INIT;
	Gondolin__OutboundConnect connect_ = GONDOLIN__OUTBOUND_CONNECT__INIT;

	end.id = cancel.id = resolve.id = connect_.id = (uint64_t)get_number(j, root, "id");
	end.length = (uint64_t)get_number(j, root, "length");
	resolve.name = connect_.host = get_bytes(j, root, "host");
	resolve.type = (uint32_t)get_number(j, root, "type");
	connect_.port = (uint32_t)get_number(j, root, "port");
	if (strcmp(op, "end") == 0) {
		m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_REQUEST_END;
		m.request_end = &end;
	} else if (strcmp(op, "cancel") == 0) {
		m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_CANCEL;
		m.cancel = &cancel;
	} else if (strcmp(op, "resolve") == 0) {
		m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_RESOLVE;
		m.resolve = &resolve;
	} else if (strcmp(op, "connect") == 0) {
		d.elsewhere = (uint16_t)get_number(j, root, "elsewhere");
		m.body_case = GONDOLIN__NETPROXY_TO_EGRESS__BODY_CONNECT;
		m.connect = &connect_;
	} else {
		die("no such op");
	}
	send_message(d.netproxy, &m.base);
}

static void
obey(const struct json *j, const struct json_token *root)
{
	char op[32] = "";
	ProtobufCBinaryData text;
	int64_t i, at_once;

	(void)json_string(j, json_member(j, root, "op"), op, sizeof(op));
	if (strcmp(op, "setup") == 0) {
		send_setup(d.supervisor, j, root);
	} else if (strcmp(op, "request") == 0) {
		send_request(d.netproxy, j, root, (uint64_t)get_number(j, root, "id"));
	} else if (strcmp(op, "feed") == 0) {
		feed(j, root);
	} else if (strcmp(op, "raw") == 0) {
		text = get_bytes(j, root, "text");
		(void)ipc_packet_send_bytes(d.netproxy, text.data, text.len, NULL, 0);
	} else if (strcmp(op, "repeat") == 0) {
		free(d.line);
		d.line = strdup(j->text);
		d.left = get_number(j, root, "times");
		at_once = get_number(j, root, "at_once");
		d.refused = 0;
		clock_gettime(CLOCK_MONOTONIC, &d.began);
		for (i = 0; i < at_once && d.left > 0; i++)
			repeat_next();
	} else {
		obey_rest(j, root, op);
	}
}

static bool
take_line(void)
{
	static char *line;
	static size_t size;
	ssize_t n = getline(&line, &size, stdin);

	if (n <= 0)
		return false;
	if (line[n - 1] == '\n')
		line[n - 1] = '\0';
	with_line(line, obey);
	return true;
}

/* Waits for something, and takes it.  Returns false at the end. */
static bool
turn(void)
{
	struct pollfd p[3 + STREAMS_MAX] = {{.fd = d.supervisor, .events = POLLIN},
	    {.fd = d.netproxy, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	nfds_t i;

	for (i = 0; i < STREAMS_MAX; i++) {
		p[3 + i].fd = d.streams[i].fd > 0 ? d.streams[i].fd : -1;
		p[3 + i].events = POLLIN;
	}
	if (poll(p, 3 + STREAMS_MAX, -1) < 0)
		return errno == EINTR;
	for (i = 0; i < STREAMS_MAX; i++)
		if (p[3 + i].revents != 0)
			(void)stream_read(&d.streams[i]);
	if (p[1].revents != 0 && !receive(d.netproxy, &gondolin__egress_to_netproxy__descriptor)) {
		close(d.netproxy);
		d.netproxy = -1;
	}
	if (p[0].revents != 0 && !receive(d.supervisor, &gondolin__egress_to_sup__descriptor))
		return false;
	return p[2].revents == 0 || take_line();
}

int
main(int argc, char **argv)
{
	struct json_writer w;
	int status = 0;

	if (argc != 2)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	start(argv[1]);
	while (turn())
		;
	close(d.supervisor);
	if (waitpid(d.pid, &status, 0) != d.pid)
		die("waitpid");
	begin(&w, "exit", 0);
	json_member_integer(
	    &w, "code", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	finish(&w);
	return 0;
}
