/* SPDX-License-Identifier: Apache-2.0 */
/* The agent over a socket that stands for the virtio port: `agent_on_host FD [KILL_AFTER_MS]`. */
#include <stdio.h>
#include <stdlib.h>

#include "guest/agent.h"

int
main(int argc, char **argv)
{
	struct agent_options options = {
	    .kill_after_ms = AGENT_KILL_AFTER_MS, .system = &agent_system_real};
	uint32_t grace_ms;
	char why[256];
	int rc;

	if (argc < 2)
		return 2;
	options.port = (int)strtol(argv[1], NULL, 10);
	if (argc > 2)
		options.kill_after_ms = (uint32_t)strtoul(argv[2], NULL, 10);
	rc = agent_run(&options, &grace_ms, why, sizeof(why));
	if (rc < 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	fprintf(stderr, "shutdown in %u ms\n", grace_ms);
	return 0;
}
