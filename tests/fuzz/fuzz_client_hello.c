/* SPDX-License-Identifier: Apache-2.0 */
/* The first bytes of a connection of the guest. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/classify.h"
#include "netproxy/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t scratch[CLIENT_HELLO_MAX];
	char again[HTTP_HOST_MAX + 1];
	struct client_hello h;
	int rc;

	if (classify(data, size) == CLASSIFY_MORE && size >= CLASSIFY_MAX)
		abort();
	rc = client_hello_parse(&h, data, size, scratch);
	if (rc == CLIENT_HELLO_MORE && size > 2 * CLIENT_HELLO_MAX)
		abort();
	if (rc != CLIENT_HELLO_OK || !h.has_name)
		return 0;
	/* The name is in its canonical form. */
	if (http_host_canonical((struct http_text){h.name, strlen(h.name)}, again) != 0 ||
	    strcmp(h.name, again) != 0)
		abort();
	return 0;
}
