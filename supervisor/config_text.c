/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of a configuration, checked and rewritten for libConfuse. */
#include "supervisor/config_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "ipc/utf8.h"

enum token { WORD, STRING, OPEN, CLOSE, EQUAL, COMMA, END, N_TOKENS };

enum state { KEY, AFTER_KEY, AFTER_TITLE, VALUE, ELEMENT, AFTER_ELEMENT, BAD, N_STATES = BAD };

/* What may follow what.  Where a section opens or closes is decided by the state left. */
static const struct {
	enum state next[N_TOKENS];
	const char *wants;
} grammar[N_STATES] = {
    /*                   WORD          STRING         OPEN     CLOSE EQUAL  COMMA    END */
    [KEY] = {{AFTER_KEY, BAD, BAD, KEY, BAD, BAD, KEY}, "a key (a bare word)"},
    [AFTER_KEY] = {{AFTER_TITLE, AFTER_TITLE, KEY, BAD, VALUE, BAD, BAD}, "\"=\" or \"{\""},
    [AFTER_TITLE] = {{BAD, BAD, KEY, BAD, BAD, BAD, BAD}, "\"{\" (or \"=\" before a value)"},
    [VALUE] = {{KEY, KEY, ELEMENT, BAD, BAD, BAD, BAD}, "a value"},
    [ELEMENT] = {{AFTER_ELEMENT, AFTER_ELEMENT, BAD, KEY, BAD, BAD, BAD}, "a value or \"}\""},
    [AFTER_ELEMENT] = {{BAD, BAD, BAD, KEY, BAD, ELEMENT, BAD}, "\",\" or \"}\""},
};

struct scanner {
	struct config_text *out;
	const char *text;
	size_t length, at;
	unsigned line;
	enum state state;
	size_t section; /* innermost open one */
	unsigned depth;
	size_t start; /* of the current token */
};

static int __attribute__((format(printf, 3, 4)))
fail_at(struct scanner *s, unsigned line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->out->message, sizeof(s->out->message), format, ap);
	va_end(ap);
	s->out->line = line;
	return -EINVAL;
}

static void
put(struct scanner *s, char c)
{
	/* Room for twice the text was made: no byte becomes more than two. */
	s->out->bytes[s->out->length++] = c;
}

static bool
at_text(const struct scanner *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s->length - s->at >= n && memcmp(s->text + s->at, prefix, n) == 0;
}

/* Copies one byte; a newline counts. */
static void
copy(struct scanner *s)
{
	if (s->text[s->at] == '\n')
		s->line++;
	put(s, s->text[s->at++]);
}

/* Takes one byte of a comment; only newlines stay. */
static void
blank(struct scanner *s)
{
	if (s->text[s->at] == '\n')
		copy(s);
	else
		s->at++;
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       is_one_of(c, "_.:-");
}

/* Skips white space and comments. */
static int
skip(struct scanner *s)
{
	unsigned from;

	for (;;) {
		while (s->at < s->length && is_one_of(s->text[s->at], " \t\r\n"))
			blank(s);
		if (at_text(s, "#") || at_text(s, "//")) {
			while (s->at < s->length && s->text[s->at] != '\n')
				blank(s);
		} else if (at_text(s, "/*")) {
			from = s->line;
			s->at += 2;
			while (s->at < s->length && !at_text(s, "*/"))
				blank(s);
			if (s->at >= s->length)
				return fail_at(s, from, "a comment that does not end");
			s->at += 2;
		} else {
			/* What was skipped parts tokens. */
			put(s, ' ');
			return 0;
		}
	}
}

/* How many octal or hexadecimal digits at p, at most max. */
static size_t
count_digits(const char *p, const char *end, size_t max, const char *digits)
{
	size_t n = 0;

	while (p + n < end && n < max && is_one_of(p[n], digits))
		n++;
	return n;
}

/* An escape in a "string": only those that sandbox.conf(5) lists, none that yields a NUL. */
static int
copy_escape(struct scanner *s)
{
	const char *p = s->text + s->at + 1, *end = s->text + s->length;
	size_t i, n = 0;
	unsigned long code;

	if (p >= end)
		return fail_at(s, s->line, "a string that does not end");
	if (*p == 'x') {
		n = 1 + count_digits(p + 1, end, 2, "0123456789abcdefABCDEF");
		code = n > 1 ? strtoul((char[3]){p[1], n > 2 ? p[2] : '\0', '\0'}, NULL, 16) : 0;
	} else if (*p >= '0' && *p <= '9') {
		n = count_digits(p, end, 3, "01234567");
		code = n == 3 ? strtoul((char[4]){p[0], p[1], p[2], '\0'}, NULL, 8) : 0;
		/* libConfuse takes further digits into the escape and then refuses it. */
		if (code > 0xff || count_digits(p + n, end, 1, "0123456789") > 0)
			code = 0;
	} else {
		code = is_one_of(*p, "\\\"'nrtbfaev$\n");
		n = 1;
	}
	if (code == 0)
		return fail_at(s, s->line,
		    "a bad escape in a string; use \\\\ \\\" \\n \\r \\t \\e \\$ \\xHH or \\OOO "
		    "(not 0)");
	for (i = 0; i <= n; i++)
		copy(s);
	return 0;
}

