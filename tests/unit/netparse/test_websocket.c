/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket framing, cut everywhere. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netproxy/websocket.h"
#include "suites.h"

struct row {
	bool masked, extensions;
	int rc;
	const char *bytes;
	size_t n;
};

#define ROW(masked, extensions, rc, bytes)                       \
	{                                                        \
		masked, extensions, rc, bytes, sizeof(bytes) - 1 \
	}
static const struct row rows[] = {
    ROW(true, false, 0, "\x81\x82mask.."),
    ROW(false, false, 0, "\x81\x02hi\x89\x00\x8a\x01!"),
    ROW(false, false, 0, "\x01\x02hi\x89\x00\x80\x02ho"),
    ROW(false, false, 0, "\x88\x02\x03\xe8"),
    ROW(false, true, 0, "\xc1\x01x"),
    ROW(true, false, 0, "\x82\xfe\x00\x7emask"),
    /* masks */
    ROW(true, false, -EPROTO, "\x81\x02hi"),
    ROW(false, false, -EPROTO, "\x81\x82mask.."),
    /* reserved bits and opcodes */
    ROW(false, false, -EPROTO, "\xc1\x01x"),
    ROW(false, true, -EPROTO, "\xc9\x00"),
    ROW(false, false, -EPROTO, "\x83\x00"),
    ROW(false, false, -EPROTO, "\x8b\x00"),
    /* control frames: whole and short */
    ROW(false, false, -EPROTO, "\x09\x00"),
    ROW(false, false, -EPROTO, "\x89\x7e\x00\x7e"),
    /* fragments in disorder */
    ROW(false, false, -EPROTO, "\x80\x00"),
    ROW(false, false, -EPROTO, "\x01\x00\x01\x00"),
    /* lengths in more bytes than due, or beyond all */
    ROW(false, false, -EPROTO, "\x82\x7e\x00\x7d"),
    ROW(false, false, -EPROTO, "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"),
    ROW(false, false, -EPROTO, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
    /* anything after a close; another protocol */
    ROW(false, false, -EPROTO, "\x88\x00\x81\x00"),
    ROW(true, false, -EPROTO, "GET / HTTP/1.1\r\n"),
};

static void
test_rows(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step <= rows[i].n; step++) {
			struct websocket_watch w;
			int rc = 0;

			websocket_watch_init(&w, rows[i].masked, rows[i].extensions);
			for (size_t at = 0; at < rows[i].n && rc == 0; at += step)
				rc = websocket_watch(&w, (const uint8_t *)rows[i].bytes + at,
				    rows[i].n - at < step ? rows[i].n - at : step);
			CU_ASSERT_EQUAL(rc, rows[i].rc);
			if (rc != rows[i].rc)
				fprintf(stderr, "websocket row %zu\n", i);
		}
}

CU_TestInfo websocket_tests[] = {
    {"rows", test_rows},
    CU_TEST_INFO_NULL,
};
