/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up, channels, and what happens once in a round of the event loop. */
#include "egress/egress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "ipc/message.h"
#include "ipc/outbound.h"

#define COUNT_SECONDS 1.
#define SLOW_QUEUE    (IPC_QUEUE_MAX / 2) /* messages that wait for the supervisor: it is slow */

/* ---- Set-up ---- */

static char *
text_of(const ProtobufCBinaryData *b)
{
	return b->len == 0 ? NULL : ipc_string(b);
}

static struct budget_limits
limits_of(const Gondolin__EgressBudget *m)
{
	return (struct budget_limits){m->connections, m->requests, m->bytes_in, m->bytes_out};
}

static void
take_setup(struct egress *e)
{
	const Gondolin__EgressSetup *m = e->setup;
	struct upstream_config *c = &e->config;

	c->budget = limits_of(m->budget);
	c->host_budget = limits_of(m->host_budget);
	c->timeouts = (struct upstream_timeouts){
	    m->timeouts->connect, m->timeouts->handshake, m->timeouts->response, m->timeouts->idle};
	c->dns = m->dns == GONDOLIN__EGRESS_SETUP__DNS__OPEN      ? UPSTREAM_DNS_OPEN
		 : m->dns == GONDOLIN__EGRESS_SETUP__DNS__TRUSTED ? UPSTREAM_DNS_TRUSTED
								  : UPSTREAM_DNS_SYNTHETIC;
	c->websockets = m->websockets;
	c->proxy = text_of(&m->proxy);
}

static int
open_resolver(struct egress *e, char *error, size_t size)
{
	const Gondolin__EgressSetup *m = e->setup;
	char *servers[RESOLVER_SERVERS_MAX] = {NULL};
	char *resolv_conf = text_of(&m->resolv_conf), *hosts = text_of(&m->hosts);
	struct resolver_options o = {
	    .servers = (const char *const *)servers,
	    .n_servers = m->n_servers,
	    .resolv_conf = resolv_conf,
	    .hosts = hosts,
	};
	size_t i;
	int rc;

	for (i = 0; i < m->n_servers; i++) {
		servers[i] = text_of(&m->servers[i]);
		if (servers[i] == NULL)
			o.n_servers = i;
	}
	rc = resolver_open(&e->resolver, &o, error, size);
	for (i = 0; i < m->n_servers; i++)
		free(servers[i]);
	free(resolv_conf);
	free(hosts);
	return rc;
}

static int
open_all(struct egress *e)
{
	char *ca = text_of(&e->setup->ca_bundle);
	char error[512] = "";
	int rc;

	take_setup(e);
	rc = locals_open(&e->locals);
	if (rc < 0)
		snprintf(
		    error, sizeof(error), "this host's networks cannot be read: %s", strerror(-rc));
	if (rc == 0)
		rc = open_resolver(e, error, sizeof(error));
	if (rc == 0)
		rc = upstream_new(
		    &e->upstream, &e->config, e->resolver, &e->locals, ca, error, sizeof(error));
	if (rc < 0)
		log_line("%s", error);
	free(ca);
	return rc;
}

int
egress_prepare(struct egress *e, int fd)
{
	int rc = 0;

	e->state = SUPERVISOR_SETUP;
	policy_init(&e->config.allow);
	policy_init(&e->config.internal);
	secrets_init(&e->config.secrets);
	while (rc == 0 && e->state != SUPERVISOR_READY)
		rc = ipc_receive_now(fd, &egress_supervisor_table, e, e->state);
	if (rc < 0) {
		log_line("no set-up from the supervisor: %s; gondolin-supervisor starts this",
		    strerror(-rc));
		return rc;
	}
	rc = open_all(e);
	gondolin__egress_setup__free_unpacked(e->setup, NULL);
	e->setup = NULL;
	return rc;
}

/* ---- Channels ---- */

void
egress_end(struct egress *e, const char *why)
{
	if (e->ended)
		return;
	e->ended = true;
	if (why != NULL) {
		e->exit_code = 125;
		log_line("ended: %s", why);
	}
	ev_break(e->loop, EVBREAK_ALL);
}

static void
on_supervisor_ended(void *ctx, int reason, const char *message)
{
	struct egress *e = ctx;

	/* The supervisor's end is the order to go: there is nobody to tell. */
	if (reason == 0)
		egress_end(e, NULL);
	else
		egress_end(e, message != NULL ? message : strerror(-reason));
}

