/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest reads where there is no answer of the world: one text, whatever HTTP carries it.
 */
#ifndef GONDOLIN_NETPROXY_PAGE_H
#define GONDOLIN_NETPROXY_PAGE_H

#include "netproxy/exchange.h"

#define PAGE_MAX 1024u

struct page {
	struct exchange_answer answer; /* of the members below: it is good as long as they are */
	struct http_field fields[3];
	char text[PAGE_MAX];
	char rule[256];
};

/* Makes the answer that says r.  A page must not be moved. */
void page_make(struct page *p, const struct exchange_refusal *r);

/* A refusal of our own: a bad request, or a limit of this process. */
void page_refusal(struct exchange_refusal *r, unsigned status, const char *rule, const char *text);

/* RFC 9110 15's phrase, for HTTP/1.1's status line. */
const char *page_phrase(unsigned status);

#endif
