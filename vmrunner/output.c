/* SPDX-License-Identifier: Apache-2.0 */
/* Output streams: written through where the pipe takes it, kept within the window where not. */
#include "vmrunner/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmrunner/vmrunner.h"

#define KEPT_MIN 4096u
#define WIDER    (AGENT_WINDOW - AGENT_OUTPUT_START)

static void on_writable(struct ev_loop *loop, ev_io *w, int events);

static struct agent_output *
protocol_of(const struct command_output *o)
{
	return &o->command->task.output[o - o->command->output];
}

static void
close_pipe(struct command_output *o)
{
	if (o->fd < 0)
		return;
	ev_io_stop(o->command->vm->loop, &o->writable);
	close(o->fd);
	o->fd = -1;
}

static void
drop_kept(struct command_output *o)
{
	free(o->kept);
	o->kept = NULL;
	o->start = o->length = o->capacity = 0;
}

void
output_init(struct command_output *o, struct command *c, int fd)
{
	memset(o, 0, sizeof(*o));
	o->command = c;
	o->fd = -1;
	o->window = AGENT_OUTPUT_START;
	output_redirect(o, fd);
}

void
output_clear(struct command_output *o)
{
	close_pipe(o);
	drop_kept(o);
	o->command->vm->commands.windows -= o->window - AGENT_OUTPUT_START;
	o->window = AGENT_OUTPUT_START;
}

void
output_redirect(struct command_output *o, int fd)
{
	close_pipe(o);
	if (fd < 0)
		return;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	o->fd = fd;
	ev_io_init(&o->writable, on_writable, fd, EV_WRITE);
	o->writable.data = o;
	if (o->length > 0)
		ev_io_start(o->command->vm->loop, &o->writable);
	else if (o->ended)
		close_pipe(o);
}

void
output_discard(struct command_output *o)
{
	close_pipe(o);
	drop_kept(o);
	o->discard = true;
	agent_wants(&o->command->vm->agent, &o->command->task);
}

/* The consumer took n bytes: the guest may send more, and a busy stream gets a wider window. */
static void
taken(struct command_output *o, size_t n)
{
	struct commands *all = &o->command->vm->commands;

	o->moved += n;
	if (o->window == AGENT_OUTPUT_START && o->moved >= AGENT_OUTPUT_START && !o->discard &&
	    all->windows + WIDER <= WINDOWS_MAX) {
		o->window = AGENT_WINDOW;
		all->windows += WIDER;
	}
	if (output_credit(o) > 0)
		agent_wants(&o->command->vm->agent, &o->command->task);
}

uint32_t
output_credit(const struct command_output *o)
{
	uint32_t give = o->window - protocol_of(o)->credit - (uint32_t)o->length;

	if (o->ended || give < o->window / 4)
		return 0;
	return give;
}

static void
keep(struct command_output *o, const uint8_t *bytes, size_t n)
{
	size_t capacity = o->capacity != 0 ? o->capacity : KEPT_MIN;
	uint8_t *larger;

	assert(o->length + n <= o->window);
	if (o->start + o->length + n > o->capacity) {
		while (capacity < o->length + n)
			capacity *= 2;
		if (capacity > o->capacity) {
			larger = malloc(capacity);
			if (larger == NULL)
				abort();
			if (o->length > 0)
				memcpy(larger, o->kept + o->start, o->length);
			free(o->kept);
			o->kept = larger;
			o->capacity = capacity;
		} else {
			memmove(o->kept, o->kept + o->start, o->length);
		}
		o->start = 0;
	}
	memcpy(o->kept + o->start + o->length, bytes, n);
	o->length += n;
	if (o->fd >= 0)
		ev_io_start(o->command->vm->loop, &o->writable);
}

/*
 * Writes into the pipe.  Returns the bytes that it took; where nobody reads it any more the stream
 * is discarded from here, and the guest is told, so that its writer sees EPIPE as it would here.
 */
static size_t
put(struct command_output *o, const uint8_t *bytes, size_t n)
{
	ssize_t done = write(o->fd, bytes, n);

	if (done >= 0)
		return (size_t)done;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	o->close = !o->command->task.tty && !o->ended;
	output_discard(o);
	return 0;
}

void
output_bytes(struct command_output *o, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	if (o->fd >= 0 && o->length == 0)
		done = put(o, bytes, n);
	if (o->discard)
		done = n;
	else if (done < n)
		keep(o, bytes + done, n - done);
	if (done > 0)
		taken(o, done);
}

void
output_end(struct command_output *o)
{
	o->ended = true;
	if (o->length == 0)
		close_pipe(o);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct command_output *o = w->data;
	size_t done = put(o, o->kept + o->start, o->length);

	(void)events;
	if (!o->discard) {
		o->start += done;
		o->length -= done;
		if (o->length == 0) {
			drop_kept(o);
			ev_io_stop(loop, w);
			if (o->ended)
				close_pipe(o);
		}
	}
	taken(o, done);
	if (o->length == 0)
		command_settle(o->command);
}