static int
copy_string(struct scanner *s, char quote)
{
	unsigned from = s->line;
	int rc;

	copy(s);
	while (s->at < s->length && s->text[s->at] != quote) {
		if (s->text[s->at] != '\\') {
			if (quote == '"' && at_text(s, "${"))
				put(s, '\\');
			copy(s);
		} else if (quote == '"') {
			rc = copy_escape(s);
			if (rc < 0)
				return rc;
		} else {
			copy(s);
			if (s->at < s->length)
				copy(s);
		}
	}
	if (s->at >= s->length || s->text[s->at] != quote)
		return fail_at(s, from, "a string that does not end");
	copy(s);
	return 0;
}

static int
next_token(struct scanner *s, enum token *token)
{
	static const char marks[] = "{}=,";
	static const enum token tokens[] = {OPEN, CLOSE, EQUAL, COMMA};
	const char *mark;
	char c, shown[8];
	int rc;

	rc = skip(s);
	if (rc < 0)
		return rc;
	s->start = s->at;
	*token = END;
	if (s->at >= s->length)
		return 0;
	c = s->text[s->at];
	if (c == '"' || c == '\'') {
		*token = STRING;
		return copy_string(s, c);
	}
	mark = c != '\0' ? strchr(marks, c) : NULL;
	if (mark != NULL) {
		*token = tokens[mark - marks];
		copy(s);
		return 0;
	}
	*token = WORD;
	while (s->at < s->length && is_word(s->text[s->at]))
		copy(s);
	/* What else stands beside a word would be part of it for libConfuse, or be dropped. */
	if (s->at < s->length && !is_one_of(s->text[s->at], " \t\r\n{}=,#\"'"))
		return fail_at(s, s->line, "unexpected character %s; put the value in quotes",
		    log_escape(shown, sizeof(shown), s->text + s->at, 1));
	return 0;
}

static int
add_key(struct scanner *s)
{
	struct config_text *t = s->out;
	struct config_key *k;

	/* Grows by powers of two. */
	if ((t->n_keys & (t->n_keys - 1)) == 0) {
		t->keys =
		    reallocarray(t->keys, t->n_keys == 0 ? 1 : 2 * t->n_keys, sizeof(*t->keys));
		if (t->keys == NULL)
			abort();
	}
	if (t->n_keys == CONFIG_TEXT_KEYS)
		return fail_at(s, s->line, "too many keys; at most %u", CONFIG_TEXT_KEYS);
	k = &t->keys[t->n_keys++];
	*k = (struct config_key){.parent = s->section, .line = s->line};
	k->name = strndup(s->text + s->start, s->at - s->start);
	if (k->name == NULL)
		abort();
	return 0;
}

static int
open_section(struct scanner *s)
{
	struct config_text *t = s->out;

	if (s->depth == CONFIG_TEXT_DEPTH)
		return fail_at(s, s->line, "a section too deep in others");
	s->depth++;
	s->section = t->n_keys - 1;
	t->keys[s->section].section = true;
	t->keys[s->section].titled = s->state == AFTER_TITLE;
	return 0;
}

static int
close_section(struct scanner *s)
{
	if (s->depth == 0)
		return fail_at(s, s->line, "\"}\" without a section");
	s->depth--;
	s->section = s->out->keys[s->section].parent;
	return 0;
}

static int
on_token(struct scanner *s, enum token token)
{
	enum state next = grammar[s->state].next[token];
	char shown[48];
	int rc = 0;

	if (next == BAD)
		return fail_at(s, s->line, "expected %s, found %s", grammar[s->state].wants,
		    token == END
			? "the end of the file"
			: log_escape(shown, sizeof(shown), s->text + s->start, s->at - s->start));
	if (s->state == KEY && token == WORD)
		rc = add_key(s);
	else if (s->state == KEY && token == CLOSE)
		rc = close_section(s);
	else if (token == OPEN && next == KEY)
		rc = open_section(s);
	s->state = next;
	return rc;
}

/* What no configuration holds anywhere: control bytes and what is not UTF-8. */
static int
check_bytes(struct scanner *s)
{
	unsigned line = 1;
	size_t i, n;

	for (i = 0; i < s->length; i += n) {
		uint8_t c = (uint8_t)s->text[i];

		n = utf8_sequence(s->text + i, s->length - i);
		if (n == 0)
			return fail_at(s, line, "not UTF-8; save the file as UTF-8");
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
			return fail_at(
			    s, line, "a control character (0x%02x); write it as \\x%02x", c, c);
		line += c == '\n';
	}
	return 0;
}

int
config_text_read(struct config_text *t, const char *text, size_t length)
{
	struct scanner s = {.out = t,
	    .text = text,
	    .length = length,
	    .line = 1,
	    .state = KEY,
	    .section = CONFIG_TEXT_NO_KEY};
	enum token token = WORD;
	int rc;

	memset(t, 0, sizeof(*t));
	t->bytes = malloc(2 * length + 16);
	if (t->bytes == NULL)
		abort();
	rc = check_bytes(&s);
	while (rc == 0 && token != END) {
		rc = next_token(&s, &token);
		if (rc == 0)
			rc = on_token(&s, token);
	}
	if (rc == 0 && s.depth > 0)
		rc = fail_at(&s, t->keys[s.section].line,
		    "section %s does not end; \"}\" is missing", t->keys[s.section].name);
	return rc;
}

void
config_keys_free(struct config_key *keys, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(keys[i].name);
	free(keys);
}

void
config_text_clear(struct config_text *t)
{
	free(t->bytes);
	config_keys_free(t->keys, t->n_keys);
	memset(t, 0, sizeof(*t));
}
