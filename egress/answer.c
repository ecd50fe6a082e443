/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back: head, body, trailers; checked, scrubbed, and given out. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/upstream_internal.h"
#include "ipc/outbound.h"
#include "ipc/packet.h"

static bool
refused(struct exchange *x, const char *rule, const char *text)
{
	if (x->refusal.cause == CAUSE_NONE)
		refuse(&x->refusal, CAUSE_BROKEN, rule, "%s: %s", x->host, text);
	return false;
}

/* ---- The head ---- */

static bool
take_status(struct exchange *x, const char *line, size_t n)
{
	const char *at = memchr(line, ' ', n);
	size_t i;

	x->status = 0;
	fields_reset(&x->head);
	if (at == NULL || (size_t)(line + n - at) < 4)
		return refused(x, "bad-answer", "the answer has no status");
	for (i = 1; i <= 3; i++) {
		if (at[i] < '0' || at[i] > '9')
			return refused(x, "bad-answer", "the answer has no status");
		x->status = x->status * 10 + (unsigned)(at[i] - '0');
	}
	if (x->status < 100 || x->status > 599)
		return refused(x, "bad-answer", "the answer's status is out of range");
	return true;
}

/* True where bytes that cannot be replaced hold a secret. */
static bool
shows_a_secret(struct exchange *x, const char *bytes, size_t n)
{
	struct buffer text = {0};
	uint64_t found;

	if (x->set == NULL || x->set->scrub == 0)
		return false;
	found = secrets_scrub_value(x->set, bytes, n, &text);
	buffer_wipe(&text);
	x->scrubbed |= found;
	return found != 0;
}

static bool
take_field(struct exchange *x, struct fields *to, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n), *value, *end = line + n;
	char name[256];
	size_t length, i;

	if (colon == NULL || (size_t)(colon - line) > sizeof(name))
		return refused(x, "bad-answer", "a line of the answer's head is no field");
	length = (size_t)(colon - line);
	for (i = 0; i < length; i++)
		name[i] = line[i] >= 'A' && line[i] <= 'Z' ? (char)(line[i] | 0x20) : line[i];
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	for (; end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	if (!name_is_valid(name, length) || !value_is_valid(value, (size_t)(end - value)))
		return refused(x, "bad-answer", "a field of the answer is malformed");
	/* No placeholder is a field's name: it is left out. */
	if (shows_a_secret(x, line, length) || shows_a_secret(x, name, length))
		return true;
	fields_add(to, name, length, value, (size_t)(end - value));
	if (to->n > OUTBOUND_HEADERS_MAX || fields_size(to) > OUTBOUND_HEAD_MAX)
		return refused(x, "bad-answer", "the answer's head is too long");
	return true;
}

bool
answer_take_line(struct exchange *x, const char *line, size_t n)
{
	if (x->head_done)
		return n == 0 || take_field(x, &x->trailers, line, n);
	if (n >= 5 && memcmp(line, "HTTP/", 5) == 0 && memchr(line, ':', n < 9 ? n : 9) == NULL)
		return take_status(x, line, n);
	if (n > 0)
		return take_field(x, &x->head, line, n);
	/* What follows would be a body, and no head says how it is to be read. */
	if (x->status == 101 && !x->upgrade)
		return refused(
		    x, "bad-answer", "the answer switches protocols, which nobody asked for");
	/* An interim answer says nothing that the guest must know. */
	if (x->status < 200 && x->status != 101)
		return true;
	x->head_done = true;
	return answer_take_head(x);
}

static const char *const of_the_connection[] = {"alt-svc", "connection", "content-length",
    "keep-alive", "proxy-authenticate", "proxy-connection", "strict-transport-security-report",
    "te", "trailer", "transfer-encoding", "upgrade", "x-gondolin-denied"};

static bool
is_of_the_connection(const struct field *f)
{
	size_t i;

	for (i = 0; i < sizeof(of_the_connection) / sizeof(of_the_connection[0]); i++)
		if (field_is(f, of_the_connection[i]))
			return true;
	return false;
}

