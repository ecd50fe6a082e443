/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and fields, as heads and trailers share them. */
#include "netproxy/http1_field.h"

#include <errno.h>
#include <string.h>

static int
refuse(struct http1_refusal *refusal, const char *reason)
{
	refusal->status = 400;
	refusal->reason = reason;
	return -EPROTO;
}

int
http1_next_line(char **next, const char *end, struct http_text *line, struct http1_refusal *refusal)
{
	char *lf = memchr(*next, '\n', (size_t)(end - *next));

	if (lf == NULL || lf == *next || lf[-1] != '\r')
		return refuse(refusal, "a line does not end in CRLF");
	line->s = *next;
	line->n = (size_t)(lf - 1 - *next);
	*next = lf + 1;
	if (memchr(line->s, '\r', line->n) != NULL || memchr(line->s, '\0', line->n) != NULL)
		return refuse(refusal, "a bare CR or NUL");
	return 0;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

int
http1_split_field(struct http_text line, struct http_field *f, struct http1_refusal *refusal)
{
	const char *colon = memchr(line.s, ':', line.n);
	char *name;

	if (line.n > 0 && is_space(line.s[0]))
		return refuse(refusal, "a folded line");
	if (colon == NULL)
		return refuse(refusal, "a field without a colon");
	f->name = (struct http_text){line.s, (size_t)(colon - line.s)};
	if (!http_is_token(f->name))
		return refuse(refusal, "a field name that is not a token");
	/* The line is a piece of a buffer that its owner lets us write. */
	memcpy(&name, &f->name.s, sizeof(name));
	for (size_t i = 0; i < f->name.n; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] | 0x20);
	f->value = (struct http_text){colon + 1, line.n - f->name.n - 1};
	while (f->value.n > 0 && is_space(f->value.s[0])) {
		f->value.s++;
		f->value.n--;
	}
	while (f->value.n > 0 && is_space(f->value.s[f->value.n - 1]))
		f->value.n--;
	if (!http_is_field_value(f->value))
		return refuse(refusal, "a control character in a field");
	return 0;
}
