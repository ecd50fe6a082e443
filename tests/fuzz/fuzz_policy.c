/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host, and a request made of lines: what is allowed must be what a second, simpler look at it
 * allows too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "egress/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, without its newline. */
static struct span
line(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *from = *at, *stop = memchr(from, '\n', (size_t)(end - from));

	if (stop == NULL)
		stop = end;
	*at = stop < end ? stop + 1 : end;
	return (struct span){(const char *)from, (size_t)(stop - from)};
}

static void
check(const struct request *q)
{
	static const char *const hosts[] = {"api.example", "192.0.2.7", "2001:db8::7"};
	size_t i;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (q->host.length == strlen(hosts[i]) &&
		    memcmp(q->host.bytes, hosts[i], q->host.length) == 0)
			break;
	if (i == sizeof(hosts) / sizeof(hosts[0]) &&
	    (q->host.length <= 13 ||
		memcmp(q->host.bytes + q->host.length - 13, ".wild.example", 13) != 0))
		abort();
	if (q->path.length == 0 || memchr(q->path.bytes, '\r', q->path.length) != NULL ||
	    memchr(q->path.bytes, ' ', q->path.length) != NULL ||
	    (q->path.length >= 4 && memcmp(q->path.bytes, "/../", 4) == 0))
		abort();
	for (i = 0; i < q->n_headers; i++)
		if (memchr(q->headers[i].value, '\r', q->headers[i].value_length) != NULL ||
		    memchr(q->headers[i].value, '\0', q->headers[i].value_length) != NULL)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;
	struct policy allow;
	struct request_rules rules = {.allow = &allow, .websockets = true};
	struct request q = {
	    .id = 1, .https = true, .port = 443, .destination_port = 443, .end = true};
	struct field headers[8];
	struct span name, value;
	struct refusal r;

	policy_init(&allow);
	(void)policy_add(&allow, POLICY_ANY_SCHEME, "api.example", 0, "", 1);
	(void)policy_add(&allow, POLICY_ANY_SCHEME, "*.wild.example", 0, "", 2);
	(void)policy_add(&allow, POLICY_ANY_SCHEME, "192.0.2.7", 0, "", 3);
	(void)policy_add(&allow, POLICY_ANY_SCHEME, "2001:db8::7", 0, "", 4);
	q.host = q.sni = line(&at, end);
	q.destination_address = line(&at, end);
	q.method = line(&at, end);
	q.path = line(&at, end);
	q.headers = headers;
	while (q.n_headers < 8 && at < end) {
		name = line(&at, end);
		value = line(&at, end);
		headers[q.n_headers++] =
		    (struct field){name.bytes, value.bytes, name.length, value.length};
	}
	if (request_judge(&rules, &q, &r) != NULL)
		check(&q);
	policy_clear(&allow);
	return 0;
}
