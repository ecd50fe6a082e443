/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 towards the guest, by nghttp2.  Each stream is a request of its own, judged with its own
 * authority: that it shares a connection with another means nothing.
 */
#include "netproxy/http2_server.h"

#include <stdlib.h>
#include <string.h>

#include "netproxy/netproxy.h"

#define QUEUE_MOST  256u /* frames that wait before no more input is read */
#define RESETS_FREE 100u /* streams that a guest may reset before it has to use some, too */
#define OUT_WANT    65536u

static struct http2_stream *
find(struct http2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

/* ---- nghttp2's callbacks ---- */

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct http2 *h = context;

	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		h->requests++;
		if (h->c->np->http2_streams == HTTP2_STREAMS_ALL)
			return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE,
			    frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
		(void)nghttp2_session_set_stream_user_data(
		    session, frame->hd.stream_id, http2_stream_new(h, frame->hd.stream_id));
	} else {
		struct http2_stream *s = find(h, frame->hd.stream_id);

		/* Trailers: collected as the head was. */
		if (s != NULL && s->fields == NULL) {
			s->fields = calloc(HTTP2_FIELDS_MAX, sizeof(*s->fields));
			if (s->fields == NULL)
				abort();
		}
	}
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t n,
    const uint8_t *value, size_t value_n, uint8_t flags, void *context)
{
	struct http2_stream *s = find(context, frame->hd.stream_id);

	(void)session;
	(void)flags;
	if (s != NULL && s->fields != NULL)
		http2_add_field(s, name, n, value, value_n);
	return 0;
}

/* RFC 9113 8.2.1: white space around a value, control characters.  nghttp2 would drop the field. */
static int
on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t n, const uint8_t *value, size_t value_n, uint8_t flags, void *context)
{
	(void)session;
	(void)frame;
	(void)name;
	(void)n;
	(void)value;
	(void)value_n;
	(void)flags;
	(void)context;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM */
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct http2 *h = context;
	struct http2_stream *s;

	if (frame->hd.type == NGHTTP2_RST_STREAM && ++h->resets > RESETS_FREE + h->requests / 2)
		(void)nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	s = find(h, frame->hd.stream_id);
	if (s == NULL)
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		s->ended = true;
	if (frame->hd.type == NGHTTP2_HEADERS && !s->started)
		http2_start_request(s);
	else
		http2_pump_body(s);
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
    void *context)
{
	struct http2_stream *s = find(context, id);

	(void)flags;
	if (s == NULL)
		(void)nghttp2_session_consume(session, id, n);
	else
		http2_add_body(s, bytes, n);
	return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
	struct http2_stream *s = find(context, id);
	size_t left;

	(void)code;
	if (s == NULL)
		return 0;
	/* What it held of the connection's window comes back. */
	left = s->body_n - s->body_at;
	if (left > 0)
		(void)nghttp2_session_consume_connection(session, left);
	(void)nghttp2_session_set_stream_user_data(session, id, NULL);
	http2_stream_free(s);
	return 0;
}

/* ---- The pump ---- */

/* Writes what nghttp2 has.  Returns whether nothing is left; -1 where the session is broken. */
static int
pump_out(struct http2 *h)
{
	struct iovec iov[2];
	unsigned pieces = 0, piece;
	size_t room, at, done;

	for (;;) {
		room = stream_reserve(&h->c->stream, OUT_WANT, iov, &pieces);
		done = 0;
		piece = 0;
		at = 0;
		while (done < room) {
			size_t n;

			if (h->out_n == 0) {
				ssize_t got = nghttp2_session_mem_send(h->session, &h->out);

				if (got < 0)
					return -1;
				if (got == 0)
					break;
				h->out_n = (size_t)got;
			}
			if (at == iov[piece].iov_len) {
				piece++;
				at = 0;
			}
			n = iov[piece].iov_len - at < h->out_n ? iov[piece].iov_len - at : h->out_n;
			memcpy((uint8_t *)iov[piece].iov_base + at, h->out, n);
			h->out += n;
			h->out_n -= n;
			at += n;
			done += n;
		}
		if (done > 0)
			stream_commit(&h->c->stream, done);
		if (done < room)
			return 1;
		if (room == 0)
			return h->c->stream.broken ? -1 : 0;
	}
}

/* Reads frames.  Returns 0; 1 where answers have to go before others are read; -1 as above. */
static int
pump_in(struct http2 *h)
{
	const uint8_t *bytes;
	size_t n;

	while ((n = stream_peek(&h->c->stream, &bytes)) > 0) {
		ssize_t used;

		if (nghttp2_session_get_outbound_queue_size(h->session) >= QUEUE_MOST)
			return 1;
		used = nghttp2_session_mem_recv(h->session, bytes, n);
		if (used < 0)
			return -1;
		stream_consume(&h->c->stream, (size_t)used);
	}
	return 0;
}

static void
http2_pump(struct conn *c)
{
	struct http2 *h = c->state;
	int in, out;

	/* A page that is made while frames are read must not read others. */
	if (h->pumping)
		return;
	h->pumping = true;
	do {
		in = pump_in(h);
		for (struct http2_stream *s = h->streams; s != NULL; s = s->next)
			http2_pump_body(s);
		out = pump_out(h);
		/* Room again for what the guest sent already: nothing else would wake us for it. */
	} while (in > 0 && out > 0);
	h->pumping = false;
	if (in < 0 || out < 0) {
		conn_abort(c);
		return;
	}
	if (out == 0)
		return;
	if (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session))
		conn_linger(c);
	else if (stream_ended(&c->stream) && h->streams == NULL)
		conn_close(c);
	else if (c->stream.broken)
		conn_abort(c);
}

static void
http2_free(struct conn *c)
{
	struct http2 *h = c->state;

	while (h->streams != NULL)
		http2_stream_free(h->streams);
	nghttp2_session_del(h->session);
	c->np->http2_large -= h->large;
	free(h);
}

static const struct conn_protocol http2_protocol = {.pump = http2_pump, .free = http2_free};

/* ---- Making ---- */

static nghttp2_session *
make_session(struct http2 *h)
{
	static const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_HEAD_MAX},
	};
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	nghttp2_session *session = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	/* Windows open as egress takes the bytes, not as they come. */
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(option, 0);
	nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
	nghttp2_option_set_no_closed_streams(option, 1);
	if (nghttp2_session_server_new2(&session, callbacks, h, option) != 0 ||
	    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
		sizeof(settings) / sizeof(settings[0])) != 0 ||
	    nghttp2_session_set_local_window_size(
		session, NGHTTP2_FLAG_NONE, 0, 2 * HTTP2_WINDOW) != 0)
		abort();
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return session;
}

void
http2_start(struct conn *c)
{
	struct http2 *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	h->c = c;
	h->session = make_session(h);
	conn_set_protocol(c, &http2_protocol, h);
	http2_pump(c);
}
