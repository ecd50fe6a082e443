/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON reader (RFC 8259) over a caller's token array. */
#include <errno.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/utf8.h"

struct parser {
	const char *text;
	size_t length, at;
	struct json_token *tokens;
	size_t n, max;
};

static int parse_value(struct parser *p, unsigned depth);

static void
skip_space(struct parser *p)
{
	while (p->at < p->length && memchr(" \t\n\r", p->text[p->at], 4) != NULL)
		p->at++;
}

static bool
accept(struct parser *p, char c)
{
	if (p->at >= p->length || p->text[p->at] != c)
		return false;
	p->at++;
	return true;
}

static struct json_token *
new_token(struct parser *p, enum json_type type)
{
	struct json_token *t;

	if (p->n >= p->max)
		return NULL;
	t = &p->tokens[p->n++];
	*t = (struct json_token){.type = type, .start = p->at};
	return t;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hex digits; -1 where they are not. */
static int
hex4(const char *s)
{
	int i, d, v = 0;

	for (i = 0; i < 4; i++) {
		d = hex_value(s[i]);
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/*
 * Decodes one escape at s (past the backslash, n bytes left).  Returns the bytes used, or 0 where
 * it is none; a surrogate pair counts as one escape, a lone surrogate is none.
 */
static size_t
decode_escape(const char *s, size_t n, uint32_t *code)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *which;
	int high, low;

	if (n == 0)
		return 0;
	which = s[0] != '\0' ? strchr(names, s[0]) : NULL;
	if (which != NULL) {
		*code = (uint8_t)values[which - names];
		return 1;
	}
	if (s[0] != 'u' || n < 5 || (high = hex4(s + 1)) < 0)
		return 0;
	if (high < 0xd800 || high > 0xdfff) {
		*code = (uint32_t)high;
		return 5;
	}
	if (high > 0xdbff || n < 11 || s[5] != '\\' || s[6] != 'u')
		return 0;
	low = hex4(s + 7);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*code = 0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
	return 11;
}

static int
parse_string(struct parser *p)
{
	struct json_token *t;
	uint32_t code;
	size_t used;

	p->at++; /* the quote, which the caller saw */
	t = new_token(p, JSON_STRING);
	if (t == NULL)
		return -E2BIG;
	while (p->at < p->length) {
		uint8_t c = (uint8_t)p->text[p->at];

		if (c == '"') {
			t->length = p->at++ - t->start;
			t->next = p->n;
			return 0;
		}
		if (c < 0x20)
			return -EPROTO;
		if (c == '\\') {
			used = decode_escape(p->text + p->at + 1, p->length - p->at - 1, &code);
			p->at++;
		} else {
			used = utf8_sequence(p->text + p->at, p->length - p->at);
		}
		if (used == 0)
			return -EPROTO;
		p->at += used;
	}
	return -EPROTO;
}

static bool
digits(struct parser *p)
{
	size_t from = p->at;

	while (p->at < p->length && p->text[p->at] >= '0' && p->text[p->at] <= '9')
		p->at++;
	return p->at > from;
}

static int
parse_number(struct parser *p)
{
	struct json_token *t = new_token(p, JSON_NUMBER);

	if (t == NULL)
		return -E2BIG;
	accept(p, '-');
	if (!accept(p, '0') && !digits(p))
		return -EPROTO;
	if (accept(p, '.') && !digits(p))
		return -EPROTO;
	if (accept(p, 'e') || accept(p, 'E')) {
		if (!accept(p, '+'))
			accept(p, '-');
		if (!digits(p))
			return -EPROTO;
	}
	t->length = p->at - t->start;
	t->next = p->n;
	return 0;
}

static int
parse_word(struct parser *p)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};
	struct json_token *t;
	size_t i, n;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		n = strlen(words[i].word);
		if (p->length - p->at < n || memcmp(p->text + p->at, words[i].word, n) != 0)
			continue;
		t = new_token(p, words[i].type);
		if (t == NULL)
			return -E2BIG;
		p->at += n;
		t->length = n;
		t->next = p->n;
		return 0;
	}
	return -EPROTO;
}

/* Two names that decode alike make the object mean different things to different readers. */
static bool
name_is_new(const struct parser *p, const struct json_token *object, const struct json_token *name)
{
	const struct json j = {p->text, p->tokens, p->n};
	char a[128], b[128];
	const struct json_token *t = object + 1;
	size_t i;

	/* Names are ours or QEMU's: none is longer. */
	if (json_string(&j, name, a, sizeof(a)) < 0)
		return false;
	for (i = 0; i < object->size; i++) {
		if (json_string(&j, t, b, sizeof(b)) < 0 || strcmp(a, b) == 0)
			return false;
		t = &p->tokens[t[1].next];
	}
	return true;
}

