/* SPDX-License-Identifier: Apache-2.0 */
/* The start of netproxy and egress, and their edges: see the header. */
#include "supervisor/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/programs.h"

#define LINK_BUFFER (4 << 20) /* bytes of frames under way, each direction */
#define SETUP_MAX   2048u     /* messages of a set-up: what the configuration's caps allow */

/* ---- Before the start ---- */

/*
 * More than the host's usual limit needs root; without, the kernel takes what it lets us have, and
 * a slow reader is waited for sooner.
 */
static void
widen(int fd)
{
	const int size = LINK_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* Returns 0, -EINVAL where no line begins like that (NULL: none has to), or another -errno. */
static int
find_line(const char *path, const char *begin)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int rc = f == NULL ? -errno : begin == NULL ? 0 : -EINVAL;

	errno = 0;
	while (rc == -EINVAL && getline(&line, &room, f) > 0)
		if (strncmp(line, begin, strlen(begin)) == 0)
			rc = 0;
	if (rc == -EINVAL && errno != 0)
		rc = -errno;
	free(line);
	if (f != NULL)
		(void)fclose(f);
	return rc;
}

/* What egress is going to read by its path: a mistake is said with its place. */
static int
check_file(const struct config *c, const char *key, const char *path, const char *begin,
    char *error, size_t size)
{
	char name[32];
	int rc;

	if (path == NULL)
		return 0;
	rc = find_line(path, begin);
	if (rc == 0)
		return 0;
	snprintf(name, sizeof(name), "network.%s", key);
	snprintf(error, size, "%s:%u: network: %s: %s: %s", c->name, config_line(c, name), key,
	    path, rc == -EINVAL ? "no certificate in it (PEM)" : strerror(-rc));
	return rc;
}

int
network_prepare(struct network *n, const struct config *c, char *error, size_t error_size)
{
	static const enum edge_id ours[] = {EDGE_LINK, EDGE_OUTBOUND};
	size_t i;
	int rc;

	if (c->network == NULL)
		return 0;
	n->config = c;
	rc = network_policy_build(&n->policy, c, error, error_size);
	if (rc == 0)
		rc = check_file(
		    c, "ca-bundle", c->network->ca_bundle, "-----BEGIN ", error, error_size);
	if (rc == 0)
		rc = check_file(c, "hosts-file", c->network->hosts_file, NULL, error, error_size);
	if (rc == 0)
		rc = network_secrets_read(&n->secrets, c, error, error_size);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]) && rc == 0; i++) {
		rc = edge_make(&n->edges[ours[i]], ours[i]);
		if (rc < 0)
			snprintf(error, error_size, "cannot make a socketpair: %s", strerror(-rc));
	}
	if (rc < 0)
		return rc;
	if (c->network->dns == CONFIG_DNS_OPEN)
		log_line("gondolin: dns = open: the guest may ask any name of the world's "
			 "resolvers, and send data out by asking");
	widen(n->edges[EDGE_LINK].a);
	widen(n->edges[EDGE_LINK].b);
	return 0;
}

bool
network_is_wanted(const struct network *n)
{
	return n->config != NULL;
}

int
network_link(const struct network *n)
{
	return n->edges[EDGE_LINK].a;
}

/* ---- The edges ---- */

static void
take(int *fd)
{
	close(*fd);
	*fd = -1;
}

/* Both are in their jails: now they may hear each other and the guest. */
static int
hand_edges(struct network *n)
{
	Gondolin__NetproxyServe netproxy = GONDOLIN__NETPROXY_SERVE__INIT;
	Gondolin__SupToNetproxy to_netproxy = GONDOLIN__SUP_TO_NETPROXY__INIT;
	Gondolin__EgressServe egress = GONDOLIN__EGRESS_SERVE__INIT;
	Gondolin__SupToEgress to_egress = GONDOLIN__SUP_TO_EGRESS__INIT;
	struct edge *link = &n->edges[EDGE_LINK], *outbound = &n->edges[EDGE_OUTBOUND];
	const int fds[] = {link->b, outbound->a};
	int rc;

	to_netproxy.body_case = GONDOLIN__SUP_TO_NETPROXY__BODY_SERVE;
	to_netproxy.serve = &netproxy;
	to_egress.body_case = GONDOLIN__SUP_TO_EGRESS__BODY_SERVE;
	to_egress.serve = &egress;
	rc = ipc_channel_send(&n->egress, &to_egress.base, &outbound->b, 1);
	if (rc == 0)
		rc = ipc_channel_send(&n->netproxy, &to_netproxy.base, fds, 2);
	take(&outbound->a);
	take(&outbound->b);
	take(&link->b);
	return rc;
}

