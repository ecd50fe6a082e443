/* SPDX-License-Identifier: Apache-2.0 */
/* One sandbox from start to end. */
#ifndef GONDOLIN_SUPERVISOR_SANDBOX_H
#define GONDOLIN_SUPERVISOR_SANDBOX_H

#include "supervisor/config.h"

/* Exit codes of the command line that are not the command's own. */
#define EXIT_SANDBOX_FAILED 125

struct sandbox_options {
	const char *config_path; /* as given, for session.json; NULL = none */
	/*
	 * A SOCK_SEQPACKET socket to the program that wants the sandbox, or -1.  The supervisor
	 * sends the packet `ready <id> <session directory>\n` once clients may connect.  Its end
	 * ends the sandbox, unless the packet `release` came before.
	 */
	int lifeline;
	bool console; /* the guest's console goes to stderr */
};

/*
 * Runs the sandbox that c describes until its command ends or it is told to stop.  Returns the exit
 * code; a failure has been said on stderr, in one line.
 */
int sandbox_run(const struct config *c, const struct sandbox_options *o);

#endif
