/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets and counters. */
#include "egress/budget.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS (sizeof(((struct budget *)NULL)->buckets) / sizeof(struct budget_host *))

void
budget_init(struct budget *b, const struct budget_limits *sandbox, const struct budget_limits *host)
{
	memset(b, 0, sizeof(*b));
	b->sandbox = *sandbox;
	b->host = *host;
	b->use.tokens = sandbox->requests;
}

void
budget_clear(struct budget *b)
{
	struct budget_host *h;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		while ((h = b->buckets[i]) != NULL) {
			b->buckets[i] = h->next;
			free(h);
		}
	memset(b, 0, sizeof(*b));
}

static bool
limits_any(const struct budget_limits *l)
{
	return l->connections != 0 || l->requests != 0 || l->bytes_in != 0 || l->bytes_out != 0;
}

/* FNV-1a: the names are allowed ones, and the table is bounded. */
static size_t
bucket_of(const char *name)
{
	uint32_t h = 2166136261u;

	while (*name != '\0')
		h = (h ^ (uint8_t)*name++) * 16777619u;
	return h % BUCKETS;
}

struct budget_host *
budget_host(struct budget *b, const char *name, double now, bool *full)
{
	struct budget_host **bucket = &b->buckets[bucket_of(name)], *h;
	size_t n = strlen(name) + 1;

	*full = false;
	if (!limits_any(&b->host))
		return NULL;
	for (h = *bucket; h != NULL; h = h->next)
		if (strcmp(h->name, name) == 0)
			return h;
	*full = b->n_hosts >= BUDGET_HOSTS_MAX;
	if (*full)
		return NULL;
	h = calloc(1, sizeof(*h) + n);
	if (h == NULL)
		abort();
	memcpy(h->name, name, n);
	h->use.tokens = b->host.requests;
	h->use.refilled = now;
	h->next = *bucket;
	*bucket = h;
	b->n_hosts++;
	return h;
}

static bool
may_request(const struct budget_limits *l, struct budget_use *u, double now)
{
	if (l->requests == 0)
		return true;
	if (now > u->refilled)
		u->tokens += (now - u->refilled) * l->requests;
	if (u->tokens > l->requests)
		u->tokens = l->requests;
	u->refilled = now;
	return u->tokens >= 1;
}

static bool
over(uint64_t limit, uint64_t used)
{
	return limit != 0 && used > limit;
}

static const char *
bytes_past(
    const struct budget_limits *l, const struct budget_use *u, const char *in, const char *out)
{
	if (over(l->bytes_in, u->bytes_in))
		return in;
	return over(l->bytes_out, u->bytes_out) ? out : NULL;
}

static const char *
past(const struct budget *b, const struct budget_host *h)
{
	const char *which = bytes_past(&b->sandbox, &b->use, "budget.bytes-in of the sandbox",
	    "budget.bytes-out of the sandbox");

	if (which == NULL && h != NULL)
		which = bytes_past(&b->host, &h->use, "host-budget.bytes-in of the host",
		    "host-budget.bytes-out of the host");
	return which;
}

const char *
budget_request(struct budget *b, struct budget_host *h, double now)
{
	const char *which = past(b, h);

	if (which != NULL)
		return which;
	if (!may_request(&b->sandbox, &b->use, now))
		return "budget.requests of the sandbox";
	if (h != NULL && !may_request(&b->host, &h->use, now))
		return "host-budget.requests of the host";
	b->use.tokens -= 1;
	if (h != NULL)
		h->use.tokens -= 1;
	return NULL;
}

const char *
budget_connection(struct budget *b, struct budget_host *h)
{
	if (b->sandbox.connections != 0 && b->use.connections >= b->sandbox.connections)
		return "budget.connections of the sandbox";
	if (h != NULL && b->host.connections != 0 && h->use.connections >= b->host.connections)
		return "host-budget.connections of the host";
	b->use.connections++;
	if (h != NULL)
		h->use.connections++;
	return NULL;
}

void
budget_connection_closed(struct budget *b, struct budget_host *h)
{
	b->use.connections--;
	if (h != NULL)
		h->use.connections--;
}

static bool
is_scarce(const struct budget_limits *l, const struct budget_use *u)
{
	return l->connections != 0 && u->connections > l->connections / 2;
}

bool
budget_connections_are_scarce(const struct budget *b, const struct budget_host *h)
{
	return is_scarce(&b->sandbox, &b->use) || (h != NULL && is_scarce(&b->host, &h->use));
}

const char *
budget_bytes(struct budget *b, struct budget_host *h, uint64_t bytes_in, uint64_t bytes_out)
{
	b->use.bytes_in += bytes_in;
	b->use.bytes_out += bytes_out;
	if (h != NULL) {
		h->use.bytes_in += bytes_in;
		h->use.bytes_out += bytes_out;
	}
	return past(b, h);
}
