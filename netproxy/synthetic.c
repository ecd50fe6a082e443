/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that stand for names.  Names are numbered from 1 in the order in which they come; the
 * number is the host part of both addresses.  Names lie one behind the other in blocks that never
 * move; an open-addressed table of twice their number finds them by their hash.
 */
#include "netproxy/synthetic.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN  64u
#define NETWORK_V4 0xc6120000u /* 198.18.0.0/15, RFC 2544 */
#define MASK_V4    0xfffe0000u

struct synthetic {
	uint8_t prefix6[8];
	uint8_t key[SIPHASH_KEY_SIZE];
	char **names;    /* names[number - 1] */
	uint16_t *slots; /* number, or 0 */
	uint32_t n_slots, n;
	size_t bytes;
};

int
synthetic_new(struct synthetic **out, const uint8_t prefix6[8], const uint8_t key[SIPHASH_KEY_SIZE])
{
	struct synthetic *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL)
		return -ENOMEM;
	memcpy(s->prefix6, prefix6, sizeof(s->prefix6));
	memcpy(s->key, key, sizeof(s->key));
	*out = s;
	return 0;
}

void
synthetic_free(struct synthetic *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		free(s->names[i]);
	free(s->names);
	free(s->slots);
	free(s);
}

/* The slot of a name, or the empty one where it belongs.  There is always an empty one. */
static uint32_t
find_slot(const struct synthetic *s, const char *name)
{
	uint32_t i = (uint32_t)siphash(s->key, name, strlen(name)) & (s->n_slots - 1);

	while (s->slots[i] != 0 && strcmp(s->names[s->slots[i] - 1], name) != 0)
		i = (i + 1) & (s->n_slots - 1);
	return i;
}

/* Makes room for one more name: the table stays at most half full. */
static int
grow(struct synthetic *s)
{
	uint32_t n_slots = s->n_slots == 0 ? SLOTS_MIN : s->n_slots * 2;
	char **names;
	uint16_t *slots;

	if (s->n < s->n_slots / 2)
		return 0;
	names = realloc(s->names, (n_slots / 2) * sizeof(*names));
	if (names == NULL)
		return -ENOMEM;
	s->names = names;
	slots = calloc(n_slots, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	free(s->slots);
	s->slots = slots;
	s->n_slots = n_slots;
	for (uint32_t i = 0; i < s->n; i++)
		s->slots[find_slot(s, s->names[i])] = (uint16_t)(i + 1);
	return 0;
}

static void
fill_addresses(const struct synthetic *s, uint32_t number, struct synthetic_addresses *a)
{
	uint32_t v4 = NETWORK_V4 + number;

	for (unsigned i = 0; i < 4; i++)
		a->v4[i] = (uint8_t)(v4 >> (24 - 8 * i));
	memset(a->v6, 0, sizeof(a->v6));
	memcpy(a->v6, s->prefix6, sizeof(s->prefix6));
	a->v6[14] = (uint8_t)(number >> 8);
	a->v6[15] = (uint8_t)number;
}

int
synthetic_assign(struct synthetic *s, const char *name, struct synthetic_addresses *a)
{
	size_t length = strlen(name);
	uint32_t slot;
	int rc = grow(s);

	if (rc < 0)
		return rc;
	slot = find_slot(s, name);
	if (s->slots[slot] == 0) {
		if (s->n == SYNTHETIC_NAMES || s->bytes + length + 1 > SYNTHETIC_BYTES)
			return -ENOSPC;
		s->names[s->n] = strdup(name);
		if (s->names[s->n] == NULL)
			return -ENOMEM;
		s->bytes += length + 1;
		s->slots[slot] = (uint16_t)++s->n;
	}
	fill_addresses(s, s->slots[slot], a);
	return 0;
}

static bool
is_v4(const uint8_t address[16], uint32_t *v4)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	*v4 = (uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 |
	      (uint32_t)address[14] << 8 | address[15];
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

bool
synthetic_contains(const struct synthetic *s, const uint8_t address[16])
{
	uint32_t v4;

	if (is_v4(address, &v4))
		return (v4 & MASK_V4) == NETWORK_V4;
	return memcmp(address, s->prefix6, sizeof(s->prefix6)) == 0;
}

const char *
synthetic_name(const struct synthetic *s, const uint8_t address[16])
{
	static const uint8_t zeros[4];
	uint32_t v4, number;

	if (!synthetic_contains(s, address))
		return NULL;
	if (is_v4(address, &v4)) {
		number = v4 & ~MASK_V4;
	} else {
		if (memcmp(address + 8, zeros, 4) != 0)
			return NULL;
		number = v4;
	}
	return number >= 1 && number <= s->n ? s->names[number - 1] : NULL;
}
