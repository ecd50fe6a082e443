/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader and writer.  Tokens lie within the text and nest; a decoded string that is
 * written and read again is the same; any bytes that are written are JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"

#define TOKENS_MAX 4096u
#define STRING_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool true_of_every_input)
{
	if (!true_of_every_input)
		abort();
}

static void
check_string(const struct json *j, const struct json_token *t)
{
	static char text[STRING_MAX], again[STRING_MAX];
	struct json_token token;
	struct json_writer w;
	struct json j2;
	int n;

	n = json_string(j, t, text, sizeof(text));
	if (n < 0)
		return;
	must((size_t)n <= t->length && strlen(text) == (size_t)n);
	json_writer_init(&w);
	json_put_string(&w, text);
	must(json_parse(&j2, w.text, w.length, &token, 1) == 0);
	must(json_string(&j2, &token, again, sizeof(again)) == n && strcmp(text, again) == 0);
	json_writer_clear(&w);
}

/* Names are unlike each other, so each is found with its own value; json_equals() bounds the
 * length. */
static void
check_members(const struct json *j, const struct json_token *object)
{
	const struct json_token *name = object + 1;
	char text[128];
	size_t i;

	for (i = 0; i < object->size; i++) {
		must(json_string(j, name, text, sizeof(text)) >= 0);
		must(json_member(j, object, text) == name + 1);
		name = &j->tokens[name[1].next];
	}
}

static void
check_token(const struct json *j, size_t i, size_t length)
{
	const struct json_token *t = &j->tokens[i];
	int64_t v;
	bool b;

	must(t->start <= length && t->length <= length - t->start);
	must(t->next > i && t->next <= j->n_tokens && t->size < t->next - i);
	check_string(j, t);
	(void)json_integer(j, t, &v);
	(void)json_bool(t, &b);
	if (t->type == JSON_ARRAY)
		must(json_element(j, t, t->size) == NULL &&
		     (t->size == 0 || json_element(j, t, t->size - 1) != NULL));
	if (t->type == JSON_OBJECT)
		check_members(j, t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_token tokens[TOKENS_MAX];
	struct json_writer w;
	struct json j;
	size_t i;

	if (size > STRING_MAX)
		return 0;
	if (json_parse(&j, (const char *)data, size, tokens, TOKENS_MAX) == 0) {
		must(tokens[0].next == j.n_tokens);
		for (i = 0; i < j.n_tokens; i++)
			check_token(&j, i, size);
	}
	json_writer_init(&w);
	json_put_bytes(&w, data, size);
	must(json_parse(&j, w.text, w.length, tokens, TOKENS_MAX) == 0 && j.n_tokens == 1);
	json_writer_clear(&w);
	return 0;
}
