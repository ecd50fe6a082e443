/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that init sets for the guest and the agent lifts for itself. */
#ifndef GONDOLIN_GUEST_LIMITS_H
#define GONDOLIN_GUEST_LIMITS_H

/* Open files of a command: the soft limit that select(2) can live with, and room to ask for more.
 */
#define LIMIT_FILES_SOFT 1024u
#define LIMIT_FILES_HARD 524288u

/* Of the agent: six descriptors for each of AGENT_COMMANDS_MAX commands, and change. */
#define LIMIT_FILES_AGENT 4096u

#endif
