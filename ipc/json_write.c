/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON writer that makes valid JSON of any bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/utf8.h"

void
json_writer_init(struct json_writer *w)
{
	memset(w, 0, sizeof(*w));
}

void
json_writer_clear(struct json_writer *w)
{
	free(w->text);
	memset(w, 0, sizeof(*w));
}

static void
append(struct json_writer *w, const char *bytes, size_t n)
{
	if (w->length + n + 1 > w->capacity) {
		w->capacity = (w->length + n + 1) * 2;
		w->text = realloc(w->text, w->capacity);
		if (w->text == NULL)
			abort();
	}
	memcpy(w->text + w->length, bytes, n);
	w->length += n;
	w->text[w->length] = '\0';
}

static void
begin_value(struct json_writer *w)
{
	if (w->comma)
		append(w, ",", 1);
	w->comma = true;
}

void
json_open(struct json_writer *w, char bracket)
{
	begin_value(w);
	append(w, &bracket, 1);
	w->comma = false;
}

void
json_close(struct json_writer *w, char bracket)
{
	append(w, &bracket, 1);
	w->comma = true;
}

/* A character of a string; what is none becomes U+FFFD. */
static void
append_character(struct json_writer *w, const char *s, size_t length, uint32_t code)
{
	char escape[8];

	if (length == 0) {
		append(w, "\xef\xbf\xbd", 3);
	} else if (code == '"' || code == '\\') {
		append(w, "\\", 1);
		append(w, s, 1);
	} else if (utf8_is_control(code)) {
		/* None of them is past U+FFFF.  For whoever looks at the text in a terminal. */
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)(code & 0xffff));
		append(w, escape, strlen(escape));
	} else {
		append(w, s, length);
	}
}

static void
append_quoted(struct json_writer *w, const char *s, size_t n)
{
	size_t i, length;
	uint32_t code = 0;

	append(w, "\"", 1);
	for (i = 0; i<n; i += length> 0 ? length : 1) {
		length = utf8_decode(s + i, n - i, &code);
		append_character(w, s + i, length, code);
	}
	append(w, "\"", 1);
}

void
json_key(struct json_writer *w, const char *name)
{
	begin_value(w);
	append_quoted(w, name, strlen(name));
	append(w, ":", 1);
	w->comma = false;
}

void
json_put_bytes(struct json_writer *w, const void *bytes, size_t n)
{
	begin_value(w);
	append_quoted(w, bytes, n);
}

void
json_put_string(struct json_writer *w, const char *s)
{
	json_put_bytes(w, s, strlen(s));
}

void
json_put_integer(struct json_writer *w, int64_t v)
{
	char text[24];

	begin_value(w);
	append(w, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
}

void
json_put_bool(struct json_writer *w, bool v)
{
	begin_value(w);
	append(w, v ? "true" : "false", v ? 4 : 5);
}

void
json_put_null(struct json_writer *w)
{
	begin_value(w);
	append(w, "null", 4);
}

void
json_member_string(struct json_writer *w, const char *name, const char *value)
{
	json_key(w, name);
	json_put_string(w, value);
}

void
json_member_integer(struct json_writer *w, const char *name, int64_t value)
{
	json_key(w, name);
	json_put_integer(w, value);
}

void
json_member_bool(struct json_writer *w, const char *name, bool value)
{
	json_key(w, name);
	json_put_bool(w, value);
}
