/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP messages of a client, as the guest writes them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "netproxy/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_message m;

	if (dhcp_parse(&m, data, size) != 0)
		return 0;
	if (m.client_id != NULL &&
	    (m.client_id < data || m.client_id + m.client_id_length > data + size))
		abort();
	return 0;
}
