/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of HTTP/2 streams on their way to egress.  nghttp2 keeps the framing and the rules of
 * RFC 9113 8.2 and 8.3; the spelling of what it lets through is checked here as HTTP/1's is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http2_server.h"
#include "netproxy/netproxy.h"

struct http2_stream *
http2_stream_new(struct http2 *h, int32_t id)
{
	struct http2_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	h->c->np->http2_streams++;
	s->h = h;
	s->id = id;
	s->exchange.fd = -1;
	s->fields = calloc(HTTP2_FIELDS_MAX, sizeof(*s->fields));
	if (s->fields == NULL)
		abort();
	s->next = h->streams;
	if (h->streams != NULL)
		h->streams->previous = s;
	h->streams = s;
	return s;
}

static void
drop_head(struct http2_stream *s)
{
	free(s->text);
	free(s->fields);
	s->text = NULL;
	s->fields = NULL;
	s->text_n = s->text_size = 0;
	s->n_fields = 0;
}

static void
drop_body(struct http2_stream *s)
{
	s->h->c->np->http2_buffered -= s->body_n - s->body_at;
	free(s->body);
	s->body = NULL;
	s->body_n = s->body_at = s->body_size = 0;
}

void
http2_stream_free(struct http2_stream *s)
{
	exchange_clear(&s->exchange);
	s->h->c->np->http2_streams--;
	drop_head(s);
	drop_body(s);
	s->h->c->np->http2_buffered -= s->held;
	free(s->page);
	free(s->trailers);
	free(s->trailers_text);
	if (s->previous != NULL)
		s->previous->next = s->next;
	else
		s->h->streams = s->next;
	if (s->next != NULL)
		s->next->previous = s->previous;
	free(s);
}

/* ---- Heads ---- */

static void
refuse(struct http2_stream *s, unsigned status, const char *why)
{
	if (s->bad != NULL)
		return;
	s->bad_status = status;
	s->bad = why;
}

static uint32_t
keep(struct http2_stream *s, const void *bytes, size_t n)
{
	if (s->text_size - s->text_n < n) {
		size_t size = s->text_size == 0 ? 1024 : s->text_size * 2;

		while (size - s->text_n < n)
			size *= 2;
		s->text = realloc(s->text, size);
		if (s->text == NULL)
			abort();
		s->text_size = size;
	}
	memcpy(s->text + s->text_n, bytes, n);
	s->text_n += n;
	return (uint32_t)(s->text_n - n);
}

static struct http_text
text_at(const struct http2_stream *s, uint32_t at, uint32_t n)
{
	return (struct http_text){s->text != NULL ? s->text + at : "", n};
}

static struct http_text
value_of(const struct http2_stream *s, const struct http2_field *f)
{
	return text_at(s, f->value, f->value_n);
}

static struct http2_field
kept_field(struct http2_stream *s, struct http_text name, struct http_text value)
{
	struct http2_field f;

	f.name_n = (uint32_t)name.n;
	f.value_n = (uint32_t)value.n;
	f.name = keep(s, name.s, name.n);
	f.value = keep(s, value.s, value.n);
	return f;
}

static void
on_length(struct http2_stream *s, struct http_text value)
{
	/* nghttp2 refuses two of them, and what is no number; the sum of DATA is checked as well.
	 */
	s->length = 0;
	s->has_length = true;
	for (size_t i = 0; i < value.n; i++)
		s->length = s->length * 10 + (uint64_t)(value.s[i] - '0');
	if (value.n == 0 || value.n > 18)
		refuse(s, 400, "a content-length that is not a number");
}

/* RFC 9113 8.2.3: crumbs are one field for everybody else. */
static bool
join_cookie(struct http2_stream *s, struct http_text value)
{
	for (unsigned i = 0; i < s->n_fields; i++) {
		struct http2_field *f = &s->fields[i];
		struct http_text old;

		if (!http_text_is(text_at(s, f->name, f->name_n), "cookie"))
			continue;
		old = value_of(s, f);
		/* Nothing is joined to nothing: a value ends in no space. */
		if (value.n == 0)
			return true;
		if (old.n == 0) {
			f->value = keep(s, value.s, value.n);
			f->value_n = (uint32_t)value.n;
			return true;
		}
		/* Room first: what is joined may move with the text. */
		(void)keep(s, "", 0);
		if (f->value + f->value_n != s->text_n) {
			char *copy = malloc(old.n + 1);

			if (copy == NULL)
				abort();
			memcpy(copy, old.s, old.n);
			f->value = keep(s, copy, old.n);
			free(copy);
		}
		(void)keep(s, "; ", 2);
		(void)keep(s, value.s, value.n);
		f->value_n += 2 + (uint32_t)value.n;
		return true;
	}
	return false;
}

