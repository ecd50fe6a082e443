/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket bytes of either side.  Where they are cut must not matter. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "netproxy/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct websocket_watch whole, pieces;
	int rc, again = 0;

	if (size < 1)
		return 0;
	websocket_watch_init(&whole, (data[0] & 1) != 0, (data[0] & 2) != 0);
	pieces = whole;
	rc = websocket_watch(&whole, data + 1, size - 1);
	for (size_t i = 1; i < size && again == 0; i++)
		again = websocket_watch(&pieces, data + i, 1);
	if (rc != again)
		abort();
	return 0;
}
