/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: put in towards their hosts, taken out of answers (rule 4 of the design).
 *
 * The guest has placeholders.  Only whole ones count, in one value: halves in two headers stay what
 * they are.  A placeholder of ours anywhere else than where it may be replaced refuses the request,
 * so that a mistake is seen; the placeholder's own text is no secret.
 *
 * In answers of a secret's hosts, on any port and scheme, the value is looked for as it is, as a
 * form has it (a space is a plus sign), and in base64 of either alphabet in all three alignments
 * (of which up to three characters at the ends also hold bits of what is beside it, and stay); and
 * each of these with any of its characters escaped as in a URL, a JSON string or HTML, of one kind
 * at a time (unescape.h). The placeholder takes its place.
 */
#ifndef GONDOLIN_EGRESS_SECRET_H
#define GONDOLIN_EGRESS_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egress/needles.h"
#include "egress/placeholder.h"
#include "egress/policy.h"
#include "egress/request.h"

#define SECRETS_MAX      64u
#define SECRET_VALUE_MIN 8u /* shorter ones are everywhere in ordinary text */
#define SECRET_VALUE_MAX 8192u
#define SECRET_NAME_MAX  128u

enum secret_in { SECRET_HEADER = 1 << 0, SECRET_QUERY = 1 << 1, SECRET_BODY = 1 << 2 };

struct secret {
	char *name;
	uint8_t *value;
	size_t length;
	char placeholder[PLACEHOLDER_LENGTH + 1];
	struct policy hosts;
	unsigned in;
	bool plain_http;
};

/* What the secrets mean for one service: made when it is first needed. */
struct secret_set {
	uint64_t bound; /* may be put in: bit for each secret */
	uint64_t scrub; /* taken out of answers */
	struct needles
	    outgoing;  /* placeholders; of `body` with their values, others with themselves */
	uint64_t body; /* may be put into bodies */
	struct needles incoming; /* values, with their placeholders */
};

struct secrets {
	struct secret v[SECRETS_MAX];
	size_t n;
	struct secret_set **sets;
	size_t n_sets;
};

void secrets_init(struct secrets *s);

/* Overwrites and frees all. */
void secrets_clear(struct secrets *s);

/*
 * Adds a secret; hosts are taken (moved).  Returns 0; -EINVAL where value or placeholder are not as
 * above, or exist; -E2BIG past SECRETS_MAX.  hosts are the caller's on failure.
 */
int secrets_add(struct secrets *s, const char *name, const void *value, size_t length,
    const char *placeholder, struct policy *hosts, unsigned in, bool plain_http);

/* The set of a service, or NULL where there are no secrets at all. */
const struct secret_set *
secrets_for(struct secrets *s, bool https, const char *host, uint16_t port);

/* What is sent in place of a request's headers and path. */
struct secret_use {
	struct fields headers;
	struct buffer path;
	uint64_t used; /* bit for each secret that was put in */
};

/*
 * Fills *u (zeroed by the caller, cleared with secret_use_clear) with the request's headers and
 * path and puts secrets in.  Returns false and fills *r where a placeholder stands where it may
 * not.
 */
bool secrets_put_in(const struct secrets *s, const struct secret_set *set, const struct request *q,
    struct secret_use *u, struct refusal *r);
void secret_use_clear(struct secret_use *u);

/* Takes values out of a header's value of an answer.  Returns the bits of those found. */
uint64_t secrets_scrub_value(
    const struct secret_set *set, const void *value, size_t length, struct buffer *out);

/* base64 (RFC 4648 4).  encode appends; decode refuses what encode would not have made. */
void base64_encode(const void *bytes, size_t n, struct buffer *out);
bool base64_decode(const char *text, size_t n, struct buffer *out);

#endif
