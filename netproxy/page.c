/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest reads where there is no answer of the world. */
#include "netproxy/page.h"

#include <stdio.h>
#include <string.h>

void
page_make(struct page *p, const struct exchange_refusal *r)
{
	size_t n_fields = 0, n;

	memset(p, 0, sizeof(*p));
	(void)snprintf(p->text, sizeof(p->text), "gondolin: %.*s\n", (int)r->text.n, r->text.s);
	n = strlen(p->text);
	p->fields[n_fields++] =
	    (struct http_field){HTTP_TEXT("content-type"), HTTP_TEXT("text/plain; charset=utf-8")};
	p->fields[n_fields++] =
	    (struct http_field){HTTP_TEXT("cache-control"), HTTP_TEXT("no-store")};
	if (r->denied) {
		(void)snprintf(p->rule, sizeof(p->rule), "%.*s", (int)r->rule.n, r->rule.s);
		p->fields[n_fields++] =
		    (struct http_field){HTTP_TEXT("x-gondolin-denied"), {p->rule, strlen(p->rule)}};
	}
	p->answer = (struct exchange_answer){
	    .status = r->status,
	    .fields = p->fields,
	    .n_fields = n_fields,
	    .has_length = true,
	    .length = n,
	    .body = (const uint8_t *)p->text,
	    .body_n = n,
	    .end = true,
	};
}

void
page_refusal(struct exchange_refusal *r, unsigned status, const char *rule, const char *text)
{
	r->status = status;
	r->denied = rule != NULL;
	r->rule = (struct http_text){rule != NULL ? rule : "", rule != NULL ? strlen(rule) : 0};
	r->text = (struct http_text){text, strlen(text)};
}

const char *
page_phrase(unsigned status)
{
	static const struct {
		unsigned status;
		const char *phrase;
	} phrases[] = {
	    {101, "Switching Protocols"},
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {206, "Partial Content"},
	    {301, "Moved Permanently"},
	    {302, "Found"},
	    {303, "See Other"},
	    {304, "Not Modified"},
	    {307, "Temporary Redirect"},
	    {308, "Permanent Redirect"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {412, "Precondition Failed"},
	    {413, "Content Too Large"},
	    {416, "Range Not Satisfiable"},
	    {417, "Expectation Failed"},
	    {421, "Misdirected Request"},
	    {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "";
}
