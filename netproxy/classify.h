/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection of the guest speaks, by its first bytes. */
#ifndef GONDOLIN_NETPROXY_CLASSIFY_H
#define GONDOLIN_NETPROXY_CLASSIFY_H

#include <stddef.h>
#include <stdint.h>

#define CLASSIFY_MAX 40u /* bytes after which there is always an answer other than MORE */

enum classify_result {
	CLASSIFY_MORE, /* all that is there fits something: wait */
	CLASSIFY_NONE, /* nothing that is served */
	CLASSIFY_HTTP1,
	CLASSIFY_HTTP2, /* RFC 9113 3.3, prior knowledge */
	CLASSIFY_TLS,
	CLASSIFY_SSH, /* RFC 4253 4.2 */
};

enum classify_result classify(const uint8_t *bytes, size_t n);

#endif
