/* SPDX-License-Identifier: Apache-2.0 */
/* DNS queries of the guest, answered in every way. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer a = {.ttl = 60};
	uint8_t out[DNS_UDP_MAX];
	struct dns_query q;
	int rcode = dns_query_parse(&q, data, size);

	if (rcode < 0)
		return 0;
	if (strlen(q.name) > DNS_NAME_MAX ||
	    (q.question != NULL && q.question + q.question_n > data + size))
		abort();
	for (a.n = 0; a.n <= DNS_ADDRESSES; a.n += 8) {
		a.rcode = (uint16_t)rcode;
		if (dns_answer_write(&q, &a, out, 512) > 512)
			abort();
		a.rcode = DNS_REFUSED;
		if (dns_answer_write(&q, &a, out, sizeof(out)) > sizeof(out))
			abort();
	}
	return 0;
}
