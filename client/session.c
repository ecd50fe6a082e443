/* SPDX-License-Identifier: Apache-2.0 */
/* Handles on running sandboxes: found by id, asked, listed, ended. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/client.h"
#include "ipc/dispatch.h"
#include "ipc/message.h"

#define STATUS_WAIT_MS 2000
#define STOP_WAIT_MS   60000

static_assert(GONDOLIN_ID_SIZE == SESSION_ID_SIZE, "the public header repeats it");

int
gondolin_session_open(
    const char *id, struct gondolin_session **session, struct gondolin_error *error)
{
	char line[SESSION_ERROR_SIZE] = "";
	struct gondolin_session *s;
	int rc;

	*session = NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->files = SESSION_EMPTY;
	s->lifeline = -1;
	rc = session_find(&s->files, id, line, sizeof(line));
	if (rc < 0) {
		free(s);
		return client_fail(error, rc, "%s", line);
	}
	*session = s;
	return 0;
}

void
gondolin_session_close(struct gondolin_session *s)
{
	if (s == NULL)
		return;
	client_close(&s->lifeline);
	if (s->supervisor != 0)
		client_reap(s->supervisor);
	session_close(&s->files);
	free(s);
}

const char *
gondolin_session_id(const struct gondolin_session *s)
{
	return s->files.id;
}

int
gondolin_session_release(struct gondolin_session *s, struct gondolin_error *error)
{
	static const char word[] = "release";

	if (s->lifeline < 0)
		return client_fail(error, -EINVAL, "this program did not start the sandbox");
	if (send(s->lifeline, word, sizeof(word) - 1, MSG_NOSIGNAL) < 0)
		return client_fail(error, -errno, "the sandbox %s is gone", s->files.id);
	client_close(&s->lifeline);
	s->supervisor = 0;
	return 0;
}

int
gondolin_session_wait(struct gondolin_session *s, struct gondolin_error *error)
{
	pid_t supervisor = s->supervisor;

	if (supervisor == 0)
		return client_fail(error, -EINVAL, "this program did not start the sandbox");
	s->supervisor = 0;
	/* How it ended it said itself; where it was killed, its guard did. */
	client_reap(supervisor);
	return client_fail_reported(error, -ECHILD, "the sandbox has ended");
}

int
client_connect(const struct gondolin_session *s, struct gondolin_error *error)
{
	int rc, fd = session_connect(&s->files);

	if (fd < 0)
		return client_fail(error, fd, "sandbox %s does not answer: %s", s->files.id,
		    fd == -ENOENT || fd == -ECONNREFUSED ? "it has ended" : strerror(-fd));
	rc = client_non_blocking(fd);
	if (rc < 0) {
		close(fd);
		return client_fail(error, rc, "fcntl: %s", strerror(-rc));
	}
	return fd;
}

/* ---- Status ---- */

static int
on_status(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct gondolin_status *status = ctx;
	const Gondolin__ControlStatusReply *m = body;

	(void)fds;
	(void)n_fds;
	switch (m->state) {
	case GONDOLIN__CONTROL_STATUS_REPLY__STATE__STARTING:
		status->state = GONDOLIN_STARTING;
		break;
	case GONDOLIN__CONTROL_STATUS_REPLY__STATE__RUNNING:
		status->state = GONDOLIN_RUNNING;
		break;
	case GONDOLIN__CONTROL_STATUS_REPLY__STATE__STOPPING:
		status->state = GONDOLIN_STOPPING;
		break;
	default:
		return -EPROTO;
	}
	status->running = m->running;
	status->detached = m->detached;
	return 0;
}

static const struct ipc_row status_rows[] = {
    {GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STATUS, "Status", IPC_ANY_STATE, 0, 0, on_status},
};

static const struct ipc_table status_table = {
    .envelope = &gondolin__vmrunner_to_client__descriptor,
    .rows = status_rows,
    .n_rows = sizeof(status_rows) / sizeof(status_rows[0]),
};

static int
receive_status(int control, struct gondolin_status *status)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	struct pollfd readable = {.fd = control, .events = POLLIN};
	const char *name;
	int rc;

	do
		rc = poll(&readable, 1, STATUS_WAIT_MS);
	while (rc < 0 && errno == EINTR);
	if (rc <= 0)
		return rc < 0 ? -errno : -ETIMEDOUT;
	rc = ipc_packet_receive(control, &p);
	if (rc <= 0)
		return rc < 0 ? rc : -EPIPE;
	return ipc_dispatch(&status_table, status, 1, &p, &name);
}

