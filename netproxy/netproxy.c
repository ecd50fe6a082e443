/* SPDX-License-Identifier: Apache-2.0 */
/* The parts put together, and what happens once in a round of the event loop. */
#include "netproxy/netproxy.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ipc/log.h"
#include "ipc/message.h"

#define INPUT_BUDGET     4u /* batches of frames in a round: others want their turn */
#define RECORDS_A_SECOND 50u
#define ETHERNET_HEADER  14u
#define SYNTHETIC_SUBNET 0xffffu /* of the LAN's /48 */

uint64_t
netproxy_now(struct netproxy *np)
{
	struct timespec t;

	(void)np;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void
netproxy_end(struct netproxy *np, const char *why)
{
	if (np->ended)
		return;
	np->ended = true;
	/* The supervisor's end is the order to go: there is nobody to tell. */
	if (why != NULL) {
		np->exit_code = 125;
		log_line("ended: %s", why);
	}
	ev_break(np->loop, EVBREAK_ALL);
}

bool
netproxy_is_mapped(const struct netproxy *np, const char *host, uint16_t port)
{
	for (unsigned i = 0; i < np->n_tcp; i++)
		if (strcmp(np->tcp[i].host, host) == 0 && (port == 0 || np->tcp[i].port == port))
			return true;
	return false;
}

void
netproxy_record(struct netproxy *np, Gondolin__NetproxyRecord *r)
{
	Gondolin__NetproxyToSup m = GONDOLIN__NETPROXY_TO_SUP__INIT;
	uint32_t second = (uint32_t)(netproxy_now(np) / 1000000u);

	if (second != np->records_second) {
		np->records_second = second;
		np->records_n = 0;
	}
	/* A guest that asks for much must neither fill the log nor stop us. */
	if (np->records_n >= RECORDS_A_SECOND) {
		np->records_held++;
		return;
	}
	r->repeated = np->records_held;
	m.body_case = GONDOLIN__NETPROXY_TO_SUP__BODY_RECORD;
	m.record = r;
	if (ipc_channel_send(&np->supervisor, &m.base, NULL, 0) < 0) {
		np->records_held++;
		return;
	}
	np->records_n++;
	np->records_held = 0;
}

/* The guest is gone: what was not recorded each is counted by one more record. */
static void
say_last(void *ctx)
{
	Gondolin__NetproxyRecord r = GONDOLIN__NETPROXY_RECORD__INIT;
	struct netproxy *np = ctx;

	if (np->records_held == 0)
		return;
	r.kind = GONDOLIN__NETPROXY_RECORD__KIND__MORE;
	np->records_held--; /* this one stands for it */
	np->records_n = 0;
	netproxy_record(np, &r);
}

static void
leave(struct netproxy *np)
{
	ev_io_stop(np->loop, &np->link_readable);
	ev_io_stop(np->loop, &np->link_writable);
	say_last(np);
	ipc_channel_leave(&np->supervisor);
}

/* ---- The loop ---- */

static void
link_failed(struct netproxy *np, int rc)
{
	if (rc != -EPIPE && rc != -ECONNRESET && rc != -ECONNREFUSED) {
		netproxy_end(np, strerror(-rc));
		return;
	}
	/* The machine's end of the link closed: so does all. */
	leave(np);
}

static void
on_link_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct netproxy *np = w->data;
	int rc;

	(void)loop;
	(void)events;
	rc = stack_input(np->stack, INPUT_BUDGET, netproxy_now(np));
	if (rc < 0)
		link_failed(np, rc);
}

static void
on_link_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)events;
	ev_io_stop(loop, w); /* what waits is sent before the loop waits again */
}

static void
on_stack_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct netproxy *np = w->data;

	(void)loop;
	(void)events;
	stack_timer(np->stack, netproxy_now(np));
}

static void
on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct netproxy *np = w->data;

	(void)events;
	conn_sweep(np);
	if (np->conns == NULL)
		ev_timer_stop(loop, w);
}

static void
set_stack_timer(struct netproxy *np)
{
	uint64_t deadline = stack_deadline(np->stack), now = netproxy_now(np);
	double after = deadline > now ? (double)(deadline - now) / 1e6 : 0.;

	if (deadline == UINT64_MAX) {
		ev_timer_stop(np->loop, &np->stack_timer);
		return;
	}
	/* The loop's clock is that of its last wait. */
	ev_now_update(np->loop);
	ev_timer_stop(np->loop, &np->stack_timer);
	ev_timer_set(&np->stack_timer, after, 0.);
	ev_timer_start(np->loop, &np->stack_timer);
}

/* Runs before the loop waits: what was written is sent, in as few calls as that takes. */
static void
on_flush(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct netproxy *np = w->data;
	int rc;

	(void)events;
	conn_reap(np);
	if (np->stack == NULL)
		return;
	rc = stack_flush(np->stack, netproxy_now(np));
	if (rc < 0) {
		link_failed(np, rc);
		return;
	}
	if (stack_blocked(np->stack))
		ev_io_start(loop, &np->link_writable);
	set_stack_timer(np);
}