/* One of both is ready. */
static int
one_ready(struct network *n, struct ipc_channel *channel)
{
	int rc;

	channel->state = HELPER_RUNNING;
	if (n->netproxy.state != HELPER_RUNNING || n->egress.state != HELPER_RUNNING)
		return 0;
	rc = hand_edges(n);
	if (rc == 0)
		n->events->ready(n->ctx);
	return rc;
}

static int
on_netproxy_ready(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__NetproxyReady *m = body;
	struct network *n = ctx;

	(void)fds;
	(void)n_fds;
	if (m->ca.len == 0 || m->ca.len > sizeof(n->ca))
		return -EPROTO;
	memcpy(n->ca, m->ca.data, m->ca.len);
	n->ca_length = m->ca.len;
	return one_ready(n, &n->netproxy);
}

static int
on_netproxy_record(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct network *n = ctx;

	(void)fds;
	(void)n_fds;
	n->events->netproxy_record(n->ctx, body);
	return 0;
}

static int
on_egress_ready(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct network *n = ctx;

	(void)body;
	(void)fds;
	(void)n_fds;
	return one_ready(n, &n->egress);
}

static int
on_egress_records(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__EgressRecords *m = body;
	struct network *n = ctx;
	size_t i;

	(void)fds;
	(void)n_fds;
	for (i = 0; i < m->n_records; i++)
		n->events->egress_record(n->ctx, m->records[i]);
	return 0;
}

static int
on_egress_counters(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct network *n = ctx;

	(void)fds;
	(void)n_fds;
	n->events->counters(n->ctx, body);
	return 0;
}

static const struct ipc_row netproxy_rows[] = {
    {GONDOLIN__NETPROXY_TO_SUP__BODY_READY, "Ready", HELPER_AWAITED, 0, 0, on_netproxy_ready},
    {GONDOLIN__NETPROXY_TO_SUP__BODY_RECORD, "Record", HELPER_RUNNING | HELPER_LEAVING, 0, 0,
	on_netproxy_record},
};

static const struct ipc_table netproxy_table = {
    .envelope = &gondolin__netproxy_to_sup__descriptor,
    .rows = netproxy_rows,
    .n_rows = sizeof(netproxy_rows) / sizeof(netproxy_rows[0]),
};

static const struct ipc_row egress_rows[] = {
    {GONDOLIN__EGRESS_TO_SUP__BODY_READY, "Ready", HELPER_AWAITED, 0, 0, on_egress_ready},
    {GONDOLIN__EGRESS_TO_SUP__BODY_RECORDS, "Records", HELPER_RUNNING | HELPER_LEAVING, 0, 0,
	on_egress_records},
    {GONDOLIN__EGRESS_TO_SUP__BODY_COUNTERS, "Counters", HELPER_RUNNING, 0, 0, on_egress_counters},
};

static const struct ipc_table egress_table = {
    .envelope = &gondolin__egress_to_sup__descriptor,
    .rows = egress_rows,
    .n_rows = sizeof(egress_rows) / sizeof(egress_rows[0]),
};

/* Where the peer died (reason 0), how it died says more, and follows. */
static void
say_broken(struct network *n, enum process_id id, int reason, const char *message)
{
	char why[256];

	if (reason == 0)
		return;
	snprintf(why, sizeof(why), "broke its protocol (%s%s%s)", strerror(-reason),
	    message != NULL ? " in " : "", message != NULL ? message : "");
	n->events->broken(n->ctx, id, why);
}

static void
netproxy_ended(void *ctx, int reason, const char *message)
{
	say_broken(ctx, PROCESS_NETPROXY, reason, message);
}

