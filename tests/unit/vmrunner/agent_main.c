/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's agent on descriptor 3, as a program of the host, for the loopback test. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "guest/agent.h"

int
main(void)
{
	const struct agent_options options = {
	    .port = 3, .kill_after_ms = AGENT_KILL_AFTER_MS, .system = &agent_system_real};
	char why[128];
	uint32_t grace;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (agent_run(&options, &grace, why, sizeof(why)) == -EPROTO) {
		fprintf(stderr, "the agent: %s\n", why);
		return 1;
	}
	return 0;
}