/* All Content-Length fields must say the same (RFC 9110 8.6). */
static bool
take_length(struct exchange *x)
{
	struct field f;
	uint64_t length;
	size_t i, k;

	for (i = 0; i < x->head.n; i++) {
		f = fields_get(&x->head, i);
		if (!field_is(&f, "content-length"))
			continue;
		length = 0;
		for (k = 0; k < f.value_length; k++) {
			if (f.value[k] < '0' || f.value[k] > '9' || length > UINT64_MAX / 100)
				return refused(x, "bad-answer", "the answer's length is no number");
			length = length * 10 + (uint64_t)(f.value[k] - '0');
		}
		if (k == 0 || (x->answer_has_length && x->answer_length != length))
			return refused(x, "bad-answer", "the answer has two lengths");
		x->answer_has_length = true;
		x->answer_length = length;
	}
	/* Then it frames nothing (RFC 9112 6.3). */
	if (fields_find(&x->head, "transfer-encoding", &f))
		x->answer_has_length = false;
	return true;
}

/* All Content-Encoding fields are one list (RFC 9110 5.3): more than one coding is unknown. */
static enum coding
take_coding(const struct exchange *x)
{
	enum coding coding = CODING_IDENTITY;
	struct field f;
	size_t i, n = 0;

	for (i = 0; i < x->head.n; i++) {
		f = fields_get(&x->head, i);
		if (!field_is(&f, "content-encoding"))
			continue;
		coding = n++ == 0 ? coding_of(f.value, f.value_length) : CODING_UNKNOWN;
	}
	return coding;
}

/* Another coding of a transfer may be undone by the client and not by libcurl (RFC 9112 7). */
static bool
transfer_is_plain(const struct exchange *x)
{
	struct field f;
	size_t i;

	for (i = 0; i < x->head.n; i++) {
		f = fields_get(&x->head, i);
		if (field_is(&f, "transfer-encoding") &&
		    (f.value_length != 7 || strncasecmp(f.value, "chunked", 7) != 0))
			return false;
	}
	return true;
}

/* The body is to be read for secrets: it must be readable. */
static bool
set_up_scrub(struct exchange *x)
{
	enum coding coding;

	x->scrub = !x->no_body && x->set != NULL && x->set->scrub != 0;
	if (!x->scrub)
		return true;
	replacer_init(&x->incoming, &x->set->incoming);
	x->answer_has_length = false;
	coding = take_coding(x);
	if (coding == CODING_UNKNOWN || !transfer_is_plain(x))
		return refused(
		    x, "unreadable-answer", "the answer's encoding cannot be searched for secrets");
	/* Parts of a text do not show what is cut in two between them. */
	if (x->status == 206)
		return refused(
		    x, "unreadable-answer", "an answer in parts cannot be searched for secrets");
	if (coding != CODING_IDENTITY)
		x->decoder = decoder_new(coding, &x->ask.u->decoding);
	return true;
}

/* What of the fields is the guest's to see. */
static void
filter(struct exchange *x, struct fields *fields)
{
	struct fields kept = {0};
	struct buffer value = {0};
	struct field f;
	size_t i;

	for (i = 0; i < fields->n; i++) {
		f = fields_get(fields, i);
		if (is_of_the_connection(&f) ||
		    (x->decoder != NULL &&
			(field_is(&f, "content-encoding") || field_is(&f, "accept-ranges"))))
			continue;
		if (x->set == NULL || x->set->scrub == 0) {
			fields_add(&kept, f.name, f.name_length, f.value, f.value_length);
			continue;
		}
		value.length = 0;
		x->scrubbed |= secrets_scrub_value(x->set, f.value, f.value_length, &value);
		fields_add(&kept, f.name, f.name_length,
		    value.bytes != NULL ? (const void *)value.bytes : "", value.length);
	}
	buffer_wipe(&value);
	fields_clear(fields);
	*fields = kept;
}

bool
answer_take_head(struct exchange *x)
{
	x->no_body = strcmp(x->method, "HEAD") == 0 || x->status == 204 || x->status == 304;
	if (!take_length(x))
		return false;
	x->framed = x->answer_has_length;
	x->framed_length = x->answer_length;
	if (!set_up_scrub(x))
		return false;
	filter(x, &x->head);
	/* Placeholders may be longer than what they stand for. */
	if (fields_size(&x->head) > OUTBOUND_HEAD_MAX)
		return refused(x, "bad-answer", "the answer's head is too long");
	return true;
}

void
answer_take_trailers(struct exchange *x)
{
	filter(x, &x->trailers);
	if (fields_size(&x->trailers) > OUTBOUND_HEAD_MAX)
		fields_reset(&x->trailers);
}

/* Of head, body or trailers.  False where that was too much. */
static bool
count_in(struct exchange *x, size_t n)
{
	x->bytes_in += n;
	if (budget_bytes(&x->ask.u->budget, x->budget, n, 0) == NULL)
		return true;
	refuse(&x->refusal, CAUSE_BUDGET, "budget", "bytes-in is used up");
	return false;
}

