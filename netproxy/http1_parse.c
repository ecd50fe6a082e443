/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.x requests of the guest (RFC 9112), strictly. */
#include "netproxy/http1_parse.h"

#include <errno.h>
#include <string.h>

#include "netproxy/http1_field.h"

/* What the fields of a request said, before it is known whether that fits together. */
struct seen {
	unsigned hosts, lengths, encodings, upgrades, keys, versions;
	bool close, connection_keep_alive, connection_upgrade;
	bool upgrade_websocket, key_valid, version_valid;
};

struct parser {
	struct http1_request *r;
	struct http1_refusal *refusal;
	struct seen seen;
	char *next, *end; /* the next line; the empty one */
};

static int
refuse(struct http1_refusal *refusal, unsigned status, const char *reason)
{
	refusal->status = status;
	refusal->reason = reason;
	return -EPROTO;
}

size_t
http1_head_length(const char *bytes, size_t n, size_t scanned)
{
	/* A bare LF at the end of a line ends the head too: the parser then refuses it at once. */
	for (size_t i = scanned < 3 ? 0 : scanned - 3; i < n; i++) {
		const char *lf = memchr(bytes + i, '\n', n - i);

		if (lf == NULL)
			return 0;
		i = (size_t)(lf - bytes);
		if (i + 1 < n && lf[1] == '\n')
			return i + 2;
		if (i + 2 < n && lf[1] == '\r' && lf[2] == '\n')
			return i + 3;
	}
	return 0;
}

/* ---- The request line ---- */

static int
parse_absolute(struct parser *p, struct http_text url, struct http_authority *a)
{
	static const char http[] = "http://", https[] = "https://";
	struct http_text authority;
	size_t i;

	if (url.n > sizeof(https) - 1 && memcmp(url.s, https, sizeof(https) - 1) == 0) {
		p->r->absolute_https = true;
		i = sizeof(https) - 1;
	} else if (url.n > sizeof(http) - 1 && memcmp(url.s, http, sizeof(http) - 1) == 0) {
		i = sizeof(http) - 1;
	} else {
		return refuse(p->refusal, 400, "a target that is no path and no http URL");
	}
	authority.s = url.s + i;
	while (i < url.n && url.s[i] != '/' && url.s[i] != '?')
		i++;
	authority.n = (size_t)(url.s + i - authority.s);
	if (i == url.n || url.s[i] != '/')
		return refuse(p->refusal, 400, "a URL without a path");
	if (http_authority_parse(authority, a) < 0)
		return refuse(p->refusal, 400, "a URL whose host is not a plain name or address");
	p->r->absolute = true;
	p->r->target = (struct http_text){url.s + i, url.n - i};
	return 0;
}

static int
parse_request_line(struct parser *p, struct http_authority *absolute)
{
	struct http1_request *r = p->r;
	struct http_text line, target, version;
	const char *sp, *last;

	if (http1_next_line(&p->next, p->end, &line, p->refusal) < 0)
		return -EPROTO;
	sp = memchr(line.s, ' ', line.n);
	last = memrchr(line.s, ' ', line.n);
	if (sp == NULL || sp == last)
		return refuse(p->refusal, 400, "not a request line");
	r->method = (struct http_text){line.s, (size_t)(sp - line.s)};
	target = (struct http_text){sp + 1, (size_t)(last - sp - 1)};
	version = (struct http_text){last + 1, line.n - (size_t)(last + 1 - line.s)};
	if (http_text_is(r->method, "CONNECT"))
		return refuse(p->refusal, 403, "CONNECT is not served: connect to the host itself");
	if (!http_is_method(r->method))
		return refuse(p->refusal, 400, "not a method");
	if (version.n != 8 || memcmp(version.s, "HTTP/1.", 7) != 0)
		return refuse(p->refusal, 505, "not HTTP/1.0 or HTTP/1.1");
	if (version.s[7] != '0' && version.s[7] != '1')
		return refuse(p->refusal, 505, "not HTTP/1.0 or HTTP/1.1");
	r->minor = version.s[7] == '1';
	r->target = target;
	if (http_text_is(target, "*") && http_text_is(r->method, "OPTIONS"))
		return 0;
	if (target.n > 0 && target.s[0] != '/' && parse_absolute(p, target, absolute) < 0)
		return -EPROTO;
	if (!http_is_origin_target(r->target))
		return refuse(p->refusal, 400, "a path that is not in its one plain spelling");
	return 0;
}

