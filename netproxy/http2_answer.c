/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to HTTP/2 streams on their way to the guest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http2_server.h"
#include "netproxy/netproxy.h"
#include "netproxy/page.h"

static struct http2_stream *
stream_of(struct exchange *e)
{
	return (struct http2_stream *)((char *)e - offsetof(struct http2_stream, exchange));
}

void
http2_reset(struct http2_stream *s, uint32_t code)
{
	exchange_clear(&s->exchange);
	s->responded = true;
	(void)nghttp2_submit_rst_stream(s->h->session, NGHTTP2_FLAG_NONE, s->id, code);
}

/* nghttp2's structures are not const; it copies. */
static nghttp2_nv
name_value(struct http_text name, struct http_text value)
{
	nghttp2_nv nv = {.namelen = name.n, .valuelen = value.n, .flags = NGHTTP2_NV_FLAG_NONE};

	memcpy(&nv.name, &name.s, sizeof(name.s));
	memcpy(&nv.value, &value.s, sizeof(value.s));
	return nv;
}

/* ---- Bodies ---- */

/* Trailers go out when the body is through. */
static void
finish_body(struct http2_stream *s, uint32_t *flags)
{
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->trailers == NULL)
		return;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	(void)nghttp2_submit_trailer(s->h->session, s->id, s->trailers, s->n_trailers);
}

