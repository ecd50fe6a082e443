/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets, and what each means for a service. */
#include "egress/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
secrets_init(struct secrets *s)
{
	memset(s, 0, sizeof(*s));
}

static void
set_free(struct secret_set *set)
{
	needles_clear(&set->outgoing);
	needles_clear(&set->incoming);
	free(set);
}

void
secrets_clear(struct secrets *s)
{
	size_t i;

	for (i = 0; i < s->n_sets; i++)
		set_free(s->sets[i]);
	free(s->sets);
	for (i = 0; i < s->n; i++) {
		explicit_bzero(s->v[i].value, s->v[i].length);
		free(s->v[i].value);
		free(s->v[i].name);
		policy_clear(&s->v[i].hosts);
	}
	secrets_init(s);
}

static bool
value_is_good(const uint8_t *value, size_t length)
{
	return length >= SECRET_VALUE_MIN && length <= SECRET_VALUE_MAX &&
	       value_is_valid((const char *)value, length) && memchr(value, '\t', length) == NULL;
}

int
secrets_add(struct secrets *s, const char *name, const void *value, size_t length,
    const char *placeholder, struct policy *hosts, unsigned in, bool plain_http)
{
	struct secret *new = &s->v[s->n];
	size_t i;

	if (s->n >= SECRETS_MAX)
		return -E2BIG;
	if (strlen(name) > SECRET_NAME_MAX || !value_is_good(value, length) ||
	    !placeholder_is_valid(placeholder, strlen(placeholder)))
		return -EINVAL;
	for (i = 0; i < s->n; i++)
		if (strcmp(s->v[i].placeholder, placeholder) == 0)
			return -EINVAL;
	*new = (struct secret){.name = strdup(name),
	    .value = malloc(length),
	    .length = length,
	    .hosts = *hosts,
	    .in = in,
	    .plain_http = plain_http};
	if (new->name == NULL || new->value == NULL)
		abort();
	memcpy(new->value, value, length);
	memcpy(new->placeholder, placeholder, PLACEHOLDER_LENGTH + 1);
	policy_init(hosts);
	s->n++;
	return 0;
}

/* ---- Sets ---- */

/*
 * base64 of a text that has the value at byte `before` of a group of three: just the characters all
 * of whose bits are the value's.
 */
static void
add_base64(struct needles *set, const struct secret *s, uint32_t tag, size_t before, bool url)
{
	struct buffer padded = {0}, text = {0};
	size_t i, from = (8 * before + 5) / 6, to = 8 * (before + s->length) / 6;

	buffer_add(&padded, "\0\0", before);
	buffer_add(&padded, s->value, s->length);
	base64_encode(padded.bytes, padded.length, &text);
	for (i = from; url && i < to; i++) {
		if (text.bytes[i] == '+')
			text.bytes[i] = '-';
		else if (text.bytes[i] == '/')
			text.bytes[i] = '_';
	}
	needles_add(set, text.bytes + from, to - from, tag, s->placeholder, PLACEHOLDER_LENGTH);
	buffer_wipe(&padded);
	buffer_wipe(&text);
}

/* As a form has it, where a space is a plus sign; other bytes are as they are, or escaped. */
static void
add_form(struct needles *set, const struct secret *s, uint32_t tag)
{
	struct buffer text = {0};
	size_t i;

	buffer_add(&text, s->value, s->length);
	for (i = 0; i < text.length; i++)
		if (text.bytes[i] == ' ')
			text.bytes[i] = '+';
	needles_add(set, text.bytes, text.length, tag, s->placeholder, PLACEHOLDER_LENGTH);
	buffer_wipe(&text);
}

static void
add_incoming(struct needles *set, const struct secret *s, uint32_t tag)
{
	size_t before;

	needles_add(set, s->value, s->length, tag, s->placeholder, PLACEHOLDER_LENGTH);
	add_form(set, s, tag);
	for (before = 0; before < 3; before++) {
		add_base64(set, s, tag, before, false);
		add_base64(set, s, tag, before, true);
	}
}