static int
parse_member(struct parser *p, size_t object, unsigned depth)
{
	size_t name = p->n;
	int rc;

	skip_space(p);
	if (p->at >= p->length || p->text[p->at] != '"')
		return -EPROTO;
	rc = parse_string(p);
	if (rc < 0)
		return rc;
	if (!name_is_new(p, &p->tokens[object], &p->tokens[name]))
		return -EPROTO;
	skip_space(p);
	if (!accept(p, ':'))
		return -EPROTO;
	return parse_value(p, depth);
}

static int
parse_container(struct parser *p, unsigned depth, bool is_object)
{
	const char closing = is_object ? '}' : ']';
	size_t index = p->n;
	int rc;

	if (depth >= JSON_DEPTH_MAX)
		return -EPROTO;
	if (new_token(p, is_object ? JSON_OBJECT : JSON_ARRAY) == NULL)
		return -E2BIG;
	p->at++;
	skip_space(p);
	if (!accept(p, closing)) {
		do {
			rc = is_object ? parse_member(p, index, depth + 1)
				       : parse_value(p, depth + 1);
			if (rc < 0)
				return rc;
			p->tokens[index].size++;
			skip_space(p);
		} while (accept(p, ','));
		if (!accept(p, closing))
			return -EPROTO;
	}
	p->tokens[index].length = p->at - p->tokens[index].start;
	p->tokens[index].next = p->n;
	return 0;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static int
parse_value(struct parser *p, unsigned depth)
{
	skip_space(p);
	if (p->at >= p->length)
		return -EPROTO;
	switch (p->text[p->at]) {
	case '{':
		return parse_container(p, depth, true);
	case '[':
		return parse_container(p, depth, false);
	case '"':
		return parse_string(p);
	case '-':
	case '0' ... '9':
		return parse_number(p);
	default:
		return parse_word(p);
	}
}

int
json_parse(struct json *j, const char *text, size_t length, struct json_token *tokens, size_t max)
{
	struct parser p = {.text = text, .length = length, .tokens = tokens, .max = max};
	int rc;

	rc = parse_value(&p, 0);
	if (rc < 0)
		return rc;
	skip_space(&p);
	if (p.at != length)
		return -EPROTO;
	*j = (struct json){text, tokens, p.n};
	return 0;
}

const struct json_token *
json_member(const struct json *j, const struct json_token *object, const char *name)
{
	const struct json_token *t;
	size_t i;

	if (object == NULL || object->type != JSON_OBJECT)
		return NULL;
	t = object + 1;
	for (i = 0; i < object->size; i++) {
		if (json_equals(j, t, name))
			return t + 1;
		t = &j->tokens[t[1].next];
	}
	return NULL;
}

const struct json_token *
json_element(const struct json *j, const struct json_token *array, size_t i)
{
	const struct json_token *t;

	if (array == NULL || array->type != JSON_ARRAY || i >= array->size)
		return NULL;
	for (t = array + 1; i > 0; i--)
		t = &j->tokens[t->next];
	return t;
}

int
json_string(const struct json *j, const struct json_token *t, char *out, size_t size)
{
	size_t i, n, used = 0;
	char encoded[4];
	uint32_t code = 0;

	if (t == NULL || t->type != JSON_STRING || size == 0)
		return -EPROTO;
	for (i = t->start; i < t->start + t->length;) {
		if (j->text[i] != '\\') {
			encoded[0] = j->text[i++];
			n = 1;
		} else {
			i +=
			    1 + decode_escape(j->text + i + 1, t->start + t->length - i - 1, &code);
			if (code == 0)
				return -EINVAL;
			n = utf8_encode(code, encoded);
		}
		if (used + n + 1 > size)
			return -E2BIG;
		memcpy(out + used, encoded, n);
		used += n;
	}
	out[used] = '\0';
	return (int)used;
}

bool
json_equals(const struct json *j, const struct json_token *t, const char *text)
{
	char buf[128];

	return json_string(j, t, buf, sizeof(buf)) >= 0 && strcmp(buf, text) == 0;
}

int
json_integer(const struct json *j, const struct json_token *t, int64_t *out)
{
	bool negative;
	int64_t v = 0;
	size_t i;

	if (t == NULL || t->type != JSON_NUMBER)
		return -EPROTO;
	negative = j->text[t->start] == '-';
	for (i = t->start + (negative ? 1 : 0); i < t->start + t->length; i++) {
		if (j->text[i] < '0' || j->text[i] > '9')
			return -EPROTO;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, (int64_t)(j->text[i] - '0'), &v))
			return -EPROTO;
	}
	/* Summed up below zero, where the range is one wider. */
	if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
		return -EPROTO;
	*out = v;
	return 0;
}

int
json_bool(const struct json_token *t, bool *out)
{
	if (t == NULL || (t->type != JSON_TRUE && t->type != JSON_FALSE))
		return -EPROTO;
	*out = t->type == JSON_TRUE;
	return 0;
}