/* Nobody asks any more: what is open ends, and its records leave before we do. */
static void
say_last(void *ctx)
{
	struct egress *e = ctx;

	upstream_cancel_all(e->upstream);
	egress_flush_records(e);
	egress_send_counters(e);
}

static void
on_netproxy_ended(void *ctx, int reason, const char *message)
{
	struct egress *e = ctx;

	/* It died, or the sandbox ends: its parent says which. */
	if (reason == 0) {
		say_last(e);
		ipc_channel_leave(&e->supervisor);
	} else if (message == NULL)
		egress_end(e, "netproxy broke its protocol");
	else
		egress_end(e, message);
}

/* Nothing is done that could not be recorded: a slow supervisor slows the guest. */
static void
hold(struct egress *e, bool on)
{
	if (e->held == on || !ipc_channel_is_open(&e->netproxy))
		return;
	e->held = on;
	if (on)
		ev_io_stop(e->loop, &e->netproxy.readable);
	else
		ev_io_start(e->loop, &e->netproxy.readable);
}

static void
on_flush(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct egress *e = w->data;

	(void)loop;
	(void)events;
	if (e->n_records > 0)
		egress_flush_records(e);
	hold(e, e->supervisor.queued > SLOW_QUEUE || e->netproxy.queued > OUTBOUND_QUEUE_MAX / 2);
	if (!ev_is_active(&e->counting) &&
	    memcmp(upstream_counters(e->upstream), &e->told, sizeof(e->told)) != 0)
		ev_timer_again(e->loop, &e->counting);
}

static void
on_counting(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)events;
	ev_timer_stop(loop, w);
	egress_send_counters(w->data);
}

void
egress_open_netproxy(struct egress *e, int fd)
{
	ipc_channel_open(&e->netproxy, e->loop, fd, &egress_netproxy_table, e, on_netproxy_ended);
	e->netproxy.queue_max = OUTBOUND_QUEUE_MAX;
	e->netproxy.batch = OUTBOUND_BATCH;
	e->supervisor.state = SUPERVISOR_SERVE;
}

void
egress_serve(struct egress *e, struct ev_loop *loop, int fd)
{
	Gondolin__EgressReady ready = GONDOLIN__EGRESS_READY__INIT;
	Gondolin__EgressToSup m = GONDOLIN__EGRESS_TO_SUP__INIT;

	e->loop = loop;
	locals_watch(&e->locals, loop);
	resolver_start(e->resolver, loop);
	upstream_start(e->upstream, loop, &egress_events, e);
	ipc_channel_open(
	    &e->supervisor, loop, fd, &egress_supervisor_table, e, on_supervisor_ended);
	e->supervisor.last_words = say_last;
	e->supervisor.state = SUPERVISOR_READY;
	/* After upstream's own: what ends in its turn is recorded in this one. */
	ev_prepare_init(&e->flush, on_flush);
	e->flush.data = e;
	ev_set_priority(&e->flush, EV_MINPRI);
	ev_prepare_start(loop, &e->flush);
	ev_timer_init(&e->counting, on_counting, 0., COUNT_SECONDS);
	e->counting.data = e;
	m.body_case = GONDOLIN__EGRESS_TO_SUP__BODY_READY;
	m.ready = &ready;
	if (ipc_channel_send(&e->supervisor, &m.base, NULL, 0) < 0)
		egress_end(e, "the supervisor is gone");
}

void
egress_clear(struct egress *e)
{
	size_t i;

	if (e->loop != NULL) {
		ev_prepare_stop(e->loop, &e->flush);
		ev_timer_stop(e->loop, &e->counting);
	}
	upstream_free(e->upstream);
	resolver_close(e->resolver);
	locals_close(&e->locals);
	ipc_channel_close(&e->netproxy);
	ipc_channel_close(&e->supervisor);
	egress_drop_records(e);
	policy_clear(&e->config.allow);
	policy_clear(&e->config.internal);
	secrets_clear(&e->config.secrets);
	for (i = 0; i < e->config.n_maps; i++) {
		free(e->config.maps[i].from);
		free(e->config.maps[i].to);
	}
	free(e->config.maps);
	free(e->config.proxy);
	if (e->setup != NULL)
		gondolin__egress_setup__free_unpacked(e->setup, NULL);
	memset(e, 0, sizeof(*e));
}