static struct secret_set *
make_set(const struct secrets *s, uint64_t bound, uint64_t scrub)
{
	struct secret_set *set = calloc(1, sizeof(*set));
	const struct secret *one;
	uint32_t i;

	if (set == NULL)
		abort();
	set->bound = bound;
	set->scrub = scrub;
	needles_init(&set->outgoing);
	needles_init(&set->incoming);
	for (i = 0; i < s->n; i++) {
		one = &s->v[i];
		if ((bound >> i & 1) != 0 && (one->in & SECRET_BODY) != 0) {
			set->body |= UINT64_C(1) << i;
			needles_add(&set->outgoing, one->placeholder, PLACEHOLDER_LENGTH, i,
			    one->value, one->length);
		} else {
			needles_add(&set->outgoing, one->placeholder, PLACEHOLDER_LENGTH, i,
			    one->placeholder, PLACEHOLDER_LENGTH);
		}
		if ((scrub >> i & 1) != 0)
			add_incoming(&set->incoming, one, i);
	}
	needles_build(&set->outgoing);
	needles_build(&set->incoming);
	return set;
}

/* Sets differ by which secrets they have, not by host: there are few. */
const struct secret_set *
secrets_for(struct secrets *s, bool https, const char *host, uint16_t port)
{
	uint64_t bound = 0, scrub = 0;
	const struct secret *one;
	size_t i;

	if (s->n == 0)
		return NULL;
	for (i = 0; i < s->n; i++) {
		one = &s->v[i];
		if ((https || one->plain_http) &&
		    policy_match(&one->hosts, https ? POLICY_HTTPS : POLICY_HTTP, host, port) !=
			NULL)
			bound |= UINT64_C(1) << i;
		if (policy_names(&one->hosts, host) != NULL)
			scrub |= UINT64_C(1) << i;
	}
	for (i = 0; i < s->n_sets; i++)
		if (s->sets[i]->bound == bound && s->sets[i]->scrub == scrub)
			return s->sets[i];
	s->sets = reallocarray(s->sets, s->n_sets + 1, sizeof(struct secret_set *));
	if (s->sets == NULL)
		abort();
	s->sets[s->n_sets] = make_set(s, bound, scrub);
	return s->sets[s->n_sets++];
}

/* ---- Requests ---- */

struct placement {
	const struct secrets *secrets;
	const struct secret_set *set;
	unsigned in;       /* the place */
	const char *place; /* its name */
	bool escape;       /* percent-encode the value */
	uint64_t *used;
	struct refusal *refusal;
};

static void
add_escaped(struct buffer *out, const uint8_t *value, size_t n)
{
	static const char digits[] = "0123456789ABCDEF";
	char escape[3] = {'%'};
	size_t i;

	for (i = 0; i < n; i++) {
		if ((value[i] >= '0' && value[i] <= '9') || (value[i] >= 'A' && value[i] <= 'Z') ||
		    (value[i] >= 'a' && value[i] <= 'z') || strchr("-._~", value[i]) != NULL) {
			buffer_add(out, &value[i], 1);
			continue;
		}
		escape[1] = digits[value[i] >> 4];
		escape[2] = digits[value[i] & 15];
		buffer_add(out, escape, 3);
	}
}

static bool
place(const struct placement *p, size_t which, struct buffer *out)
{
	const struct secret *s = &p->secrets->v[which];

	if ((p->set->bound >> which & 1) == 0) {
		refuse(p->refusal, CAUSE_DENIED, "secret-elsewhere",
		    "secret %s is not for this host, scheme and port", s->name);
		return false;
	}
	if ((s->in & p->in) == 0) {
		refuse(p->refusal, CAUSE_DENIED, "secret-place", "secret %s may not stand in %s",
		    s->name, p->place);
		return false;
	}
	if (p->escape)
		add_escaped(out, s->value, s->length);
	else
		buffer_add(out, s->value, s->length);
	*p->used |= UINT64_C(1) << which;
	return true;
}