static void
list(struct exchange *x)
{
	if (x->listed)
		return;
	x->listed = true;
	x->turn_next = x->ask.u->turn;
	x->ask.u->turn = x;
}

size_t
answer_on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t length = size * n, whole = length;

	x->progress = ev_now(x->ask.u->loop);
	if (x->refusal.cause != CAUSE_NONE || !count_in(x, whole))
		return 0;
	if (length > 0 && line[length - 1] == '\n')
		length--;
	if (length > 0 && line[length - 1] == '\r')
		length--;
	if (!answer_take_line(x, line, length))
		return 0;
	if (!x->head_done)
		return whole;
	list(x);
	if (budget_connections_are_scarce(&x->ask.u->budget, x->budget))
		(void)curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L);
	return whole;
}

/* ---- The stream ---- */

bool
stream_open(struct exchange *x, int *peer)
{
	int ends[2];

	if (x->stream_given)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return false;
	x->stream = ends[0];
	*peer = ends[1];
	x->stream_given = true;
	ev_io_set(&x->readable, x->stream, EV_READ);
	ev_io_set(&x->writable, x->stream, EV_WRITE);
	return true;
}

void
stream_close(struct exchange *x)
{
	if (x->stream < 0)
		return;
	ev_io_stop(x->ask.u->loop, &x->readable);
	ev_io_stop(x->ask.u->loop, &x->writable);
	close(x->stream);
	x->stream = -1;
}

/* ---- The body ---- */

/* Decodes and scrubs what came, as far as there is room. */
static bool
produce(struct exchange *x)
{
	IPC_SCRATCH uint8_t chunk[16384];
	const uint8_t *at = x->in.bytes;
	size_t n = x->in.length;
	long made;
	bool more = true;

	while (more && x->out.length < UPSTREAM_HELD) {
		if (x->decoder == NULL) {
			replacer_feed(&x->incoming, at, n, false, &x->out);
			n = 0;
			break;
		}
		made = decoder_run(x->decoder, &at, &n, chunk, sizeof(chunk));
		if (made < 0)
			return refused(x, "bad-answer",
			    made == -ENOBUFS ? "too many answers are decoded at once"
					     : "the answer's encoding is broken");
		replacer_feed(&x->incoming, chunk, (size_t)made, false, &x->out);
		more = made > 0 || n > 0;
	}
	buffer_drop(&x->in, x->in.length - n);
	x->scrubbed |= x->incoming.tags;
	return true;
}

/* Nothing more comes: what was held back is certain. */
static bool
produce_end(struct exchange *x)
{
	if (!x->scrub || x->in_ended || x->state != EXCHANGE_DONE)
		return true;
	if (!produce(x))
		return false;
	if (x->in.length > 0 || x->out.length >= UPSTREAM_HELD)
		return true;
	if (x->decoder != NULL && !decoder_is_done(x->decoder) && x->body_in > 0 &&
	    x->result == CURLE_OK)
		return refused(x, "bad-answer", "the answer's encoding ends early");
	replacer_feed(&x->incoming, NULL, 0, true, &x->out);
	x->scrubbed |= x->incoming.tags;
	x->in_ended = true;
	return true;
}

static bool
write_out(struct exchange *x)
{
	ssize_t n;

	while (x->out.length > 0) {
		n = send(x->stream, x->out.bytes, x->out.length, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(x->ask.u->loop, &x->writable);
			return true;
		}
		if (n < 0) {
			/* The peer does not want it any more; it will say so. */
			if (x->refusal.cause == CAUSE_NONE)
				refuse(&x->refusal, CAUSE_CANCELLED, "cancelled", "gone");
			return false;
		}
		x->written += (uint64_t)n;
		x->progress = ev_now(x->ask.u->loop);
		buffer_drop(&x->out, (size_t)n);
	}
	/* A paused download goes on when the watcher fires: so it has to fire. */
	if (!x->download_paused)
		ev_io_stop(x->ask.u->loop, &x->writable);
	return true;
}

/* Everything that will ever come was given out or is in out. */
static bool
is_complete(const struct exchange *x)
{
	return x->state == EXCHANGE_DONE && (!x->scrub || x->in_ended);
}