/* Fields that are not passed on as they are.  Returns whether this was one. */
static bool
take_special(struct http2_stream *s, struct http_text name, struct http_text value)
{
	static const struct {
		const char *name;
		size_t at;
	} pseudo[] = {
	    {":method", offsetof(struct http2_stream, method)},
	    {":path", offsetof(struct http2_stream, path)},
	    {":authority", offsetof(struct http2_stream, authority)},
	    {":scheme", offsetof(struct http2_stream, scheme)},
	    {"host", offsetof(struct http2_stream, host)},
	};

	for (size_t i = 0; i < sizeof(pseudo) / sizeof(pseudo[0]); i++) {
		if (!http_text_is(name, pseudo[i].name))
			continue;
		if (http_text_is(name, "host") && s->host.name_n > 0)
			refuse(s, 400, "two Host fields");
		*(struct http2_field *)((char *)s + pseudo[i].at) = kept_field(s, name, value);
		return true;
	}
	if (http_text_is(name, "content-length")) {
		on_length(s, value);
		return true;
	}
	if (http_text_is(name, "expect")) {
		s->expect_continue = http_text_is_nocase(value, "100-continue");
		if (!s->expect_continue)
			refuse(s, 417, "an Expect other than 100-continue");
		return true;
	}
	/* It announces fields that go no further, as of HTTP/1. */
	if (http_text_is(name, "trailer"))
		return true;
	return http_text_is(name, "cookie") && join_cookie(s, value);
}

void
http2_add_field(struct http2_stream *s, const uint8_t *name_bytes, size_t name_n,
    const uint8_t *value_bytes, size_t value_n)
{
	struct http_text name = {(const char *)name_bytes, name_n};
	struct http_text value = {(const char *)value_bytes, value_n};

	if (s->text_n + name.n + value.n > HTTP2_HEAD_MAX || s->n_fields == HTTP2_FIELDS_MAX) {
		refuse(s, 431, "more than 128 fields or 32768 bytes");
		return;
	}
	if (!http_is_field_value(value))
		refuse(s, 400, "a control character in a field");
	if (take_special(s, name, value))
		return;
	if (!http_is_token(name)) {
		refuse(s, 400, "a field name that is not a token");
		return;
	}
	s->fields[s->n_fields++] = kept_field(s, name, value);
}

/* ---- Asking ---- */

/* What another could read differently.  Fills in the authority. */
static void
check_head(struct http2_stream *s, struct http_authority *a)
{
	struct http_text path = value_of(s, &s->path), method = value_of(s, &s->method);
	bool https = s->h->c->stream.ssl != NULL;
	struct http_authority host;

	a->host[0] = '\0';
	a->port = 0;
	if (http_text_is(method, "CONNECT"))
		refuse(s, 403, "CONNECT is not served: connect to the host itself");
	if (!http_is_method(method))
		refuse(s, 400, "not a method");
	if (!http_is_origin_target(path) &&
	    !(http_text_is(path, "*") && http_text_is(method, "OPTIONS")))
		refuse(s, 400, "a path that is not in its one plain spelling");
	if (!http_text_is(value_of(s, &s->scheme), https ? "https" : "http"))
		refuse(s, 400, "the target's scheme is not that of the connection");
	if (s->authority.name_n == 0)
		s->authority = s->host;
	if (http_authority_parse(value_of(s, &s->authority), a) < 0)
		refuse(s, 400, "an authority that is not a plain name or address");
	if (s->host.name_n > 0 && (http_authority_parse(value_of(s, &s->host), &host) < 0 ||
				      strcmp(host.host, a->host) != 0 || host.port != a->port))
		refuse(s, 400, "Host is not the authority");
	if (a->port == 0)
		a->port = https ? 443 : 80;
}

static size_t
fields_of(const struct http2_stream *s, struct http_field *out)
{
	for (unsigned i = 0; i < s->n_fields; i++) {
		out[i].name = text_at(s, s->fields[i].name, s->fields[i].name_n);
		out[i].value = value_of(s, &s->fields[i]);
	}
	return s->n_fields;
}

/* A body follows the head. */
static void
open_window(struct http2_stream *s)
{
	struct http2 *h = s->h;
	struct netproxy *np = h->c->np;

	if (!h->large && np->http2_large < HTTP2_LARGE_MAX) {
		h->large = true;
		np->http2_large++;
		(void)nghttp2_session_set_local_window_size(
		    h->session, NGHTTP2_FLAG_NONE, 0, 2 * HTTP2_WINDOW_LARGE);
	}
	if (h->large)
		(void)nghttp2_session_set_local_window_size(
		    h->session, NGHTTP2_FLAG_NONE, s->id, HTTP2_WINDOW_LARGE);
}

