/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection of the guest speaks, by its first bytes. */
#include "netproxy/classify.h"

#include <stdbool.h>
#include <string.h>

#include "netproxy/http_syntax.h"

/* 1: starts with it; 0: so far; -1: differs. */
static int
starts_with(const uint8_t *bytes, size_t n, const char *with)
{
	size_t length = strlen(with);

	if (memcmp(bytes, with, n < length ? n : length) != 0)
		return -1;
	return n >= length;
}

/* A TLS record of a handshake: any version from SSL 3.0, which the TLS library then refuses. */
static enum classify_result
classify_tls(const uint8_t *bytes, size_t n)
{
	if (bytes[0] != 0x16 || (n > 1 && bytes[1] != 3) || (n > 2 && bytes[2] > 4))
		return CLASSIFY_NONE;
	return n > 2 ? CLASSIFY_TLS : CLASSIFY_MORE;
}

/* A method and a space, and something that can start a target. */
static enum classify_result
classify_http1(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n && i <= HTTP_METHOD_MAX; i++) {
		if (bytes[i] == ' ' && i > 0) {
			if (i + 1 == n)
				return CLASSIFY_MORE;
			return bytes[i + 1] > ' ' && bytes[i + 1] < 0x7f ? CLASSIFY_HTTP1
									 : CLASSIFY_NONE;
		}
		if ((bytes[i] < 'A' || bytes[i] > 'Z') && bytes[i] != '-')
			return CLASSIFY_NONE;
	}
	return n <= HTTP_METHOD_MAX ? CLASSIFY_MORE : CLASSIFY_NONE;
}

enum classify_result
classify(const uint8_t *bytes, size_t n)
{
	static const struct {
		const char *prefix;
		enum classify_result result;
	} prefixes[] = {
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CLASSIFY_HTTP2},
	    {"SSH-2.0-", CLASSIFY_SSH},
	    {"SSH-1.99-", CLASSIFY_SSH},
	};
	bool more = false;

	if (n == 0)
		return CLASSIFY_MORE;
	if (bytes[0] == 0x16)
		return classify_tls(bytes, n);
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		int match = starts_with(bytes, n, prefixes[i].prefix);

		if (match > 0)
			return prefixes[i].result;
		more = more || match == 0;
	}
	return more ? CLASSIFY_MORE : classify_http1(bytes, n);
}
