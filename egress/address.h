/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are the world's, and which are somebody's inside. */
#ifndef GONDOLIN_EGRESS_ADDRESS_H
#define GONDOLIN_EGRESS_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN

struct address {
	int family; /* AF_INET or AF_INET6 */
	uint8_t bytes[16];
};

/* Own addresses and on-link networks of this host (egress/locals.h fills it). */
struct address_network {
	struct address address;
	uint8_t prefix; /* bits that count */
};

struct address_locals {
	struct address_network *v;
	size_t n, capacity;
	bool known; /* false: not read yet, or reading failed; nothing is reachable then */
};

/* Reads the text of an address.  Returns false where it is none. */
bool address_parse(const char *text, struct address *a);

/* Writes it; returns out. */
char *address_text(const struct address *a, char out[ADDRESS_TEXT_SIZE]);

/* Returns false for a family that is neither. */
bool address_of_sockaddr(const struct sockaddr *sa, struct address *a);

/* Fills storage; returns its length. */
socklen_t
address_to_sockaddr(const struct address *a, uint16_t port, struct sockaddr_storage *storage);

bool address_equal(const struct address *a, const struct address *b);

/*
 * The name of the special-purpose range (IANA's registries of RFC 6890, with multicast, the
 * transition prefixes that carry an IPv4 address in IPv6, and all of IPv6 that is no global
 * unicast) that the address lies in, or NULL for one of the public Internet.
 */
const char *address_special(const struct address *a);

/* True where it is one of ours, or on a network that we are on. */
bool address_is_local(const struct address_locals *l, const struct address *a);

/*
 * Why the address may not be connected to, or NULL where it may.  internal: allow-internal names
 * the host, so any unicast address will do.
 */
const char *address_refusal(const struct address_locals *l, const struct address *a, bool internal);

void address_locals_add(struct address_locals *l, const struct address *a, unsigned prefix);
void address_locals_clear(struct address_locals *l);

#endif