void
http2_start_request(struct http2_stream *s)
{
	struct http_field fields[HTTP2_FIELDS_MAX];
	struct conn *c = s->h->c;
	struct http_authority a;
	struct exchange_request r;
	int rc;

	s->started = true;
	check_head(s, &a);
	if (s->bad != NULL) {
		conn_record_bad(c, s->bad_status, s->bad);
		http2_refuse(s, s->bad_status, "bad-request", s->bad);
		drop_head(s);
		return;
	}
	r = (struct exchange_request){
	    .https = c->stream.ssl != NULL,
	    .host = a.host,
	    .port = a.port,
	    .sni = c->sni,
	    .destination = c->destination,
	    .to = &c->addresses.destination,
	    .method = value_of(s, &s->method),
	    .path = value_of(s, &s->path),
	    .fields = fields,
	    .n_fields = fields_of(s, fields),
	    .has_body = !s->ended || s->has_length,
	    .has_length = s->has_length,
	    .length = s->length,
	    .end = s->ended,
	};
	s->is_head = http_text_is(r.method, "HEAD");
	rc = exchange_start(&s->exchange, &c->np->outbound, &r, &http2_events);
	s->end_said = s->ended;
	drop_head(s);
	if (rc == 0 && !s->ended)
		open_window(s);
	if (rc < 0)
		http2_refuse(s, rc == -EMSGSIZE ? 431 : 503, NULL,
		    rc == -EMSGSIZE ? "the request's head is too long"
				    : "too many requests are under way");
}

/* ---- Bodies ---- */

static void
consumed(struct http2_stream *s, size_t n)
{
	(void)nghttp2_session_consume(s->h->session, s->id, n);
}

/* Nobody reads the body any more: the answer is complete, or it is our own. */
static bool
is_over(const struct http2_stream *s)
{
	return s->exchange.final || (s->responded && s->exchange.pending == NULL);
}

void
http2_add_body(struct http2_stream *s, const uint8_t *bytes, size_t n)
{
	struct netproxy *np = s->h->c->np;

	/* It only fills the windows. */
	if (is_over(s)) {
		consumed(s, n);
		return;
	}
	if (np->http2_buffered + n > HTTP2_BUFFERED_MAX) {
		http2_reset(s, NGHTTP2_ENHANCE_YOUR_CALM);
		consumed(s, n);
		return;
	}
	/* Moved only where that frees as much as it moves: not with every frame. */
	if (s->body_at > 0 && s->body_at >= s->body_n - s->body_at) {
		memcpy(s->body, s->body + s->body_at, s->body_n - s->body_at);
		s->body_n -= s->body_at;
		s->body_at = 0;
	}
	/* The stream's window is the bound. */
	if (s->body_size - s->body_n < n) {
		s->body_size = s->body_n + n > s->body_size * 2 ? s->body_n + n : s->body_size * 2;
		s->body = realloc(s->body, s->body_size);
		if (s->body == NULL)
			abort();
	}
	memcpy(s->body + s->body_n, bytes, n);
	s->body_n += n;
	np->http2_buffered += n;
}

static void
end_body(struct http2_stream *s)
{
	struct http_field trailers[HTTP2_TRAILERS_MAX];
	size_t n =
	    s->fields != NULL && s->n_fields <= HTTP2_TRAILERS_MAX ? fields_of(s, trailers) : 0;

	s->end_said = true;
	exchange_end_request(&s->exchange, trailers, n);
	drop_head(s);
	drop_body(s);
}

void
http2_pump_body(struct http2_stream *s)
{
	struct iovec iov;
	ssize_t n = 1;

	if (s->end_said || !s->started)
		return;
	if (is_over(s)) {
		size_t left = s->body_n - s->body_at;

		drop_body(s);
		if (left > 0)
			consumed(s, left);
		return;
	}
	if (!s->exchange.wanted)
		return;
	while (s->body_at < s->body_n && n > 0) {
		iov.iov_base = s->body + s->body_at;
		iov.iov_len = s->body_n - s->body_at;
		n = exchange_write(&s->exchange, &iov, 1);
		if (n <= 0)
			return;
		s->body_at += (size_t)n;
		s->h->c->np->http2_buffered -= (size_t)n;
		consumed(s, (size_t)n);
	}
	if (s->ended)
		end_body(s);
}
