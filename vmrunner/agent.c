/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of the agent protocol: frames in, credit, turns out. */
#include "vmrunner/agent.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/message.h"

#define FRAME_MAX    (AGENT_HEADER_SIZE + AGENT_PAYLOAD_MAX)
#define OUT_SIZE     (2u * FRAME_MAX)
#define ROUNDS_MAX   4 /* out buffers and reads in one event, then the others have their turn */
#define REASON_BYTES 256

static void on_readable(struct ev_loop *loop, ev_io *w, int events);
static void on_writable(struct ev_loop *loop, ev_io *w, int events);

void
agent_init(struct agent *a, struct ev_loop *loop, const struct agent_events *e, void *ctx)
{
	memset(a, 0, sizeof(*a));
	a->loop = loop;
	a->events = e;
	a->ctx = ctx;
	a->fd = -1;
	TAILQ_INIT(&a->ready);
	a->out = malloc(OUT_SIZE);
	if (a->out == NULL || agent_reader_init(&a->reader) < 0)
		abort();
}

void
agent_clear(struct agent *a)
{
	agent_close(a);
	agent_reader_clear(&a->reader);
	free(a->out);
	a->out = NULL;
}

void
agent_open(struct agent *a, int fd)
{
	assert(a->fd < 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	a->fd = fd;
	a->up = false;
	a->paused = false;
	a->reader.start = a->reader.end = 0;
	a->out_start = a->out_end = 0;
	ev_io_init(&a->readable, on_readable, fd, EV_READ);
	ev_io_init(&a->writable, on_writable, fd, EV_WRITE);
	a->readable.data = a;
	a->writable.data = a;
	ev_io_start(a->loop, &a->readable);
}

void
agent_close(struct agent *a)
{
	struct agent_task *t;

	if (a->fd < 0)
		return;
	ev_io_stop(a->loop, &a->readable);
	ev_io_stop(a->loop, &a->writable);
	close(a->fd);
	a->fd = -1;
	a->up = false;
	while ((t = TAILQ_FIRST(&a->ready)) != NULL) {
		TAILQ_REMOVE(&a->ready, t, turn);
		t->queued = false;
	}
}

static void
end(struct agent *a, const char *violation)
{
	agent_close(a);
	a->events->ended(a->ctx, violation);
}

/* ---- Tasks ---- */

static struct agent_task **
slot(struct agent *a, uint32_t id)
{
	return &a->tasks[id % AGENT_COMMANDS_MAX];
}

void
agent_task_init(struct agent_task *t, bool tty)
{
	memset(t, 0, sizeof(*t));
	t->tty = tty;
	t->stage = AGENT_HELD;
	t->input_credit = AGENT_WINDOW;
	t->output[AGENT_OUT].credit = AGENT_OUTPUT_START;
	t->output[AGENT_ERR].credit = tty ? 0 : AGENT_OUTPUT_START;
	t->output[AGENT_ERR].ended = tty;
}

int
agent_ask(struct agent *a, struct agent_task *t, Gondolin__AgentExec *e)
{
	Gondolin__HostToGuest m = GONDOLIN__HOST_TO_GUEST__INIT;
	uint32_t id = a->last_id;
	unsigned i;
	int rc;

	assert(t->stage == AGENT_HELD);
	/* Past the slots that are taken. */
	for (i = 0; i < AGENT_COMMANDS_MAX; i++) {
		if (id == UINT32_MAX)
			return -ENOSPC;
		if (*slot(a, ++id) == NULL)
			break;
	}
	assert(i < AGENT_COMMANDS_MAX);
	e->id = id;
	m.body_case = GONDOLIN__HOST_TO_GUEST__BODY_EXEC;
	m.exec = e;
	rc = agent_send(a, &m);
	if (rc < 0)
		return rc;
	a->last_id = id;
	t->id = id;
	t->stage = AGENT_ASKED;
	*slot(a, id) = t;
	return 0;
}

void
agent_forget(struct agent *a, struct agent_task *t)
{
	if (t->stage == AGENT_OVER)
		return;
	if (t->stage != AGENT_HELD)
		*slot(a, t->id) = NULL;
	t->stage = AGENT_OVER;
	if (t->queued)
		TAILQ_REMOVE(&a->ready, t, turn);
	t->queued = false;
}

/* The task that the guest may name, or NULL. */
static struct agent_task *
find(struct agent *a, uint32_t id, enum agent_stage stage)
{
	struct agent_task *t = *slot(a, id);

	return t != NULL && t->id == id && t->stage == stage ? t : NULL;
}

/* ---- From the guest ---- */

static const char *
on_hello(struct agent *a, const Gondolin__GuestToHost *m)
{
	if (a->up)
		return "said Hello twice";
	if (m->hello->version != AGENT_PROTOCOL)
		return "speaks another version of the protocol: build the image again";
	a->up = true;
	a->events->hello(a->ctx);
	return NULL;
}

static const char *
on_started(struct agent *a, const Gondolin__GuestToHost *m)
{
	struct agent_task *t = find(a, m->started->id, AGENT_ASKED);

	if (t == NULL)
		return "said Started of a command that it was not asked for";
	t->stage = AGENT_RUNNING;
	a->events->started(a->ctx, t);
	return NULL;
}

static const char *
on_exited(struct agent *a, const Gondolin__GuestToHost *m)
{
	const Gondolin__AgentExited *e = m->exited;
	struct agent_task *t = find(a, e->id, AGENT_RUNNING);

	if (t == NULL)
		return "said Exited of a command that does not run";
	if (!t->output[AGENT_OUT].ended || !t->output[AGENT_ERR].ended)
		return "said Exited before the end of the command's output";
	if (e->status < -64 || e->status > 255)
		return "sent an exit status that there is not";
	agent_forget(a, t);
	a->events->exited(a->ctx, t, e->status, e->timed_out);
	return NULL;
}

static const char *
on_refused(struct agent *a, const Gondolin__GuestToHost *m)
{
	const Gondolin__AgentRefused *r = m->refused;
	struct agent_task *t = find(a, r->id, AGENT_ASKED);

	if (t == NULL)
		return "refused a command that it was not asked for";
	if (r->error == 0 || r->error > 4095 || r->message.len > REASON_BYTES)
		return "sent a refusal out of range";
	agent_forget(a, t);
	a->events->refused(a->ctx, t, r->error, r->message.data, r->message.len);
	return NULL;
}

static const char *
on_credit(struct agent *a, const Gondolin__GuestToHost *m)
{
	const Gondolin__AgentCredit *c = m->credit;
	struct agent_task *t = find(a, c->id, AGENT_RUNNING);

	if (t == NULL)
		return "gave credit to a command that does not run";
	if (c->stream != AGENT_STDIN)
		return "gave credit to an output";
	if (c->bytes == 0 || c->bytes > AGENT_WINDOW - t->input_credit)
		return "gave more credit than was used";
	t->input_credit += c->bytes;
	a->events->credit(a->ctx, t);
	return NULL;
}

static const struct {
	Gondolin__GuestToHost__BodyCase body;
	const char *(*handle)(struct agent *a, const Gondolin__GuestToHost *m);
} handlers[] = {
    {GONDOLIN__GUEST_TO_HOST__BODY_HELLO, on_hello},
    {GONDOLIN__GUEST_TO_HOST__BODY_STARTED, on_started},
    {GONDOLIN__GUEST_TO_HOST__BODY_EXITED, on_exited},
    {GONDOLIN__GUEST_TO_HOST__BODY_REFUSED, on_refused},
    {GONDOLIN__GUEST_TO_HOST__BODY_CREDIT, on_credit},
};

static const char *
take_control(struct agent *a, const uint8_t *payload, size_t length)
{
	const char *violation = "sent an empty message";
	Gondolin__GuestToHost *m;
	size_t i;

	m = (Gondolin__GuestToHost *)ipc_message_decode(
	    &gondolin__guest_to_host__descriptor, payload, length);
	if (m == NULL)
		return "sent a malformed message";
	if (!a->up && m->body_case != GONDOLIN__GUEST_TO_HOST__BODY_HELLO) {
		violation = "spoke before its Hello";
		goto out;
	}
	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].body == m->body_case)
			violation = handlers[i].handle(a, m);