struct upstream_answer
answer_of(const struct exchange *x)
{
	return (struct upstream_answer){
	    .id = x->ask.id,
	    .status = x->status,
	    .headers = &x->head,
	    .trailers = &x->trailers,
	    .has_length = x->answer_has_length,
	    .length = x->answer_length,
	    .body = x->out.bytes,
	    .body_length = x->out.length,
	};
}

static void
send_head(struct exchange *x, bool end, bool streamed)
{
	struct upstream *u = x->ask.u;
	size_t n = x->out.length < OUTBOUND_INLINE_MAX ? x->out.length : OUTBOUND_INLINE_MAX;
	struct upstream_answer a = answer_of(x);
	int peer = -1;

	a.end = end;
	a.streamed = streamed;
	a.body_length = n;
	if (streamed && !x->stream_given && !stream_open(x, &peer)) {
		refuse(&x->refusal, CAUSE_BUDGET, "budget", "too many descriptors are open");
		return;
	}
	x->answered = true;
	x->streaming = streamed;
	u->events->answer(u->ctx, &a, peer);
	if (peer >= 0)
		close(peer);
	buffer_drop(&x->out, n);
}

/*
 * A known short body follows its head in one message more, any other by the stream; so does one
 * that comes while the request's is under way, which may need the stream later.
 */
static bool
wants_stream(const struct exchange *x)
{
	return x->scrub || !x->answer_has_length || x->answer_length > OUTBOUND_INLINE_MAX ||
	       upload_is_open(x);
}

bool
answer_is_whole(const struct exchange *x)
{
	return x->head_done && (x->no_body || (x->framed && x->body_in >= x->framed_length));
}

bool
answer_flush(struct exchange *x)
{
	if (!x->head_done || x->refusal.cause != CAUSE_NONE)
		return true;
	do {
		if (x->scrub && !x->in_ended && x->in.length > 0 && !produce(x))
			return true;
		if (!produce_end(x))
			return true;
		if (!x->answered && x->out.length > OUTBOUND_INLINE_MAX)
			send_head(x, false, true);
		if (x->refusal.cause != CAUSE_NONE)
			return true;
		if (x->streaming && !write_out(x))
			return true;
		/* Room again: there may be more to decode. */
	} while (x->streaming && x->out.length == 0 &&
		 (x->in.length > 0 || (x->state == EXCHANGE_DONE && !is_complete(x))));
	return is_complete(x) && (!x->streaming || x->out.length == 0);
}

void
answer_turn(struct exchange *x)
{
	if (!x->head_done || x->refusal.cause != CAUSE_NONE)
		return;
	(void)answer_flush(x);
	if (x->refusal.cause == CAUSE_NONE && !x->answered && x->state == EXCHANGE_ACTIVE &&
	    !x->no_body)
		send_head(x, false, wants_stream(x));
	if (x->refusal.cause == CAUSE_NONE && x->streaming)
		(void)write_out(x);
}

void
answer_resume(struct exchange *x)
{
	if (!x->download_paused || x->state != EXCHANGE_ACTIVE || x->out.length >= UPSTREAM_HELD ||
	    x->in.length > 0)
		return;
	x->download_paused = false;
	(void)curl_easy_pause(x->easy, x->upload_paused ? CURLPAUSE_SEND : CURLPAUSE_CONT);
}

size_t
answer_on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t length = size * n;

	/* Without a head nobody knows how to read it. */
	if (x->refusal.cause != CAUSE_NONE || !x->head_done)
		return 0;
	if (x->out.length >= UPSTREAM_HELD || x->in.length > 0) {
		(void)answer_flush(x);
		if (x->refusal.cause != CAUSE_NONE)
			return 0;
	}
	if (x->out.length >= UPSTREAM_HELD || x->in.length > 0) {
		x->download_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	x->progress = ev_now(x->ask.u->loop);
	x->body_in += length;
	if (!count_in(x, length))
		return 0;
	buffer_add(x->scrub ? &x->in : &x->out, bytes, length);
	if (x->scrub && !produce(x))
		return 0;
	list(x);
	return length;
}

void
answer_clear(struct exchange *x)
{
	struct exchange **at;

	if (x->listed) {
		for (at = &x->ask.u->turn; *at != x; at = &(*at)->turn_next)
			;
		*at = x->turn_next;
	}
	fields_clear(&x->head);
	fields_clear(&x->trailers);
	if (x->scrub)
		replacer_clear(&x->incoming);
	decoder_free(x->decoder);
	buffer_wipe(&x->in);
	buffer_wipe(&x->out);
	stream_close(x);
}
