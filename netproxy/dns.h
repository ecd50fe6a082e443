/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages: the guest's queries (RFC 1035, RFC 6891) and our answers to them.  Queries are
 * written by the untrusted guest.
 */
#ifndef GONDOLIN_NETPROXY_DNS_H
#define GONDOLIN_NETPROXY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX    253u /* characters */
#define DNS_MESSAGE_MAX 65535u
#define DNS_UDP_MAX     1232u /* bytes of an answer by UDP, whatever the query offers */
#define DNS_ADDRESSES   16u

enum dns_type {
	DNS_A = 1,
	DNS_AAAA = 28,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,
};

struct dns_query {
	uint16_t id;
	bool recursion; /* RD, copied to the answer */
	bool checking_disabled;
	bool edns;
	uint16_t udp_size; /* what the client takes by UDP, 512 at least */
	uint16_t type, class;
	/*
	 * The name as text in lower case, without a trailing dot, or "" where it is the root or
	 * has a label that no host name may have (host is false then).
	 */
	char name[DNS_NAME_MAX + 1];
	bool host;
	/* The question as it came, to be echoed: points into the query. */
	const uint8_t *question;
	size_t question_n;
};

struct dns_answer {
	uint16_t rcode; /* enum dns_rcode, or another below 4096 */
	uint32_t ttl;
	/* Of the question's type: A takes 4 bytes of each, AAAA 16; other types take none. */
	unsigned n;
	uint8_t addresses[DNS_ADDRESSES][16];
};

/*
 * Reads a query.  Returns DNS_NOERROR; or the rcode that answers it (FORMERR, NOTIMP, BADVERS:
 * with a question where question is not NULL); or -EPROTO where it deserves no answer (shorter than
 * a header, or itself an answer).
 */
int dns_query_parse(struct dns_query *q, const uint8_t *bytes, size_t n);

/*
 * Writes an answer of at most `size` bytes (512 at least) to out; what does not fit sets TC.
 * Returns its length.
 */
size_t
dns_answer_write(const struct dns_query *q, const struct dns_answer *a, uint8_t *out, size_t size);

#endif
