/* SPDX-License-Identifier: Apache-2.0 */
/* The agent over a socket that stands for the virtio port: `agent_on_host FD [KILL_AFTER_MS]`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/agent.h"

#define REFUSED_MTU 1281u /* the one that this machine refuses */

/* This machine's network stays as it is. */
static int
fake_network(const struct network_settings *s, char *why, size_t why_size)
{
	if (s->mtu == REFUSED_MTU) {
		snprintf(why, why_size, "the machine has no eth0");
		return -ENODEV;
	}
	fprintf(stderr, "network: mtu %u, CA %.*s\n", s->mtu, (int)s->n_ca, (const char *)s->ca);
	return 0;
}

int
main(int argc, char **argv)
{
	struct agent_system system = agent_system_real;
	struct agent_options options = {.kill_after_ms = AGENT_KILL_AFTER_MS, .system = &system};
	uint32_t grace_ms;
	char why[256];
	int rc;

	if (argc < 2)
		return 2;
	system.network = fake_network;
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
