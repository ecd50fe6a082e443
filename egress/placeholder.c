/* SPDX-License-Identifier: Apache-2.0 */
/* Placeholders. */
#include "egress/placeholder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PREFIX_LENGTH (sizeof(PLACEHOLDER_PREFIX) - 1)

int
placeholder_make(char out[PLACEHOLDER_LENGTH + 1])
{
	unsigned char bytes[16];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return errno != 0 ? -errno : -EIO;
	memcpy(out, PLACEHOLDER_PREFIX, PREFIX_LENGTH);
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(out + PREFIX_LENGTH + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

bool
placeholder_is_valid(const void *text, size_t length)
{
	const char *s = text;
	size_t i;

	if (length != PLACEHOLDER_LENGTH || memcmp(s, PLACEHOLDER_PREFIX, PREFIX_LENGTH) != 0)
		return false;
	for (i = PREFIX_LENGTH; i < length; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}