/* ---- Fields ---- */

/* Takes the next element of a comma-separated list.  Returns false at its end. */
static bool
next_element(struct http_text *list, struct http_text *element)
{
	const char *comma;

	if (list->n == 0)
		return false;
	comma = memchr(list->s, ',', list->n);
	element->s = list->s;
	element->n = comma != NULL ? (size_t)(comma - list->s) : list->n;
	list->n -= element->n + (comma != NULL);
	list->s += element->n + (comma != NULL);
	while (element->n > 0 && (element->s[0] == ' ' || element->s[0] == '\t')) {
		element->s++;
		element->n--;
	}
	while (element->n > 0 &&
	       (element->s[element->n - 1] == ' ' || element->s[element->n - 1] == '\t'))
		element->n--;
	return true;
}

static int
on_host(struct parser *p, struct http_text value)
{
	if (p->seen.hosts++ > 0)
		return refuse(p->refusal, 400, "two Host fields");
	if (http_authority_parse(value, &p->r->authority) < 0)
		return refuse(p->refusal, 400, "a Host that is not a plain name or address");
	return 0;
}

static int
on_content_length(struct parser *p, struct http_text value)
{
	uint64_t length = 0;

	if (p->seen.lengths++ > 0)
		return refuse(p->refusal, 400, "two Content-Length fields");
	if (value.n == 0 || value.n > 18)
		return refuse(p->refusal, 400, "a Content-Length that is not a number");
	for (size_t i = 0; i < value.n; i++) {
		if (value.s[i] < '0' || value.s[i] > '9')
			return refuse(p->refusal, 400, "a Content-Length that is not a number");
		length = length * 10 + (unsigned)(value.s[i] - '0');
	}
	p->r->length = length;
	return 0;
}

static int
on_transfer_encoding(struct parser *p, struct http_text value)
{
	if (p->seen.encodings++ > 0)
		return refuse(p->refusal, 400, "two Transfer-Encoding fields");
	if (!http_text_is_nocase(value, "chunked"))
		return refuse(p->refusal, 501, "a Transfer-Encoding other than chunked");
	return 0;
}

static int
on_connection(struct parser *p, struct http_text value)
{
	static const char *const harmless[] = {"http2-settings", "te", "proxy-connection"};
	struct http_text option;

	while (next_element(&value, &option)) {
		bool known = option.n == 0;

		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			known = known || http_text_is_nocase(option, harmless[i]);
		if (http_text_is_nocase(option, "close"))
			p->seen.close = true;
		else if (http_text_is_nocase(option, "keep-alive"))
			p->seen.connection_keep_alive = true;
		else if (http_text_is_nocase(option, "upgrade"))
			p->seen.connection_upgrade = true;
		else if (!known)
			return refuse(p->refusal, 400, "a Connection option that is not known");
	}
	return 0;
}

static int
on_expect(struct parser *p, struct http_text value)
{
	if (!http_text_is_nocase(value, "100-continue"))
		return refuse(p->refusal, 417, "an Expect other than 100-continue");
	p->r->expect_continue = true;
	return 0;
}

static int
on_upgrade(struct parser *p, struct http_text value)
{
	p->seen.upgrades++;
	p->seen.upgrade_websocket = http_text_is_nocase(value, "websocket");
	return 0;
}

static int
on_dropped(struct parser *p, struct http_text value)
{
	(void)p;
	(void)value;
	return 0;
}

static const struct field_rule {
	const char *name;
	int (*handle)(struct parser *p, struct http_text value);
} field_rules[] = {
    {"host", on_host},
    {"content-length", on_content_length},
    {"transfer-encoding", on_transfer_encoding},
    {"connection", on_connection},
    {"expect", on_expect},
    {"upgrade", on_upgrade},
    {"keep-alive", on_dropped},
    {"proxy-connection", on_dropped},
    {"te", on_dropped},
    {"trailer", on_dropped},
    {"http2-settings", on_dropped},
};