static void
egress_ended(void *ctx, int reason, const char *message)
{
	say_broken(ctx, PROCESS_EGRESS, reason, message);
}

/* ---- The start ---- */

/* What differs between both. */
static const struct start_row {
	enum process_id id;
	enum edge_id edge;
	size_t channel; /* offset in struct network */
	const struct ipc_table *table;
	void (*ended)(void *ctx, int reason, const char *message);
	int (*set_up)(struct network *n);
} start_rows[] = {
    {PROCESS_NETPROXY, EDGE_NETPROXY, offsetof(struct network, netproxy), &netproxy_table,
	netproxy_ended, network_set_up_netproxy},
    {PROCESS_EGRESS, EDGE_EGRESS, offsetof(struct network, egress), &egress_table, egress_ended,
	network_set_up_egress},
};

static int
open_channel(struct network *n, const struct start_row *row, struct ev_loop *loop)
{
	struct ipc_channel *channel = (void *)((char *)n + row->channel);
	struct edge *e = &n->edges[row->edge];

	take(&e->b);
	ipc_channel_open(channel, loop, e->a, row->table, n, row->ended);
	e->a = -1;
	channel->state = HELPER_AWAITED;
	channel->queue_max = SETUP_MAX;
	return row->set_up(n);
}

int
network_start(struct network *n, struct process *p, struct ev_loop *loop,
    const struct process_start *base, const struct network_events *events, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size)
{
	const struct process_row *named = &process_rows[p->id];
	const struct start_row *row = p->id == PROCESS_NETPROXY ? &start_rows[0] : &start_rows[1];
	char path[4096], name[64];
	char *const argv[] = {name, NULL};
	struct process_start how = *base;
	int rc;

	n->events = events;
	n->ctx = ctx;
	snprintf(name, sizeof(name), "%s", named->program);
	rc = program_path(named->program, path, sizeof(path), error, error_size);
	if (rc < 0)
		return rc;
	rc = edge_make(&n->edges[row->edge], row->edge);
	if (rc < 0) {
		snprintf(error, error_size, "cannot make a socketpair: %s", strerror(-rc));
		return rc;
	}
	how.program = path;
	how.argv = argv;
	how.fds = &n->edges[row->edge].b;
	how.n_fds = 1;
	rc = process_start(p, loop, &how, ctx, ended, error, error_size);
	if (rc < 0)
		return rc;
	rc = open_channel(n, row, loop);
	if (rc < 0)
		snprintf(error, error_size, "cannot speak to %s: %s", named->name, strerror(-rc));
	return rc;
}

bool
network_is_ready(const struct network *n)
{
	return n->config == NULL ||
	       (n->netproxy.state == HELPER_RUNNING && n->egress.state == HELPER_RUNNING);
}

/* ---- What the guest is told ---- */

void
network_tell_guest(const struct network *n, Gondolin__VmrunnerNetwork *m, ProtobufCBinaryData *env)
{
	const struct network_secret *s = n->secrets.v;
	char *text;
	size_t i;
	int length;

	m->ca.data = (uint8_t *)(uintptr_t)n->ca;
	m->ca.len = n->ca_length;
	m->mtu = NETWORK_MTU;
	for (i = 0; i < n->secrets.n; i++) {
		length = asprintf(&text, "%s=%s", s[i].config->name, s[i].placeholder);
		if (length < 0)
			abort();
		env[i] = (ProtobufCBinaryData){(size_t)length, (uint8_t *)text};
	}
	m->n_env = n->secrets.n;
	m->env = env;
}

void
network_forget_guest(Gondolin__VmrunnerNetwork *m)
{
	size_t i;

	for (i = 0; i < m->n_env; i++)
		free(m->env[i].data);
	m->n_env = 0;
}

void
network_clear(struct network *n)
{
	size_t i;

	ipc_channel_close(&n->netproxy);
	ipc_channel_close(&n->egress);
	for (i = 0; i < EDGES; i++)
		edge_close(&n->edges[i]);
	network_policy_clear(&n->policy);
	network_secrets_clear(&n->secrets);
}
