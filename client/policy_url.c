/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of the command line. */
#include "client/policy_url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *scheme;
	enum policy_url_kind kind;
	bool websocket;
	uint16_t port;
} schemes[] = {
    {"https", POLICY_URL_HTTPS, false, 443},
    {"http", POLICY_URL_HTTP, false, 80},
    {"wss", POLICY_URL_HTTPS, true, 443},
    {"ws", POLICY_URL_HTTP, true, 80},
    {"tcp", POLICY_URL_TCP, false, 0},
};

static bool
take_scheme(struct policy_url *u, const char **text)
{
	const char *end = strstr(*text, "://");
	size_t i, n = end != NULL ? (size_t)(end - *text) : 0;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (end == NULL || (strlen(schemes[i].scheme) == n &&
				       strncasecmp(schemes[i].scheme, *text, n) == 0)) {
			u->kind = schemes[i].kind;
			u->websocket = schemes[i].websocket;
			u->port = schemes[i].port;
			*text += end != NULL ? n + 3 : 0;
			return true;
		}
	return false;
}

static bool
take_port(struct policy_url *u, const char *text, size_t n)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits == n && n > 0 && n <= 5 ? strtoul(text, NULL, 10) : 0;

	u->port = (uint16_t)port;
	return port > 0 && port <= UINT16_MAX;
}

/* n bytes of HOST[:PORT]. */
static const char *
take_authority(struct policy_url *u, const char *text, size_t n)
{
	const char *host = text, *colon;
	size_t i, length;

	if (memchr(text, '@', n) != NULL)
		return "a user or a password stands in it";
	if (text[0] == '[') {
		colon = memchr(text, ']', n);
		if (colon == NULL)
			return "its address has no ]";
		host = text + 1;
		length = (size_t)(colon - host);
		colon++;
		if (colon == text + n)
			colon = NULL;
		else if (*colon != ':')
			return "something stands between ] and the port";
	} else {
		colon = memchr(text, ':', n);
		length = colon != NULL ? (size_t)(colon - text) : n;
	}
	if (length == 0 || length >= sizeof(u->host))
		return "it has no host, or one that is too long";
	for (i = 0; i < length; i++)
		u->host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] | 0x20 : host[i]);
	u->host[length] = '\0';
	if (colon != NULL && !take_port(u, colon + 1, (size_t)(text + n - colon - 1)))
		return "its port is none from 1 to 65535";
	return u->port == 0 ? "a tcp URL needs its port" : NULL;
}

const char *
policy_url_parse(struct policy_url *u, const char *text)
{
	const char *why;
	size_t n;

	memset(u, 0, sizeof(*u));
	if (!take_scheme(u, &text))
		return "its scheme is none of http, https, ws, wss and tcp";
	n = strcspn(text, "/?#");
	why = take_authority(u, text, n);
	if (why != NULL)
		return why;
	text += n;
	n = strcspn(text, "#");
	if (n + 1 >= sizeof(u->path))
		return "its path is too long";
	/* An empty path is "/" (RFC 9110 4.2.3). */
	if (text[0] != '/')
		u->path[0] = '/';
	strncat(u->path, text, n);
	return NULL;
}
