/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 towards the guest: the state of a connection and its streams. */
#ifndef GONDOLIN_NETPROXY_HTTP2_SERVER_H
#define GONDOLIN_NETPROXY_HTTP2_SERVER_H

#include <nghttp2/nghttp2.h>

#include "netproxy/conn.h"
#include "netproxy/exchange.h"

#define HTTP2_STREAMS_MAX 128u
#define HTTP2_STREAMS_ALL 8192u        /* of all connections; egress has fewer under way */
#define HTTP2_WINDOW      (256 * 1024) /* of a stream; twice that of a connection */
/*
 * Of the first connections that upload: a window that closes costs the guest's client a wait, and
 * some clients spin meanwhile.  So few that all of them fit HTTP2_BUFFERED_MAX with room for
 * others.
 */
#define HTTP2_WINDOW_LARGE (1024 * 1024)
#define HTTP2_LARGE_MAX    8u
#define HTTP2_HEAD_MAX     32768u
#define HTTP2_FIELDS_MAX   128u
#define HTTP2_TRAILERS_MAX 32u
#define HTTP2_BUFFERED_MAX (32u << 20) /* bytes that wait on one side, of all connections */

struct http2;

/* A field whose texts are offsets into the stream's text, which moves while it grows. */
struct http2_field {
	uint32_t name, name_n, value, value_n;
};

struct http2_stream {
	struct exchange exchange; /* first: see http2_of_exchange */
	struct http2 *h;
	struct http2_stream *next, *previous;
	int32_t id;

	/* The request's head, until it was sent to egress; then its trailers. */
	char *text;
	size_t text_n, text_size;
	unsigned n_fields;
	struct http2_field *fields; /* HTTP2_FIELDS_MAX; or NULL */
	struct http2_field method, path, authority, scheme, host;
	bool has_length, expect_continue;
	uint64_t length;
	const char *bad; /* why the head is refused; NULL: it is not */
	unsigned bad_status;
	bool started; /* egress was asked, or a page is the answer */

	/* Its body: what came and was not taken by egress. */
	uint8_t *body;
	size_t body_n, body_at, body_size;
	bool ended; /* the guest's END_STREAM came */
	bool end_said;

	/* The answer. */
	bool responded, deferred, is_head;
	uint8_t *page; /* bytes that came with a message */
	size_t page_n, page_at;
	size_t held;          /* of netproxy.http2_buffered: head, page and trailers */
	nghttp2_nv *trailers; /* to send after the body; or NULL */
	char *trailers_text;
	size_t n_trailers;
};

struct http2 {
	struct conn *c;
	nghttp2_session *session;
	struct http2_stream *streams;
	const uint8_t *out; /* serialized and not written: nghttp2's */
	size_t out_n;
	unsigned requests, resets;
	bool pumping;
	bool large; /* its streams have HTTP2_WINDOW_LARGE */
};

/* http2_request.c: from the guest to egress. */
struct http2_stream *http2_stream_new(struct http2 *h, int32_t id);
void http2_stream_free(struct http2_stream *s);
void http2_add_field(
    struct http2_stream *s, const uint8_t *name, size_t n, const uint8_t *value, size_t value_n);
void http2_start_request(struct http2_stream *s);
void http2_add_body(struct http2_stream *s, const uint8_t *bytes, size_t n);
void http2_pump_body(struct http2_stream *s);

/* http2_answer.c: from egress to the guest. */
extern const struct exchange_events http2_events;
void http2_refuse(struct http2_stream *s, unsigned status, const char *rule, const char *text);
void http2_reset(struct http2_stream *s, uint32_t code);

#endif
