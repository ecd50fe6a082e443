/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that stand for names: dns = synthetic answers each name with one address of
 * 198.18.0.0/15 and one of a ULA /64, and a later connection to either tells the name.
 *
 * A name keeps its addresses for the life of the table; the table is bounded, and when it is full
 * new names get none.
 */
#ifndef GONDOLIN_NETPROXY_SYNTHETIC_H
#define GONDOLIN_NETPROXY_SYNTHETIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netproxy/siphash.h"

#define SYNTHETIC_NAMES 16384u
#define SYNTHETIC_BYTES (1u << 20) /* of all names */

struct synthetic;

struct synthetic_addresses {
	uint8_t v4[4];
	uint8_t v6[16];
};

/* prefix6 is the /64 of the addresses, key random.  Returns 0 or -ENOMEM. */
int synthetic_new(
    struct synthetic **out, const uint8_t prefix6[8], const uint8_t key[SIPHASH_KEY_SIZE]);
void synthetic_free(struct synthetic *s);

/*
 * The addresses of a name (canonical, at most 253 characters), given out now where it has none.
 * Returns 0; -ENOSPC where the table is full; -ENOMEM.
 */
int synthetic_assign(struct synthetic *s, const char *name, struct synthetic_addresses *a);

/*
 * The name of an address (16 bytes; IPv4 as ::ffff:a.b.c.d), or NULL where it was never given out.
 * Valid until synthetic_free.
 */
const char *synthetic_name(const struct synthetic *s, const uint8_t address[16]);

/* Whether the address is of the ranges that are given out of. */
bool synthetic_contains(const struct synthetic *s, const uint8_t address[16]);

#endif
