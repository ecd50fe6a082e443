/* SPDX-License-Identifier: Apache-2.0 */
/* The map of an idmapped mount: see the header. */
#include "supervisor/mounts_map.h"

#include <stdio.h>

#define IDS_END UINT32_MAX /* the last number is nobody's */

void
mounts_format_map(char *out, size_t size, uint32_t from, uint32_t to)
{
	const uint32_t low = from < to ? from : to, high = from < to ? to : from;
	size_t n = 0;

	if (low > 0)
		n += (size_t)snprintf(out + n, size - n, "0 0 %u\n", low);
	if (high > low + 1)
		n += (size_t)snprintf(
		    out + n, size - n, "%u %u %u\n", low + 1, low + 1, high - low - 1);
	if (high + 1 < IDS_END)
		n += (size_t)snprintf(
		    out + n, size - n, "%u %u %u\n", high + 1, high + 1, IDS_END - high - 1);
	snprintf(out + n, size - n, "%u %u 1\n", from, to);
}
