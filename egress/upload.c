/* SPDX-License-Identifier: Apache-2.0 */
/* The request's body: from the message, then from the stream, to libcurl. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "egress/upstream_internal.h"
#include "ipc/packet.h"

static bool
placeholder_is_out_of_place(struct exchange *x)
{
	uint64_t wrong = x->scan ? x->outgoing.tags & ~x->set->body : 0;
	size_t i;

	if (wrong == 0)
		return false;
	for (i = 0; (wrong >> i & 1) == 0; i++)
		;
	refuse(&x->refusal, CAUSE_DENIED, "secret-place",
	    "secret %s may not stand in a body sent to %s", x->ask.u->config->secrets.v[i].name,
	    x->host);
	return true;
}

void
upload_init(struct exchange *x, const struct request *q)
{
	x->has_body = q->has_body;
	x->has_length = x->declared = q->has_length;
	x->body_length = q->length;
	/* request_judge() saw that the message holds no more than was declared. */
	x->declared_streamed = q->has_length ? q->length - q->body.length : 0;
	x->upload_inline = true;
	x->upload_done = !q->has_body;
	if (!q->has_body)
		return;
	x->scan = x->set != NULL;
	if (x->scan)
		replacer_init(&x->outgoing, &x->set->outgoing);
	if (q->end) {
		x->upload_last = true;
		x->upload_total = 0;
	}
	if (x->scan)
		replacer_feed(&x->outgoing, q->body.bytes, q->body.length, q->end, &x->upload);
	else
		buffer_add(&x->upload, q->body.bytes, q->body.length);
	(void)placeholder_is_out_of_place(x);
	/* With a secret put in, it is another length. */
	if (q->end) {
		x->has_length = true;
		x->body_length = x->upload.length;
	} else if (x->scan && x->set->body != 0) {
		x->has_length = false;
	}
}

void
upload_clear(struct exchange *x)
{
	if (x->scan)
		replacer_clear(&x->outgoing);
	buffer_wipe(&x->upload);
}

/* The peer said how much there is, and all of it was read. */
static bool
all_was_read(const struct exchange *x)
{
	return x->upload_last && x->upload_streamed == x->upload_total;
}

bool
upload_is_open(const struct exchange *x)
{
	return x->has_body && !all_was_read(x);
}

bool
upload_lacks_bytes(const struct exchange *x)
{
	return upload_is_open(x) && !(x->declared && x->upload_streamed == x->declared_streamed);
}

/* What the stream has to bring, by what the request declared and by what RequestEnd says. */
static const char *
length_fault(const struct exchange *x)
{
	if (x->declared && x->upload_streamed > x->declared_streamed)
		return "is longer than was said";
	if (x->upload_last && x->upload_streamed > x->upload_total)
		return "is longer than was said";
	if (x->declared && x->upload_last && x->upload_total != x->declared_streamed)
		return "is not as long as was said";
	return NULL;
}

static size_t
broken(struct exchange *x, const char *how)
{
	if (x->refusal.cause == CAUSE_NONE)
		refuse(&x->refusal, CAUSE_BAD, "bad-body", "the request's body %s", how);
	return CURL_READFUNC_ABORT;
}

static size_t
take_held(struct exchange *x, char *bytes, size_t room)
{
	size_t n = x->upload.length - x->upload_at;

	n = n < room ? n : room;
	memcpy(bytes, x->upload.bytes + x->upload_at, n);
	x->upload_at += n;
	return n;
}

/* Reads of the stream into bytes, or by way of the scan into upload.  As read(2), -1 and errno. */
static ssize_t
read_stream(struct exchange *x, char *bytes, size_t room)
{
	IPC_SCRATCH char chunk[32768];
	ssize_t n;

	n = x->scan ? read(x->stream, chunk, sizeof(chunk)) : read(x->stream, bytes, room);
	if (n <= 0)
		return n;
	x->upload_inline = false;
	x->upload_streamed += (uint64_t)n;
	x->bytes_out += (uint64_t)n;
	if (x->scan) {
		x->upload.length = x->upload_at = 0;
		replacer_feed(&x->outgoing, chunk, (size_t)n, all_was_read(x), &x->upload);
	}
	return n;
}

static size_t
pause_upload(struct exchange *x)
{
	int peer;

	if (!x->stream_given) {
		if (!stream_open(x, &peer))
			return broken(x, "has no way in: too many descriptors are open");
		x->ask.u->events->stream(x->ask.u->ctx, x->ask.id, peer);
		close(peer);
	}
	x->upload_paused = true;
	ev_io_start(x->ask.u->loop, &x->readable);
	return CURL_READFUNC_PAUSE;
}

static size_t
end_upload(struct exchange *x)
{
	/* What the scan holds back is certain now. */
	if (x->scan && x->outgoing.held.length > 0) {
		x->upload.length = x->upload_at = 0;
		replacer_feed(&x->outgoing, NULL, 0, true, &x->upload);
	}
	x->upload_done = x->upload_at == x->upload.length;
	return 0;
}

size_t
upload_on_read(char *bytes, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t room = size * n;
	const char *fault;
	ssize_t got;

	x->progress = ev_now(x->ask.u->loop);
	fault = length_fault(x);
	for (;;) {
		/*
		 * Before a byte more is handed over: libcurl sends whatever it gets, also behind
		 * the length that the head declared, where the origin reads another request.
		 */
		if (fault != NULL)
			return broken(x, fault);
		if (x->upload_at < x->upload.length)
			return take_held(x, bytes, room);
		if (all_was_read(x)) {
			end_upload(x);
			if (x->upload_done)
				return 0;
			continue;
		}
		if (!x->stream_given)
			return pause_upload(x);
		got = read_stream(x, bytes, room);
		if (got < 0 && errno == EAGAIN)
			return pause_upload(x);
		if (got <= 0)
			return broken(x, "broke off");
		if (placeholder_is_out_of_place(x))
			return CURL_READFUNC_ABORT;
		if (budget_bytes(&x->ask.u->budget, x->budget, 0, (uint64_t)got) != NULL) {
			refuse(&x->refusal, CAUSE_BUDGET, "budget", "bytes-out is used up");
			return CURL_READFUNC_ABORT;
		}
		fault = length_fault(x);
		if (fault == NULL && !x->scan)
			return (size_t)got;
	}
}

bool
upload_end(struct exchange *x, uint64_t length)
{
	const char *fault;

	x->upload_last = true;
	x->upload_total = length;
	fault = length_fault(x);
	if (fault != NULL)
		(void)broken(x, fault);
	return fault == NULL;
}

/* libcurl sends again what a connection lost that died while it was idle. */
int
upload_on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct exchange *x = ctx;

	if (!x->upload_inline || origin != SEEK_SET || offset < 0 ||
	    (uint64_t)offset > x->upload.length)
		return CURL_SEEKFUNC_FAIL;
	x->upload_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Something was written to the stream, or the end was told: libcurl may ask again. */
void
upload_on_stream(struct exchange *x)
{
	if (!x->upload_paused)
		return;
	x->upload_paused = false;
	ev_io_stop(x->ask.u->loop, &x->readable);
	if (x->state == EXCHANGE_ACTIVE)
		(void)curl_easy_pause(
		    x->easy, x->download_paused ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}
