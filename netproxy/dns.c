/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: the guest's queries and our answers to them. */
#include "netproxy/dns.h"

#include <errno.h>
#include <string.h>

#define HEADER_SIZE 12u
#define OPT_TYPE    41u
#define OPT_SIZE    11u /* with an empty name and no options */
#define CLASS_IN    1u
#define LABEL_MAX   63u

#define FLAG_QR     0x8000u
#define FLAG_OPCODE 0x7800u
#define FLAG_TC     0x0200u
#define FLAG_RD     0x0100u
#define FLAG_RA     0x0080u
#define FLAG_CD     0x0010u

struct cursor {
	const uint8_t *p, *end;
};

static bool
take16(struct cursor *c, uint16_t *v)
{
	if (c->end - c->p < 2)
		return false;
	*v = (uint16_t)(c->p[0] << 8 | c->p[1]);
	c->p += 2;
	return true;
}

static bool
is_host_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * Reads the question's name.  There is nothing before it that a pointer could name, so every
 * length byte over 63 is an error (RFC 1035 4.1.4).
 */
static bool
take_name(struct cursor *c, struct dns_query *q)
{
	size_t n = 0;

	q->host = true;
	for (;;) {
		uint8_t length;

		if (c->p == c->end)
			return false;
		length = *c->p++;
		if (length == 0)
			break;
		if (length > LABEL_MAX || c->end - c->p < length ||
		    n + length + 1 > DNS_NAME_MAX + 1)
			return false;
		if (c->p[0] == '-' || c->p[length - 1] == '-')
			q->host = false;
		for (unsigned i = 0; i < length; i++) {
			uint8_t b = *c->p++;

			if (b >= 'A' && b <= 'Z')
				b |= 0x20;
			q->host = q->host && is_host_char(b);
			q->name[n++] = (char)b;
		}
		q->name[n++] = '.';
	}
	q->host = q->host && n > 0;
	q->name[q->host ? n - 1 : 0] = '\0';
	return true;
}

/* RFC 6891 6.1.2: root name, type, size, extended flags, options that are skipped. */
static int
take_opt(struct cursor *c, struct dns_query *q)
{
	uint16_t type, size, version, flags, length;

	if (c->p == c->end || *c->p++ != 0 || !take16(c, &type) || type != OPT_TYPE ||
	    !take16(c, &size) || !take16(c, &version) || !take16(c, &flags) ||
	    !take16(c, &length) || c->end - c->p < length)
		return DNS_FORMERR;
	c->p += length;
	q->edns = true;
	if (size > q->udp_size)
		q->udp_size = size;
	/* The high byte is the extended rcode, nothing in a query; the low one the version. */
	return (version & 0xff) != 0 ? DNS_BADVERS : DNS_NOERROR;
}

int
dns_query_parse(struct dns_query *q, const uint8_t *bytes, size_t n)
{
	struct cursor c = {bytes, bytes + n};
	uint16_t flags, counts[4];
	int rcode = DNS_NOERROR;

	memset(q, 0, sizeof(*q));
	q->udp_size = 512;
	if (n < HEADER_SIZE || !take16(&c, &q->id) || !take16(&c, &flags) || (flags & FLAG_QR) != 0)
		return -EPROTO;
	q->recursion = (flags & FLAG_RD) != 0;
	q->checking_disabled = (flags & FLAG_CD) != 0;
	for (unsigned i = 0; i < 4; i++)
		if (!take16(&c, &counts[i]))
			return -EPROTO;
	if ((flags & FLAG_OPCODE) != 0)
		return DNS_NOTIMP;
	if ((flags & FLAG_TC) != 0 || counts[0] != 1 || counts[1] != 0 || counts[2] != 0 ||
	    counts[3] > 1)
		return DNS_FORMERR;
	if (!take_name(&c, q)) {
		q->name[0] = '\0'; /* half of one */
		return DNS_FORMERR;
	}
	if (!take16(&c, &q->type) || !take16(&c, &q->class))
		return DNS_FORMERR;
	q->question = bytes + HEADER_SIZE;
	q->question_n = (size_t)(c.p - q->question);
	if (counts[3] == 1)
		rcode = take_opt(&c, q);
	if (c.p != c.end)
		return DNS_FORMERR;
	if (rcode == DNS_NOERROR && q->class != CLASS_IN)
		return DNS_NOTIMP;
	return rcode;
}

/* ---- Answers ---- */

static uint8_t *
put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *
put_address(uint8_t *p, const struct dns_query *q, uint32_t ttl, const uint8_t *address, size_t n)
{
	p = put16(p, 0xc000 | HEADER_SIZE); /* the question's name */
	p = put16(p, q->type);
	p = put16(p, CLASS_IN);
	p = put16(p, ttl >> 16);
	p = put16(p, ttl & 0xffff);
	p = put16(p, (unsigned)n);
	memcpy(p, address, n);
	return p + n;
}

static uint8_t *
put_opt(uint8_t *p, uint16_t rcode)
{
	*p++ = 0;
	p = put16(p, OPT_TYPE);
	p = put16(p, DNS_UDP_MAX);
	p = put16(p, (unsigned)(rcode >> 4) << 8);
	p = put16(p, 0);
	return put16(p, 0);
}

size_t
dns_answer_write(const struct dns_query *q, const struct dns_answer *a, uint8_t *out, size_t size)
{
	size_t each = q->type == DNS_A ? 4 : 16, record = 12 + each;
	size_t opt = q->edns ? OPT_SIZE : 0;
	unsigned flags = FLAG_QR | FLAG_RA | (a->rcode & 0xfu), n = 0;
	uint8_t *p = out + HEADER_SIZE;

	if (q->recursion)
		flags |= FLAG_RD;
	if (q->checking_disabled)
		flags |= FLAG_CD;
	if (q->question != NULL) {
		memcpy(p, q->question, q->question_n);
		p += q->question_n;
	}
	if (a->rcode == DNS_NOERROR && (q->type == DNS_A || q->type == DNS_AAAA))
		for (; n < a->n; n++) {
			if ((size_t)(p - out) + record + opt > size) {
				flags |= FLAG_TC;
				break;
			}
			p = put_address(p, q, a->ttl, a->addresses[n], each);
		}
	if (q->edns)
		p = put_opt(p, a->rcode);
	put16(out, q->id);
	put16(out + 2, flags);
	put16(out + 4, q->question != NULL);
	put16(out + 6, n);
	put16(out + 8, 0);
	put16(out + 10, q->edns);
	return (size_t)(p - out);
}
