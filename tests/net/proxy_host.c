/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_host - netproxy and egress as the supervisor starts them, without a virtual machine: the
 * link is descriptor 3 (guestns --spawn-dgram).  Both run in their real jails.
 *
 *	--netproxy PROGRAM --egress PROGRAM
 *	--ca FILE		where the sandbox's CA certificate is written
 *	--ready FILE		opened and closed when all is up; made where it is not a FIFO
 *	--mtu N
 *	--dns synthetic|trusted|open	--server ADDRESS:PORT
 *	--allow PATTERN		[http://|https://]HOST[:PORT]; may be repeated
 *	--internal NAME		may resolve to an internal address; may be repeated
 *	--tcp NAME:PORT=HOST:PORT	a mapped connection; may be repeated
 *	--secret NAME@HOST=VALUE	its placeholder is printed; may be repeated
 *	--env FILE		the last one's name and placeholder are written there, as JSON
 *	--request-ms N --response-ms N	time-outs of the guest's heads and of answers
 *	--proxy URL		egress connects by way of it
 *	--ca-bundle FILE --hosts FILE --resolv-conf FILE	egress reads these
 *
 * Records of both are printed to standard output, one line each.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "egress/placeholder.h"
#include "egress/profile.h"
#include "ipc/channel.h"
#include "ipc/egress.pb-c.h"
#include "ipc/netproxy.pb-c.h"
#include "netproxy/profile.h"

#define LINK_FD     3
#define LINK_BUFFER (4 << 20) /* as supervisor/network.c has it */
#define LIST_MAX    64u
#define FIRST_UID   280000u

struct list {
	const char *v[LIST_MAX];
	unsigned n;
};

struct child {
	pid_t pid;
	int pidfd, fd;
	struct ipc_channel channel;
};

struct host {
	const char *netproxy, *egress, *ca, *ready;
	const char *dns, *server, *bundle, *hosts, *resolv, *env, *proxy;
	uint32_t mtu, request_ms, response_ms;
	struct list allow, internal, tcp, secrets;
	struct child np, eg;
	unsigned n_ready;
	struct ev_loop *loop;
	int log[2]; /* a pipe: the helpers may write to no file */
	ev_io log_readable;
};

static void
fail(const char *what, int error)
{
	fprintf(stderr, "proxy_host: %s: %s\n", what, strerror(error));
	exit(1);
}

static ProtobufCBinaryData
bytes_of(const char *s)
{
	return (ProtobufCBinaryData){
	    s != NULL ? strlen(s) : 0, (uint8_t *)strdup(s != NULL ? s : "")};
}

/* ---- The set-up ---- */

static void
tell(int fd, const ProtobufCMessage *m)
{
	int rc = ipc_packet_send(fd, m, NULL, 0);

	if (rc < 0)
		fail("set-up", -rc);
}

/* Cuts "HOST:PORT"; returns the port, 0 where there is none. */
static uint32_t
cut_port(char *text)
{
	char *colon = strrchr(text, ':');
	uint32_t port;

	if (colon == NULL || strchr(colon, ']') != NULL)
		return 0;
	port = (uint32_t)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	return port;
}

static Gondolin__PolicyPattern *
pattern_of(const char *text)
{
	Gondolin__PolicyPattern *p = calloc(1, sizeof(*p));
	char *copy = strdup(text), *host = copy, *scheme = strstr(copy, "://");

	if (p == NULL)
		fail("pattern", ENOMEM);
	gondolin__policy_pattern__init(p);
	if (scheme != NULL) {
		*scheme = '\0';
		p->scheme = bytes_of(copy);
		host = scheme + 3;
	}
	p->port = cut_port(host);
	if (host[0] == '[') {
		host++;
		host[strcspn(host, "]")] = '\0';
	}
	p->host = bytes_of(host);
	p->text = bytes_of(text);
	free(copy);
	return p;
}

static size_t
patterns_of(const struct list *l, Gondolin__PolicyPattern **out)
{
	for (unsigned i = 0; i < l->n; i++)
		out[i] = pattern_of(l->v[i]);
	return l->n;
}

static unsigned
dns_of(const struct host *h)
{
	return strcmp(h->dns, "open") == 0 ? 3 : strcmp(h->dns, "trusted") == 0 ? 2 : 1;
}

static void
set_up_netproxy(const struct host *h)
{
	Gondolin__NetproxySetup setup = GONDOLIN__NETPROXY_SETUP__INIT;
	Gondolin__NetproxyPatterns patterns = GONDOLIN__NETPROXY_PATTERNS__INIT;
	Gondolin__NetproxyConfine confine = GONDOLIN__NETPROXY_CONFINE__INIT;
	Gondolin__SupToNetproxy m = GONDOLIN__SUP_TO_NETPROXY__INIT;
	Gondolin__PolicyPattern *list[LIST_MAX];

	setup.dns = (Gondolin__NetproxySetup__Dns)dns_of(h);
	setup.mtu = h->mtu;
	setup.handshake_ms = h->request_ms < 10000 ? h->request_ms : 10000;
	setup.request_ms = h->request_ms;
	setup.idle_ms = 300000;
	m.body_case = GONDOLIN__SUP_TO_NETPROXY__BODY_SETUP;
	m.setup = &setup;
	tell(h->np.fd, &m.base);
	patterns.n_patterns = patterns_of(&h->allow, list);
	patterns.patterns = list;
	m.body_case = GONDOLIN__SUP_TO_NETPROXY__BODY_PATTERNS;
	m.patterns = &patterns;
	tell(h->np.fd, &m.base);
	for (unsigned i = 0; i < h->tcp.n; i++) {
		Gondolin__NetproxyTcp tcp = GONDOLIN__NETPROXY_TCP__INIT;
		char *text = strdup(h->tcp.v[i]);

		text[strcspn(text, "=")] = '\0';
		tcp.port = cut_port(text);
		tcp.host = bytes_of(text);
		m.body_case = GONDOLIN__SUP_TO_NETPROXY__BODY_TCP;
		m.tcp = &tcp;
		tell(h->np.fd, &m.base);
	}
	m.body_case = GONDOLIN__SUP_TO_NETPROXY__BODY_CONFINE;
	m.confine = &confine;
	tell(h->np.fd, &m.base);
}

static void
tell_patterns(const struct host *h, const struct list *l, Gondolin__EgressPatterns__Kind kind)
{
	Gondolin__EgressPatterns patterns = GONDOLIN__EGRESS_PATTERNS__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	Gondolin__PolicyPattern *list[LIST_MAX];

	patterns.kind = kind;
	patterns.n_patterns = patterns_of(l, list);
	patterns.patterns = list;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_PATTERNS;
	m.patterns = &patterns;
	tell(h->eg.fd, &m.base);
}

static void
write_env(const char *path, const char *name, const char *placeholder)
{
	FILE *f = fopen(path, "we");

	if (f == NULL || fprintf(f, "{\"%s\": \"%s\"}\n", name, placeholder) < 0 || fclose(f) != 0)
		fail(path, errno);
}

static void
tell_secret(const struct host *h, const char *text)
{
	Gondolin__EgressSecret secret = GONDOLIN__EGRESS_SECRET__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	char *name = strdup(text), *host = name + strcspn(name, "@"), *value;
	char placeholder[PLACEHOLDER_LENGTH + 1];
	Gondolin__PolicyPattern *hosts[1];

	if (*host != '\0')
		*host++ = '\0';
	value = host + strcspn(host, "=");
	if (*value != '\0')
		*value++ = '\0';
	if (placeholder_make(placeholder) < 0)
		fail("placeholder", EIO);
	printf("secret %s %s\n", name, placeholder);
	if (h->env != NULL)
		write_env(h->env, name, placeholder);
	hosts[0] = pattern_of(host);
	secret.name = bytes_of(name);
	secret.value = bytes_of(value);
	secret.placeholder = bytes_of(placeholder);
	secret.hosts = hosts;
	secret.n_hosts = 1;
	secret.header = true;
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SECRET;
	m.secret = &secret;
	tell(h->eg.fd, &m.base);
}

static void
tell_tcp(const struct host *h, const char *text)
{
	Gondolin__EgressTcp tcp = GONDOLIN__EGRESS_TCP__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	char *from = strdup(text), *to = from + strcspn(from, "=");

	if (*to != '\0')
		*to++ = '\0';
	tcp.from_port = cut_port(from);
	tcp.to_port = cut_port(to);
	tcp.from_host = bytes_of(from);
	tcp.to_host = bytes_of(to);
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_TCP;
	m.tcp = &tcp;
	tell(h->eg.fd, &m.base);
}

static void
set_up_egress(const struct host *h)
{
	Gondolin__EgressSetup setup = GONDOLIN__EGRESS_SETUP__INIT;
	Gondolin__EgressBudget budget = GONDOLIN__EGRESS_BUDGET__INIT, each = budget;
	Gondolin__EgressTimeouts timeouts = GONDOLIN__EGRESS_TIMEOUTS__INIT;
	Gondolin__EgressConfine confine = GONDOLIN__EGRESS_CONFINE__INIT;
	Gondolin__SupToEgress m = GONDOLIN__SUP_TO_EGRESS__INIT;
	ProtobufCBinaryData server = bytes_of(h->server);

	timeouts.connect = timeouts.handshake = 10000;
	timeouts.response = h->response_ms;
	timeouts.idle = 300000;
	setup.dns = (Gondolin__EgressSetup__Dns)dns_of(h);
	setup.websockets = true;
	setup.proxy = bytes_of(h->proxy);
	setup.n_servers = h->server != NULL;
	setup.servers = &server;
	setup.budget = &budget;
	setup.host_budget = &each;
	setup.timeouts = &timeouts;
	setup.ca_bundle = bytes_of(h->bundle);
	setup.hosts = bytes_of(h->hosts);
	setup.resolv_conf = bytes_of(h->resolv);
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SETUP;
	m.setup = &setup;
	tell(h->eg.fd, &m.base);
	tell_patterns(h, &h->allow, GONDOLIN__EGRESS_PATTERNS__KIND__ALLOW);
	if (h->internal.n > 0)
		tell_patterns(h, &h->internal, GONDOLIN__EGRESS_PATTERNS__KIND__INTERNAL);
	for (unsigned i = 0; i < h->secrets.n; i++)
		tell_secret(h, h->secrets.v[i]);
	for (unsigned i = 0; i < h->tcp.n; i++)
		tell_tcp(h, h->tcp.v[i]);
	m.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_CONFINE;
	m.confine = &confine;
	tell(h->eg.fd, &m.base);
}

/* ---- Serving ---- */

static void
give_edges(struct host *h)
{
	Gondolin__NetproxyServe np = GONDOLIN__NETPROXY_SERVE__INIT;
	Gondolin__EgressServe eg = GONDOLIN__EGRESS_SERVE__INIT;
	Gondolin__SupToNetproxy to_np = GONDOLIN__SUP_TO_NETPROXY__INIT;
	Gondolin__SupToEgress to_eg = GONDOLIN__SUP_TO_EGRESS__INIT;
	int pair[2], fds[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair", errno);
	to_eg.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SERVE;
	to_eg.serve = &eg;
	to_np.body_case = GONDOLIN__SUP_TO_NETPROXY__BODY_SERVE;
	to_np.serve = &np;
	fds[0] = LINK_FD;
	fds[1] = pair[1];
	(void)fcntl(LINK_FD, F_SETFL, O_NONBLOCK);
	if (ipc_channel_send(&h->eg.channel, &to_eg.base, pair, 1) < 0 ||
	    ipc_channel_send(&h->np.channel, &to_np.base, fds, 2) < 0)
		fail("edges", EIO);
	close(pair[0]);
	close(pair[1]);
	close(LINK_FD);
	fd = open(h->ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static void
on_ready(struct host *h)
{
	if (++h->n_ready == 2)
		give_edges(h);
}

static int
on_np_ready(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__NetproxyReady *m = body;
	struct host *h = ctx;
	FILE *f = fopen(h->ca, "we");

	(void)fds;
	(void)n_fds;
	if (f == NULL || fwrite(m->ca.data, 1, m->ca.len, f) != m->ca.len || fclose(f) != 0)
		fail(h->ca, errno);
	on_ready(h);
	return 0;
}

static int
on_np_record(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__NetproxyRecord *m = body;

	(void)ctx;
	(void)fds;
	(void)n_fds;
	printf(
	    "netproxy kind=%d name=%.*s type=%u address=%.*s port=%u status=%u rule=%.*s more=%u\n",
	    (int)m->kind, (int)m->name.len, m->name.data, m->type, (int)m->address.len,
	    m->address.data, m->port, m->status, (int)m->rule.len, m->rule.data, m->repeated);
	return 0;
}

static int
on_eg_ready(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)body;
	(void)fds;
	(void)n_fds;
	on_ready(ctx);
	return 0;
}

static int
on_eg_records(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__EgressRecords *m = body;

	(void)ctx;
	(void)fds;
	(void)n_fds;
	for (size_t i = 0; i < m->n_records; i++) {
		const Gondolin__EgressRecord *r = m->records[i];

		printf("egress kind=%d %.*s %.*s://%.*s:%u%.*s status=%u address=%.*s rule=%.*s\n",
		    (int)r->kind, (int)r->method.len, r->method.data, (int)r->scheme.len,
		    r->scheme.data, (int)r->host.len, r->host.data, r->port, (int)r->path.len,
		    r->path.data, r->status, (int)r->address.len, r->address.data, (int)r->rule.len,
		    r->rule.data);
	}
	return 0;
}

static int
on_ignored(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)ctx;
	(void)body;
	(void)fds;
	(void)n_fds;
	return 0;
}

static const struct ipc_row np_rows[] = {
    {GONDOLIN__NETPROXY_TO_SUP__BODY_READY, "NetproxyReady", IPC_ANY_STATE, 0, 0, on_np_ready},
    {GONDOLIN__NETPROXY_TO_SUP__BODY_RECORD, "NetproxyRecord", IPC_ANY_STATE, 0, 0, on_np_record},
};

static const struct ipc_table np_table = {&gondolin__netproxy_to_sup__descriptor, np_rows, 2};

static const struct ipc_row eg_rows[] = {
    {GONDOLIN__EGRESS_TO_SUP__BODY_READY, "EgressReady", IPC_ANY_STATE, 0, 0, on_eg_ready},
    {GONDOLIN__EGRESS_TO_SUP__BODY_RECORDS, "EgressRecords", IPC_ANY_STATE, 0, 0, on_eg_records},
    {GONDOLIN__EGRESS_TO_SUP__BODY_COUNTERS, "EgressCounters", IPC_ANY_STATE, 0, 0, on_ignored},
};

static const struct ipc_table eg_table = {&gondolin__egress_to_sup__descriptor, eg_rows, 3};

static void
on_ended(void *ctx, int reason, const char *message)
{
	struct host *h = ctx;

	fprintf(stderr, "proxy_host: a helper ended: %s %s\n",
	    reason != 0 ? strerror(-reason) : "closed", message != NULL ? message : "");
	ev_break(h->loop, EVBREAK_ALL);
}

static void
copy_log(const struct host *h)
{
	char text[4096];
	ssize_t n;

	while ((n = read(h->log[0], text, sizeof(text))) > 0)
		(void)!write(STDERR_FILENO, text, (size_t)n);
}

static void
on_log(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	copy_log(w->data);
}

static void
start(struct host *h, struct child *c, const struct jail_profile *profile, const char *program,
    unsigned number)
{
	int pair[2], fds[4] = {-1, -1, h->log[1], -1};
	char *argv[] = {strdup(program), NULL}, error[256];
	struct jail_spawn s = {
	    .profile = profile,
	    .identity = {geteuid() == 0, FIRST_UID + number, FIRST_UID + number},
	    .program = program,
	    .argv = argv,
	    .fds = fds,
	    .n_fds = 4,
	    .cgroup_fd = -1,
	};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair", errno);
	fds[3] = pair[1];
	if (geteuid() != 0) {
		s.identity.uid = getuid();
		s.identity.gid = getgid();
	}
	c->pid = jail_spawn(&s, &c->pidfd, error, sizeof(error));
	if (c->pid < 0) {
		fprintf(stderr, "proxy_host: %s\n", error);
		exit(1);
	}
	close(pair[1]);
	c->fd = pair[0];
}

static void
on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
stop(struct child *c)
{
	int status;

	ipc_channel_close(&c->channel);
	(void)waitpid(c->pid, &status, 0);
	if (WIFSIGNALED(status))
		fprintf(stderr, "proxy_host: a helper died of signal %d\n", WTERMSIG(status));
}

static void
parse(struct host *h, int argc, char **argv)
{
	enum { LIST = 256 };
	const struct option options[] = {{"netproxy", 1, NULL, 0}, {"egress", 1, NULL, 1},
	    {"ca", 1, NULL, 2}, {"ready", 1, NULL, 3}, {"dns", 1, NULL, 4}, {"server", 1, NULL, 5},
	    {"ca-bundle", 1, NULL, 6}, {"hosts", 1, NULL, 7}, {"resolv-conf", 1, NULL, 8},
	    {"env", 1, NULL, 9}, {"proxy", 1, NULL, 10}, {"mtu", 1, NULL, 11},
	    {"request-ms", 1, NULL, 12}, {"response-ms", 1, NULL, 13}, {"allow", 1, NULL, LIST},
	    {"internal", 1, NULL, LIST + 1}, {"tcp", 1, NULL, LIST + 2},
	    {"secret", 1, NULL, LIST + 3}, {NULL, 0, NULL, 0}};
	const char **texts[] = {&h->netproxy, &h->egress, &h->ca, &h->ready, &h->dns, &h->server,
	    &h->bundle, &h->hosts, &h->resolv, &h->env, &h->proxy};
	uint32_t *numbers[] = {&h->mtu, &h->request_ms, &h->response_ms};
	struct list *lists[] = {&h->allow, &h->internal, &h->tcp, &h->secrets};
	int o;

	h->dns = "synthetic";
	h->mtu = 1500;
	h->request_ms = 30000;
	h->response_ms = 300000;
	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o < 11)
			*texts[o] = optarg;
		else if (o < 14)
			*numbers[o - 11] = (uint32_t)atoi(optarg);
		else if (o >= LIST && o < LIST + 4 && lists[o - LIST]->n < LIST_MAX)
			lists[o - LIST]->v[lists[o - LIST]->n++] = optarg;
		else
			exit(2);
	}
	if (h->netproxy == NULL || h->egress == NULL || h->ca == NULL || h->ready == NULL)
		fail("--netproxy, --egress, --ca and --ready are needed", EINVAL);
}

