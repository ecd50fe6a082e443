/* SPDX-License-Identifier: Apache-2.0 */
/* Judging a request. */
#include "egress/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "ipc/outbound.h"

void
refuse(struct refusal *r, enum cause cause, const char *rule, const char *format, ...)
{
	va_list args;

	r->cause = cause;
	r->rule = rule;
	va_start(args, format);
	(void)vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

unsigned
cause_status(enum cause cause)
{
	static const unsigned status[] = {
	    [CAUSE_DENIED] = 403,
	    [CAUSE_BAD] = 400,
	    [CAUSE_BUDGET] = 429,
	    [CAUSE_TIMEOUT] = 504,
	};

	return (size_t)cause < sizeof(status) / sizeof(status[0]) && status[cause] != 0
		   ? status[cause]
		   : 502;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- Path ---- */

/* The byte at s[*i], decoded where it is escaped; moves on.  -1 where the escape is not one. */
static int
path_byte(const char *s, size_t n, size_t *i)
{
	int high, low;

	if (s[*i] != '%')
		return (unsigned char)s[(*i)++];
	if (n - *i < 3 || (high = hex(s[*i + 1])) < 0 || (low = hex(s[*i + 2])) < 0)
		return -1;
	*i += 3;
	return high << 4 | low;
}

/* What is wrong with one segment, or NULL. */
static const char *
segment_fault(const char *s, size_t n)
{
	size_t i = 0, dots = 0;
	bool only_dots = true, parameters = false;
	int c;

	while (i < n) {
		c = path_byte(s, n, &i);
		if (c < 0)
			return "has a % that begins no escape";
		if (c == '\0' || c == '\\')
			return "has an escaped NUL or backslash";
		parameters = parameters || c == ';';
		if (!parameters && c == '.')
			dots++;
		else if (!parameters)
			only_dots = false;
	}
	return only_dots && (dots == 1 || dots == 2) ? "has a dot segment" : NULL;
}

static const char *
path_fault(const struct span *path, bool star)
{
	const char *s = path->bytes, *end, *slash, *fault;
	size_t i;

	if (star && path->length == 1 && s[0] == '*')
		return NULL;
	if (path->length == 0 || s[0] != '/')
		return "does not begin with a slash";
	if (path->length > OUTBOUND_PATH_MAX)
		return "is too long";
	for (i = 0; i < path->length; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '#')
			return "has a byte that must be escaped";
	end = memchr(s, '?', path->length);
	if (end == NULL)
		end = s + path->length;
	if (memchr(s, '\\', (size_t)(end - s)) != NULL)
		return "has a backslash";
	for (s++; s <= end; s = slash + 1) {
		slash = memchr(s, '/', (size_t)(end - s));
		if (slash == NULL)
			slash = end;
		if (slash == s && slash != end)
			return "has an empty segment";
		fault = segment_fault(s, (size_t)(slash - s));
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

/* ---- Method and headers ---- */

static bool
method_is_valid(const struct span *m)
{
	static const char *const refused[] = {"CONNECT", "TRACE", "TRACK", "PRI"};
	size_t i;

	if (m->length == 0 || m->length > OUTBOUND_METHOD_MAX)
		return false;
	for (i = 0; i < m->length; i++)
		if (!((m->bytes[i] >= 'A' && m->bytes[i] <= 'Z') ||
			(i > 0 && ((m->bytes[i] >= '0' && m->bytes[i] <= '9') ||
				      m->bytes[i] == '-' || m->bytes[i] == '_'))))
			return false;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strlen(refused[i]) == m->length && memcmp(refused[i], m->bytes, m->length) == 0)
			return false;
	return true;
}

bool
name_is_valid(const char *name, size_t length)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	size_t i;

	for (i = 0; i < length; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
			(name[i] != '\0' && strchr(marks, name[i]) != NULL)))
			return false;
	return length > 0;
}

bool
value_is_valid(const char *value, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return length == 0 || (value[0] != ' ' && value[0] != '\t' && value[length - 1] != ' ' &&
				  value[length - 1] != '\t');
}

/* Ours to write, or of one hop only (RFC 9110 7.6.1). */
static const char *const never[] = {"connection", "content-length", "expect", "host",
    "http2-settings", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"};

/* A second one would be read differently by different servers. */
static const char *const once[] = {"authorization", "content-type", "content-encoding",
    "content-range", "if-range", "origin", "proxy-authorization", "range", "referer",
    "sec-websocket-key", "sec-websocket-version", "te", "user-agent"};

static bool
is_one_of(const struct field *f, const char *const *names, size_t n, size_t *which)
{
	for (*which = 0; *which < n; (*which)++)
		if (field_is(f, names[*which]))
			return true;
	return false;
}

static const char *
header_fault(const struct field *f, unsigned *seen)
{
	size_t which;

	if (!name_is_valid(f->name, f->name_length))
		return "a header's name is no lower-case token";
	if (!value_is_valid(f->value, f->value_length))
		return "a header's value has a control byte or space at an end";
	if (is_one_of(f, never, sizeof(never) / sizeof(never[0]), &which))
		return "a header of the connection was passed on";
	if (field_is(f, "te") && (f->value_length != 8 || memcmp(f->value, "trailers", 8) != 0))
		return "te says more than trailers";
	if (!is_one_of(f, once, sizeof(once) / sizeof(once[0]), &which))
		return NULL;
	if ((*seen & 1u << which) != 0)
		return "a header that must come once came twice";
	*seen |= 1u << which;
	return NULL;
}

static const char *
headers_fault(const struct request *q)
{
	size_t i, size = q->method.length + q->path.length;
	unsigned seen = 0;
	const char *fault = NULL;

	if (q->n_headers > OUTBOUND_HEADERS_MAX)
		return "too many headers";
	for (i = 0; i < q->n_headers && fault == NULL; i++) {
		size += q->headers[i].name_length + q->headers[i].value_length + 16;
		fault = header_fault(&q->headers[i], &seen);
	}
	return fault == NULL && size > OUTBOUND_HEAD_MAX ? "the headers are too long" : fault;
}

static const char *
body_fault(const struct request *q)
{
	if (q->body.length > OUTBOUND_INLINE_MAX)
		return "too much of the body in the message";
	if (!q->has_body && (q->body.length > 0 || !q->end || q->has_length))
		return "a body where there is none";
	if (q->has_length &&
	    (q->body.length > q->length || (q->end && q->body.length != q->length)))
		return "the body's length is not what was said";
	if (q->has_length && q->length > INT64_MAX)
		return "the body's length is out of range";
	return NULL;
}

static const char *
upgrade_fault(const struct request *q)
{
	if (!q->upgrade)
		return NULL;
	if (q->method.length != 3 || memcmp(q->method.bytes, "GET", 3) != 0 || q->has_body)
		return "an upgrade must be a GET without a body";
	return NULL;
}

/* ---- All of it ---- */

static bool
form_is_good(const struct request *q, struct refusal *r)
{
	const char *fault;

	if (policy_host_kind(q->host.bytes, q->host.length) == POLICY_HOST_BAD) {
		refuse(r, CAUSE_BAD, "bad-host",
		    "the host is no canonical name and no canonical address");
		return false;
	}
	if (q->port == 0 || q->port > UINT16_MAX) {
		refuse(r, CAUSE_BAD, "bad-port", "the port is out of range");
		return false;
	}
	if (!method_is_valid(&q->method)) {
		refuse(r, CAUSE_BAD, "bad-method", "the method is not one that is passed on");
		return false;
	}
	fault = path_fault(
	    &q->path, q->method.length == 7 && memcmp(q->method.bytes, "OPTIONS", 7) == 0);
	if (fault != NULL) {
		refuse(r, CAUSE_BAD, "bad-path", "the path %s", fault);
		return false;
	}
	fault = headers_fault(q);
	if (fault == NULL)
		fault = body_fault(q);
	if (fault == NULL)
		fault = upgrade_fault(q);
	if (fault != NULL)
		refuse(r, CAUSE_BAD, "bad-request", "%s", fault);
	return fault == NULL;
}

static bool
same(const struct span *a, const struct span *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* The guest connected to the address that the request names. */
static bool
is_address_of(const struct request *q, const char *host)
{
	struct address a;

	return address_parse(host, &a) &&
	       q->destination_address.length == (a.family == AF_INET ? 4u : 16u) &&
	       memcmp(a.bytes, q->destination_address.bytes, q->destination_address.length) == 0;
}

static bool
names_agree(
    const struct request_rules *rules, const struct request *q, const char *host, struct refusal *r)
{
	bool is_name = policy_host_kind(q->host.bytes, q->host.length) == POLICY_HOST_NAME;
	char other[3 * POLICY_HOST_MAX];
	const struct span *wrong = NULL;

	if (q->destination_port != q->port) {
		refuse(r, CAUSE_DENIED, "name-mismatch",
		    "the request names port %u, the connection was made to port %u", q->port,
		    q->destination_port);
		return false;
	}
	if (q->sni.length > 0 && (!q->https || !same(&q->sni, &q->host)))
		wrong = &q->sni;
	else if (q->destination.length > 0 && !same(&q->destination, &q->host))
		wrong = &q->destination;
	if (wrong != NULL) {
		log_escape(other, sizeof(other), wrong->bytes, wrong->length);
		refuse(r, CAUSE_DENIED, "name-mismatch", "the request names %s, the %s %.253s",
		    host, wrong == &q->sni ? "TLS handshake" : "connection", other);
		return false;
	}
	if (q->https && is_name && q->sni.length == 0) {
		refuse(r, CAUSE_DENIED, "name-mismatch",
		    "the request names %s, the TLS handshake named nothing", host);
		return false;
	}
	if (q->destination.length == 0 && (!is_name || rules->synthetic) &&
	    !is_address_of(q, host)) {
		refuse(r, CAUSE_DENIED, "name-mismatch",
		    "the request names %s, the connection was made to an address that is not its",
		    host);
		return false;
	}
	return true;
}

const struct policy_pattern *
request_judge(const struct request_rules *rules, const struct request *q, struct refusal *r)
{
	const struct policy_pattern *p;
	char host[POLICY_HOST_MAX + 1];

	if (!form_is_good(q, r))
		return NULL;
	memcpy(host, q->host.bytes, q->host.length);
	host[q->host.length] = '\0';
	p = policy_match(
	    rules->allow, q->https ? POLICY_HTTPS : POLICY_HTTP, host, (uint16_t)q->port);
	if (!names_agree(rules, q, host, r))
		return NULL;
	if (p == NULL) {
		refuse(r, CAUSE_DENIED, "not-allowed", "no pattern of allow matches %s://%s:%u",
		    q->https ? "https" : "http", host, q->port);
		return NULL;
	}
	if (q->upgrade && !rules->websockets) {
		refuse(r, CAUSE_DENIED, "no-websockets", "websockets = false");
		return NULL;
	}
	return p;
}
