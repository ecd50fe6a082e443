/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked and has no final answer: by id. */
#include <errno.h>

#include "egress/upstream_internal.h"
#include "ipc/outbound.h"

int
ask_add(struct upstream *u, struct ask *a, uint64_t id, enum ask_kind kind)
{
	struct ask **bucket = &u->asks[id % ASK_BUCKETS];

	if (id <= u->last_id || u->n_asks >= OUTBOUND_REQUESTS_MAX)
		return -EPROTO;
	u->last_id = id;
	u->n_asks++;
	*a = (struct ask){.next = *bucket, .u = u, .id = id, .kind = kind};
	*bucket = a;
	return 0;
}

void
ask_remove(struct ask *a)
{
	struct ask **at = &a->u->asks[a->id % ASK_BUCKETS];

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->u->n_asks--;
}

struct ask *
ask_find(struct upstream *u, uint64_t id)
{
	struct ask *a = u->asks[id % ASK_BUCKETS];

	while (a != NULL && a->id != id)
		a = a->next;
	return a;
}

const char *
ask_spend(struct upstream *u, const char *host, struct budget_host **of)
{
	bool full;

	*of = budget_host(&u->budget, host, ev_now(u->loop), &full);
	return full ? "host-budget: too many hosts"
		    : budget_request(&u->budget, *of, ev_now(u->loop));
}

void
ask_record_refused(struct upstream *u, struct upstream_record *r, const struct refusal *why)
{
	bool ours = why->cause == CAUSE_DENIED || why->cause == CAUSE_BAD;

	r->event = ours                         ? UPSTREAM_DENIED
		   : why->cause == CAUSE_BUDGET ? UPSTREAM_BUDGET
						: UPSTREAM_FAILED;
	if (ours || why->cause == CAUSE_BUDGET)
		u->counters.denied++;
	else
		u->counters.failed++;
	r->rule = why->text;
	r->status = cause_status(why->cause);
	u->events->record(u->ctx, r);
}
