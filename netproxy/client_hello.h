/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's first TLS message, read before any of it reaches a TLS library: which name and which
 * protocols it wants (RFC 8446 4.1.2, RFC 6066 3, RFC 7301).
 */
#ifndef GONDOLIN_NETPROXY_CLIENT_HELLO_H
#define GONDOLIN_NETPROXY_CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netproxy/http_syntax.h"

#define CLIENT_HELLO_MAX 16384u /* bytes of the message with its records' headers */

struct client_hello {
	bool has_name;
	char name[HTTP_HOST_MAX + 1]; /* server_name in canonical form; never an address */
	bool has_alpn;
	bool alpn_h2, alpn_http1; /* what of it is served */
};

enum client_hello_result {
	CLIENT_HELLO_OK,
	CLIENT_HELLO_MORE, /* no error yet, not all there */
};

/*
 * Reads the message at the start of n bytes; it may span TLS records.  scratch is the caller's,
 * CLIENT_HELLO_MAX bytes.  Returns a result; or -EPROTO where it is no ClientHello, longer than
 * CLIENT_HELLO_MAX, has an extension twice, a length that does not fit, or a name that is not
 * a host name.  Whether its cipher suites or versions will do is the TLS library's to say.
 */
int client_hello_parse(struct client_hello *h, const uint8_t *bytes, size_t n, uint8_t *scratch);

#endif
