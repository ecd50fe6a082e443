/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP (QEMU Machine Protocol Specification): one JSON object a line, from a QEMU that the guest may
 * own.  Strict: a greeting, then answers to what was asked, in order, and events.
 */
#ifndef GONDOLIN_VMRUNNER_QMP_H
#define GONDOLIN_VMRUNNER_QMP_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/json.h"

#define QMP_LINE_MAX   65536u
#define QMP_TOKENS_MAX 512u
#define QMP_TEXT_MAX   128u /* bytes of a name or a reason; longer ones are malformed */
#define QMP_ASKED_MAX  4u   /* commands without an answer */

enum qmp_kind {
	QMP_GREETING,
	QMP_RETURN,
	QMP_ERROR, /* text: its desc */
	QMP_EVENT,
};

/* One message.  The members past `text` belong to events and are false or "" where absent. */
struct qmp_message {
	enum qmp_kind kind;
	char text[QMP_TEXT_MAX];   /* event: its name */
	char reason[QMP_TEXT_MAX]; /* data.reason: SHUTDOWN, BLOCK_IO_ERROR */
	char action[QMP_TEXT_MAX]; /* data.action: BLOCK_IO_ERROR, GUEST_PANICKED */
	bool nospace;              /* data.nospace: BLOCK_IO_ERROR */
};

/* Decodes one line, without its end.  tokens has QMP_TOKENS_MAX.  Returns 0 or -EPROTO. */
int qmp_parse(const char *line, size_t length, struct json_token *tokens, struct qmp_message *m);

struct qmp_events {
	void (*event)(void *ctx, const struct qmp_message *m);
	/*
	 * The last call: the socket closed (violation NULL), or QEMU broke the protocol (a phrase
	 * that follows "QEMU").  The socket is closed already.
	 */
	void (*ended)(void *ctx, const char *violation);
};

struct qmp {
	struct ev_loop *loop;
	const struct qmp_events *events;
	void *ctx;
	int fd;
	ev_io readable;
	bool greeted;
	unsigned asked; /* commands whose answer is due */
	char *line;     /* QMP_LINE_MAX bytes */
	size_t length;
	struct json_token tokens[QMP_TOKENS_MAX];
};

/* Allocates the line.  Out of memory is fatal. */
void qmp_init(struct qmp *q, struct ev_loop *loop, const struct qmp_events *e, void *ctx);
void qmp_clear(struct qmp *q);

/* Takes the socket (made non-blocking). */
void qmp_open(struct qmp *q, int fd);
void qmp_close(struct qmp *q);

/*
 * Sends {"execute": command}; the capabilities are negotiated by themselves.  Returns 0; -EPIPE
 * where there is no QEMU that said hello; -EBUSY where too many answers are due; -EIO.
 */
int qmp_execute(struct qmp *q, const char *command);

/* n bytes came.  Returns NULL, or the violation.  For tests and fuzzers. */
const char *qmp_take(struct qmp *q, const char *bytes, size_t n);

/* Reads what is there: a QEMU that ended may have said why. */
void qmp_drain(struct qmp *q);

#endif
