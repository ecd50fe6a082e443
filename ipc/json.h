/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259), strict and without allocation of peer-chosen size.
 *
 * Reading: json_parse fills a caller's array of tokens that point into the text.  Duplicate names
 * in one object, invalid UTF-8, unpaired surrogates, leading zeros, trailing commas, bytes after
 * the value and a depth over JSON_DEPTH_MAX are errors. Writing: json_writer appends to a growing
 * buffer and places commas itself.
 */
#ifndef GONDOLIN_IPC_JSON_H
#define GONDOLIN_IPC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16

enum json_type {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

/*
 * Tokens lie in document order.  A container's `size` counts its members (object) or elements
 * (array); `next` is the index of the token after it and all that it holds.  An object's members
 * are a string token (the name) and its value.  For strings, start and length are without the
 * quotes and still escaped.
 */
struct json_token {
	enum json_type type;
	size_t start, length;
	size_t size, next;
};

struct json {
	const char *text;
	const struct json_token *tokens;
	size_t n_tokens;
};

/*
 * Parses exactly one value.  Returns 0 and fills *j (tokens and text stay the caller's); -EPROTO
 * where the text is not JSON as above; -E2BIG where it has more than max tokens.
 */
int
json_parse(struct json *j, const char *text, size_t length, struct json_token *tokens, size_t max);

/* The value of an object's member, or NULL where the token is no object or has no such member. */
const struct json_token *
json_member(const struct json *j, const struct json_token *object, const char *name);

/* The i-th element of an array, or NULL. */
const struct json_token *
json_element(const struct json *j, const struct json_token *array, size_t i);

/*
 * Decodes a string token into out (NUL-terminated).  Returns its length, or -EPROTO for another
 * type, -E2BIG where it does not fit, -EINVAL where it holds a NUL.  t may be NULL (-EPROTO).
 */
int json_string(const struct json *j, const struct json_token *t, char *out, size_t size);

/* True where t is a string token that decodes to just `text`. */
bool json_equals(const struct json *j, const struct json_token *t, const char *text);

/* A number token without fraction or exponent that fits.  Returns 0 or -EPROTO.  t may be NULL. */
int json_integer(const struct json *j, const struct json_token *t, int64_t *out);

/* JSON_TRUE or JSON_FALSE.  Returns 0 or -EPROTO.  t may be NULL. */
int json_bool(const struct json_token *t, bool *out);

struct json_writer {
	char *text; /* NUL-terminated once anything was written */
	size_t length, capacity;
	bool comma; /* the next value wants a comma before it */
};

void json_writer_init(struct json_writer *w);
void json_writer_clear(struct json_writer *w);

/* Containers; close what was opened, in order. */
void json_open(struct json_writer *w, char bracket);  /* '{' or '[' */
void json_close(struct json_writer *w, char bracket); /* '}' or ']' */

/* A member's name; a value follows. */
void json_key(struct json_writer *w, const char *name);

/*
 * Values.  Bytes that are no valid UTF-8 become U+FFFD, one for each byte; control bytes, quotes
 * and backslashes are escaped: any bytes give valid JSON.
 */
void json_put_bytes(struct json_writer *w, const void *bytes, size_t n);
void json_put_string(struct json_writer *w, const char *s);
void json_put_integer(struct json_writer *w, int64_t v);
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);

/* Name and value at once. */
void json_member_string(struct json_writer *w, const char *name, const char *value);
void json_member_integer(struct json_writer *w, const char *name, int64_t value);
void json_member_bool(struct json_writer *w, const char *name, bool value);

#endif
