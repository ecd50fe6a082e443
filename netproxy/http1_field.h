/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and fields, as heads and trailers share them. */
#ifndef GONDOLIN_NETPROXY_HTTP1_FIELD_H
#define GONDOLIN_NETPROXY_HTTP1_FIELD_H

#include "netproxy/http1_parse.h"

/*
 * Cuts off the line at *next, which ends in CRLF before end and has no other CR, LF or NUL.
 * Returns 0; or -EPROTO with the refusal filled in.
 */
int http1_next_line(
    char **next, const char *end, struct http_text *line, struct http1_refusal *refusal);

/*
 * Splits a line into name, put in lower case in place, and value without white space around it.
 * Returns likewise.
 */
int http1_split_field(struct http_text line, struct http_field *f, struct http1_refusal *refusal);

#endif
