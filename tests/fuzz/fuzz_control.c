/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the control socket.  The input is a list of records: a byte (bits 0-1: pipes that come
 * with the packet, bits 2-3: which client, bit 6: the guest says Exited of that command first, bit
 * 7: Started), a byte with the packet's length, the packet.
 */
#include "vmrunner_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w;
	unsigned i;

	world_open(&w);
	for (i = 0; i < WORLD_CLIENTS; i++)
		(void)world_connect(&w);
	while (size >= 2) {
		unsigned op = data[0], which = op >> 2 & 3;
		size_t length = data[1] < size - 2 ? data[1] : size - 2;

		if ((op & 0x40) != 0)
			world_exited(&w, which + 1);
		if ((op & 0x80) != 0)
			world_started(&w, which + 1);
		if (length > 0)
			world_send(w.clients[which], data + 2, length, op & 3);
		data += 2 + length;
		size -= 2 + length;
		world_turn(&w);
	}
	world_close(&w);
	return 0;
}
