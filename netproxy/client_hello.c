/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's first TLS message. */
#include "netproxy/client_hello.h"

#include <errno.h>
#include <string.h>

#define RECORD_HEADER    5u
#define RECORD_MAX       16384u
#define RECORD_HANDSHAKE 22u
#define MESSAGE_HEADER   4u
#define MESSAGE_HELLO    1u
#define RECORDS_MAX      64u /* a message in tiny records serves nobody */
#define EXTENSIONS_MAX   64u

#define EXTENSION_NAME   0u
#define EXTENSION_ALPN   16u

struct reader {
	const uint8_t *p;
	size_t n;
};

static bool
take(struct reader *r, size_t n, struct reader *out)
{
	if (r->n < n)
		return false;
	*out = (struct reader){r->p, n};
	r->p += n;
	r->n -= n;
	return true;
}

/* An unsigned number of `bytes` (1 to 3) bytes. */
static bool
take_number(struct reader *r, unsigned bytes, uint32_t *value)
{
	struct reader number;

	if (!take(r, bytes, &number))
		return false;
	*value = 0;
	while (number.n > 0) {
		*value = *value << 8 | *number.p++;
		number.n--;
	}
	return true;
}

/* A vector with its length in front, of least..most bytes. */
static bool
take_vector(struct reader *r, unsigned bytes, uint32_t least, uint32_t most, struct reader *out)
{
	uint32_t length;

	return take_number(r, bytes, &length) && length >= least && length <= most &&
	       take(r, length, out);
}

/* ---- Records ---- */

/*
 * Puts the message together from its records.  Returns CLIENT_HELLO_OK with the whole message,
 * its header included, at scratch; CLIENT_HELLO_MORE; or -EPROTO.
 */
static int
join_records(const uint8_t *bytes, size_t n, uint8_t *scratch, struct reader *message)
{
	struct reader in = {bytes, n};
	size_t have = 0, need = MESSAGE_HEADER;

	for (unsigned records = 0; have < need; records++) {
		size_t length;

		/* What is there is checked at once, so that no stranger waits for a time-out. */
		if ((in.n > 0 && in.p[0] != RECORD_HANDSHAKE) || (in.n > 1 && in.p[1] != 3) ||
		    records == RECORDS_MAX)
			return -EPROTO;
		if (in.n < RECORD_HEADER)
			return CLIENT_HELLO_MORE;
		length = (size_t)in.p[3] << 8 | in.p[4];
		if (in.p[2] > 4 || length == 0 || length > RECORD_MAX)
			return -EPROTO;
		in.p += RECORD_HEADER;
		in.n -= RECORD_HEADER;
		if (have + length > CLIENT_HELLO_MAX)
			return -EPROTO;
		if (in.n < length)
			return in.n > 0 && have == 0 && in.p[0] != MESSAGE_HELLO
				   ? -EPROTO
				   : CLIENT_HELLO_MORE;
		memcpy(scratch + have, in.p, length);
		have += length;
		in.p += length;
		in.n -= length;
		if (scratch[0] != MESSAGE_HELLO)
			return -EPROTO;
		if (have >= MESSAGE_HEADER)
			need = MESSAGE_HEADER +
			       ((size_t)scratch[1] << 16 | (size_t)scratch[2] << 8 | scratch[3]);
		if (need > CLIENT_HELLO_MAX)
			return -EPROTO;
	}
	/* A second message in the record of the first: nothing may follow a first ClientHello. */
	if (have != need)
		return -EPROTO;
	*message = (struct reader){scratch + MESSAGE_HEADER, need - MESSAGE_HEADER};
	return CLIENT_HELLO_OK;
}

/* ---- Extensions ---- */

/* RFC 6066 3: a list that can hold one host_name; no other type was ever defined. */
static bool
on_name(struct client_hello *h, struct reader body)
{
	struct reader list, name;
	struct http_text text;
	const char *label;
	uint32_t type;

	if (!take_vector(&body, 2, 1, UINT16_MAX, &list) || body.n != 0 ||
	    !take_number(&list, 1, &type) || type != 0 ||
	    !take_vector(&list, 2, 1, HTTP_HOST_MAX, &name) || list.n != 0)
		return false;
	text.s = (const char *)name.p;
	text.n = name.n;
	if (name.p[0] == '[' || http_host_canonical(text, h->name) < 0)
		return false;
	label = strrchr(h->name, '.');
	label = label != NULL ? label + 1 : h->name;
	/* A canonical form whose last label is a number is an address, and that is no name. */
	if (strspn(label, "0123456789") == strlen(label))
		return false;
	h->has_name = true;
	return true;
}

static bool
on_alpn(struct client_hello *h, struct reader body)
{
	struct reader list, protocol;

	if (!take_vector(&body, 2, 2, UINT16_MAX, &list) || body.n != 0)
		return false;
	while (list.n > 0) {
		if (!take_vector(&list, 1, 1, UINT8_MAX, &protocol))
			return false;
		if (protocol.n == 2 && memcmp(protocol.p, "h2", 2) == 0)
			h->alpn_h2 = true;
		else if (protocol.n == 8 && memcmp(protocol.p, "http/1.1", 8) == 0)
			h->alpn_http1 = true;
	}
	h->has_alpn = true;
	return true;
}

static bool
parse_extensions(struct client_hello *h, struct reader list)
{
	uint32_t seen[EXTENSIONS_MAX];
	unsigned n = 0;

	while (list.n > 0) {
		struct reader body;
		uint32_t type;

		if (n == EXTENSIONS_MAX || !take_number(&list, 2, &type) ||
		    !take_vector(&list, 2, 0, UINT16_MAX, &body))
			return false;
		for (unsigned i = 0; i < n; i++)
			if (seen[i] == type)
				return false;
		seen[n++] = type;
		if (type == EXTENSION_NAME && !on_name(h, body))
			return false;
		if (type == EXTENSION_ALPN && !on_alpn(h, body))
			return false;
	}
	return true;
}

int
client_hello_parse(struct client_hello *h, const uint8_t *bytes, size_t n, uint8_t *scratch)
{
	struct reader message, part;
	int rc;

	memset(h, 0, sizeof(*h));
	rc = join_records(bytes, n, scratch, &message);
	if (rc != CLIENT_HELLO_OK)
		return rc;
	/* version, random, session id, cipher suites, compression methods */
	if (!take(&message, 2 + 32, &part) || part.p[0] != 3 ||
	    !take_vector(&message, 1, 0, 32, &part) ||
	    !take_vector(&message, 2, 2, UINT16_MAX, &part) || part.n % 2 != 0 ||
	    !take_vector(&message, 1, 1, UINT8_MAX, &part))
		return -EPROTO;
	if (message.n == 0)
		return CLIENT_HELLO_OK;
	if (!take_vector(&message, 2, 0, UINT16_MAX, &part) || message.n != 0 ||
	    !parse_extensions(h, part))
		return -EPROTO;
	return CLIENT_HELLO_OK;
}
