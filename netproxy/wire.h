/* SPDX-License-Identifier: Apache-2.0 */
/* Big-endian integers in packets.  Pointers need no alignment; the caller has checked the bounds.
 */
#ifndef GONDOLIN_NETPROXY_WIRE_H
#define GONDOLIN_NETPROXY_WIRE_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
wire_get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ntohs(v);
}

static inline uint32_t
wire_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static inline void
wire_put16(uint8_t *p, uint16_t v)
{
	v = htons(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
wire_put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof(v));
}

#endif
