/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges. */
#include "egress/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct range {
	uint8_t bytes[16];
	uint8_t prefix;
	const char *name;
	bool never; /* no unicast destination: refused even where internal ones are allowed */
};

static const struct range ranges4[] = {
    {{0}, 8, "this network", true},
    {{10}, 8, "private use", false},
    {{100, 64}, 10, "shared address space", false},
    {{127}, 8, "loopback", false},
    {{168, 63, 129, 16}, 32, "cloud host service", false},
    {{169, 254}, 16, "link local", false},
    {{172, 16}, 12, "private use", false},
    {{192, 0, 0}, 24, "IETF protocol assignments", false},
    {{192, 0, 2}, 24, "documentation", false},
    {{192, 31, 196}, 24, "AS112", false},
    {{192, 52, 193}, 24, "AMT", false},
    {{192, 88, 99}, 24, "6to4 relay", false},
    {{192, 168}, 16, "private use", false},
    {{192, 175, 48}, 24, "AS112", false},
    {{198, 18}, 15, "benchmarking", false},
    {{198, 51, 100}, 24, "documentation", false},
    {{203, 0, 113}, 24, "documentation", false},
    {{224}, 4, "multicast", true},
    {{240}, 4, "reserved", true},
};

static const struct range ranges6[] = {
    {{0}, 128, "unspecified", true},
    {{[15] = 1}, 128, "loopback", false},
    {{[10] = 0xff, [11] = 0xff}, 96, "IPv4-mapped", true},
    {{0}, 96, "IPv4-compatible", true},
    {{0x00, 0x64, 0xff, 0x9b}, 96, "NAT64", false},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "local NAT64", false},
    {{0x01, 0x00}, 64, "discard only", true},
    {{0x01, 0x00, [7] = 1}, 64, "dummy prefix", true},
    {{0x20, 0x01, 0x00, 0x00}, 32, "Teredo", true},
    {{0x20, 0x01}, 23, "IETF protocol assignments", false},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation", false},
    {{0x20, 0x02}, 16, "6to4", true},
    {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48, "AS112", false},
    {{0x3f, 0xff}, 20, "documentation", false},
    {{0x5f, 0x00}, 16, "segment routing", false},
    {{0xfc}, 7, "unique local", false},
    {{0xfe, 0x80}, 10, "link local", false},
    {{0xfe, 0xc0}, 10, "site local", false},
    {{0xff}, 8, "multicast", true},
};

static const uint8_t global_unicast[16] = {0x20}; /* 2000::/3 */

static size_t
length_of(int family)
{
	return family == AF_INET ? 4 : 16;
}

bool
address_parse(const char *text, struct address *a)
{
	memset(a, 0, sizeof(*a));
	a->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(a->family, text, a->bytes) == 1;
}

char *
address_text(const struct address *a, char out[ADDRESS_TEXT_SIZE])
{
	if (inet_ntop(a->family, a->bytes, out, ADDRESS_TEXT_SIZE) == NULL)
		out[0] = '\0';
	return out;
}

bool
address_of_sockaddr(const struct sockaddr *sa, struct address *a)
{
	memset(a, 0, sizeof(*a));
	a->family = sa->sa_family;
	if (sa->sa_family == AF_INET)
		memcpy(a->bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(a->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	else
		return false;
	return true;
}

socklen_t
address_to_sockaddr(const struct address *a, uint16_t port, struct sockaddr_storage *storage)
{
	struct sockaddr_in *in = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (a->family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->bytes, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->bytes, 16);
	return sizeof(*in6);
}

bool
address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, length_of(a->family)) == 0;
}

static bool
within(const uint8_t *bytes, const uint8_t *network, unsigned prefix)
{
	unsigned whole = prefix / 8, rest = prefix % 8;

	return memcmp(bytes, network, whole) == 0 &&
	       (rest == 0 || ((bytes[whole] ^ network[whole]) >> (8 - rest)) == 0);
}

static const struct range *
find_range(const struct address *a)
{
	static const struct range other = {{0}, 0, "no global unicast", true};
	const struct range *ranges = a->family == AF_INET ? ranges4 : ranges6;
	size_t i, n = a->family == AF_INET ? sizeof(ranges4) / sizeof(ranges4[0])
					   : sizeof(ranges6) / sizeof(ranges6[0]);

	for (i = 0; i < n; i++)
		if (within(a->bytes, ranges[i].bytes, ranges[i].prefix))
			return &ranges[i];
	if (a->family == AF_INET6 && !within(a->bytes, global_unicast, 3))
		return &other;
	return NULL;
}

const char *
address_special(const struct address *a)
{
	const struct range *r = find_range(a);

	return r != NULL ? r->name : NULL;
}

bool
address_is_local(const struct address_locals *l, const struct address *a)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].address.family == a->family &&
		    within(a->bytes, l->v[i].address.bytes, l->v[i].prefix))
			return true;
	return false;
}

const char *
address_refusal(const struct address_locals *l, const struct address *a, bool internal)
{
	const struct range *r = find_range(a);

	if (internal)
		return r != NULL && r->never ? r->name : NULL;
	if (r != NULL)
		return r->name;
	if (!l->known)
		return "this host's own networks are not known";
	return address_is_local(l, a) ? "this host's own network" : NULL;
}

void
address_locals_add(struct address_locals *l, const struct address *a, unsigned prefix)
{
	if (l->n == l->capacity) {
		l->capacity = l->capacity > 0 ? 2 * l->capacity : 32;
		l->v = reallocarray(l->v, l->capacity, sizeof(*l->v));
		if (l->v == NULL)
			abort();
	}
	l->v[l->n++] = (struct address_network){*a, (uint8_t)prefix};
}

void
address_locals_clear(struct address_locals *l)
{
	free(l->v);
	memset(l, 0, sizeof(*l));
}
