/* SPDX-License-Identifier: Apache-2.0 */
/* The parts put together: start, end, time-outs, the end of a turn of the loop. */
#include <stdlib.h>

#include "egress/upstream_internal.h"

#define SWEEP_SECONDS 1.

int
upstream_new(struct upstream **out, struct upstream_config *config, struct resolver *resolver,
    struct locals *locals, const char *ca_bundle, char *error, size_t error_size)
{
	struct upstream *u = calloc(1, sizeof(*u));
	int rc;

	if (u == NULL)
		abort();
	u->config = config;
	u->resolver = resolver;
	u->locals = locals;
	budget_init(&u->budget, &config->budget, &config->host_budget);
	rc = transport_init(u, ca_bundle, error, error_size);
	if (rc < 0) {
		transport_clear(u);
		free(u);
		u = NULL;
	}
	*out = u;
	return rc;
}

/* Before the loop waits: heads and bodies that are ready go out, as few messages as that takes. */
static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct upstream *u = w->data;
	struct exchange *x;

	(void)loop;
	(void)events;
	while ((x = u->turn) != NULL) {
		u->turn = x->turn_next;
		x->listed = false;
		/*
		 * The origin said all that it has to say, and the rest of the request's body may
		 * never come, or find no reader: the connection is closed, the answer is good.
		 */
		if (x->state == EXCHANGE_ACTIVE && answer_is_whole(x) && upload_lacks_bytes(x)) {
			exchange_curl_done(x, CURLE_OK);
			continue;
		}
		answer_turn(x);
		if (x->refusal.cause != CAUSE_NONE)
			exchange_fail(x);
		else
			answer_resume(x);
	}
}

/* Which time ran out, or NULL. */
static const char *
time_out(const struct exchange *x, ev_tstamp now)
{
	const struct upstream_timeouts *t = &x->ask.u->config->timeouts;
	ev_tstamp quiet = (now - x->progress) * 1000;

	if (x->state == EXCHANGE_ACTIVE && !x->head_done && !x->upload_paused &&
	    quiet > t->response)
		return "no answer came in time";
	return quiet > t->idle ? "nothing moved for too long" : NULL;
}

static void
on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct upstream *u = w->data;
	struct exchange *x, *next;
	const char *why;

	(void)events;
	if (u->exchanges == NULL)
		ev_timer_stop(loop, w);
	for (x = u->exchanges; x != NULL; x = next) {
		next = x->next;
		why = x->state == EXCHANGE_RESOLVING ? NULL : time_out(x, ev_now(loop));
		if (why == NULL)
			continue;
		/* What is left is libcurl's: bytes of the request that the origin does not read. */
		if (x->state == EXCHANGE_ACTIVE && answer_is_whole(x)) {
			exchange_curl_done(x, CURLE_OK);
			continue;
		}
		refuse(&x->refusal, CAUSE_TIMEOUT, "timeout", "%s: %s", x->host, why);
		exchange_fail(x);
	}
}

void
upstream_start(
    struct upstream *u, struct ev_loop *loop, const struct upstream_events *events, void *ctx)
{
	u->loop = loop;
	u->events = events;
	u->ctx = ctx;
	ev_prepare_init(&u->prepare, on_prepare);
	u->prepare.data = u;
	ev_prepare_start(loop, &u->prepare);
	ev_timer_init(&u->sweep, on_sweep, 0., SWEEP_SECONDS);
	u->sweep.data = u;
	transport_start(u);
}

static void
on_nothing(void *ctx, uint64_t id, const struct refusal *r)
{
	(void)ctx;
	(void)id;
	(void)r;
}

static void
on_no_end(void *ctx, const struct upstream_end *e)
{
	(void)ctx;
	(void)e;
}

static void
on_no_record(void *ctx, const struct upstream_record *r)
{
	(void)ctx;
	(void)r;
}

void
upstream_cancel_all(struct upstream *u)
{
	size_t i;

	for (i = 0; i < ASK_BUCKETS; i++)
		while (u->asks[i] != NULL)
			(void)upstream_cancel(u, u->asks[i]->id);
}

void
upstream_free(struct upstream *u)
{
	static const struct upstream_events silent = {
	    .refused = on_nothing, .answer_end = on_no_end, .record = on_no_record};

	if (u == NULL)
		return;
	u->events = &silent;
	upstream_cancel_all(u);
	transport_clear(u);
	if (u->loop != NULL) {
		ev_prepare_stop(u->loop, &u->prepare);
		ev_timer_stop(u->loop, &u->sweep);
		ev_timer_stop(u->loop, &u->timer);
	}
	budget_clear(&u->budget);
	free(u);
}

const struct upstream_counters *
upstream_counters(struct upstream *u)
{
	return &u->counters;
}