int
gondolin_session_status(
    struct gondolin_session *s, struct gondolin_status *status, struct gondolin_error *error)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlStatus ask = GONDOLIN__CONTROL_STATUS__INIT;
	int rc, control = client_connect(s, error);

	if (control < 0)
		return control;
	m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STATUS;
	m.status = &ask;
	rc = client_send(control, &m, NULL, 0);
	if (rc == 0)
		rc = receive_status(control, status);
	if (rc < 0)
		client_fail(
		    error, rc, "sandbox %s does not answer: %s", s->files.id, strerror(-rc));
	close(control);
	return rc;
}

static enum gondolin_state
state_of(enum session_state state)
{
	switch (state) {
	case SESSION_STARTING:
		return GONDOLIN_STARTING;
	case SESSION_RUNNING:
		return GONDOLIN_RUNNING;
	case SESSION_STOPPING:
		break;
	}
	return GONDOLIN_STOPPING;
}

const char *
gondolin_state_name(enum gondolin_state state)
{
	static const char *const names[] = {
	    [GONDOLIN_STARTING] = "starting",
	    [GONDOLIN_RUNNING] = "running",
	    [GONDOLIN_STOPPING] = "stopping",
	};

	return names[state];
}

/* ---- Stop ---- */

/* A pidfd of the session's supervisor, or -errno; the pid is checked by its start time. */
static int
supervisor_pidfd(const struct gondolin_session *s)
{
	struct session_info info;
	int fd, rc;

	rc = session_read(&s->files, &info);
	if (rc < 0)
		return rc;
	fd = (int)syscall(SYS_pidfd_open, info.pid, 0);
	if (fd < 0)
		return -errno;
	if (session_process_start_time(info.pid) != info.start_time) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

/* Asks vmrunner; where that does not listen (yet, or any more) the supervisor itself. */
static int
ask_to_stop(struct gondolin_session *s, int pidfd)
{
	Gondolin__ClientToVmrunner m = GONDOLIN__CLIENT_TO_VMRUNNER__INIT;
	Gondolin__ControlStop stop = GONDOLIN__CONTROL_STOP__INIT;
	int rc, control = client_connect(s, NULL);

	if (control >= 0) {
		m.body_case = GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STOP;
		m.stop = &stop;
		rc = client_send(control, &m, NULL, 0);
		close(control);
		if (rc == 0)
			return 0;
	}
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0)
		return -errno;
	return 0;
}

int
gondolin_session_stop(struct gondolin_session *s, struct gondolin_error *error)
{
	int rc, pidfd = supervisor_pidfd(s);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	if (pidfd == -ESRCH || pidfd == -ENOENT)
		return 0; /* it ended in between */
	if (pidfd < 0)
		return client_fail(error, pidfd, "cannot reach the supervisor of %s: %s",
		    s->files.id, strerror(-pidfd));
	rc = ask_to_stop(s, pidfd);
	if (rc == -ESRCH)
		rc = 0;
	if (rc < 0) {
		client_fail(error, rc, "cannot stop %s: %s", s->files.id, strerror(-rc));
		goto out;
	}
	do
		rc = poll(&ended, 1, STOP_WAIT_MS);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		rc = client_fail(error, -ETIMEDOUT, "sandbox %s did not end within %d s",
		    s->files.id, STOP_WAIT_MS / 1000);
	else
		rc = rc < 0 ? client_fail(error, -errno, "poll: %s", strerror(errno)) : 0;
out:
	close(pidfd);
	return rc;
}

/* ---- List ---- */

struct listing {
	int (*each)(void *ctx, const struct gondolin_entry *entry);
	void *ctx;
};

static int
list_one(void *ctx, const struct session *s)
{
	const struct listing *l = ctx;
	struct gondolin_entry entry;
	struct session_info info;

	/* Not written yet: it starts as we look. */
	if (session_read(s, &info) < 0)
		return 0;
	memset(&entry, 0, sizeof(entry));
	memcpy(entry.id, info.id, sizeof(entry.id));
	entry.pid = info.pid;
	entry.started = info.created;
	entry.state = state_of(info.state);
	entry.image = info.image;
	entry.label = info.label;
	entry.network = (struct gondolin_network){
	    .connections = info.network.connections,
	    .active = info.network.active,
	    .requests = info.network.requests,
	    .denied = info.network.denied,
	    .failed = info.network.failed,
	    .bytes_in = info.network.bytes_in,
	    .bytes_out = info.network.bytes_out,
	};
	return l->each(l->ctx, &entry);
}

int
gondolin_list(int (*each)(void *ctx, const struct gondolin_entry *entry), void *ctx,
    struct gondolin_error *error)
{
	struct listing l = {.each = each, .ctx = ctx};
	char line[SESSION_ERROR_SIZE] = "";
	int rc;

	rc = session_sweep(line, sizeof(line));
	if (rc < 0 && rc != -ENOENT)
		return client_fail(error, rc, "%s", line);
	rc = session_each(list_one, &l, line, sizeof(line));
	return rc < 0 && line[0] != '\0' ? client_fail(error, rc, "%s", line) : rc;
}
