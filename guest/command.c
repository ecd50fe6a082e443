/* SPDX-License-Identifier: Apache-2.0 */
/* One command: its start, its streams, its end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "guest/agent_state.h"
#include "ipc/message.h"

/*
 * What is read of a terminal whose command has ended.  The kernel hangs the terminal up with its
 * session leader, and end of file follows what is in its buffers (64 KiB and one line discipline);
 * who opens the slave anew could write for ever.
 */
#define TERMINAL_DRAIN (128u * 1024u)

/* Credit goes back in pieces of this size: the host still has the rest of the window meanwhile. */
#define CREDIT_STEP (AGENT_WINDOW / 4)

static void
watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	*w = (struct watch){.fd = -1};
}

static void
put(struct agent *a, Gondolin__GuestToHost__BodyCase body, void *message)
{
	Gondolin__GuestToHost m = GONDOLIN__GUEST_TO_HOST__INIT;

	m.body_case = body;
	/* The members of the union are all pointers to messages. */
	m.started = message;
	outbox_put_control(&a->out, &m);
}

static int
watch_all(struct agent *a, struct command *c, struct spawn_child *child)
{
	struct watch *watches[] = {
	    &c->status, &c->process, &c->input.watch, &c->outputs[0].watch, &c->outputs[1].watch};
	int *fds[] = {&child->status, &child->pidfd, &child->input, &child->output, &child->error};
	size_t i;
	int rc;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		*watches[i] = (struct watch){.fd = *fds[i]};
		*fds[i] = -1;
	}
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (watches[i]->fd < 0)
			continue;
		rc = agent_watch(a, watches[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
command_start(struct agent *a, uint32_t id, uint32_t timeout_ms, const struct spawn_request *r)
{
	struct spawn_child child;
	struct command *c;
	int rc;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	rc = a->options->system->spawn(r, &child);
	if (rc < 0) {
		free(c);
		return rc;
	}
	c->id = id;
	c->pid = child.pid;
	c->tty = r->tty;
	c->input.credit = AGENT_WINDOW;
	c->outputs[0].kind = AGENT_STDOUT;
	c->outputs[0].credit = AGENT_OUTPUT_START;
	c->outputs[1].kind = AGENT_STDERR;
	c->outputs[1].credit = AGENT_OUTPUT_START;
	c->outputs[1].ended = r->tty;
	if (timeout_ms != 0)
		c->deadline_ms = agent_now_ms() + timeout_ms;
	rc = watch_all(a, c, &child);
	if (rc < 0) {
		a->options->system->signal(c->pid, SIGKILL);
		a->options->system->reap(c->pid, &c->wait_status);
		c->pid = 0;
		command_free(a, c);
		return rc;
	}
	a->commands[a->n_commands++] = c;
	return 0;
}

void
command_free(struct agent *a, struct command *c)
{
	/*
	 * At the agent's own end it is init that reaps: nothing waits here for a stuck process.
	 * Where the host gave a grace, it is also init that signals.
	 */
	if (c->pid != 0 && a->grace_ms == 0)
		a->options->system->signal(c->pid, SIGKILL);
	watch_close(&c->status);
	watch_close(&c->process);
	watch_close(&c->input.watch);
	watch_close(&c->outputs[0].watch);
	watch_close(&c->outputs[1].watch);
	free(c->input.ring);
	free(c);
}

void
command_signal(struct agent *a, struct command *c, int signal)
{
	if (c->pid != 0)
		a->options->system->signal(c->pid, signal);
}

void
command_resize(struct command *c, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	/* Fails on a terminal that has hung up, where nobody is left to know. */
	if (c->tty && c->outputs[0].watch.fd >= 0)
		(void)ioctl(c->outputs[0].watch.fd, TIOCSWINSZ, &size);
}

void
command_timeout(struct agent *a, struct command *c)
{
	command_signal(a, c, c->timed_out ? SIGKILL : SIGTERM);
	c->deadline_ms = c->timed_out ? 0 : agent_now_ms() + a->options->kill_after_ms;
	c->timed_out = true;
}

/* ---- stdin ---- */

/*
 * The command closed its stdin, or its terminal hung up.  What waits is lost, as in any pipe; no
 * credit is given for it, so that the host stops reading its source.
 */
static void
input_break(struct input *in)
{
	watch_close(&in->watch);
	in->used = 0;
	in->due = 0;
}

/* Writes and counts.  Returns the bytes taken; fewer than n where the pipe is full or broken. */
static size_t
input_write(struct input *in, const uint8_t *bytes, size_t n)
{
	size_t done = 0;
	ssize_t w;

	while (done < n && in->watch.fd >= 0 && in->watch.writable) {
		w = write(in->watch.fd, bytes + done, n - done);
		if (w > 0) {
			done += (size_t)w;
			in->last = bytes[done - 1];
		} else if (w < 0 && errno == EAGAIN) {
			in->watch.writable = false;
		} else if (w < 0 && errno != EINTR) {
			input_break(in);
		}
	}
	in->due += (uint32_t)done;
	return done;
}

/* Bytes that the command did not take at once wait in the ring. */
static int
input_keep(struct input *in, const uint8_t *bytes, size_t n)
{
	size_t from, first;

	if (in->ring == NULL)
		in->ring = malloc(AGENT_WINDOW);
	if (in->ring == NULL)
		return -ENOMEM;
	from = (in->head + in->used) % AGENT_WINDOW;
	first = AGENT_WINDOW - from;
	if (first > n)
		first = n;
	memcpy(in->ring + from, bytes, first);
	memcpy(in->ring, bytes + first, n - first);
	in->used += n;
	return 0;
}

/*
 * The stream's end: a pipe is closed; a terminal in canonical mode gets its end-of-file character,
 * twice where a line is unfinished (the first one only hands that line over).
 */
static void
input_end(struct command *c)
{
	struct input *in = &c->input;
	struct termios t;
	uint8_t eof[2];

	if (c->tty && in->watch.fd >= 0 && tcgetattr(in->watch.fd, &t) == 0 &&
	    (t.c_lflag & ICANON) != 0) {
		memset(eof, t.c_cc[VEOF], sizeof(eof));
		input_write(in, eof, in->last == '\n' || in->last == 0 ? 1 : 2);
	}
	watch_close(&in->watch);
}

int
command_input(struct agent *a, struct command *c, const uint8_t *bytes, size_t n)
{
	struct input *in = &c->input;
	size_t done = 0;

	(void)a;
	if (c->state == COMMAND_STARTING || in->ended || n > in->credit)
		return -EPROTO;
	in->credit -= (uint32_t)n;
	if (n == 0)
		in->ended = true;
	if (in->watch.fd < 0)
		return 0;
	if (in->used == 0)
		done = input_write(in, bytes, n);
	/* input_write may have found the pipe broken. */
	if (in->watch.fd >= 0 && done < n)
		return input_keep(in, bytes + done, n - done);
	if (in->ended && in->used == 0)
		input_end(c);
	return 0;
}

static bool
input_pass(struct agent *a, struct command *c)
{
	Gondolin__AgentCredit credit = GONDOLIN__AGENT_CREDIT__INIT;
	struct input *in = &c->input;
	size_t n, done;
	bool moved = false;

	while (in->used > 0 && in->watch.writable) {
		n = AGENT_WINDOW - in->head;
		done = input_write(in, in->ring + in->head, n < in->used ? n : in->used);
		if (in->watch.fd < 0)
			break;
		in->head = (in->head + done) % AGENT_WINDOW;
		in->used -= done;
		moved = moved || done > 0;
		if (in->used == 0 && in->ended)
			input_end(c);
	}
	if (in->due >= CREDIT_STEP && !in->ended && outbox_has_control_room(&a->out)) {
		credit.id = c->id;
		credit.stream = AGENT_STDIN;
		credit.bytes = in->due;
		put(a, GONDOLIN__GUEST_TO_HOST__BODY_CREDIT, &credit);
		in->credit += in->due;
		in->due = 0;
		moved = true;
	}
	return moved;
}

/* ---- stdout and stderr ---- */

int
command_credit(struct command *c, enum agent_kind kind, uint32_t bytes)
{
	struct output *o = &c->outputs[kind == AGENT_STDOUT ? 0 : 1];

	if (bytes == 0 || bytes > AGENT_WINDOW - o->credit)
		return -EPROTO;
	o->credit += bytes;
	return 0;
}

void
command_close(struct command *c, enum agent_kind kind)
{
	struct output *o = &c->outputs[kind == AGENT_STDOUT ? 0 : 1];

	if (c->tty || o->ended)
		return;
	watch_close(&o->watch);
	o->closed = true;
}

static bool
output_end(struct agent *a, struct command *c, struct output *o)
{
	if (!outbox_has_control_room(&a->out))
		return false;
	watch_close(&o->watch);
	outbox_put_end(&a->out, c->id, o->kind);
	o->ended = true;
	return true;
}

/* One read at most: commands take turns. */
static bool
output_pass(struct agent *a, struct command *c, struct output *o)
{
	size_t max = outbox_data_room(&a->out);
	ssize_t n;

	if (o->ended)
		return false;
	if (o->closed || (c->state == COMMAND_ENDED && o->left == 0))
		return output_end(a, c, o);
	if (!o->watch.readable)
		return false;
	if (max > o->credit)
		max = o->credit;
	if (c->state == COMMAND_ENDED && max > o->left)
		max = o->left;
	if (max == 0)
		return false;
	n = outbox_read_data(&a->out, o->watch.fd, c->id, o->kind, max);
	if (n > 0) {
		o->credit -= (uint32_t)n;
		if (c->state == COMMAND_ENDED)
			o->left -= (size_t)n;
		return true;
	}
	if (n == -EAGAIN && c->state != COMMAND_ENDED) {
		o->watch.readable = false;
		return false;
	}
	/* End of file; EIO is a terminal's; EAGAIN after the end: all that was there is sent. */
	watch_close(&o->watch);
	o->closed = true;
	return true;
}

/* ---- start and end ---- */

static bool
start_pass(struct agent *a, struct command *c)
{
	Gondolin__AgentStarted started = GONDOLIN__AGENT_STARTED__INIT;
	Gondolin__AgentRefused refused = GONDOLIN__AGENT_REFUSED__INIT;
	struct spawn_failure f;
	ssize_t n;

	if (!c->status.readable || !outbox_has_control_room(&a->out))
		return false;
	n = read(c->status.fd, &f, sizeof(f));
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->status.readable = errno == EINTR;
		return false;
	}
	watch_close(&c->status);
	if (n == sizeof(f)) {
		f.message[sizeof(f.message) - 1] = '\0';
		refused.id = c->id;
		refused.error = (uint32_t)f.error;
		refused.message = ipc_text(f.message);
		put(a, GONDOLIN__GUEST_TO_HOST__BODY_REFUSED, &refused);
		/* Its next call after that write was _exit(2). */
		a->options->system->reap(c->pid, &c->wait_status);
		c->pid = 0;
		c->state = COMMAND_DONE;
		return true;
	}
	started.id = c->id;
	put(a, GONDOLIN__GUEST_TO_HOST__BODY_STARTED, &started);
	c->state = COMMAND_RUNNING;
	return true;
}

/*
 * The main process ended.  What its pipes hold at this moment is still sent; what a background
 * child adds later is not waited for.
 */
static bool
reap_pass(struct agent *a, struct command *c)
{
	struct output *o;
	int have;

	if (!c->process.readable)
		return false;
	/* The zombie still holds the group's number: nobody else can be hit. */
	if (c->timed_out)
		command_signal(a, c, SIGKILL);
	if (a->options->system->reap(c->pid, &c->wait_status) < 0)
		return false;
	c->pid = 0;
	c->deadline_ms = 0;
	c->state = COMMAND_ENDED;
	watch_close(&c->process);
	input_break(&c->input);
	for (o = c->outputs; o < c->outputs + COMMAND_OUTPUTS; o++) {
		if (o->watch.fd < 0)
			continue;
		have = 0;
		if (!c->tty && ioctl(o->watch.fd, FIONREAD, &have) < 0)
			have = 0;
		o->left = c->tty ? TERMINAL_DRAIN : (size_t)have;
		o->watch.readable = true;
	}
	return true;
}

static bool
exit_pass(struct agent *a, struct command *c)
{
	Gondolin__AgentExited exited = GONDOLIN__AGENT_EXITED__INIT;

	if (!c->outputs[0].ended || !c->outputs[1].ended || !outbox_has_control_room(&a->out))
		return false;
	exited.id = c->id;
	exited.status =
	    WIFSIGNALED(c->wait_status) ? -WTERMSIG(c->wait_status) : WEXITSTATUS(c->wait_status);
	exited.timed_out = c->timed_out;
	put(a, GONDOLIN__GUEST_TO_HOST__BODY_EXITED, &exited);
	c->state = COMMAND_DONE;
	return true;
}

bool
command_pass(struct agent *a, struct command *c)
{
	bool moved = false;

	if (c->state == COMMAND_STARTING)
		moved = start_pass(a, c);
	if (c->state == COMMAND_RUNNING)
		moved = reap_pass(a, c) || moved;
	if (c->state == COMMAND_RUNNING || c->state == COMMAND_ENDED) {
		moved = input_pass(a, c) || moved;
		moved = output_pass(a, c, &c->outputs[0]) || moved;
		moved = output_pass(a, c, &c->outputs[1]) || moved;
	}
	if (c->state == COMMAND_ENDED)
		moved = exit_pass(a, c) || moved;
	return moved;
}
