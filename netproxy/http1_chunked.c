/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies of the guest (RFC 9112 7.1), byte for byte: CRLF and nothing else ends a line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http1_field.h"
#include "netproxy/http1_parse.h"

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	DONE,
};

#define EXTENSION_MAX 256u /* bytes of all extensions of a chunk: nobody needs any */
#define DIGITS_MAX    15u

static int
refuse(struct http1_refusal *refusal, const char *reason)
{
	refusal->status = 400;
	refusal->reason = reason;
	return -EPROTO;
}

void
http1_chunked_init(struct http1_chunked *c)
{
	memset(c, 0, offsetof(struct http1_chunked, fields));
}

void
http1_chunked_clear(struct http1_chunked *c)
{
	free(c->trailers);
	c->trailers = NULL;
}

void
http1_chunked_data(struct http1_chunked *c, size_t n)
{
	c->left -= n;
	if (c->left == 0)
		c->state = DATA_CR;
}

static int
hex_value(uint8_t b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

static int
on_size(struct http1_chunked *c, uint8_t b, struct http1_refusal *refusal)
{
	int value = hex_value(b);

	if (value >= 0 && c->digits < DIGITS_MAX) {
		c->left = c->left << 4 | (unsigned)value;
		c->digits++;
		return 0;
	}
	if (c->digits == 0 || value >= 0)
		return refuse(refusal, "a chunk size that is not a plain hexadecimal number");
	if (b == '\r')
		c->state = SIZE_LF;
	else if (b == ';')
		c->state = EXTENSION;
	else
		return refuse(refusal, "a chunk size that is not a plain hexadecimal number");
	return 0;
}

static int
on_extension(struct http1_chunked *c, uint8_t b, struct http1_refusal *refusal)
{
	if (b == '\r')
		c->state = SIZE_LF;
	else if ((b < 0x20 && b != '\t') || b >= 0x7f || ++c->extension > EXTENSION_MAX)
		return refuse(refusal, "a chunk extension that is too long or not text");
	return 0;
}

static int
on_size_lf(struct http1_chunked *c, uint8_t b, struct http1_refusal *refusal)
{
	if (b != '\n')
		return refuse(refusal, "a chunk line does not end in CRLF");
	c->digits = c->extension = 0;
	c->state = c->left > 0 ? DATA : TRAILER;
	return 0;
}

static int
on_data_end(struct http1_chunked *c, uint8_t b, struct http1_refusal *refusal)
{
	if (b != (c->state == DATA_CR ? '\r' : '\n'))
		return refuse(refusal, "a chunk is longer than its size says");
	c->state = c->state == DATA_CR ? DATA_LF : SIZE;
	return 0;
}

/* Fields that say how a message is framed, routed or paid for mean nothing after it. */
static bool
is_forbidden_trailer(struct http_text name)
{
	static const char *const names[] = {"host", "content-length", "transfer-encoding",
	    "connection", "trailer", "te", "upgrade", "expect", "authorization",
	    "proxy-authorization", "cookie", "content-type", "content-encoding", "content-range",
	    "keep-alive", "proxy-connection", "range"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http_text_is(name, names[i]))
			return true;
	return false;
}

static int
parse_trailers(struct http1_chunked *c, struct http1_refusal *refusal)
{
	char *next = c->trailers, *end = c->trailers + c->trailer_n - 2;

	while (next < end) {
		struct http_field *f = &c->fields[c->n_fields];
		struct http_text line;

		if (c->n_fields == HTTP1_TRAILERS)
			return refuse(refusal, "more than 32 trailers");
		if (http1_next_line(&next, end, &line, refusal) < 0 ||
		    http1_split_field(line, f, refusal) < 0)
			return -EPROTO;
		if (is_forbidden_trailer(f->name))
			return refuse(refusal, "a trailer that only a head may have");
		c->n_fields++;
	}
	c->state = DONE;
	return 0;
}

/* Collects the trailer section up to its empty line: usually it is that line alone. */
static int
on_trailer(struct http1_chunked *c, uint8_t b, struct http1_refusal *refusal)
{
	if (c->trailers == NULL) {
		c->trailers = malloc(HTTP1_TRAILERS_MAX);
		if (c->trailers == NULL)
			return -ENOMEM;
	}
	if (c->trailer_n == HTTP1_TRAILERS_MAX)
		return refuse(refusal, "trailers over 8192 bytes");
	c->trailers[c->trailer_n++] = (char)b;
	if (b != '\n')
		return 0;
	if (c->trailer_n == 1 || c->trailers[c->trailer_n - 2] != '\r')
		return refuse(refusal, "a trailer does not end in CRLF");
	if (c->trailer_n == 2 || (c->trailer_n >= 4 && c->trailers[c->trailer_n - 3] == '\n'))
		return parse_trailers(c, refusal);
	return 0;
}

static int
on_byte(struct http1_chunked *c, uint8_t b, struct http1_refusal *refusal)
{
	switch (c->state) {
	case SIZE:
		return on_size(c, b, refusal);
	case EXTENSION:
		return on_extension(c, b, refusal);
	case SIZE_LF:
		return on_size_lf(c, b, refusal);
	case DATA_CR:
	case DATA_LF:
		return on_data_end(c, b, refusal);
	default:
		return on_trailer(c, b, refusal);
	}
}

int
http1_chunked_next(struct http1_chunked *c, const uint8_t *bytes, size_t n, size_t *taken,
    size_t *data, struct http1_refusal *refusal)
{
	size_t i = 0;
	int rc;

	*data = 0;
	while (c->state != DATA && c->state != DONE && i < n) {
		rc = on_byte(c, bytes[i++], refusal);
		if (rc < 0)
			return rc;
	}
	*taken = i;
	if (c->state == DONE)
		return HTTP1_CHUNKED_END;
	if (c->state != DATA || i == n)
		return HTTP1_CHUNKED_MORE;
	*data = n - i < c->left ? n - i : (size_t)c->left;
	return HTTP1_CHUNKED_DATA;
}
