/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the agent's byte stream: see the header for the format. */
#include "ipc/agent_frame.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

void
agent_header_encode(const struct agent_header *h, uint8_t out[AGENT_HEADER_SIZE])
{
	put32(out, h->length);
	put32(out + 4, h->id);
	out[8] = (uint8_t)h->kind;
	memset(out + 9, 0, 3);
}

int
agent_header_decode(const uint8_t in[AGENT_HEADER_SIZE], struct agent_header *h)
{
	h->length = get32(in);
	h->id = get32(in + 4);
	if (h->length > AGENT_PAYLOAD_MAX || in[8] > AGENT_STDERR || in[9] != 0 || in[10] != 0 ||
	    in[11] != 0)
		return -EPROTO;
	h->kind = (enum agent_kind)in[8];
	if ((h->kind == AGENT_CONTROL) != (h->id == 0))
		return -EPROTO;
	return 0;
}

int
agent_reader_init(struct agent_reader *r)
{
	memset(r, 0, sizeof(*r));
	r->capacity = AGENT_HEADER_SIZE + AGENT_PAYLOAD_MAX;
	r->buffer = malloc(r->capacity);
	return r->buffer != NULL ? 0 : -ENOMEM;
}

void
agent_reader_clear(struct agent_reader *r)
{
	free(r->buffer);
	memset(r, 0, sizeof(*r));
}

uint8_t *
agent_reader_space(struct agent_reader *r, size_t *room)
{
	if (r->start > 0) {
		memmove(r->buffer, r->buffer + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	/* A full buffer holds a whole frame, so _next would have moved start. */
	assert(r->end < r->capacity);
	*room = r->capacity - r->end;
	return r->buffer + r->end;
}

void
agent_reader_filled(struct agent_reader *r, size_t n)
{
	assert(n <= r->capacity - r->end);
	r->end += n;
}

int
agent_reader_next(struct agent_reader *r, struct agent_header *h, const uint8_t **payload)
{
	size_t have = r->end - r->start;

	if (have < AGENT_HEADER_SIZE)
		return 0;
	if (agent_header_decode(r->buffer + r->start, h) < 0)
		return -EPROTO;
	if (have < AGENT_HEADER_SIZE + h->length)
		return 0;
	*payload = r->buffer + r->start + AGENT_HEADER_SIZE;
	r->start += AGENT_HEADER_SIZE + h->length;
	return 1;
}