/* Appends text with its placeholders replaced. */
static bool
put_in(const struct placement *p, const char *text, size_t n, struct buffer *out)
{
	const char *end = text + n, *at;
	size_t i;

	while ((at = memmem(text, (size_t)(end - text), PLACEHOLDER_PREFIX,
		    sizeof(PLACEHOLDER_PREFIX) - 1)) != NULL) {
		for (i = 0; i < p->secrets->n; i++)
			if ((size_t)(end - at) >= PLACEHOLDER_LENGTH &&
			    memcmp(at, p->secrets->v[i].placeholder, PLACEHOLDER_LENGTH) == 0)
				break;
		buffer_add(out, text, (size_t)(at - text));
		if (i == p->secrets->n) {
			/* Not one of ours: text like any other. */
			buffer_add(out, at, 1);
			text = at + 1;
			continue;
		}
		if (!place(p, i, out))
			return false;
		text = at + PLACEHOLDER_LENGTH;
	}
	buffer_add(out, text, (size_t)(end - text));
	return true;
}

/* Basic credentials (RFC 7617) hide what is in them: they are opened, and closed again. */
static bool
put_in_basic(const struct placement *p, const struct field *f, struct buffer *out)
{
	struct buffer plain = {0}, changed = {0};
	bool ok = true;

	if (f->value_length > 6 && strncasecmp(f->value, "basic ", 6) == 0 &&
	    base64_decode(f->value + 6, f->value_length - 6, &plain))
		ok = put_in(p, (const char *)plain.bytes, plain.length, &changed);
	if (ok &&
	    (changed.length != plain.length ||
		(plain.length > 0 && memcmp(changed.bytes, plain.bytes, plain.length) != 0))) {
		buffer_add(out, f->value, 6);
		base64_encode(changed.bytes, changed.length, out);
	} else if (ok) {
		ok = put_in(p, f->value, f->value_length, out);
	}
	buffer_wipe(&plain);
	buffer_wipe(&changed);
	return ok;
}

static bool
put_in_header(struct placement *p, const struct field *f, struct secret_use *u)
{
	struct buffer value = {0}, name = {0};
	bool ok;

	/* A name is no place for any. */
	p->in = 0;
	p->place = "a header's name";
	ok = put_in(p, f->name, f->name_length, &name);
	p->in = SECRET_HEADER;
	p->place = "a header";
	if (ok && (field_is(f, "authorization") || field_is(f, "proxy-authorization")))
		ok = put_in_basic(p, f, &value);
	else if (ok)
		ok = put_in(p, f->value, f->value_length, &value);
	if (ok)
		fields_add(&u->headers, f->name, f->name_length,
		    value.bytes != NULL ? (const void *)value.bytes : "", value.length);
	buffer_clear(&name);
	buffer_wipe(&value);
	return ok;
}

static bool
put_in_path(struct placement *p, const struct span *path, struct secret_use *u)
{
	const char *query = memchr(path->bytes, '?', path->length);
	size_t n = query != NULL ? (size_t)(query - path->bytes) : path->length;

	p->in = 0;
	p->place = "a path";
	if (!put_in(p, path->bytes, n, &u->path))
		return false;
	p->in = SECRET_QUERY;
	p->place = "a query";
	p->escape = true;
	return put_in(p, path->bytes + n, path->length - n, &u->path);
}

bool
secrets_put_in(const struct secrets *s, const struct secret_set *set, const struct request *q,
    struct secret_use *u, struct refusal *r)
{
	struct placement p = {.secrets = s, .set = set, .used = &u->used, .refusal = r};
	size_t i;

	for (i = 0; i < q->n_headers; i++) {
		if (s->n > 0 && !put_in_header(&p, &q->headers[i], u))
			return false;
		if (s->n == 0)
			fields_add(&u->headers, q->headers[i].name, q->headers[i].name_length,
			    q->headers[i].value, q->headers[i].value_length);
	}
	if (s->n > 0)
		return put_in_path(&p, &q->path, u);
	buffer_add(&u->path, q->path.bytes, q->path.length);
	return true;
}

void
secret_use_clear(struct secret_use *u)
{
	fields_clear(&u->headers);
	buffer_wipe(&u->path);
}

uint64_t
secrets_scrub_value(
    const struct secret_set *set, const void *value, size_t length, struct buffer *out)
{
	struct replacer r;
	uint64_t tags;

	replacer_init(&r, &set->incoming);
	replacer_feed(&r, value, length, true, out);
	tags = r.tags;
	replacer_clear(&r);
	return tags;
}
