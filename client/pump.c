/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from one descriptor to another, without blocking. */
#include "client/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"

#define SPLICE_MAX   (1u << 20) /* bytes of one call */
#define SPLICE_ROUND 8          /* calls before the other directions get their turn */

static void
end_open(struct pump_end *e, int fd, bool shared, int flags)
{
	struct stat st;
	char path[32];
	int own;

	*e = (struct pump_end){.fd = fd};
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	e->socket = S_ISSOCK(st.st_mode);
	e->terminal = S_ISCHR(st.st_mode) && isatty(fd) == 1;
	if (!shared) {
		client_non_blocking(fd);
		return;
	}
	if (!S_ISFIFO(st.st_mode) && !e->terminal)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (own < 0)
		return; /* another user's terminal: it may block, and then waits for its reader */
	e->fd = own;
	e->ours = true;
}

void
pump_open(struct pump *p, int source, int sink, enum pump_shared shared, int escape)
{
	*p = PUMP_EMPTY;
	end_open(&p->source, source, shared == PUMP_SOURCE_SHARED, O_RDONLY);
	end_open(&p->sink, sink, shared == PUMP_SINK_SHARED, O_WRONLY);
	p->escape = escape;
	p->splice = escape < 0 && !p->source.socket && !p->sink.socket;
	p->ended = source < 0;
	p->broken = sink < 0;
}

static void
end_close(struct pump_end *e)
{
	if (e->ours && e->fd >= 0)
		close(e->fd);
	*e = (struct pump_end){.fd = -1};
}

void
pump_close(struct pump *p)
{
	end_close(&p->source);
	end_close(&p->sink);
	free(p->buffer);
	*p = PUMP_EMPTY;
}

bool
pump_is_done(const struct pump *p)
{
	return p->broken || (p->ended && p->start == p->end);
}

size_t
pump_poll(const struct pump *p, struct pollfd *fds)
{
	size_t n = 0;
	bool full = p->splice ? p->awaits_sink : p->start != p->end;

	if (pump_is_done(p))
		return 0;
	if (!p->ended && (!full || p->escape >= 0))
		fds[n++] = (struct pollfd){.fd = p->source.fd, .events = POLLIN};
	if (full)
		fds[n++] = (struct pollfd){.fd = p->sink.fd, .events = POLLOUT};
	return n;
}

static bool
is_transient(int error)
{
	return error == EAGAIN || error == EINTR;
}

/* Returns false where splice does not work here and the buffer has to. */
static bool
run_splice(struct pump *p)
{
	ssize_t n;
	int i;

	for (i = 0; i < SPLICE_ROUND; i++) {
		n = splice(p->source.fd, NULL, p->sink.fd, NULL, SPLICE_MAX,
		    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n == 0) {
			p->ended = true;
			return true;
		}
		if (n > 0) {
			p->awaits_sink = false;
			continue;
		}
		/*
		 * EAGAIN does not tell which end it was.  At once, it was the one that was not
		 * waited for; after bytes, most likely the source is empty, and where it is not,
		 * the next turn comes back here at once and waits for the sink.
		 */
		if (errno == EAGAIN)
			p->awaits_sink = i == 0 && !p->awaits_sink;
		else if (errno == EPIPE)
			p->broken = true;
		else if (errno != EINTR)
			return false;
		return true;
	}
	return true;
}

/* EIO is how a terminal says that it was hung up; a socket's peer may leave as it likes. */
static bool
has_left(const struct pump_end *e, int error)
{
	return error == EPIPE || e->socket || (e->terminal && error == EIO);
}

static void
flush_buffer(struct pump *p)
{
	ssize_t n;

	while (p->start < p->end) {
		n = p->sink.socket ? send(p->sink.fd, p->buffer + p->start, p->end - p->start,
					 MSG_DONTWAIT | MSG_NOSIGNAL)
				   : write(p->sink.fd, p->buffer + p->start, p->end - p->start);
		if (n < 0) {
			p->broken = !is_transient(errno);
			if (p->broken && !has_left(&p->sink, errno))
				p->error = errno;
			return;
		}
		p->start += (size_t)n;
	}
	p->start = p->end = 0;
}

static void
look_for_escape(struct pump *p, const uint8_t *bytes, size_t *length)
{
	const uint8_t *found = NULL;

	if (p->escape >= 0)
		found = memchr(bytes, p->escape, *length);
	if (found == NULL)
		return;
	*length = (size_t)(found - bytes);
	p->escaped = true;
	p->ended = true;
}

/* Reads once.  Returns false where nothing came. */
static bool
fill_buffer(struct pump *p)
{
	uint8_t dropped[256], *to = dropped;
	size_t room = sizeof(dropped), length;
	ssize_t n;

	if (p->end < PUMP_BUFFER) {
		to = p->buffer + p->end;
		room = PUMP_BUFFER - p->end;
	}
	n = p->source.socket ? recv(p->source.fd, to, room, MSG_DONTWAIT)
			     : read(p->source.fd, to, room);
	if (n <= 0) {
		p->ended = n == 0 || !is_transient(errno);
		/* EBADF: open for writing alone, as nohup(1) has it. */
		if (n < 0 && p->ended && errno != EBADF && !has_left(&p->source, errno))
			p->error = errno;
		return false;
	}
	length = (size_t)n;
	look_for_escape(p, to, &length);
	if (to != dropped)
		p->end += length;
	return true;
}

static void
run_buffer(struct pump *p)
{
	if (p->buffer == NULL) {
		p->buffer = malloc(PUMP_BUFFER);
		if (p->buffer == NULL)
			abort();
	}
	flush_buffer(p);
	if (!p->broken && !p->ended && (p->start == p->end || p->escape >= 0) && fill_buffer(p))
		flush_buffer(p);
}

static bool
is_ready(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, 0) > 0;
}

void
pump_run(struct pump *p)
{
	if (pump_is_done(p))
		return;
	if (p->splice) {
		if (run_splice(p))
			return;
		p->splice = false;
	}
	/* The poll may have been about one end only, and a read must not block. */
	if (p->start == p->end && !p->ended && !is_ready(p->source.fd, POLLIN))
		return;
	run_buffer(p);
}

void
pump_finish(struct pump *p)
{
	pump_run(p);
	if (!p->ended && !p->broken && !is_ready(p->source.fd, POLLIN))
		p->ended = true;
}