out:
	gondolin__guest_to_host__free_unpacked(m, NULL);
	return violation;
}

static const char *
take_data(struct agent *a, const struct agent_header *h, const uint8_t *payload)
{
	struct agent_task *t;
	struct agent_output *o;
	unsigned which;

	if (!a->up)
		return "spoke before its Hello";
	if (h->kind == AGENT_STDIN)
		return "sent data on stdin";
	t = find(a, h->id, AGENT_RUNNING);
	if (t == NULL)
		return "sent output of a command that does not run";
	which = h->kind == AGENT_STDOUT ? AGENT_OUT : AGENT_ERR;
	o = &t->output[which];
	if (o->ended)
		return "sent output after its end";
	if (h->length > o->credit)
		return "sent output beyond its credit";
	o->credit -= h->length;
	o->ended = h->length == 0;
	a->events->output(a->ctx, t, which, payload, h->length);
	return NULL;
}

const char *
agent_process(struct agent *a)
{
	struct agent_header h;
	const uint8_t *payload;
	const char *violation = NULL;
	int rc;

	while (violation == NULL) {
		rc = agent_reader_next(&a->reader, &h, &payload);
		if (rc == 0)
			return NULL;
		if (rc < 0)
			return "sent a frame that is none or too long";
		if (h.kind == AGENT_CONTROL)
			violation = take_control(a, payload, h.length);
		else
			violation = take_data(a, &h, payload);
	}
	return violation;
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct agent *a = w->data;
	const char *violation;
	uint8_t *space;
	size_t room;
	ssize_t n;
	int i;

	(void)loop;
	(void)events;
	for (i = 0; i < ROUNDS_MAX; i++) {
		space = agent_reader_space(&a->reader, &room);
		n = read(a->fd, space, room);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			end(a, NULL);
			return;
		}
		agent_reader_filled(&a->reader, (size_t)n);
		violation = agent_process(a);
		if (violation != NULL) {
			end(a, violation);
			return;
		}
		if ((size_t)n < room)
			return;
	}
}

