/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking reads and writes on a command that also writes to stderr. */
#include "client/transfer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
transfer_start(struct transfer *t, struct gondolin_session *session, Gondolin__AgentBuiltin builtin,
    const char *path, struct gondolin_error *error)
{
	const char *const argv[] = {path, NULL};
	const struct gondolin_exec_options options = {.argv = argv, .no_timeout = true};
	int rc;

	*t = (struct transfer){.input = -1};
	rc = client_exec_begin_fed(session, &options, builtin, &t->x, &t->input, error);
	if (rc < 0)
		return rc;
	client_non_blocking(t->x->streams[1]);
	client_non_blocking(t->x->streams[2]);
	return 0;
}

/* Takes what is on stderr; keeps the beginning. */
static void
hear(struct transfer *t)
{
	char block[1024];
	size_t room;
	ssize_t n;

	while ((n = read(t->x->streams[2], block, sizeof(block))) > 0) {
		room = sizeof(t->said) - 1 - t->n_said;
		if (room > (size_t)n)
			room = (size_t)n;
		memcpy(t->said + t->n_said, block, room);
		t->n_said += room;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		client_close(&t->x->streams[2]);
}

/* Waits for events on fd and meanwhile takes stderr.  Returns 0 or -errno. */
static int
await(struct transfer *t, int fd, short events)
{
	struct pollfd fds[2] = {
	    {.fd = fd, .events = events}, {.fd = t->x->streams[2], .events = POLLIN}};

	do {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents != 0)
			hear(t);
		fds[1].fd = t->x->streams[2];
	} while (fds[0].revents == 0);
	return 0;
}

int
transfer_write(struct transfer *t, const void *bytes, size_t n)
{
	const char *p = bytes;
	ssize_t done;
	int rc;

	while (n > 0) {
		done = send(t->input, p, n, MSG_NOSIGNAL);
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		} else if ((rc = await(t, t->input, POLLOUT)) < 0) {
			return rc;
		}
	}
	return 0;
}

ssize_t
transfer_read(struct transfer *t, void *bytes, size_t n)
{
	ssize_t done;
	int rc;

	for (;;) {
		done = read(t->x->streams[1], bytes, n);
		t->ended |= done == 0;
		if (done >= 0)
			return done;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if ((rc = await(t, t->x->streams[1], POLLIN)) < 0)
			return rc;
	}
}

/* The builtin's stderr is "NAME: REASON" in lines: the first one is the cause. */
static int
conclude(const struct transfer *t, int rc, const char *why, struct gondolin_error *error)
{
	const struct gondolin_result *r = &t->x->result;

	if (r->refused || r->lost)
		return client_fail(error, -EIO, "%s", r->message);
	if (r->exit_code != 0 && t->n_said > 0)
		return client_fail(
		    error, -EIO, "in the guest: %.*s", (int)strcspn(t->said, "\n"), t->said);
	if (rc < 0 && why != NULL && why[0] != '\0')
		return client_fail(error, rc, "%s", why);
	if (rc == -EPIPE)
		return client_fail(error, rc, "the guest stopped reading");
	if (rc < 0)
		return client_fail(error, rc, "%s", strerror(-rc));
	if (r->exit_code != 0)
		return client_fail(
		    error, -EIO, "the guest could not do it (exit code %d)", r->exit_code);
	return 0;
}

/*
 * Where the failure is ours the command may have more to send or to wait for: it is not waited for,
 * and ends with its connection.
 */
int
transfer_end(struct transfer *t, int rc, const char *why, struct gondolin_error *error)
{
	client_close(&t->input);
	if (rc == 0 || rc == -EPIPE || t->ended) {
		gondolin_exec_close_stream(t->x, 1);
		while (gondolin_exec_update(t->x) != GONDOLIN_EXEC_ENDED)
			if (await(t, t->x->control, POLLIN) < 0)
				break;
		if (t->x->streams[2] >= 0)
			hear(t);
	}
	rc = conclude(t, rc, why, error);
	gondolin_exec_free(t->x);
	return rc;
}
