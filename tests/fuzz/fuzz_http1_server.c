/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the guest that speaks HTTP/1, answered in all ways that egress knows. */
#include "proxy_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 3)
		world_run(data, size, http1_start);
	return 0;
}
