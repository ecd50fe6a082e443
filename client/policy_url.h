/* SPDX-License-Identifier: Apache-2.0 */
/* A URL as `gondolin policy check` is given it: what a client would make of it, and no more. */
#ifndef GONDOLIN_CLIENT_POLICY_URL_H
#define GONDOLIN_CLIENT_POLICY_URL_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_URL_HOST_SIZE 512u
#define POLICY_URL_PATH_SIZE 16385u

enum policy_url_kind { POLICY_URL_HTTP, POLICY_URL_HTTPS, POLICY_URL_TCP };

struct policy_url {
	enum policy_url_kind kind;
	bool websocket;                  /* ws or wss */
	char host[POLICY_URL_HOST_SIZE]; /* in lower case, without brackets; else as written */
	uint16_t port;
	char path[POLICY_URL_PATH_SIZE]; /* with its query, without a fragment */
};

/*
 * Reads [SCHEME://]HOST[:PORT][/PATH] (RFC 3986): http, https, ws, wss or tcp, https where there is
 * none.  tcp is a mapped connection and needs its port.  Returns NULL, or why it is no such URL.
 */
const char *policy_url_parse(struct policy_url *u, const char *text);

#endif