/* ---- Making and serving ---- */

int
netproxy_prepare(struct netproxy *np)
{
	struct stack_config *c = &np->stack_config;
	uint8_t key[SIPHASH_KEY_SIZE], prefix[8];

	/* No configuration file, and no engine or provider that one could name. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return -EIO;
	stack_config_default(c);
	c->mtu = np->mtu;
	if (getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key) ||
	    getrandom(c->isn_key, sizeof(c->isn_key), 0) != sizeof(c->isn_key) ||
	    getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EIO;
	memcpy(prefix, c->prefix6, sizeof(prefix));
	prefix[6] = SYNTHETIC_SUBNET >> 8;
	prefix[7] = SYNTHETIC_SUBNET & 0xff;
	if (ca_new(&np->ca) < 0 || stream_tls_open(&np->tls, np->ca) < 0)
		return -EIO;
	return synthetic_new(&np->synthetic, prefix, key);
}

void
netproxy_init(struct netproxy *np, struct ev_loop *loop)
{
	np->loop = loop;
	np->link.fd = -1;
	np->supervisor.fd = np->outbound.channel.fd = -1;
	ev_init(&np->link_readable, on_link_readable);
	ev_init(&np->link_writable, on_link_writable);
	ev_init(&np->stack_timer, on_stack_timer);
	ev_timer_init(&np->sweep, on_sweep, 1., 1.);
	ev_prepare_init(&np->flush, on_flush);
	np->link_readable.data = np->link_writable.data = np;
	np->stack_timer.data = np->sweep.data = np->flush.data = np;
	ev_prepare_start(loop, &np->flush);
}

static void
on_supervisor_ended(void *ctx, int reason, const char *message)
{
	struct netproxy *np = ctx;

	if (reason == 0)
		netproxy_end(np, NULL);
	else
		netproxy_end(np, message != NULL ? message : strerror(-reason));
}

static void
on_egress_ended(void *ctx, int reason, const char *message)
{
	struct netproxy *np = ctx;

	/* It died, or the sandbox ends: its parent says which. */
	if (reason == 0)
		leave(np);
	else
		netproxy_end(np, message != NULL ? message : strerror(-reason));
}

void
netproxy_serve(struct netproxy *np, int fd)
{
	Gondolin__NetproxyReady ready = GONDOLIN__NETPROXY_READY__INIT;
	Gondolin__NetproxyToSup m = GONDOLIN__NETPROXY_TO_SUP__INIT;
	int rc;

	ipc_channel_open(&np->supervisor, np->loop, fd, &supervisor_table, np, on_supervisor_ended);
	np->supervisor.last_words = say_last;
	np->supervisor.state = SUPERVISOR_SERVE;
	ready.ca = ipc_text(ca_pem(np->ca));
	m.body_case = GONDOLIN__NETPROXY_TO_SUP__BODY_READY;
	m.ready = &ready;
	rc = ipc_channel_send(&np->supervisor, &m.base, NULL, 0);
	if (rc < 0)
		netproxy_end(np, strerror(-rc));
}

static bool
on_datagram(void *context, const struct flow_addresses *a, const uint8_t *bytes, size_t n)
{
	return names_on_datagram(context, a, bytes, n);
}

int
netproxy_start(struct netproxy *np, int *link_fd, int *egress_fd)
{
	const struct stack_handlers handlers = {
	    .context = np,
	    .connect = conn_on_connect,
	    .event = conn_on_event,
	    .datagram = on_datagram,
	};
	int rc;

	rc = link_socket_open(&np->link, *link_fd, np->mtu + ETHERNET_HEADER);
	if (rc < 0)
		return rc;
	*link_fd = -1;
	rc = stack_new(&np->stack, &np->stack_config, &np->link.link, &handlers, netproxy_now(np));
	if (rc < 0)
		return rc;
	outbound_open(&np->outbound, np->loop, *egress_fd, np, on_egress_ended);
	*egress_fd = -1;
	ev_io_set(&np->link_readable, np->link.fd, EV_READ);
	ev_io_set(&np->link_writable, np->link.fd, EV_WRITE);
	ev_io_start(np->loop, &np->link_readable);
	return 0;
}

void
netproxy_clear(struct netproxy *np)
{
	while (np->conns != NULL)
		conn_abort(np->conns);
	conn_reap(np);
	ev_prepare_stop(np->loop, &np->flush);
	ev_io_stop(np->loop, &np->link_readable);
	ev_io_stop(np->loop, &np->link_writable);
	ev_timer_stop(np->loop, &np->stack_timer);
	ev_timer_stop(np->loop, &np->sweep);
	outbound_close(&np->outbound);
	ipc_channel_close(&np->supervisor);
	stack_free(np->stack);
	link_socket_close(&np->link);
	synthetic_free(np->synthetic);
	stream_tls_close(&np->tls);
	ca_free(np->ca);
	policy_clear(&np->policy);
}
