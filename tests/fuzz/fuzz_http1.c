/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x requests of the guest, one after the other as on a connection.  The first byte says in
 * what pieces a chunked body arrives; where it was cut must not matter.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http1_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
within(struct http_text t, const char *from, size_t n)
{
	if (t.n > 0 && (t.s < from || t.s + t.n > from + n))
		abort();
}

/* What passed must pass the rules that it is judged by. */
static void
check_request(const struct http1_request *r, const char *head, size_t n)
{
	if (!http_is_method(r->method))
		abort();
	if (!http_is_origin_target(r->target) && !http_text_is(r->target, "*"))
		abort();
	for (unsigned i = 0; i < r->n_fields; i++) {
		within(r->fields[i].name, head, n);
		within(r->fields[i].value, head, n);
		if (!http_is_token(r->fields[i].name) || !http_is_field_value(r->fields[i].value))
			abort();
	}
}

/* Returns the bytes used of a body that is whole, or 0. */
static size_t
read_chunked(const uint8_t *bytes, size_t n, size_t step, uint64_t *sum)
{
	struct http1_refusal refusal;
	struct http1_chunked c;
	size_t used = 0;
	int event = HTTP1_CHUNKED_MORE;

	*sum = 0;
	http1_chunked_init(&c);
	while (used < n && event >= 0 && event != HTTP1_CHUNKED_END) {
		size_t piece = n - used < step ? n - used : step, taken = 0, body = 0;

		event = http1_chunked_next(&c, bytes + used, piece, &taken, &body, &refusal);
		if (event < 0)
			break;
		if (taken + body > piece || (event == HTTP1_CHUNKED_DATA && body == 0))
			abort();
		used += taken + body;
		for (size_t i = 0; i < body; i++)
			*sum = *sum * 31 + bytes[used - body + i];
		if (body > 0)
			http1_chunked_data(&c, body);
	}
	http1_chunked_clear(&c);
	return event == HTTP1_CHUNKED_END ? used : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http1_refusal refusal;
	struct http1_request r;
	size_t step, at = 1;
	uint64_t sum, other;

	if (size < 2)
		return 0;
	step = data[0] % 64u + 1;
	while (at < size) {
		size_t n = http1_head_length((const char *)data + at, size - at, 0), used;
		char *head;

		if (n == 0)
			break;
		head = malloc(n);
		if (head == NULL)
			abort();
		memcpy(head, data + at, n);
		if (http1_request_parse(&r, head, n, &refusal) < 0) {
			free(head);
			break;
		}
		check_request(&r, head, n);
		free(head);
		at += n;
		if (r.body == HTTP1_BODY_CHUNKED) {
			used = read_chunked(data + at, size - at, step, &sum);
			if (used != read_chunked(data + at, size - at, SIZE_MAX, &other) ||
			    (used > 0 && sum != other))
				abort();
			if (used == 0)
				break;
			at += used;
		} else if (r.body == HTTP1_BODY_LENGTH) {
			if (r.length > size - at)
				break;
			at += (size_t)r.length;
		}
	}
	return 0;
}
