/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: runs the host's commands over one byte stream (ipc/agent_frame.h). */
#ifndef GONDOLIN_GUEST_AGENT_H
#define GONDOLIN_GUEST_AGENT_H

#include <stdint.h>
#include <sys/types.h>

#include "guest/network.h"
#include "guest/spawn.h"

#define AGENT_KILL_AFTER_MS 5000u /* from a time-out's SIGTERM to its SIGKILL */

/* What the agent asks of the kernel for a command: agent_system_real, or a fuzzer's. */
struct agent_system {
	int (*spawn)(const struct spawn_request *r, struct spawn_child *child);
	/* Sends to the process group of a child that was not reaped. */
	void (*signal)(pid_t pid, int signal);
	/* After pidfd became readable: the wait status.  Returns 0 or -errno. */
	int (*reap)(pid_t pid, int *wait_status);
	/* network_configure, or a test's: the network is the machine's own. */
	int (*network)(const struct network_settings *s, char *why, size_t why_size);
};

extern const struct agent_system agent_system_real;

struct agent_options {
	int port;               /* a stream; made non-blocking, stays the caller's */
	uint32_t kill_after_ms; /* AGENT_KILL_AFTER_MS but in tests */
	const struct agent_system *system;
	/*
	 * Called once when the host asks for a shutdown; the agent then serves on until the last
	 * command has ended and all was said.  NULL: it ends at once.
	 */
	void (*shutdown)(void *ctx, uint32_t grace_ms);
	void *ctx;
};

/*
 * Says Hello and serves until the stream ends.  Commands that still run then get SIGKILL, process
 * group by process group.  Returns 0 where the host asked for a shutdown (*grace_ms says how long
 * the guest's processes have), -EPIPE where the host went away, -EPROTO where it broke the
 * protocol, or another -errno.  why is one line about a failure (size at least 128).
 */
int agent_run(const struct agent_options *options, uint32_t *grace_ms, char *why, size_t why_size);

#endif