int
main(int argc, char **argv)
{
	static struct host h;
	ev_signal term;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&h, argc, argv);
	(void)fcntl(LINK_FD, F_SETFD, FD_CLOEXEC);
	(void)setsockopt(LINK_FD, SOL_SOCKET, SO_SNDBUF, &(const int){LINK_BUFFER}, sizeof(int));
	h.loop = ev_default_loop(0);
	if (pipe2(h.log, O_CLOEXEC | O_NONBLOCK) < 0)
		fail("pipe", errno);
	ev_io_init(&h.log_readable, on_log, h.log[0], EV_READ);
	h.log_readable.data = &h;
	ev_io_start(h.loop, &h.log_readable);
	start(&h, &h.np, &netproxy_profile, h.netproxy, 0);
	start(&h, &h.eg, &egress_profile, h.egress, 1);
	set_up_netproxy(&h);
	set_up_egress(&h);
	ipc_channel_open(&h.np.channel, h.loop, h.np.fd, &np_table, &h, on_ended);
	ipc_channel_open(&h.eg.channel, h.loop, h.eg.fd, &eg_table, &h, on_ended);
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_start(h.loop, &term);
	ev_run(h.loop, 0);
	stop(&h.np);
	stop(&h.eg);
	copy_log(&h);
	return 0;
}