static const struct field_rule *
rule_of(struct http_text name)
{
	for (size_t i = 0; i < sizeof(field_rules) / sizeof(field_rules[0]); i++)
		if (http_text_is(name, field_rules[i].name))
			return &field_rules[i];
	return NULL;
}

/* RFC 6455 4.1: 16 bytes in base64. */
static bool
is_websocket_key(struct http_text v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!http_is_token_char((unsigned char)v.s[i]) && v.s[i] != '/' && v.s[i] != '=')
			return false;
	return v.n == 24 && v.s[22] == '=' && v.s[23] == '=';
}

static int
parse_field(struct parser *p, struct http_text line)
{
	struct http1_request *r = p->r;
	struct http_field f;
	const struct field_rule *rule;

	if (http1_split_field(line, &f, p->refusal) < 0)
		return -EPROTO;
	rule = rule_of(f.name);
	if (rule != NULL)
		return rule->handle(p, f.value);
	if (r->n_fields == HTTP1_FIELDS_MAX)
		return refuse(p->refusal, 431, "more than 128 fields");
	if (http_text_is(f.name, "sec-websocket-key")) {
		p->seen.keys++;
		p->seen.key_valid = is_websocket_key(f.value);
	} else if (http_text_is(f.name, "sec-websocket-version")) {
		p->seen.versions++;
		p->seen.version_valid = http_text_is(f.value, "13");
	}
	r->fields[r->n_fields++] = f;
	return 0;
}

/* ---- The whole ---- */

/* RFC 6455 4.2.1.  Another Upgrade is not served, which the client learns from the answer. */
static int
check_upgrade(struct parser *p)
{
	const struct seen *s = &p->seen;

	if (!s->connection_upgrade || !s->upgrade_websocket)
		return 0;
	if (s->upgrades != 1 || s->keys != 1 || s->versions != 1 || !s->key_valid ||
	    !s->version_valid || p->r->minor == 0 || !http_text_is(p->r->method, "GET") ||
	    p->r->body != HTTP1_BODY_NONE)
		return refuse(p->refusal, 400, "a WebSocket handshake that breaks RFC 6455");
	p->r->websocket = true;
	return 0;
}

static int
check_request(struct parser *p, const struct http_authority *absolute)
{
	struct http1_request *r = p->r;
	const struct seen *s = &p->seen;

	if (s->hosts == 0)
		return refuse(p->refusal, 400, "no Host field");
	if (r->absolute &&
	    (strcmp(absolute->host, r->authority.host) != 0 || absolute->port != r->authority.port))
		return refuse(p->refusal, 400, "the target's host is not that of Host");
	if (s->encodings > 0 && s->lengths > 0)
		return refuse(p->refusal, 400, "Transfer-Encoding beside Content-Length");
	if (s->encodings > 0 && r->minor == 0)
		return refuse(p->refusal, 400, "Transfer-Encoding in HTTP/1.0");
	if (s->encodings > 0)
		r->body = HTTP1_BODY_CHUNKED;
	else if (s->lengths > 0)
		r->body = HTTP1_BODY_LENGTH;
	r->keep_alive = !s->close && (r->minor == 1 || s->connection_keep_alive);
	if (r->body == HTTP1_BODY_NONE || r->minor == 0)
		r->expect_continue = false;
	return check_upgrade(p);
}

int
http1_request_parse(struct http1_request *r, char *head, size_t n, struct http1_refusal *refusal)
{
	struct parser p = {.r = r, .refusal = refusal, .next = head};
	struct http_authority absolute = {.port = 0};
	struct http_text line;

	memset(r, 0, offsetof(struct http1_request, fields));
	if (n > HTTP1_HEAD_MAX)
		return refuse(refusal, 431, "a head over 32768 bytes");
	if (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
		return refuse(refusal, 400, "a line does not end in CRLF");
	p.end = head + n - 2;
	if (parse_request_line(&p, &absolute) < 0)
		return -EPROTO;
	while (p.next < p.end)
		if (http1_next_line(&p.next, p.end, &line, refusal) < 0 ||
		    parse_field(&p, line) < 0)
			return -EPROTO;
	return check_request(&p, &absolute);
}
