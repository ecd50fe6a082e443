/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x requests of the guest (RFC 9112), strictly: what two programs could read differently is
 * an error.  A request has one meaning or none; struct http1_request is that meaning.
 *
 * Refused beyond what the standard refuses: any line end but CRLF, line folding, white space where
 * none is due, two Content-Length even when equal, any Transfer-Encoding but one "chunked", a
 * Transfer-Encoding beside a Content-Length or in HTTP/1.0, a Connection option that names a field
 * of the message, CONNECT, targets and authorities that http_syntax.h refuses.
 */
#ifndef GONDOLIN_NETPROXY_HTTP1_PARSE_H
#define GONDOLIN_NETPROXY_HTTP1_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netproxy/http_syntax.h"

#define HTTP1_HEAD_MAX     32768u /* bytes of a request line and its fields; trailers likewise */
#define HTTP1_FIELDS_MAX   128u
#define HTTP1_TRAILERS_MAX 8192u
#define HTTP1_TRAILERS     32u

enum http1_body {
	HTTP1_BODY_NONE,
	HTTP1_BODY_LENGTH,
	HTTP1_BODY_CHUNKED,
};

struct http1_request {
	struct http_text method;
	struct http_text target; /* origin form, or "*" for OPTIONS */
	bool absolute;           /* the target was a URL; it agreed with Host; its scheme: */
	bool absolute_https;
	struct http_authority authority; /* of Host */
	unsigned minor;                  /* HTTP/1.minor: 0 or 1 */
	enum http1_body body;
	uint64_t length; /* HTTP1_BODY_LENGTH */
	bool keep_alive;
	bool expect_continue;
	bool websocket; /* a handshake that RFC 6455 4.2.1 accepts; its fields are among `fields` */
	/*
	 * Fields for the origin, in order: without Host, Content-Length, Expect and what belongs
	 * to this hop (RFC 9110 7.6.1).
	 */
	unsigned n_fields;
	struct http_field fields[HTTP1_FIELDS_MAX];
};

/* Why not: an answer's status and one line for people. */
struct http1_refusal {
	unsigned status; /* 400, 414, 417, 431, 501, 505 */
	const char *reason;
};

/*
 * Looks for the end of a head in n bytes of which `scanned` were looked at before.  Returns the
 * length of the head with its empty line; 0 where it is not complete.
 */
size_t http1_head_length(const char *bytes, size_t n, size_t scanned);

/*
 * Parses a whole head of n bytes (http1_head_length).  Names are put in lower case in place; all
 * texts point into it.  Returns 0; or -EPROTO with the refusal filled in.
 */
int
http1_request_parse(struct http1_request *r, char *head, size_t n, struct http1_refusal *refusal);

/* ---- Chunked bodies (RFC 9112 7.1) ---- */

struct http1_chunked {
	unsigned state;
	unsigned digits; /* of the size */
	unsigned extension;
	uint64_t left; /* of this chunk */
	size_t trailer_n;
	char *trailers; /* HTTP1_TRAILERS_MAX, made where a trailer comes; or NULL */
	unsigned n_fields;
	struct http_field fields[HTTP1_TRAILERS]; /* once at the end; point into trailers */
};

enum http1_chunked_event {
	HTTP1_CHUNKED_MORE, /* everything was taken; more is wanted */
	HTTP1_CHUNKED_DATA, /* data follows at bytes + *taken: *data of it */
	HTTP1_CHUNKED_END,  /* the body is complete; trailers are in fields */
};

void http1_chunked_init(struct http1_chunked *c);
void http1_chunked_clear(struct http1_chunked *c);

/*
 * Reads on.  Sets *taken to the bytes of framing that were used up, and for HTTP1_CHUNKED_DATA
 * *data (not 0) to the bytes of content that follow them in this piece; the caller says with
 * http1_chunked_data how many it took before it comes again.  Returns an event; or -EPROTO with
 * the refusal; or -ENOMEM.
 */
int http1_chunked_next(struct http1_chunked *c, const uint8_t *bytes, size_t n, size_t *taken,
    size_t *data, struct http1_refusal *refusal);
void http1_chunked_data(struct http1_chunked *c, size_t n);

#endif
