/* SPDX-License-Identifier: Apache-2.0 */
/* base64 (RFC 4648 4), strict. */
#include <string.h>

#include "egress/secret.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(const void *bytes, size_t n, struct buffer *out)
{
	const uint8_t *b = bytes;
	char group[4];
	uint32_t v;
	size_t i, have;

	for (i = 0; i < n; i += 3) {
		have = n - i < 3 ? n - i : 3;
		v = (uint32_t)b[i] << 16;
		if (have > 1)
			v |= (uint32_t)b[i + 1] << 8;
		if (have > 2)
			v |= b[i + 2];
		group[0] = alphabet[v >> 18];
		group[1] = alphabet[v >> 12 & 63];
		group[2] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		group[3] = have > 2 ? alphabet[v & 63] : '=';
		buffer_add(out, group, 4);
	}
}

static int
value_of(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

bool
base64_decode(const char *text, size_t n, struct buffer *out)
{
	size_t i, k, pad;
	uint8_t bytes[3];
	uint32_t v;
	int c;

	if (n % 4 != 0)
		return false;
	for (i = 0; i < n; i += 4) {
		pad = i + 4 < n || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
		v = 0;
		for (k = 0; k < 4; k++) {
			c = k < 4 - pad ? value_of(text[i + k]) : 0;
			if (c < 0)
				return false;
			v = v << 6 | (uint32_t)c;
		}
		/* Bits that no byte holds must be zero. */
		if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
			return false;
		bytes[0] = (uint8_t)(v >> 16);
		bytes[1] = (uint8_t)(v >> 8);
		bytes[2] = (uint8_t)v;
		buffer_add(out, bytes, 3 - pad);
	}
	return true;
}