static ssize_t
read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t size, uint32_t *flags,
    nghttp2_data_source *source, void *context)
{
	struct http2_stream *s = source->ptr;
	struct iovec iov = {out, size};
	ssize_t n = 0;

	(void)session;
	(void)id;
	(void)context;
	if (s->page_at < s->page_n) {
		n = (ssize_t)(s->page_n - s->page_at < size ? s->page_n - s->page_at : size);
		memcpy(out, s->page + s->page_at, (size_t)n);
		s->page_at += (size_t)n;
	} else {
		n = exchange_read(&s->exchange, &iov, 1);
		if (n < 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM */
	}
	if (s->page_at == s->page_n && exchange_is_complete(&s->exchange)) {
		finish_body(s, flags);
		return n;
	}
	if (n == 0) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return n;
}

/*
 * Counts bytes of an answer that are kept until the guest takes them, which it may never do.
 * Returns false, and ends the stream, where all connections together keep too many.
 */
static bool
hold(struct http2_stream *s, size_t n)
{
	struct netproxy *np = s->h->c->np;

	if (np->http2_buffered + n > HTTP2_BUFFERED_MAX) {
		http2_reset(s, NGHTTP2_ENHANCE_YOUR_CALM);
		return false;
	}
	np->http2_buffered += n;
	s->held += n;
	return true;
}

/* Returns false where the stream was ended instead; so does keep_trailers. */
static bool
add_page(struct http2_stream *s, const void *bytes, size_t n)
{
	if (n == 0)
		return true;
	if (!hold(s, n))
		return false;
	s->page = realloc(s->page, s->page_n + n);
	if (s->page == NULL)
		abort();
	memcpy(s->page + s->page_n, bytes, n);
	s->page_n += n;
	return true;
}

static bool
keep_trailers(struct http2_stream *s, const struct http_field *trailers, size_t n)
{
	size_t size = 1, at = 0;

	if (n == 0 || s->trailers != NULL)
		return true;
	for (size_t i = 0; i < n; i++)
		size += trailers[i].name.n + trailers[i].value.n;
	if (!hold(s, size))
		return false;
	s->trailers = calloc(n, sizeof(*s->trailers));
	s->trailers_text = malloc(size);
	if (s->trailers == NULL || s->trailers_text == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		struct http_text name = {s->trailers_text + at, trailers[i].name.n};
		struct http_text value = {name.s + name.n, trailers[i].value.n};

		memcpy(s->trailers_text + at, trailers[i].name.s, name.n);
		memcpy(s->trailers_text + at + name.n, trailers[i].value.s, value.n);
		at += name.n + value.n;
		s->trailers[i] = name_value(name, value);
	}
	s->n_trailers = n;
	return true;
}

/* ---- Heads ---- */

/* RFC 9113 8.2.2: egress lets none of these through; a frame with one would be an error. */
static bool
is_of_connection(struct http_text name)
{
	static const char *const names[] = {
	    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http_text_is(name, names[i]))
			return true;
	return false;
}

static void
respond(struct http2_stream *s, const struct exchange_answer *a)
{
	IPC_SCRATCH nghttp2_nv nv[OUTBOUND_HEADERS_MAX + 2];
	nghttp2_data_provider body = {.source = {.ptr = s}, .read_callback = read_body};
	char status[4], length[24];
	size_t n = 0, size = 0;
	bool has_body = !s->is_head && a->status != 204 && a->status != 304;

	if (s->responded)
		return;
	s->responded = true;
	(void)snprintf(status, sizeof(status), "%03u", a->status % 1000);
	nv[n++] = name_value(HTTP_TEXT(":status"), (struct http_text){status, 3});
	for (size_t i = 0; i < a->n_fields; i++)
		if (!is_of_connection(a->fields[i].name))
			nv[n++] = name_value(a->fields[i].name, a->fields[i].value);
	if (a->has_length && a->status != 204) {
		(void)snprintf(length, sizeof(length), "%llu", (unsigned long long)a->length);
		nv[n++] = name_value(
		    HTTP_TEXT("content-length"), (struct http_text){length, strlen(length)});
	}
	for (size_t i = 0; i < n; i++)
		size += nv[i].namelen + nv[i].valuelen;
	/* nghttp2 copies the head. */
	if (!hold(s, size) || (has_body && (!add_page(s, a->body, a->body_n) ||
					       !keep_trailers(s, a->trailers, a->n_trailers))))
		return;
	has_body = has_body && !(a->end && a->body_n == 0 && a->n_trailers == 0);
	if (nghttp2_submit_response(s->h->session, s->id, nv, n, has_body ? &body : NULL) != 0)
		http2_reset(s, NGHTTP2_INTERNAL_ERROR);
}

/* ---- What egress says ---- */

static void
on_answered(struct exchange *e, const struct exchange_answer *a)
{
	struct http2_stream *s = stream_of(e);
	struct conn *c = s->h->c;

	if (a->status == 101)
		http2_reset(s, NGHTTP2_INTERNAL_ERROR); /* nothing here asks for it */
	else
		respond(s, a);
	conn_pump(c);
}

static void
send_page(struct http2_stream *s, const struct exchange_refusal *r)
{
	struct page p;

	page_make(&p, r);
	/* For read_body: what comes is the page, and nothing after it. */
	s->exchange.final = true;
	s->exchange.length = s->exchange.read = 0;
	respond(s, &p.answer);
}

static void
on_refused(struct exchange *e, const struct exchange_refusal *r)
{
	struct http2_stream *s = stream_of(e);
	struct conn *c = s->h->c;

	send_page(s, r);
	conn_pump(c);
}

void
http2_refuse(struct http2_stream *s, unsigned status, const char *rule, const char *text)
{
	struct exchange_refusal r;

	exchange_clear(&s->exchange);
	page_refusal(&r, status, rule, text);
	send_page(s, &r);
}

static void
on_rest(struct exchange *e, const uint8_t *bytes, size_t n, const struct http_field *trailers,
    size_t n_trailers)
{
	struct http2_stream *s = stream_of(e);

	if (add_page(s, bytes, n))
		(void)keep_trailers(s, trailers, n_trailers);
}

static void
on_moved(struct exchange *e)
{
	struct http2_stream *s = stream_of(e);
	struct conn *c = s->h->c;
	nghttp2_nv nv = name_value(HTTP_TEXT(":status"), HTTP_TEXT("100"));

	c->active = netproxy_now(c->np);
	if (e->wanted && !e->answered && s->expect_continue) {
		s->expect_continue = false;
		(void)nghttp2_submit_headers(
		    s->h->session, NGHTTP2_FLAG_NONE, s->id, NULL, &nv, 1, NULL);
	}
	if (s->deferred) {
		s->deferred = false;
		(void)nghttp2_session_resume_data(s->h->session, s->id);
	}
	conn_pump(c);
}

const struct exchange_events http2_events = {
    .answered = on_answered,
    .refused = on_refused,
    .moved = on_moved,
    .rest = on_rest,
};