void
agent_pause(struct agent *a, bool paused)
{
	if (a->fd < 0 || a->paused == paused)
		return;
	a->paused = paused;
	if (paused)
		ev_io_stop(a->loop, &a->readable);
	else
		ev_io_start(a->loop, &a->readable);
}

/* ---- To the guest ---- */

void
agent_wants(struct agent *a, struct agent_task *t)
{
	if (t->queued || !a->up || t->stage == AGENT_OVER)
		return;
	t->queued = true;
	TAILQ_INSERT_TAIL(&a->ready, t, turn);
}

static size_t
out_room(const struct agent *a)
{
	return OUT_SIZE - a->out_end;
}

bool
agent_has_room(const struct agent *a)
{
	return out_room(a) >= AGENT_HEADER_SIZE;
}

int
agent_send(struct agent *a, const Gondolin__HostToGuest *m)
{
	size_t size = gondolin__host_to_guest__get_packed_size(m);
	struct agent_header h = {.length = (uint32_t)size, .kind = AGENT_CONTROL};

	assert(size <= AGENT_PAYLOAD_MAX);
	if (a->fd < 0 || out_room(a) < AGENT_HEADER_SIZE + size)
		return -EAGAIN;
	agent_header_encode(&h, a->out + a->out_end);
	gondolin__host_to_guest__pack(m, a->out + a->out_end + AGENT_HEADER_SIZE);
	a->out_end += AGENT_HEADER_SIZE + size;
	return 0;
}

uint8_t *
agent_input_space(struct agent *a, const struct agent_task *t, size_t *room)
{
	size_t free_bytes = out_room(a);

	if (free_bytes <= AGENT_HEADER_SIZE || t->input_credit == 0)
		return NULL;
	*room = free_bytes - AGENT_HEADER_SIZE;
	if (*room > AGENT_PAYLOAD_MAX)
		*room = AGENT_PAYLOAD_MAX;
	if (*room > t->input_credit)
		*room = t->input_credit;
	return a->out + a->out_end + AGENT_HEADER_SIZE;
}

void
agent_input_sent(struct agent *a, struct agent_task *t, size_t n)
{
	struct agent_header h = {.length = (uint32_t)n, .id = t->id, .kind = AGENT_STDIN};

	assert(!t->input_ended && n <= t->input_credit && n <= AGENT_PAYLOAD_MAX);
	assert(out_room(a) >= AGENT_HEADER_SIZE + n);
	agent_header_encode(&h, a->out + a->out_end);
	a->out_end += AGENT_HEADER_SIZE + n;
	t->input_credit -= (uint32_t)n;
	t->input_ended = n == 0;
}

static void
give_turns(struct agent *a)
{
	struct agent_task *t;

	/* Room for a whole frame at each turn's beginning: no task is cut short for ever. */
	while ((t = TAILQ_FIRST(&a->ready)) != NULL && out_room(a) >= FRAME_MAX) {
		TAILQ_REMOVE(&a->ready, t, turn);
		t->queued = false;
		if (a->events->turn(a->ctx, t))
			agent_wants(a, t);
	}
}

/* Writes what it can.  Returns true where all of it went. */
static bool
write_out(struct agent *a)
{
	size_t left = a->out_end - a->out_start;
	ssize_t n;

	n = write(a->fd, a->out + a->out_start, left);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		end(a, NULL);
		return false;
	}
	if (n > 0)
		a->out_start += (size_t)n;
	if (a->out_start == a->out_end) {
		a->out_start = a->out_end = 0;
		return true;
	}
	if (a->out_start >= OUT_SIZE / 2) {
		left = a->out_end - a->out_start;
		memmove(a->out, a->out + a->out_start, left);
		a->out_start = 0;
		a->out_end = left;
	}
	ev_io_start(a->loop, &a->writable);
	return false;
}

void
agent_flush(struct agent *a)
{
	int i;

	if (a->fd < 0)
		return;
	for (i = 0; i < ROUNDS_MAX; i++) {
		give_turns(a);
		if (a->out_start == a->out_end)
			return;
		/* The port said that it is full: it will say when it is not. */
		if (ev_is_active(&a->writable) || !write_out(a))
			return;
	}
	if (!TAILQ_EMPTY(&a->ready))
		ev_io_start(a->loop, &a->writable);
}

/* agent_flush comes at the end of this round. */
static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)events;
	ev_io_stop(loop, w);
}
