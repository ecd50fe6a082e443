/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking an audit log.  Who can write the file can have written anything into it, so every size
 * is capped before it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/audit_log_private.h"

#define TOKENS_MAX 8192u

static bool
has_form(const char *text, const char *form)
{
	for (; *form != '\0'; form++, text++)
		if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return *text == '\0';
}

static const char *
take_members(const struct json *j, struct audit_line *line)
{
	char text[128];

	if (j->tokens[0].type != JSON_OBJECT)
		return "not a JSON object";
	if (json_string(j, json_member(j, j->tokens, "time"), text, sizeof(text)) < 0 ||
	    !has_form(text, "0000-00-00T00:00:00.000Z"))
		return "no time, or not in UTC as this log has it";
	if (json_integer(j, json_member(j, j->tokens, "seq"), &line->seq) < 0)
		return "no seq";
	if (json_string(
		j, json_member(j, j->tokens, "session"), line->session, sizeof(line->session)) <= 0)
		return "no session";
	if (json_string(j, json_member(j, j->tokens, "event"), text, sizeof(text)) <= 0)
		return "no event";
	if (json_string(j, json_member(j, j->tokens, "prev"), line->previous,
		sizeof(line->previous)) != SHA256_HEX_SIZE - 1 ||
	    strspn(line->previous, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
		return "no prev";
	return NULL;
}

const char *
audit_line_read(struct audit_line *line, const char *text, size_t length)
{
	struct json_token *tokens = calloc(TOKENS_MAX, sizeof(*tokens));
	const char *why;
	struct json j;

	if (tokens == NULL)
		abort();
	why = json_parse(&j, text, length, tokens, TOKENS_MAX) < 0 ? "not a line of JSON"
								   : take_members(&j, line);
	free(tokens);
	return why;
}

struct verifier {
	struct audit_log_summary *summary;
	char session[33];
	char why[160];
};

/* Returns NULL, or why the line does not follow the one before it. */
static const char *
check_line(struct verifier *v, const char *text, size_t length)
{
	struct audit_log_summary *s = v->summary;
	uint8_t digest[SHA256_SIZE];
	struct audit_line line;
	const char *why;

	why = audit_line_read(&line, text, length);
	if (why != NULL)
		return why;
	if (line.seq != (int64_t)s->lines + 1) {
		snprintf(v->why, sizeof(v->why),
		    "seq is %" PRId64 ", expected %" PRIu64 ": lines are missing or out of order",
		    line.seq, s->lines + 1);
		return v->why;
	}
	if (strcmp(line.previous, s->last) != 0)
		return s->lines == 0
			   ? "prev is not zero: the log's beginning is missing"
			   : "prev does not match: the line before was changed or removed";
	/* Sessions write one after the other. */
	if (strcmp(line.session, v->session) != 0)
		s->sessions++;
	memcpy(v->session, line.session, sizeof(v->session));
	s->lines++;
	sha256(text, length, digest);
	sha256_hex(digest, s->last);
	return NULL;
}

/* Reads up to and with a newline.  Returns the bytes read; size of them where none came. */
static size_t
read_line(FILE *f, char *line, size_t size)
{
	size_t n = 0;
	int c;

	while (n < size && (c = getc_unlocked(f)) != EOF) {
		line[n++] = (char)c;
		if (c == '\n')
			break;
	}
	return n;
}

int
audit_log_verify(
    const char *path, struct audit_log_summary *summary, char *error, size_t error_size)
{
	struct verifier v = {.summary = summary};
	char *line = malloc(AUDIT_LOG_LINE_MAX);
	const char *why = NULL;
	size_t n;
	FILE *f;
	int rc = 0;

	if (line == NULL)
		abort();
	memset(summary, 0, sizeof(*summary));
	memset(summary->last, '0', SHA256_HEX_SIZE - 1);
	f = fopen(path, "re");
	while (f != NULL && why == NULL && (n = read_line(f, line, AUDIT_LOG_LINE_MAX)) > 0)
		why = line[n - 1] == '\n'       ? check_line(&v, line, n - 1)
		      : n == AUDIT_LOG_LINE_MAX ? "longer than any line of this log"
						: "torn: no newline at its end";
	if (f == NULL || (why == NULL && ferror(f))) {
		rc = -errno;
		snprintf(error, error_size, "%s: %s", path, strerror(-rc));
	} else if (why != NULL) {
		rc = -EPROTO;
		snprintf(error, error_size, "%s:%" PRIu64 ": %s", path, summary->lines + 1, why);
	}
	if (f != NULL)
		fclose(f);
	free(line);
	return rc;
}
