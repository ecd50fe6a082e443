/* SPDX-License-Identifier: Apache-2.0 */
/* A command whose input and output go through a program's callbacks. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"

#define BLOCK 65536

struct runner {
	struct gondolin_exec *x;
	const struct gondolin_io *io;
	int input; /* a socket: writing raises no SIGPIPE; -1 = closed */
	size_t start, end;
	char in[BLOCK], out[BLOCK];
};

/* Returns 0, or the callback's -errno. */
static int
feed(struct runner *r)
{
	ssize_t n;

	if (r->start == r->end) {
		n = r->io->input(r->io->ctx, r->in, sizeof(r->in));
		if (n <= 0) {
			client_close(&r->input);
			return (int)n;
		}
		r->start = 0;
		r->end = (size_t)n;
	}
	n = send(r->input, r->in + r->start, r->end - r->start, MSG_NOSIGNAL);
	if (n >= 0)
		r->start += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		client_close(&r->input); /* the command reads no more, as it may */
	return 0;
}

/* Reads a stream once.  Returns 0, or the callback's -errno. */
static int
take(struct runner *r, int stream)
{
	ssize_t n = read(r->x->streams[stream], r->out, sizeof(r->out));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		gondolin_exec_close_stream(r->x, stream);
		return 0;
	}
	return r->io->output != NULL ? r->io->output(r->io->ctx, stream, r->out, (size_t)n) : 0;
}

static int
turn(struct runner *r)
{
	struct pollfd fds[4] = {
	    {.fd = r->x->control, .events = POLLIN},
	    {.fd = r->x->streams[1], .events = POLLIN},
	    {.fd = r->x->streams[2], .events = POLLIN},
	    {.fd = r->input, .events = POLLOUT},
	};
	int rc = 0, i, n;

	/* Ended: all that is to come is in the pipes. */
	if (r->x->state == GONDOLIN_EXEC_ENDED)
		fds[0].fd = fds[3].fd = -1;
	n = poll(fds, 4, r->x->state == GONDOLIN_EXEC_ENDED ? 0 : -1);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return 1;
	for (i = 1; i <= 2 && rc == 0; i++)
		if (fds[i].revents != 0)
			rc = take(r, i);
	if (rc == 0 && fds[3].fd >= 0 && fds[3].revents != 0)
		rc = feed(r);
	gondolin_exec_update(r->x);
	return rc;
}

int
gondolin_exec_run(struct gondolin_session *session, const struct gondolin_exec_options *options,
    const struct gondolin_io *io, struct gondolin_result *result, struct gondolin_error *error)
{
	struct runner r = {.io = io, .input = -1};
	int rc;

	if (options->tty)
		return client_fail(error, -EINVAL, "a command with a terminal needs one");
	rc = client_exec_begin_fed(
	    session, options, GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE, &r.x, &r.input, error);
	if (rc < 0)
		return rc;
	if (io->input == NULL)
		client_close(&r.input);
	while (rc == 0)
		rc = turn(&r);
	client_close(&r.input);
	*result = r.x->result;
	gondolin_exec_free(r.x);
	return rc < 0 ? client_fail(error, rc, "%s", strerror(-rc)) : 0;
}
