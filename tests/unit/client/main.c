/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the client's suites. */
#include <CUnit/Basic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "tests/run.h"
#include "tests/unit/client/client_test.h"

int
main(void)
{
	signal(SIGPIPE, SIG_IGN); /* the tests play the part of vmrunner, which ignores it */
	/* What runs the tests may ignore these, and their clients would as well. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	begin_tests();
	add_options_suite();
	add_library_suite();
	add_relay_suite();
	add_terminal_suite();
	return run_tests();
}
