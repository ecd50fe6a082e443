/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream, cut into pieces of all sizes, against agent_reader: frames come out as they lie in
 * the stream, whatever the pieces, and a broken stream stays broken.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/agent_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_reader r;
	struct agent_header h;
	const uint8_t *payload;
	size_t at = 0, expected = 0, room, n;
	unsigned step = 1;
	uint8_t *space;
	int rc = 0;

	if (agent_reader_init(&r) < 0)
		return 0;
	while (at < size && rc == 0) {
		space = agent_reader_space(&r, &room);
		n = step % 4099;
		step = step * 5 + 3;
		n = n == 0 ? 1 : n;
		n = n < room ? n : room;
		n = n < size - at ? n : size - at;
		memcpy(space, data + at, n);
		agent_reader_filled(&r, n);
		at += n;
		while ((rc = agent_reader_next(&r, &h, &payload)) == 1) {
			expected += AGENT_HEADER_SIZE;
			if (memcmp(payload, data + expected, h.length) != 0)
				abort();
			expected += h.length;
		}
	}
	if (rc < 0 && agent_reader_next(&r, &h, &payload) >= 0)
		abort();
	agent_reader_clear(&r);
	return 0;
}
