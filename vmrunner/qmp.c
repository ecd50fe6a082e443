/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: lines, messages, and the little state there is. */
#include "vmrunner/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX   4096
#define ROUNDS_MAX 16 /* reads in one event */

static void on_readable(struct ev_loop *loop, ev_io *w, int events);

void
qmp_init(struct qmp *q, struct ev_loop *loop, const struct qmp_events *e, void *ctx)
{
	memset(q, 0, sizeof(*q));
	q->loop = loop;
	q->events = e;
	q->ctx = ctx;
	q->fd = -1;
	q->line = malloc(QMP_LINE_MAX);
	if (q->line == NULL)
		abort();
}

void
qmp_clear(struct qmp *q)
{
	qmp_close(q);
	free(q->line);
	q->line = NULL;
}

void
qmp_open(struct qmp *q, int fd)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	q->fd = fd;
	q->greeted = false;
	q->asked = 0;
	q->length = 0;
	ev_io_init(&q->readable, on_readable, fd, EV_READ);
	q->readable.data = q;
	ev_io_start(q->loop, &q->readable);
}

void
qmp_close(struct qmp *q)
{
	if (q->fd < 0)
		return;
	ev_io_stop(q->loop, &q->readable);
	close(q->fd);
	q->fd = -1;
	q->greeted = false;
}

/* ---- Messages ---- */

/* An optional string member of an object. */
static int
optional_string(const struct json *j, const struct json_token *object, const char *name, char *out)
{
	const struct json_token *t = object != NULL ? json_member(j, object, name) : NULL;

	out[0] = '\0';
	if (t == NULL)
		return 0;
	return json_string(j, t, out, QMP_TEXT_MAX) < 0 ? -EPROTO : 0;
}

static int
parse_event(const struct json *j, const struct json_token *name, struct qmp_message *m)
{
	const struct json_token *data = json_member(j, &j->tokens[0], "data");
	const struct json_token *t;

	if (json_string(j, name, m->text, sizeof(m->text)) <= 0)
		return -EPROTO;
	if (data != NULL && data->type != JSON_OBJECT)
		return -EPROTO;
	t = data != NULL ? json_member(j, data, "nospace") : NULL;
	if (t != NULL && json_bool(t, &m->nospace) < 0)
		return -EPROTO;
	/* Other events may have members of these names that are no strings. */
	if (strcmp(m->text, "SHUTDOWN") != 0 && strcmp(m->text, "BLOCK_IO_ERROR") != 0 &&
	    strcmp(m->text, "GUEST_PANICKED") != 0)
		return 0;
	if (optional_string(j, data, "reason", m->reason) < 0 ||
	    optional_string(j, data, "action", m->action) < 0)
		return -EPROTO;
	return 0;
}

int
qmp_parse(const char *line, size_t length, struct json_token *tokens, struct qmp_message *m)
{
	static const struct {
		const char *name;
		enum qmp_kind kind;
	} kinds[] = {
	    {"QMP", QMP_GREETING},
	    {"return", QMP_RETURN},
	    {"error", QMP_ERROR},
	    {"event", QMP_EVENT},
	};
	const struct json_token *t, *body = NULL;
	struct json j;
	size_t i;

	memset(m, 0, sizeof(*m));
	if (json_parse(&j, line, length, tokens, QMP_TOKENS_MAX) < 0 ||
	    tokens[0].type != JSON_OBJECT)
		return -EPROTO;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		t = json_member(&j, &tokens[0], kinds[i].name);
		if (t == NULL)
			continue;
		if (body != NULL)
			return -EPROTO;
		body = t;
		m->kind = kinds[i].kind;
	}
	if (body == NULL)
		return -EPROTO;
	if (m->kind == QMP_EVENT)
		return parse_event(&j, body, m);
	/* What is asked here has no answer but an empty object. */
	if (body->type != JSON_OBJECT)
		return -EPROTO;
	return m->kind == QMP_ERROR ? optional_string(&j, body, "desc", m->text) : 0;
}

/* ---- The conversation ---- */

static int
send_command(struct qmp *q, const char *command)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "{\"execute\": \"%s\"}\n", command);

	if (q->asked >= QMP_ASKED_MAX)
		return -EBUSY;
	/* A few bytes into an empty socket: what does not take them does not work. */
	if (write(q->fd, text, (size_t)n) != n)
		return -EIO;
	q->asked++;
	return 0;
}

int
qmp_execute(struct qmp *q, const char *command)
{
	if (q->fd < 0 || !q->greeted)
		return -EPIPE;
	return send_command(q, command);
}

static const char *
take_line(struct qmp *q, const char *line, size_t length)
{
	struct qmp_message m;

	if (qmp_parse(line, length, q->tokens, &m) < 0)
		return "sent a malformed QMP message";
	if (q->greeted != (m.kind != QMP_GREETING))
		return "sent a QMP greeting out of order";
	switch (m.kind) {
	case QMP_GREETING:
		q->greeted = true;
		return send_command(q, "qmp_capabilities") < 0 ? "does not take QMP commands"
							       : NULL;
	case QMP_EVENT:
		q->events->event(q->ctx, &m);
		return NULL;
	case QMP_RETURN:
	case QMP_ERROR:
		break;
	}
	if (q->asked == 0)
		return "answered a QMP command that was not asked";
	q->asked--;
	return m.kind == QMP_ERROR ? "refused a QMP command" : NULL;
}

const char *
qmp_take(struct qmp *q, const char *bytes, size_t n)
{
	const char *violation, *newline;
	size_t part;

	while (n > 0) {
		newline = memchr(bytes, '\n', n);
		part = newline != NULL ? (size_t)(newline - bytes) : n;
		if (part > QMP_LINE_MAX - q->length)
			return "sent a QMP message that is too long";
		memcpy(q->line + q->length, bytes, part);
		q->length += part;
		if (newline == NULL)
			return NULL;
		bytes += part + 1;
		n -= part + 1;
		part = q->length;
		q->length = 0;
		violation = take_line(q, q->line, part); /* JSON takes the CR as space */
		if (violation != NULL)
			return violation;
		/* The event may have ended the machine. */
		if (q->fd < 0)
			return NULL;
	}
	return NULL;
}

void
qmp_drain(struct qmp *q)
{
	char bytes[READ_MAX];
	const char *violation = NULL;
	ssize_t n;
	int i;

	for (i = 0; i < ROUNDS_MAX && q->fd >= 0; i++) {
		n = read(q->fd, bytes, sizeof(bytes));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0)
			violation = qmp_take(q, bytes, (size_t)n);
		if (q->fd >= 0 && (n <= 0 || violation != NULL)) {
			qmp_close(q);
			q->events->ended(q->ctx, violation);
		}
	}
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	qmp_drain(w->data);
}
